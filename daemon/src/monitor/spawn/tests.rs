//! Real runners and real processes. As root, since only root becomes others.

mod contained;
mod networked;
mod terminal;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use policy::{Confinement, ProcessLimits, SystemCalls, TotalLimits};
use rustix::event::poll;
use rustix::fs::{Mode, OFlags, open};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Signal, kill_process, test_kill_process};
use tempfile::TempDir;

use super::*;
use crate::clock::Instants;
use crate::run::{Account, Argument};

const NOBODY: u32 = 65534;
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug)]
enum Way {
    Cgroup,
    Subreaper,
}

const WAYS: [Way; 2] = [Way::Cgroup, Way::Subreaper];

/// The runner as it is now. `cargo test --lib` on its own does not build it.
static RUNNER: LazyLock<PathBuf> = LazyLock::new(|| {
    let test = std::env::current_exe().unwrap();
    let profile = test.ancestors().nth(2).unwrap();
    let runner = profile.join("openscope-run");
    if !is_newer(&runner, &Path::new(env!("CARGO_MANIFEST_DIR")).join("src/run")) {
        build(profile);
    }
    runner
});

fn is_newer(program: &Path, sources: &Path) -> bool {
    let changed = |path: &Path| fs::metadata(path).and_then(|file| file.modified());
    let Ok(built) = changed(program) else { return false };
    let all = fs::read_dir(sources).unwrap().map(|entry| entry.unwrap().path());
    all.chain([sources.with_extension("rs")]).all(|source| changed(&source).unwrap() < built)
}

fn build(profile: &Path) {
    #[expect(clippy::disallowed_methods, reason = "a test builds what it runs")]
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--package", "daemon", "--bin", "openscope-run"]);
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    cargo.arg("--target-dir").arg(profile.parent().unwrap());
    assert!(cargo.status().unwrap().success(), "the runner does not build");
}

fn program() -> RunnerProgram {
    RunnerProgram::new(opened(RUNNER.to_str().unwrap()))
}

fn opened(path: &str) -> OwnedFd {
    open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap()
}

struct World {
    runners: Runners,
    state: TempDir,
}

fn world(way: Way) -> World {
    crate::run::shed::ignored_signals().unwrap();
    let state = tempfile::tempdir().unwrap();
    let contain = match way {
        Way::Cgroup => Containment::Cgroup(Instance::open(state.path()).unwrap().0),
        Way::Subreaper => Containment::Subreaper,
    };
    World { runners: Runners::new(program(), contain, 2), state }
}

impl Drop for World {
    fn drop(&mut self) {
        self.runners.parked.clear();
        let _ = crate::monitor::cgroup::end_recorded(self.state.path());
    }
}

fn order(arguments: &[&str]) -> Order {
    Order {
        account: Account::Become { uid: NOBODY, name: "nobody".into() },
        program: arguments[0].into(),
        arguments: arguments.iter().map(|&text| Argument::Text(text.into())).collect(),
        environment: BTreeMap::from([(MARK.into(), mark())]),
        directory: None,
        confinement: Confinement {
            limits: ProcessLimits::default(),
            total: TotalLimits::default(),
            reach: None,
            system_calls: SystemCalls::Read,
            network: policy::NetworkAccess::default(),
        },
        file: None,
    }
}

/// A variable, different in each order, by which its processes are known.
const MARK: &str = "OSPTEST";

fn mark() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{}-{}-", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The processes, wherever they are, that have the variable.
fn left_of(order: &Order) -> Vec<String> {
    let mark = format!("{MARK}={}", order.environment[MARK]).into_bytes();
    let has = |directory: &fs::DirEntry| {
        let environment = fs::read(directory.path().join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == mark)
    };
    let all = fs::read_dir("/proc").unwrap().flatten();
    all.filter(has).map(|directory| directory.file_name().into_string().unwrap()).collect()
}

fn shell(script: &str) -> Order {
    order(&["/bin/sh", "-c", script])
}

/// One pipe for each output. Its read end is at its end once no process of the verb is left that holds the other.
struct Outputs {
    stdout: fs::File,
    stderr: fs::File,
}

fn outputs() -> (Outputs, Attached) {
    let (stdout, to_stdout) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    let (stderr, to_stderr) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    let attached = Attached { stdin: None, stdout: to_stdout, stderr: to_stderr, program: None };
    (Outputs { stdout: stdout.into(), stderr: stderr.into() }, attached)
}

impl Outputs {
    fn wait_for_line(&mut self) -> String {
        let mut line = Vec::new();
        let mut byte = [0];
        while self.stdout.read(&mut byte).unwrap() == 1 && byte != *b"\n" {
            line.extend(byte);
        }
        String::from_utf8(line).unwrap()
    }

    fn rest(mut self) -> (Vec<u8>, Vec<u8>) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        self.stdout.read_to_end(&mut out).unwrap();
        self.stderr.read_to_end(&mut err).unwrap();
        (out, err)
    }
}

/// Polls as the monitor does.
fn ended(running: &mut Running) -> Ended {
    let last = Instants::now().boot + PATIENCE;
    loop {
        if let Some(ended) = running.try_reap().unwrap() {
            return ended;
        }
        let rest = last.saturating_sub(Instants::now().boot);
        assert!(!rest.is_zero(), "still there: {:?}", running.survivors());
        poll(&mut [running.wakes()], Some(&rest.try_into().unwrap())).unwrap();
    }
}

fn run(world: &mut World, order: &Order) -> (Ended, String, String) {
    let (outputs, attached) = outputs();
    let mut running = world.runners.start(order, attached).unwrap();
    let (out, err) = outputs.rest();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (ended(&mut running), text(out), text(err))
}

fn not_started(way: Way, order: &Order) -> String {
    match run(&mut world(way), order).0 {
        Ended::NotStarted(why) => why,
        other @ (Ended::Exited(_) | Ended::Signaled(_) | Ended::Lost(_)) => {
            panic!("it ran: {other:?}")
        }
    }
}

#[test]
fn ru1_exit_code_and_signal_are_the_verbs() {
    for way in WAYS {
        let mut world = world(way);
        assert_eq!(run(&mut world, &shell("exit 0")).0, Ended::Exited(0), "{way:?}");
        assert_eq!(run(&mut world, &shell("exit 125")).0, Ended::Exited(125), "{way:?}");
        assert_eq!(run(&mut world, &shell("kill -TERM $$")).0, Ended::Signaled(15), "{way:?}");
    }
}

#[test]
fn a_path_is_opened_by_the_owner_beneath_its_root_and_the_verb_reads_what_was_opened() {
    let tree = tempfile::tempdir().unwrap();
    fs::set_permissions(tree.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let at = |name: &str| tree.path().join(name);
    fs::create_dir(at("root")).unwrap();
    fs::write(at("root/log"), "inside").unwrap();
    fs::write(at("root/private"), "root's own").unwrap();
    fs::set_permissions(at("root/private"), fs::Permissions::from_mode(0o600)).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", at("root/link")).unwrap();
    let cat = |names: &[&str]| {
        let mut order = order(&["/bin/cat", "--"]);
        order.arguments.extend(names.iter().map(|rest| {
            Argument::Opened(crate::run::Opened {
                parameter: "file".into(),
                root: at("root").to_str().unwrap().into(),
                rest: (*rest).into(),
            })
        }));
        order
    };
    for way in WAYS {
        let (ended, out, _) = run(&mut world(way), &cat(&["log", "log"]));
        assert_eq!((ended, out.as_str()), (Ended::Exited(0), "insideinside"), "{way:?}");
        let (ended, out, _) = run(&mut world(way), &cat(&["private"]));
        assert_eq!(
            (ended, out.as_str()),
            (Ended::Exited(1), ""),
            "{way:?}: not the owner's to read"
        );
        for rest in ["link", "../root/log", "missing"] {
            let why = not_started(way, &cat(&["log", rest]));
            assert!(why.starts_with(&format!("`file`: cannot open `{rest}` beneath")), "{why}");
        }
    }
}

#[test]
fn ru1_outputs_are_apart_and_exact_and_input_is_empty() {
    for way in WAYS {
        let mut world = world(way);
        let (outputs, attached) = outputs();
        let script = shell("printf '\\377\\000\\r\\n'; printf 'err' >&2; cat");
        let mut running = world.runners.start(&script, attached).unwrap();
        assert_eq!(outputs.rest(), (b"\xff\0\r\n".to_vec(), b"err".to_vec()), "{way:?}");
        assert_eq!(ended(&mut running), Ended::Exited(0), "{way:?}");
    }
}

#[test]
fn input_is_what_is_attached() {
    for way in WAYS {
        let mut world = world(way);
        let (outputs, mut attached) = outputs();
        let (stdin, to_stdin) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        attached.stdin = Some(stdin);
        let mut running = world.runners.start(&order(&["/bin/cat"]), attached).unwrap();
        rustix::io::write(&to_stdin, b"through").unwrap();
        drop(to_stdin);
        assert_eq!(outputs.rest().0, b"through", "{way:?}");
        assert_eq!(ended(&mut running), Ended::Exited(0), "{way:?}");
    }
}

/// Leaves a child that has left its session, has been forked twice and hears no signal that can be ignored.
const ESCAPE: &str = "trap '' TERM HUP INT; \
    (setsid sh -c 'trap \"\" TERM HUP INT; sleep 1000 & sleep 1000 & echo away; wait' &)";

#[test]
fn ru4_children_that_fled_die_when_the_verb_is_killed() {
    for way in WAYS {
        let mut world = world(way);
        let (mut outputs, attached) = outputs();
        let verb = shell(&format!("{ESCAPE}; exec sleep 1000"));
        let mut running = world.runners.start(&verb, attached).unwrap();
        assert_eq!(outputs.wait_for_line(), "away");

        running.kill().unwrap();

        assert_eq!(ended(&mut running), Ended::Signaled(9), "{way:?}");
        assert_eq!(left_of(&verb), [""; 0], "{way:?}");
    }
}

#[test]
fn ru4_children_that_fled_die_when_the_verb_ends_by_itself() {
    for way in WAYS {
        let mut world = world(way);
        let (mut outputs, attached) = outputs();
        let verb = shell(&format!("{ESCAPE}; exit 3"));
        let mut running = world.runners.start(&verb, attached).unwrap();
        // Who fled may be ended before they can say that they have.
        assert_eq!(ended(&mut running), Ended::Exited(3), "{way:?}");
        assert_eq!(left_of(&verb), [""; 0], "{way:?}");
        assert!(["", "away"].contains(&outputs.wait_for_line().as_str()));
    }
}

#[test]
fn ru4_a_verb_that_only_forks_dies() {
    for way in WAYS {
        let mut world = world(way);
        let (mut outputs, attached) = outputs();
        let mut verb = shell("f() { f & f & }; echo begun; f; wait");
        // An account that no other test uses: a limit on processes counts all of an account's.
        verb.account = Account::Become { uid: 7, name: "lp".into() };
        verb.confinement.limits.processes = Some(200);
        let mut running = world.runners.start(&verb, attached).unwrap();
        assert_eq!(outputs.wait_for_line(), "begun");
        running.kill().unwrap();
        ended(&mut running);
        assert_eq!(left_of(&verb), [""; 0], "{way:?}");
    }
}

#[test]
fn survivors_are_named() {
    for way in WAYS {
        let mut world = world(way);
        let (mut outputs, attached) = outputs();
        let verb = shell("echo ready; exec sleep 1000");
        let mut running = world.runners.start(&verb, attached).unwrap();
        outputs.wait_for_line();
        assert_eq!(running.survivors(), [running.pid()], "{way:?}");
        running.kill().unwrap();
        ended(&mut running);
        assert_eq!(running.survivors(), [], "{way:?}");
        assert_eq!(running.try_reap().unwrap(), None, "it ends once");
    }
}

#[test]
fn p06_a_dropped_call_is_a_killed_one() {
    for way in WAYS {
        let mut world = world(way);
        let (mut outputs, attached) = outputs();
        let verb = shell(&format!("{ESCAPE}; exec sleep 1000"));
        let running = world.runners.start(&verb, attached).unwrap();
        outputs.wait_for_line();
        drop(running);
        // Reads to the end, which comes only when all are dead.
        assert_eq!(outputs.rest().0, b"", "{way:?}");
    }
}

fn field<'a>(status: &'a str, name: &str) -> Vec<&'a str> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap().split_ascii_whitespace().collect()
}

/// Without 32 and 33, which no program can set: the C library keeps them.
fn signals_of(status: &str, name: &str) -> u64 {
    u64::from_str_radix(field(status, name)[0], 16).unwrap() & !0x1_8000_0000
}

#[test]
fn ru5_the_verb_is_the_owner_and_nothing_else() {
    for way in WAYS {
        let (_, status, _) = run(&mut world(way), &order(&["/bin/cat", "/proc/self/status"]));
        assert_eq!(field(&status, "Uid"), ["65534"; 4], "{way:?}");
        assert_eq!(field(&status, "Gid"), ["65534"; 4]);
        assert_eq!(field(&status, "Groups"), ["65534"]);
        assert_eq!(field(&status, "Umask"), ["0022"]);
        assert_eq!(field(&status, "NoNewPrivs"), ["1"]);
        for capabilities in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert_eq!(field(&status, capabilities), ["0000000000000000"], "{capabilities}");
        }
        for signals in ["SigBlk", "SigIgn", "SigCgt"] {
            assert_eq!(signals_of(&status, signals), 0, "{way:?} {signals}");
        }
    }
}

#[test]
fn ru5_the_owners_supplementary_groups_are_theirs() {
    let Some((uid, name, groups)) = somebody_with_groups() else {
        panic!("no account on this machine has a supplementary group");
    };
    let mut order = order(&["/bin/cat", "/proc/self/status"]);
    order.account = Account::Become { uid, name };
    for way in WAYS {
        let (_, status, _) = run(&mut world(way), &order);
        assert_eq!(field(&status, "Groups"), groups, "{way:?}");
    }
}

/// By reading `/etc/group`, as the runner does not.
fn somebody_with_groups() -> Option<(u32, String, Vec<String>)> {
    let groups = fs::read_to_string("/etc/group").unwrap();
    let accounts = fs::read_to_string("/etc/passwd").unwrap();
    accounts.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let (name, uid, gid) = (fields[0], fields[2].parse().unwrap(), fields[3]);
        let member = |line: &&str| line.rsplit(':').next().unwrap().split(',').any(|m| m == name);
        let others = groups.lines().filter(member).map(|line| line.split(':').nth(2).unwrap());
        let mut all: Vec<u32> = others.chain([gid]).map(|gid| gid.parse().unwrap()).collect();
        all.sort_unstable();
        all.dedup();
        let groups: Vec<String> = all.iter().map(ToString::to_string).collect();
        (uid != 0 && groups.len() > 1).then(|| (uid, name.to_owned(), groups))
    })
}

#[test]
fn ru5_the_environment_is_what_every_verb_has_and_what_this_one_declares() {
    for way in WAYS {
        let mut order = order(&["/usr/bin/env"]);
        order.environment = BTreeMap::from([
            (MARK, "declared"),
            ("TERM", "dumb"),
            ("LANG", "C"),
            ("USER", "root"),
            ("HOME", "/root"),
        ])
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
        let (_, out, _) = run(&mut world(way), &order);
        let mut lines: Vec<&str> = out.lines().collect();
        lines.sort_unstable();
        let expected = [
            "HOME=/nonexistent",
            "LANG=C",
            "LOGNAME=nobody",
            "OSPTEST=declared",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "TERM=dumb",
            "USER=nobody",
        ];
        assert_eq!(lines, expected, "{way:?}");
    }
}

#[test]
fn ru5_only_three_descriptors_are_open_and_the_session_is_its_own() {
    for way in WAYS {
        let mut world = world(way);
        let (mut outputs, mut attached) = outputs();
        attached.program = Some(opened("/bin/sh"));
        let verb = shell("echo $$; exec sleep 1000");
        let mut running = world.runners.start(&verb, attached).unwrap();
        let pid: i32 = outputs.wait_for_line().parse().unwrap();
        let open = || {
            let listed = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
            let names = listed.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let mut names: Vec<_> = names.collect();
            names.sort_unstable();
            names
        };
        // A program that is being loaded has its libraries open, one after another; what was left open stays so.
        let tries = (0..100).find(|_| {
            std::thread::sleep(Duration::from_millis(20));
            open() == ["0", "1", "2"]
        });
        assert!(tries.is_some(), "{way:?}: {:?}", open());
        let pid = Pid::from_raw(pid).unwrap();
        assert_eq!(rustix::process::getsid(Some(pid)).unwrap(), pid, "{way:?}");
        assert_eq!(
            fs::read_link(format!("/proc/{}/cwd", pid.as_raw_pid())).unwrap(),
            PathBuf::from("/")
        );
        running.kill().unwrap();
        ended(&mut running);
    }
}

#[test]
fn ru5_limits_hold() {
    for way in WAYS {
        let mut verb =
            shell("ulimit -n; ulimit -c; ulimit -u; ulimit -v; ulimit -f; ulimit -t; ulimit -Hn");
        verb.program = "/bin/bash".into();
        verb.account = Account::Become { uid: 8, name: "mail".into() };
        verb.confinement.limits = ProcessLimits {
            memory: Some(99 << 20),
            processes: Some(88),
            open_files: Some(77),
            file_size: Some(66 << 10),
            cpu: Some(55),
        };
        let (_, out, _) = run(&mut world(way), &verb);
        assert_eq!(out, "77\n0\n88\n101376\n132\n55\n77\n", "{way:?}");
    }
}

#[test]
fn p12_the_session_keyring_is_the_owners() {
    // Accounts that no other test uses, since all keyrings of an account are shown.
    for (way, uid, name) in [(Way::Cgroup, 5, "games"), (Way::Subreaper, 6, "man")] {
        let mut order = order(&["/bin/cat", "/proc/keys"]);
        order.account = Account::Become { uid, name: name.into() };
        let (_, keys, _) = run(&mut world(way), &order);
        let owned = |line: &str| line.contains("_ses") && line.contains(&format!(" {uid} "));
        assert!(keys.lines().any(owned), "{way:?}: {keys}");
    }
}

#[test]
fn ru5_what_the_daemon_inherited_does_not_reach_the_verb() {
    crate::run::shed::ignored_signals().unwrap();
    let (ours, theirs) = pair().unwrap();
    let (mut outputs, attached) = outputs();
    let script = "trap '' PIPE; umask 000; exec 7</dev/null; exec \"$0\" inner";
    #[expect(clippy::disallowed_methods, reason = "a test stands in for a careless parent")]
    let mut child = Command::new("/bin/sh")
        .args(["-c", script])
        .arg(&*RUNNER)
        .env("SECRET", "of the daemon")
        .stdin(Stdio::from(theirs))
        .spawn()
        .unwrap();
    let verb = order(&["/bin/sh", "-c", "cat /proc/$$/status; env; ls /proc/$$/fd; exit 0"]);
    crate::run::send_order(&ours, &verb, None, &attached).unwrap();
    drop(attached);
    let mut out = String::new();
    outputs.stdout.read_to_string(&mut out).unwrap();
    assert_eq!(signals_of(&out, "SigIgn"), 0);
    assert_eq!(field(&out, "Umask"), ["0022"]);
    assert!(!out.contains("SECRET"));
    assert!(out.ends_with("\n0\n1\n2\n"), "{out}");
    assert!(child.wait().unwrap().success());
}

#[test]
fn p03_lo9_no_verb_runs_as_root() {
    for way in WAYS {
        let mut order = order(&["/bin/true"]);
        order.account = Account::Become { uid: 0, name: "root".into() };
        assert_eq!(not_started(way, &order), "no verb runs as uid 0", "{way:?}");
        order.account = Account::Stay { name: "root".into(), home: "/root".into() };
        assert_eq!(not_started(way, &order), "no verb runs as uid 0", "{way:?}");
    }
}

#[test]
fn p03_a_uid_that_changed_hands_is_not_the_owner() {
    for way in WAYS {
        let mut order = order(&["/bin/true"]);
        order.account = Account::Become { uid: NOBODY, name: "alice".into() };
        assert_eq!(not_started(way, &order), "uid 65534 is `nobody` now, not `alice`");
        order.account = Account::Become { uid: 4_000_000_001, name: "nobody".into() };
        assert_eq!(not_started(way, &order), "uid 4000000001 has no account");
    }
}

#[test]
fn p03_an_account_by_its_name_is_neither_root_nor_the_daemons() {
    let called =
        |name: &str, never: &[u32]| Account::Called { name: name.into(), never: never.into() };
    for way in WAYS {
        let mut order = order(&["/usr/bin/id", "-un"]);
        for (account, why) in [
            (called("root", &[]), "no verb runs as uid 0"),
            (
                called("osptest-none", &[]),
                "there is no account `osptest-none`, as which the verb is to run",
            ),
            (called("mail", &[7, 8]), "no verb runs as `mail`: the daemon itself does"),
        ] {
            order.account = account;
            assert_eq!(not_started(way, &order), why, "{way:?}");
        }
        let mut world = world(way);
        // Looked up, known, and then one of the daemon's after all.
        order.account = called("mail", &[]);
        for _known_or_not in 0..2 {
            assert_eq!(run(&mut world, &order).1, "mail\n", "{way:?}");
            let known = world.runners.accounts.of(&order.account, Instants::now());
            assert_eq!(known.map(|known| known.uid), Some(8), "{way:?}");
        }
        order.account = called("mail", &[8]);
        let ended = run(&mut world, &order).0;
        let why = "no verb runs as `mail`: the daemon itself does".to_owned();
        assert_eq!(ended, Ended::NotStarted(why), "{way:?}");
    }
}

#[test]
fn an_account_is_looked_up_once_and_then_known() {
    for way in WAYS {
        let mut world = world(way);
        let account = order(&["/bin/true"]).account;
        assert_eq!(world.runners.accounts.of(&account, Instants::now()), None, "{way:?}");
        for _known_or_not in 0..2 {
            let (_, status, _) = run(&mut world, &order(&["/bin/cat", "/proc/self/status"]));
            assert_eq!(field(&status, "Groups"), ["65534"], "{way:?}");
            let known = world.runners.accounts.of(&account, Instants::now()).unwrap();
            assert_eq!((known.gid, known.home.as_str()), (NOBODY, "/nonexistent"), "{way:?}");
        }
    }
}

#[test]
fn what_cannot_be_executed_is_not_started_and_says_why() {
    let place = tempfile::tempdir().unwrap();
    let plain = place.path().join("plain");
    fs::write(&plain, "#!/bin/sh\n").unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let plain = plain.to_str().unwrap();
    for way in WAYS {
        let why = not_started(way, &order(&["/nonexistent/program"]));
        assert!(why.starts_with("cannot execute `/nonexistent/program`: No such file"), "{why}");
        let why = not_started(way, &order(&[plain]));
        assert!(why.starts_with("cannot execute `") && why.contains("Permission denied"), "{why}");
        let mut somewhere = order(&["/bin/true"]);
        somewhere.directory = Some("/nonexistent".into());
        let why = not_started(way, &somewhere);
        assert!(why.starts_with("cannot enter the directory `/nonexistent`: No such"), "{why}");
        somewhere.directory = Some("/proc/1/cwd".into());
        assert!(not_started(way, &somewhere).contains("Permission denied"), "as the owner");
        let why = not_started(way, &order(&["/bin/true", "a\0b"]));
        assert_eq!(why, "an argument or a variable contains a NUL byte");
    }
}

#[test]
fn a_program_is_executed_by_its_descriptor_and_a_script_by_its_path() {
    let place = tempfile::tempdir().unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let script = place.path().join("script");
    fs::write(&script, "#!/bin/sh\necho \"$0 $1\"\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let path = script.to_str().unwrap();
    for way in WAYS {
        let mut world = world(way);
        // The path names something else; what is attached is what runs.
        let (outputs, mut attached) = outputs();
        attached.program = Some(opened("/bin/echo"));
        let mut running = world.runners.start(&order(&["/bin/false", "said"]), attached).unwrap();
        assert_eq!(outputs.rest().0, b"said\n", "{way:?}");
        assert_eq!(ended(&mut running), Ended::Exited(0));

        let (outputs, mut attached) = self::outputs();
        attached.program = Some(opened(path));
        let mut running = world.runners.start(&order(&[path, "said"]), attached).unwrap();
        assert_eq!(outputs.rest().0, format!("{path} said\n").into_bytes(), "{way:?}");
        assert_eq!(ended(&mut running), Ended::Exited(0));
    }
}

#[test]
fn a_script_that_was_exchanged_after_it_was_judged_does_not_run() {
    let place = tempfile::tempdir().unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let script = place.path().join("script");
    let write = || {
        fs::write(&script, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    };
    write();
    let path = script.to_str().unwrap();
    let judged = opened(path);
    fs::rename(path, place.path().join("elsewhere")).unwrap();
    write();
    for way in WAYS {
        let mut world = world(way);
        let (_outputs, mut attached) = outputs();
        attached.program = Some(judged.try_clone().unwrap());
        let mut running = world.runners.start(&order(&[path]), attached).unwrap();
        assert!(matches!(ended(&mut running), Ended::NotStarted(_)), "{way:?}");
    }
}

/// As told by the refusal of one that is far too long.
fn length(order: &Order) -> usize {
    let mut longer = order.clone();
    longer.program.push_str(&"x".repeat(200_000));
    let (_outputs, attached) = outputs();
    let (ours, _theirs) = pair().unwrap();
    match crate::run::send_order(&ours, &longer, None, &attached) {
        Err(PacketFault::TooLong(length)) => length - 200_000 - 4,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_order_at_the_limit_crosses_and_one_over_does_not() {
    let limit = crate::run::MAX_ORDER;
    let mut world = world(Way::Cgroup);
    let padded = |length: usize| {
        let mut order = order(&["/bin/sh", "-c", "echo ${#PAD}"]);
        order.environment.insert("PAD".into(), "x".repeat(length));
        order
    };
    // What surrounds the padding, where its length takes five bytes.
    let around = length(&padded(70_000)) - 70_000;
    let (ended_at, out, _) = run(&mut world, &padded(limit - around));
    assert_eq!((ended_at, out.trim()), (Ended::Exited(0), (limit - around).to_string().as_str()));
    let (_outputs, attached) = outputs();
    let fault = world.runners.start(&padded(limit - around + 1), attached).unwrap_err();
    assert!(matches!(fault, SpawnFault::Order(PacketFault::TooLong(_))), "{fault:?}");
    assert_eq!(world.runners.parked.len(), 1, "the runner waits on");
}

#[test]
fn the_pool_fills_and_a_runner_killed_in_it_is_passed_over() {
    for way in WAYS {
        let mut world = world(way);
        assert_eq!(world.runners.refill().unwrap(), Pool::Short);
        assert_eq!(world.runners.refill().unwrap(), Pool::Full);
        assert_eq!(world.runners.refill().unwrap(), Pool::Full);
        assert_eq!(world.runners.parked.len(), 2);
        let (dead, next) = (world.runners.parked[0].pid(), world.runners.parked[1].pid());
        kill_process(dead, Signal::KILL).unwrap();
        poll(&mut [world.runners.parked[0].wakes()], None).unwrap();
        let (_outputs, attached) = outputs();
        let mut running = world.runners.start(&shell("exit 5"), attached).unwrap();
        assert_eq!(running.pid(), next, "{way:?}");
        assert_eq!(ended(&mut running), Ended::Exited(5), "{way:?}");
        assert!(test_kill_process(dead).is_err(), "{way:?}: the dead one was cleared away");
    }
}

#[test]
fn p06_se21_a_kill_at_any_moment_after_the_order_leaves_nothing() {
    for way in WAYS {
        let mut world = world(way);
        let verb = shell("(setsid sleep 1000 &); exec sleep 1000");
        for round in 0..5_000_u32 {
            if round % 2 == 0 {
                world.runners.refill().unwrap();
            }
            let (_outputs, attached) = outputs();
            let mut running = world.runners.start(&verb, attached).unwrap();
            let moment = Instants::now().boot + Duration::from_micros(u64::from(round % 100) * 30);
            while Instants::now().boot < moment {}

            running.kill().unwrap();

            let how = ended(&mut running);
            assert!(matches!(how, Ended::Signaled(9) | Ended::NotStarted(_)), "{way:?} {how:?}");
            assert_eq!(left_of(&verb), [""; 0], "{way:?}, round {round}");
        }
    }
}

#[test]
fn a_runner_that_is_killed_before_its_order_never_starts_the_verb() {
    for way in WAYS {
        let mut world = world(way);
        world.runners.refill().unwrap();
        let mut running = world.runners.parked.pop_front().unwrap();
        running.kill().unwrap();
        let (mut outputs, attached) = outputs();
        let _ = running.give(&shell("echo ran"), None, &attached, Instants::now());
        drop(attached);
        ended(&mut running);
        assert_eq!(outputs.wait_for_line(), "", "{way:?}");
    }
}

#[test]
fn p11_an_earlier_lifes_calls_die_when_the_next_begins() {
    let mut world = world(Way::Cgroup);
    let (mut outputs, attached) = outputs();
    let verb = shell(&format!("{ESCAPE}; exec sleep 1000"));
    let running = world.runners.start(&verb, attached).unwrap();
    outputs.wait_for_line();
    assert_ne!(left_of(&verb), [""; 0]);

    let (next, _) = Instance::open(world.state.path()).unwrap();

    assert_eq!(left_of(&verb), [""; 0], "the call outlived the daemon");
    assert!(next.path().join("cgroup.kill").exists());
    drop(running);
}

#[test]
fn rootless_verbs_run_as_who_runs_the_daemon_and_end_with_it() {
    let (ours, theirs) = pair().unwrap();
    let (mut outputs, attached) = outputs();
    let program = program();
    #[expect(clippy::disallowed_methods, reason = "a test stands in for a rootless daemon")]
    let mut child = Command::new(format!("/proc/self/fd/{}", program.0.as_raw_fd()))
        .arg(Place::Subreaper.argument())
        .uid(NOBODY)
        .gid(NOBODY)
        .stdin(Stdio::from(theirs))
        .spawn()
        .unwrap();
    let mut verb = shell(&format!("id -u; echo $HOME $USER; {ESCAPE}; exec sleep 1000"));
    verb.account = Account::Stay { name: "someone".into(), home: "/tmp".into() };
    crate::run::send_order(&ours, &verb, None, &attached).unwrap();
    drop(attached);
    assert_eq!(outputs.wait_for_line(), "65534");
    assert_eq!(outputs.wait_for_line(), "/tmp someone");
    assert_eq!(outputs.wait_for_line(), "away");

    drop(ours);

    assert!(child.wait().unwrap().success());
    assert_eq!(left_of(&verb), [""; 0]);
}
