//! Nothing left behind (P12): argv, environments, dumps, files, processes, cgroups.

use std::fs;
use std::path::{Path, PathBuf};

use tests::dump::Needles;
use tests::forge;
use tests::world::{Setup, World};

fn of_process(pid: u32, what: &str) -> Vec<u8> {
    fs::read(format!("/proc/{pid}/{what}")).unwrap_or_default()
}

fn secret_files(world: &World) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(world.state()).expect("list the state") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if path.is_file()
            && (name.contains("key") || name.contains("secret") || name.contains("seed"))
        {
            all.push((name, fs::read(&path).expect("read it").trim_ascii().to_vec()));
        }
    }
    all
}

#[test]
fn p12_no_secret_is_in_an_argument_an_environment_or_a_core_dump() {
    let world = World::start();
    let share = world.alice().try_open(&["log.follow:service=web"], &["--bearer"]).expect("open");
    let second = share.second.clone().expect("a second value");
    let handle = forge::open(&share.handle, &second);
    let follow = world.vendor().start(&share, &["log.follow", "service=web"]);
    follow.stdout.line_with("web line 9");

    let mut needles = Needles::default();
    needles.add("second value", second.as_bytes());
    needles.add("rendezvous secret", handle.rendezvous.expose());
    needles.add("redeem secret", forge::redeem_seed(&handle));
    let token = fs::read_to_string(world.etc().join("relay.token")).expect("read the token");
    needles.add_parts("deployment token", token.trim().as_bytes(), 24);
    let secrets = secret_files(&world);
    assert!(!secrets.is_empty(), "the daemon keeps its keys in files that say so");
    for (name, bytes) in secrets {
        needles.add_parts(&name, &bytes, 16);
    }
    let keeper = world.daemon.as_ref().expect("it runs").pid();
    let relay = world.relay.as_ref().expect("it runs").pid();
    let mut all = vec![keeper, relay, follow.pid()];
    all.extend(tests::world::descendants(keeper));
    assert!(all.len() >= 6, "keeper, relay, client, monitor, broker, verb: {all:?}");
    for pid in all {
        for what in ["cmdline", "environ"] {
            let found = needles.found_in(&of_process(pid, what));
            assert!(found.is_empty(), "{what} of {pid} holds {found:?}");
        }
    }
    // Whoever holds a secret leaves none in a core file.
    let monitor = world.process("--as-monitor").expect("it runs");
    let broker = world.process("--as-broker").expect("it runs");
    for (name, pid) in
        [("monitor", monitor), ("broker", broker), ("relay", relay), ("client", follow.pid())]
    {
        assert!(leaves_no_core(pid), "a crash of the {name} writes its memory to a file");
    }
}

/// Not dumpable, which makes its files in `/proc` root's; or, where it is root's anyway, no core file allowed.
fn leaves_no_core(pid: u32) -> bool {
    let owner = |path: &str| {
        let of = fs::metadata(format!("/proc/{pid}/{path}")).expect("it runs");
        std::os::unix::fs::MetadataExt::uid(&of)
    };
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let uid = status.lines().find_map(|line| line.strip_prefix("Uid:")).expect("a uid");
    let is_root = uid.split_whitespace().next() == Some("0");
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).expect("it runs");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit");
    let none = core.split_whitespace().skip(4).take(2).all(|limit| limit == "0");
    none || (!is_root && owner("environ") == 0)
}

#[test]
fn p12_no_secret_is_in_a_log_however_much_is_logged() {
    let environment = vec![("RUST_LOG".to_owned(), "trace".to_owned())];
    let world = Setup { environment, ..Setup::default() }.start();
    let share = world.alice().try_open(&["test.true"], &["--bearer"]).expect("open");
    let second = share.second.clone().expect("a second value");
    let handle = forge::open(&share.handle, &second);
    let mut client = world.vendor().command(&share, &["-v", "-v", "call", "test.true"]);
    let output = client.env("RUST_LOG", "trace").output().expect("run the client");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));

    let mut needles = Needles::default();
    needles.add("second value", second.as_bytes());
    needles.add("rendezvous secret", handle.rendezvous.expose());
    needles.add("redeem secret", forge::redeem_seed(&handle));
    needles.add_parts("handle", &share.handle.as_bytes()["osp1_".len()..], 24);
    let token = fs::read_to_string(world.etc().join("relay.token")).expect("read the token");
    needles.add_parts("deployment token", token.trim().as_bytes(), 24);
    for (name, bytes) in secret_files(&world) {
        needles.add_parts(&name, &bytes, 16);
    }
    for entry in everything_in(&world.vendor().home().join("state/openscope/seats")) {
        let text = fs::read_to_string(entry).expect("read a holder key");
        needles.add("holder key", text.lines().last().expect("a key").as_bytes());
    }
    let log = |process: &Option<tests::background::Background>| {
        process.as_ref().expect("it runs").stderr.bytes()
    };
    let (daemon, relay) = (log(&world.daemon), log(&world.relay));
    let said = String::from_utf8_lossy(&daemon).into_owned();
    assert!(said.contains("TRACE"), "it logs all that it can: {said}");
    let record = fs::read(world.state().join("audit.log")).expect("read the record");
    for (place, hay) in
        [("daemon", &daemon), ("relay", &relay), ("client", &output.stderr), ("record", &record)]
    {
        let found = needles.found_in(hay);
        assert!(found.is_empty(), "what the {place} writes holds {found:?}");
    }
}

fn everything_in(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut all: Vec<_> = entries.map(|entry| entry.path()).collect();
    all.sort();
    all
}

#[test]
fn p12_nothing_is_left_when_the_daemon_stops() {
    let before = everything_in(Path::new("/tmp"));
    let mut world = World::start();
    world.script(
        "hide",
        "(setsid sh -c 'trap \"\" TERM HUP; exec sleep 444' &)\necho ready\nexec sleep 444\n",
    );
    world.alice().add_contact("vendor-b", &world.vendor());
    let share = world.alice().open(&["test.sh:name=hide"]);
    let call = world.vendor().start(&share, &["test.sh", "name=hide"]);
    call.stdout.line_with("ready");
    let recorded = fs::read_to_string(world.state().join("cgroup")).expect("where the calls are");
    let cgroup = PathBuf::from(recorded.trim());
    let keeper = world.daemon.as_ref().expect("it runs").pid();
    let processes = tests::world::descendants(keeper);
    assert!(processes.len() >= 4, "{processes:?}");

    world.stop_daemon();

    for pid in processes {
        assert!(!Path::new(&format!("/proc/{pid}/exe")).exists(), "{pid} is left");
    }
    assert!(!world.socket().exists(), "the owner socket is gone");
    assert!(!cgroup.exists() || cgroup == Path::new(""), "{} is left", cgroup.display());
    let left: Vec<_> = everything_in(Path::new("/tmp"))
        .into_iter()
        .filter(|path| !before.contains(path))
        .collect();
    let ours = |path: &PathBuf| {
        let owner = fs::symlink_metadata(path).map(|of| std::os::unix::fs::MetadataExt::uid(&of));
        let accounts = &world.accounts;
        let uids =
            [accounts.alice.uid, accounts.vendor.uid, accounts.broker.uid, accounts.relay.uid];
        owner.is_ok_and(|uid| uids.contains(&uid)) || path.to_string_lossy().contains("openscope")
    };
    let left: Vec<_> = left.into_iter().filter(ours).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn p12_state_that_holds_secrets_is_readable_by_root_alone() {
    use std::os::unix::fs::MetadataExt as _;
    let world = World::start();
    let mut pending = vec![world.state()];
    while let Some(path) = pending.pop() {
        let of = fs::symlink_metadata(&path).expect("look at it");
        let public = path.extension().is_some_and(|extension| extension == "pub");
        assert_eq!(of.uid(), 0, "{}", path.display());
        assert!(public || of.mode() & 0o077 == 0, "{:o} {}", of.mode(), path.display());
        if of.is_dir() {
            pending.extend(everything_in(&path));
        }
    }
    let own =
        fs::metadata(world.vendor().home().join("identity.txt")).expect("the recipient's key");
    assert_eq!(own.mode() & 0o777, 0o600);
}
