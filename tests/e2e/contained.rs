//! What the catalog lets a verb touch is what it can touch, whoever calls it and whatever they ask for.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tests::world::{Setup, World};

const VERBS: &str = r#"
[verb."wall.look"]
summary = "Prints a file"
effect  = "read"
run     = { exec = { argv = ["/bin/cat", "--", "@HOME@/{where}"], read = ["@HOME@/log"] } }
[verb."wall.look".params]
where = { type = "string", pattern = "[a-z/]+", required = true }

[verb."wall.open"]
summary = "Prints a file that is opened for it"
effect  = "read"
run     = { exec = { argv = ["/bin/cat", "--", "{file}"], read = [], limits = { open_files = 16 } } }
[verb."wall.open".params]
file = { type = "path", subtree = "@HOME@/drop", required = true }

[verb."wall.make"]
summary = "Makes a file"
effect  = "write"
run     = { exec = { argv = ["/usr/bin/touch", "--", "@HOME@/drop/{where}"], write = ["@HOME@/drop/in"] } }
[verb."wall.make".params]
where = { type = "string", pattern = "[a-z/]+", required = true }

[verb."wall.gone"]
summary = "May read what is not there"
effect  = "read"
run     = { exec = { argv = ["/bin/true"], read = ["@HOME@/gone"] } }

[verb."wall.alone"]
summary = "Says what it was told, and which networks it sees"
effect  = "read"
run     = { exec = { argv = ["/bin/sh", "@HOME@/script/alone"], network = false, env = { OPENSCOPE_WHO = "<{who}>" } } }
[verb."wall.alone".params]
who = { type = "string", required = true }

[verb."wall.total"]
summary = "Is kept to limits in total"
effect  = "read"
run     = { exec = { argv = ["/bin/true"], limits = { total = { memory = "64MiB", processes = 8, cpu = "50%" } } } }

[verb."wall.spin"]
summary = "Is never done"
effect  = "read"
run     = { exec = { argv = ["/bin/sh", "@HOME@/script/spin"], limits = { cpu = "1s" } } }

[verb."wall.trace"]
summary = "Looks into another process"
effect  = "read"
run     = { exec = { argv = ["/usr/bin/strace", "-o", "/dev/null", "/bin/true"] } }

[verb."wall.free"]
summary = "The same, and may"
effect  = "read"
run     = { exec = { argv = ["/usr/bin/strace", "-o", "/dev/null", "/bin/true"], system_calls = "all" } }
"#;

fn world() -> World {
    let Setup { policy, .. } = Setup::default();
    let verbs = ["look", "open", "make", "gone", "alone", "total", "spin", "trace", "free"];
    let held: String = verbs.map(|verb| format!("\"wall.{verb}\" = {{}}, ")).concat();
    let policy = policy
        .replacen("verbs = { \"log.tail\"", &format!("verbs = {{ {held}\"log.tail\""), 1)
        .replace("[\"log.*\"", "[\"wall.*\", \"log.*\"");
    let verbs = Setup::default().verbs + VERBS;
    let world = Setup { verbs, policy, ..Setup::default() }.start();
    world.script("alone", "echo \"$OPENSCOPE_WHO\"; tail -n +3 /proc/net/dev | cut -d: -f1\n");
    world.script("spin", "while :; do :; done\n");
    for directory in ["drop/in", "drop/out"] {
        fs::create_dir(world.home.join(directory)).expect("make a directory");
        let everybody = fs::Permissions::from_mode(0o777);
        fs::set_permissions(world.home.join(directory), everybody).expect("open it for all");
    }
    fs::write(world.home.join("drop/given"), "given\n").expect("write a file");
    fs::write(world.home.join("outside"), "outside\n").expect("write a file");
    world.alice().add_contact("vendor-b", &world.vendor());
    world
}

#[test]
fn a_verb_touches_what_the_catalog_names_and_nothing_else_of_its_owners() {
    let world = world();
    let share = world.alice().open(&["wall.look", "wall.open", "wall.make", "wall.gone"]);
    let call = |words: &[&str]| {
        let said = world.vendor().call(&share, words);
        (said.status, said.stdout, said.stderr)
    };
    assert_eq!(call(&["wall.look", "where=log/web"]).0, 0);
    std::os::unix::fs::symlink("../outside", world.home.join("log/link")).expect("plant a link");
    for outside in ["outside", "log/link", "script/append"] {
        let (status, stdout, said) = call(&["wall.look", &format!("where={outside}")]);
        assert_eq!((status, stdout.as_str()), (1, ""), "{outside}: {said}");
        assert!(said.contains("Permission denied"), "{said}");
    }
    let given = world.drop_file("given").display().to_string();
    let (status, stdout, said) = call(&["wall.open", &format!("file={given}")]);
    assert_eq!((status, stdout.as_str()), (0, "given\n"), "{said}");

    assert_eq!(call(&["wall.make", "where=in/new"]).0, 0);
    assert_eq!(call(&["wall.make", "where=out/new"]).0, 1);
    assert!(world.drop_file("in/new").exists() && !world.drop_file("out/new").exists());

    let (status, _, said) = call(&["wall.gone"]);
    assert_eq!(status, 125, "{said}");
    assert!(!said.contains("gone` names"), "the recipient does not hear why: {said}");
    let ended = world.last_end();
    let wanted = format!("cannot open `{}`", world.home.join("gone").display());
    assert!(ended["ending"].to_string().contains(&wanted), "{ended}");
}

/// The daemon of a test is not alone in its cgroup, and so has no controllers to give.
#[test]
fn a_limit_in_total_that_the_host_cannot_keep_is_named_and_the_verb_does_not_start() {
    let world = world();
    let why = "`limits.total` takes the cgroup controller `memory`, which the daemon's cgroup does not have";
    let status = world.alice().json(&["status"]).expect("it is up");
    let warned = format!("`wall.total` cannot be called: {why}");
    assert!(status["warnings"].to_string().contains(&warned), "{status}");
    let doctor = world.alice().run(&["doctor", "--agent", "you"]);
    assert_eq!(doctor.status, 1, "{}", doctor.stdout);
    assert!(
        doctor.stdout.contains("controllers of cgroups for `limits.total`"),
        "{}",
        doctor.stdout
    );
    let share = world.alice().open(&["wall.total"]);
    assert_eq!(world.vendor().call(&share, &["wall.total"]).status, 125);
    let ended = world.last_end();
    assert!(ended["ending"].to_string().contains(why), "{ended}");
}

#[test]
fn a_verb_without_a_network_sees_its_own_loopback_and_a_value_stays_in_its_variable() {
    let world = world();
    let share = world.alice().open(&["wall.alone"]);
    let said = world.vendor().call(&share, &["wall.alone", "who=$(id) x\"y"]);
    assert_eq!(
        (said.status, said.stdout.as_str()),
        (0, "<$(id) x\"y>\n    lo\n"),
        "{}",
        said.stderr
    );
}

#[test]
fn a_verb_that_looks_is_told_no_and_one_that_spins_is_ended() {
    let world = world();
    let share = world.alice().open(&["wall.spin", "wall.trace", "wall.free"]);
    let said = world.vendor().call(&share, &["wall.trace"]);
    assert_ne!(said.status, 0);
    assert!(said.stderr.contains("Operation not permitted"), "{}", said.stderr);
    let said = world.vendor().call(&share, &["wall.free"]);
    assert_eq!(said.status, 0, "{}", said.stderr);
    assert_eq!(world.vendor().call(&share, &["wall.spin"]).status, 128 + 9);
}

#[test]
fn p04_another_containment_is_another_plan() {
    let world = world();
    let plan = || {
        let arguments = [
            "share",
            "open",
            "--agent",
            "you",
            "--verb",
            "wall.look",
            "--to",
            "vendor-b",
            "--plan",
        ];
        world.alice().json(&arguments).expect("a plan")["plan"]["hash"].clone()
    };
    let before = plan();
    let path = world.etc().join("verbs.d/test.toml");
    let text = fs::read_to_string(&path).expect("read the catalog");
    let wider = text.replace("/log\"] } }", "/log\", \"/etc\"] } }");
    assert_ne!(text, wider);
    fs::write(&path, wider).expect("write the catalog");
    assert_eq!(world.root().run(&["reload"]).status, 0);
    assert_ne!(plan(), before);
}

#[test]
fn ru4_a_verb_that_fills_its_processes_or_its_disk_keeps_no_other_share_from_anything() {
    let accounts = tests::account::Accounts::shared();
    let verbs = Setup::default().verbs
        + "[verb.\"bad.fork\"]\nsummary = \"s\"\neffect = \"read\"\ntimeout = \"10m\"\nrun = { exec = { argv = [\"/bin/sh\", \"@HOME@/script/fork\"], limits = { processes = 200 } } }\n\
           [verb.\"bad.fill\"]\nsummary = \"s\"\neffect = \"write\"\ntimeout = \"10m\"\nrun = { exec = { argv = [\"/bin/sh\", \"@HOME@/script/fill\"], limits = { file_size = \"1MiB\" } } }\n";
    let policy = Setup::default()
        .policy
        .replacen(
            "verbs = { \"log.tail\"",
            "verbs = { \"bad.fork\" = {}, \"bad.fill\" = {}, \"log.tail\"",
            1,
        )
        .replace("[\"log.*\"", "[\"bad.*\", \"log.*\"");
    let world = Setup { verbs, policy, ..Setup::default() }.start();
    world.alice().add_contact("vendor-b", &world.vendor());
    // A file system of its own, as small as a full disk.
    let disk = world.drop_file("disk");
    fs::create_dir(&disk).expect("make a directory");
    let at = disk.display().to_string();
    let uid = format!("size=4m,mode=0755,uid={}", accounts.alice.uid);
    assert!(tests::account::run("mount", &["-t", "tmpfs", "-o", &uid, "none", &at]));
    world.script("fork", "trap '' TERM\necho here\nwhile :; do (sleep 338 &) 2>/dev/null; done\n");
    world.script("fill", "i=0; while :; do head -c 2000000 /dev/zero > @HOME@/drop/disk/$i || [ $i -lt 9 ] || break; i=$((i+1)); done 2>/dev/null\necho full; exec sleep 338\n");
    let (bad, good) = (
        world.alice().open(&["bad.fork", "bad.fill"]),
        world.alice().open(&["test.true", "log.tail"]),
    );
    let fork = world.vendor().start(&bad, &["bad.fork"]);
    let fill = world.vendor().start(&bad, &["bad.fill"]);
    fork.stdout.line_with("here");
    fill.stdout.line_with("full");
    let largest = fs::read_dir(&disk).expect("look").flatten();
    let largest = largest.filter_map(|entry| entry.metadata().ok()).map(|file| file.len()).max();
    assert!(largest.is_some_and(|length| length <= 1 << 20), "{largest:?}");
    for _ in 0..3 {
        let said = world.vendor().call(&good, &["log.tail", "service=web", "lines=1"]);
        assert_eq!((said.status, said.stdout.as_str()), (0, "web line 9\n"), "{said:?}");
    }
    let listed = world.alice().json(&["share", "list"]).expect("they are told");
    assert_eq!(listed["shares"].as_array().map(Vec::len), Some(2), "{listed}");
    let revoked = world.alice().revoke(&bad);
    let left = std::process::Command::new("pgrep").args(["-f", "^sleep 338"]).output();
    let left = left.expect("look for them").stdout;
    assert!(tests::account::run("umount", &[&at]));
    assert_eq!(revoked.status, 0, "{revoked:?}");
    assert!(left.is_empty(), "they live on: {}", String::from_utf8_lossy(&left));
    assert_eq!(world.vendor().call(&good, &["test.true"]).status, 0);
}
