//! Children that do what they can to outlive their call, and however it ends none does.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;

use tests::background::Background;
use tests::wait;
use tests::world::{Setup, World};

/// What a child does to be left alone. Each notes every process that it means to keep.
const CHILDREN: &str = r#"
import ctypes, os, signal, sys, time

kind, notes = sys.argv[1], sys.argv[2]

def note():
    with open(notes, "a") as file:
        file.write("%d\n" % os.getpid())

def deaf():
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        try: signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError): pass

def live():
    note()
    while True: time.sleep(60)

def apart():
    os.setsid()
    deaf()
    if os.fork(): os._exit(0)

def shut():
    os.chdir("/")
    os.closerange(0, 256)

def session(): os.setsid(); deaf(); live()
def daemon(): apart(); shut(); live()
def holds_the_output(): apart(); live()
def orphans():
    for _ in range(20):
        if not os.fork(): apart(); live()
    os._exit(0)
def stopped(): os.setsid(); note(); os.kill(os.getpid(), signal.SIGSTOP); live()
def renamed():
    apart()
    with open("/proc/self/comm", "w") as file: file.write("kworker/0:1")
    live()
def reborn():
    def again(number, frame):
        if os.fork(): os._exit(0)
        note()
    apart()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT): signal.signal(number, again)
    live()
def runs_ahead():
    apart(); note()
    while True:
        if os.fork(): os._exit(0)
        time.sleep(0.001)
def first_of_its_namespace():
    deaf()
    ctypes.CDLL(None).unshare(0x10000000 | 0x20000000)
    if os.fork(): os._exit(0)
    live()
def moves_out():
    apart()
    for base, _, files in os.walk("/sys/fs/cgroup"):
        if "cgroup.procs" in files:
            try:
                with open(base + "/cgroup.procs", "w") as file: file.write(str(os.getpid()))
            except OSError: pass
    live()

if not os.fork(): globals()[kind]()
for _ in range(500):
    if os.path.exists(notes): break
    time.sleep(0.01)
print("here", flush=True)
"#;

const KINDS: [(&str, usize); 10] = [
    ("session", 1),
    ("daemon", 1),
    ("holds_the_output", 1),
    ("orphans", 20),
    ("stopped", 1),
    ("renamed", 1),
    ("reborn", 1),
    ("runs_ahead", 1),
    ("first_of_its_namespace", 1),
    ("moves_out", 1),
];

const VERBS: &str = r#"
[verb."hide.start"]
summary = "Starts children, and ends or not"
effect  = "write"
timeout = "10m"
run     = { exec = { argv = ["/bin/sh", "@HOME@/script/hide", "{kind}", "{how}"] } }
[verb."hide.start".params]
kind = { type = "string", required = true }
how  = { type = "string", required = true }

[verb."hide.brief"]
summary = "The same, and is given little time"
effect  = "write"
timeout = "3s"
run     = { exec = { argv = ["/bin/sh", "@HOME@/script/hide", "{kind}", "{how}"] } }
[verb."hide.brief".params]
kind = { type = "string", required = true }
how  = { type = "string", required = true }
"#;

fn world() -> World {
    let Setup { policy, verbs, .. } = Setup::default();
    let policy = policy
        .replacen("verbs = { ", "verbs = { \"hide.start\" = {}, \"hide.brief\" = {}, ", 1)
        .replace("[\"log.*\"", "[\"hide.*\", \"log.*\"");
    let world = Setup { policy, verbs: verbs + VERBS, ..Setup::default() }.start();
    world.script("children.py", CHILDREN);
    world.script(
        "hide",
        "export OSPTEST_MARK=@HOME@/$2/\n\
         python3 @HOME@/script/children.py $1 @HOME@/drop/$1-$2\n\
         [ $2 = left ] || exec sleep 600\n",
    );
    world.alice().add_contact("vendor-b", &world.vendor());
    world
}

/// The processes that were started to hide before an end of this kind, and live.
fn hidden(world: &World, how: &str) -> Vec<String> {
    let mark = world.fill(&format!("OSPTEST_MARK=@HOME@/{how}/"));
    let processes = fs::read_dir("/proc").expect("look").flatten();
    processes
        .map(|process| process.path())
        .filter(|process| {
            let environment = fs::read(process.join("environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
        })
        .map(|process| fs::read_to_string(process.join("status")).unwrap_or_default())
        .collect()
}

fn noted(world: &World, kind: &str, how: &str) -> usize {
    fs::read_to_string(world.drop_file(&format!("{kind}-{how}")))
        .map_or(0, |text| text.lines().count())
}

#[test]
fn ru4_no_child_outlives_its_call_whatever_it_does_and_however_that_ends() {
    let world = world();
    let share = world.alice().open(&["hide.start", "hide.brief"]);
    let words = |verb: &str, kind: &str, how: &str| {
        [verb.to_owned(), format!("kind={kind}"), format!("how={how}")]
    };
    let start = |verb: &str, how: &str| -> Vec<Background> {
        let start = KINDS.map(|(kind, count)| {
            let words = words(verb, kind, how);
            let call = world.vendor().start(&share, &words.each_ref().map(String::as_str));
            call.stdout.line_with("here");
            wait::until("every child", || (noted(&world, kind, how) >= count).then_some(()));
            call
        });
        start.into()
    };
    let mut tried = BTreeMap::new();
    let mut count = |how: &'static str| {
        let left = hidden(&world, how);
        assert!(left.is_empty(), "after the {how}: {left:#?}");
        let started: usize = KINDS.iter().map(|(kind, _)| noted(&world, kind, how)).sum();
        tried.insert(how, started);
    };

    for (kind, _) in KINDS {
        let words = words("hide.start", kind, "left");
        let said = world.vendor().call(&share, &words.each_ref().map(String::as_str));
        assert_eq!((said.status, said.stdout.as_str()), (0, "here\n"), "{kind}: {said:?}");
        let left = hidden(&world, "left");
        assert!(left.is_empty(), "{kind}: {left:#?}");
    }
    count("left");

    for mut call in start("hide.brief", "limit") {
        assert_eq!(call.wait().code(), Some(124), "{}", call.stderr.text());
    }
    count("limit");

    let calls = start("hide.start", "revoke");
    assert!(hidden(&world, "revoke").len() >= KINDS.len(), "they are not seen");
    assert_eq!(world.alice().revoke(&share).status, 0);
    count("revoke");
    drop(calls);

    for (how, started) in tried {
        let line = format!(
            "hostile children, {how}: {} kinds, {started} processes that hid, 0 left\n",
            KINDS.len()
        );
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}
