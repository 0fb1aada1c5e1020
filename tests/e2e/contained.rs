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
    let verbs = ["look", "open", "make", "gone", "alone", "spin", "trace", "free"];
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
fn ru7_a_verb_touches_what_the_catalog_names_and_nothing_else_of_its_owners() {
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
    let ended = world.events("call_ended").pop().expect("its end is on record");
    let wanted = format!("cannot open `{}`", world.home.join("gone").display());
    assert!(ended["ending"].to_string().contains(&wanted), "{ended}");
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
fn ru7_a_verb_that_looks_is_told_no_and_one_that_spins_is_ended() {
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
