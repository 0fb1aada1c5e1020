//! One channel for many commands: who holds it, who may use it, and when it ends.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tests::background::{Background, as_user};
use tests::owner::{Said, Share};
use tests::wait::until;
use tests::world::{Setup, World};

const VERBS: &str = r#"
[verb."in.cat"]
summary = "Says back what it is given"
effect  = "read"
run     = { exec = { argv = ["/bin/cat"], stdin = "bytes", stdin_max = "8MiB" } }

[verb."files.get"]
summary = "Fetches a file"
effect  = "read"
run     = { file = { get = "{path}" } }
output  = { max = "256MiB", redact = [] }
[verb."files.get".params]
path = { type = "path", subtree = "@HOME@/drop", required = true }

[verb."files.put"]
summary = "Takes a file in"
effect  = "write"
run     = { file = { put = "{path}", max = "64MiB" } }
[verb."files.put".params]
path = { type = "path", subtree = "@HOME@/drop", required = true }
"#;

const ALL: [&str; 7] =
    ["test.true", "test.sh", "test.echo", "test.append", "in.cat", "files.get", "files.put"];

fn open() -> (World, Share) {
    let mut setup = Setup::default();
    setup.verbs += VERBS;
    setup.policy = setup.policy.replace(
        "\"test.true\" = {}",
        "\"test.true\" = {}, \"in.cat\" = {}, \"files.get\" = {}, \"files.put\" = {}",
    );
    setup.policy = setup.policy.replace("\"test.*\"", "\"test.*\", \"in.*\", \"files.*\"");
    let world = setup.start();
    world.alice().add_contact("vendor-b", &world.vendor());
    let share = world.alice().open(&ALL);
    (world, share)
}

fn kept(world: &World, share: &Share, stay: &str, arguments: &[&str]) -> Said {
    world.vendor().run(share, &[&["--persist", stay][..], arguments].concat())
}

/// The processes of this world that hold a channel.
fn holders(world: &World) -> Vec<u32> {
    let home = world.vendor().home().display().to_string();
    let is_holder = |pid: &u32| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let around = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        words.ends_with(b"\0hold\0") && String::from_utf8_lossy(&around).contains(&home)
    };
    let entries = fs::read_dir("/proc").expect("list processes").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(is_holder).collect()
}

fn holder(world: &World) -> u32 {
    let found = holders(world);
    assert_eq!(found.len(), 1, "{found:?}");
    found[0]
}

fn sockets(world: &World) -> Vec<PathBuf> {
    let entries = fs::read_dir(world.vendor().home().join("openscope"));
    entries.into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn is_ended(world: &World) {
    until("nobody holds the channel", || holders(world).is_empty().then_some(()));
    assert!(sockets(world).is_empty(), "{:?}", sockets(world));
}

/// How often somebody has come to the relay as a recipient: once for each channel.
fn arrivals(world: &World) -> usize {
    let said = world.relay.as_ref().expect("the relay runs").stderr.text();
    said.lines().filter(|line| line.contains("a leg is up") && line.contains("Guest")).count()
}

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.cast_signed()).expect("a pid"), signal).expect("it is there");
}

/// A call that says `ready` and goes on.
fn lasting(world: &World, share: &Share) -> Background {
    world.script("last", "echo ready\necho $$ > @HOME@/drop/pid\nexec sleep 600\n");
    let call = world.vendor().start(share, &["test.sh", "name=last"]);
    call.stdout.line_with("ready");
    call
}

#[test]
fn the_calls_that_follow_make_no_channel_and_end_as_ever() {
    let (world, share) = open();
    world.script("seven", "echo out; echo err >&2; exit 7\n");
    let first = kept(&world, &share, "60s", &["call", "test.true"]);
    assert_eq!((first.status, &*first.stderr), (0, ""));
    let (pid, before) = (holder(&world), arrivals(&world));
    assert_eq!(before, 1);
    for _ in 0..3 {
        let said = kept(&world, &share, "60s", &["call", "test.sh", "name=seven"]);
        assert_eq!((said.status, &*said.stdout, &*said.stderr), (7, "out\n", "err\n"));
    }
    // Without the option as well, and whatever is asked.
    assert_eq!(world.vendor().call(&share, &["test.sh", "name=seven"]).status, 7);
    let listed = world.vendor().run(&share, &["--json", "list"]);
    assert!(listed.stdout.contains("\"test.echo\""), "{listed:?}");
    let refused = world.vendor().call(&share, &["--unlisted", "log.tail", "service=vault"]);
    assert_eq!(refused.status, 126, "{refused:?}");
    assert_eq!(world.vendor().call(&share, &["no.such"]).status, 127);
    assert_eq!((holder(&world), arrivals(&world)), (pid, before));
}

#[test]
fn p12_what_a_holder_needs_is_in_no_command_line_and_no_environment() {
    let (world, share) = open();
    let mut command = world.vendor().bare();
    command.env("OPENSCOPE_PASSPORT", &share.handle);
    command.args(["--fingerprint", &share.fingerprint, "--identity"]);
    command.arg(world.vendor().home().join("identity.txt"));
    let output = command.args(["--persist", "60s", "call", "test.true"]).output().expect("run it");
    assert!(output.status.success(), "{output:?}");
    let pid = holder(&world);
    for file in ["cmdline", "environ"] {
        let text = fs::read(format!("/proc/{pid}/{file}")).expect("root reads it");
        let text = String::from_utf8_lossy(&text);
        assert!(!text.contains("osp1_") && !text.contains("AGE-SECRET"), "{file}: {text}");
    }
    // Not dumpable: root owns what of it others of its user could read.
    let owner = fs::metadata(format!("/proc/{pid}/environ")).expect("it runs").uid();
    assert_eq!(owner, 0);
    for number in 0..3 {
        let open = fs::read_link(format!("/proc/{pid}/fd/{number}")).expect("it is open");
        assert_eq!(open, PathBuf::from("/dev/null"), "{number}");
    }
}

#[test]
fn standard_input_and_files_go_the_same_way_byte_exact() {
    let (world, share) = open();
    assert_eq!(kept(&world, &share, "60s", &["list"]).status, 0);
    let before = arrivals(&world);
    let whole: Vec<u8> =
        (0..3_000_000_u32).flat_map(|number| number.to_le_bytes()).take(8 << 20).collect();
    let mut command = world.vendor().command(&share, &["call", "in.cat"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("run the client");
    let (mut stdin, given) = (child.stdin.take().expect("it is piped"), whole.clone());
    let giving = std::thread::spawn(move || stdin.write_all(&given));
    let output = child.wait_with_output().expect("it ends");
    giving.join().expect("it gives").expect("all of it");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*said), (Some(0), ""));
    assert!(output.stdout == whole, "{} bytes came back", output.stdout.len());
    let (source, back) = (world.vendor().home().join("file"), world.vendor().home().join("back"));
    fs::write(&source, &whole).expect("write a file");
    let there = format!("path={}", world.home.join("drop/file").display());
    let put = ["put", "files.put", source.to_str().expect("text"), &there];
    let said = world.vendor().run(&share, &put);
    assert_eq!(said.status, 0, "{said:?}");
    let get = ["get", "files.get", &there, "--output", back.to_str().expect("text")];
    let said = world.vendor().run(&share, &get);
    assert_eq!(said.status, 0, "{said:?}");
    assert!(fs::read(&back).expect("read it back") == whole);
    assert_eq!(arrivals(&world), before);
}

#[test]
fn an_interrupt_ends_the_call_there_and_not_the_holder() {
    let (world, share) = open();
    kept(&world, &share, "60s", &["list"]);
    let pid = holder(&world);
    for end in [Signal::INT, Signal::KILL] {
        let mut call = lasting(&world, &share);
        call.signal(end);
        call.wait();
        let ended = world.last_end();
        assert_eq!(ended["ending"], "cancelled", "{ended}");
    }
    assert_eq!(holder(&world), pid);
    assert_eq!(world.vendor().call(&share, &["test.true"]).status, 0);
    assert_eq!(holder(&world), pid);
}

#[test]
fn p06_revoke_ends_the_call_the_holder_and_its_socket() {
    let (world, share) = open();
    kept(&world, &share, "60s", &["list"]);
    let mut call = lasting(&world, &share);
    let revoked = world.alice().json(&["share", "revoke", &share.id, "--reason", "enough"]);
    let revoked = revoked.expect("revoke");
    assert_eq!(revoked["revoked"][0]["told"], "acknowledged", "{revoked}");
    assert_eq!(call.wait().code(), Some(255));
    assert!(call.stderr.text().contains("the share was revoked: enough"), "{}", call.stderr.text());
    is_ended(&world);
    assert_eq!(
        fs::read_dir(world.vendor().home().join("state/openscope/seats")).unwrap().count(),
        0
    );
    assert_eq!(world.vendor().call(&share, &["test.true"]).status, 255);
}

#[test]
fn p12_nobody_else_uses_the_socket() {
    let (world, share) = open();
    kept(&world, &share, "60s", &["list"]);
    let pid = holder(&world);
    let socket = sockets(&world).pop().expect("there is one");
    let found = fs::symlink_metadata(&socket).expect("it is there");
    assert!(found.file_type().is_socket());
    assert_eq!((found.mode() & 0o777, found.uid()), (0o600, world.accounts.vendor.uid));
    let directory =
        fs::symlink_metadata(socket.parent().expect("a directory")).expect("it is there");
    assert_eq!(directory.mode() & 0o777, 0o700);
    let mut other = Command::new("/usr/bin/test");
    as_user(&mut other, &world.accounts.mallory);
    assert!(!other.arg("-S").arg(&socket).status().expect("run test").success());
    // Root gets past modes: the holder looks who it is, and says nothing.
    let mut connection = UnixStream::connect(&socket).expect("root may");
    connection.set_read_timeout(Some(Duration::from_secs(20))).expect("set it");
    let mut said = Vec::new();
    let _unread = connection.write_all(b"\x01\0\0\0\0");
    let _ended = connection.read_to_end(&mut said);
    assert!(said.is_empty(), "{said:?}");
    assert_eq!(holder(&world), pid);
}

#[test]
fn two_first_commands_at_once_leave_one_holder() {
    let (world, share) = open();
    let start = |_| {
        let call = ["--persist", "60s", "call", "test.append", "name=one"];
        Background::start(world.vendor().command(&share, &call))
    };
    let mut calls: Vec<_> = (0..6).map(start).collect();
    for call in &mut calls {
        assert_eq!(call.wait().code(), Some(0), "{}", call.stderr.text());
    }
    let _one = holder(&world);
    assert_eq!((world.ran().len(), arrivals(&world), sockets(&world).len()), (6, 1, 1));
}

#[test]
fn the_holder_goes_when_nobody_has_used_it_for_its_time() {
    let (world, share) = open();
    kept(&world, &share, "2s", &["list"]);
    world.script("slow", "sleep 4; echo done\n");
    // A call that lasts longer is a use.
    let said = world.vendor().call(&share, &["test.sh", "name=slow"]);
    assert_eq!((said.status, &*said.stdout), (0, "done\n"));
    let _still = holder(&world);
    is_ended(&world);
    assert_eq!(world.vendor().call(&share, &["test.true"]).status, 0);
    assert!(holders(&world).is_empty(), "a command without the option leaves none");
}

#[test]
fn a_time_of_nothing_ends_it() {
    let (world, share) = open();
    kept(&world, &share, "60s", &["list"]);
    let _one = holder(&world);
    assert_eq!(kept(&world, &share, "0s", &["call", "test.true"]).status, 0);
    is_ended(&world);
    assert_eq!(kept(&world, &share, "0s", &["list"]).status, 0);
}

#[test]
fn a_killed_holder_costs_a_call_nothing_and_its_socket_is_replaced() {
    let (world, share) = open();
    world.script(
        "wait",
        "echo ready\nwhile [ ! -e @HOME@/drop/go ]; do sleep 0.1; done\necho done\nexit 5\n",
    );
    kept(&world, &share, "60s", &["list"]);
    let pid = holder(&world);
    let mut call = world.vendor().start(&share, &["test.sh", "name=wait"]);
    call.stdout.line_with("ready");
    signal(pid, Signal::KILL);
    call.stderr.line_with("the channel was lost");
    fs::write(world.drop_file("go"), "").expect("let it go on");
    assert_eq!(call.wait().code(), Some(5), "{}", call.stderr.text());
    assert_eq!(call.stdout.text(), "ready\ndone\n");
    assert_eq!(world.events("call_started").len(), 1, "it ran once");
    assert_eq!(sockets(&world).len(), 1, "a dead holder's socket");
    assert_eq!(kept(&world, &share, "60s", &["call", "test.true"]).status, 0);
    assert_ne!(holder(&world), pid);
    signal(holder(&world), Signal::KILL);
    until("it is gone", || holders(&world).is_empty().then_some(()));
    assert_eq!(world.vendor().call(&share, &["test.true"]).status, 0);
    assert!(sockets(&world).is_empty(), "what it left is removed");
}

#[test]
fn the_relays_restart_is_a_pause_for_holder_and_call() {
    let (mut world, share) = open();
    kept(&world, &share, "60s", &["list"]);
    let pid = holder(&world);
    drop(world.relay.take());
    world.start_relay();
    world.await_relay();
    assert_eq!(world.vendor().call(&share, &["test.true"]).status, 0);
    assert_eq!(holder(&world), pid);
}

#[test]
fn a_holder_that_cannot_take_the_seat_says_why_and_is_gone() {
    let (mut world, share) = open();
    drop(world.relay.take());
    let said = kept(&world, &share, "60s", &["--json", "call", "test.true"]);
    assert_eq!(said.status, 255, "{said:?}");
    assert!(said.stdout.contains("\"kind\":\"unreachable\""), "{said:?}");
    is_ended(&world);
}

#[test]
fn where_no_socket_can_be_the_work_is_done_without() {
    let (world, share) = open();
    let home = world.vendor().home();
    let deep = home.join("d".repeat(90));
    fs::create_dir(&deep).expect("make a directory");
    std::os::unix::fs::chown(&deep, Some(world.accounts.vendor.uid), None).expect("give it away");
    fs::create_dir(home.join("openscope")).expect("make a directory of root's");
    for (runtime, why) in [(&deep, "is too long"), (&home, "is not a directory of yours alone")] {
        let call = ["--persist", "60s", "call", "test.true"];
        let mut command = world.vendor().command(&share, &call);
        let output = command.env("XDG_RUNTIME_DIR", runtime).env("XDG_STATE_HOME", &deep).output();
        let said = Said::from(output.expect("run it"));
        assert_eq!(said.status, 0, "{said:?}");
        assert!(said.stderr.contains("the channel is not kept"), "{said:?}");
        assert!(said.stderr.contains(why), "{said:?}");
    }
    assert!(holders(&world).is_empty());
    for command in [&["mcp"][..], &["forward", "web"], &["inspect"]] {
        assert_eq!(kept(&world, &share, "60s", command).status, 2, "{command:?}");
    }
}
