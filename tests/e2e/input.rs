//! Standard input: what a recipient gives a verb, and what becomes of a verb that is given too much, too little or nothing.

use std::io::Write as _;
use std::process::{Child, Command, Output, Stdio};
use std::thread::JoinHandle;

use tests::owner::{Said, Share};
use tests::wait::until;
use tests::world::{Setup, World};

const VERBS: &str = r#"
[verb."test.true"]
summary = "Does nothing, well"
effect  = "read"
run     = { exec = { argv = ["/bin/true"] } }

[verb."in.cat"]
summary = "Says back what it is given"
effect  = "read"
run     = { exec = { argv = ["/bin/cat"], stdin = "bytes", stdin_max = "8MiB" } }

[verb."in.text"]
summary = "Says back the text that it is given"
effect  = "read"
run     = { exec = { argv = ["/bin/cat"], stdin = "text" } }

[verb."in.sh"]
summary = "Runs one of the test's own scripts, which may read"
effect  = "read"
run     = { exec = { argv = ["/bin/sh", "@HOME@/script/{name}"], stdin = "bytes", stdin_max = "64MiB" } }
timeout = "10m"
[verb."in.sh".params]
name = { type = "string", pattern = "[a-z0-9-]+", required = true }

[verb."in.brief"]
summary = "Reads, and not for long"
effect  = "read"
run     = { exec = { argv = ["/bin/cat"], stdin = "bytes" } }
timeout = "1s"
"#;
const POLICY: &str = r#"
[[agent]]
name = "you"
user = "@ALICE@"
[[allow]]
agent = "you"
verbs = ["in.*", "test.true"]
[[delegate]]
agent   = "you"
verbs   = ["in.*", "test.true"]
to      = ["own/vendor-*"]
"#;

fn open() -> (World, Share) {
    let setup = Setup { verbs: VERBS.to_owned(), policy: POLICY.to_owned(), ..Setup::default() };
    let world = setup.start();
    world.alice().add_contact("vendor-b", &world.vendor());
    let share = world.alice().open(&["in.cat", "in.text", "in.sh", "in.brief", "test.true"]);
    (world, share)
}

/// Bytes that repeat nowhere near.
fn bytes(length: usize) -> Vec<u8> {
    let word = |number: u64| (number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_be_bytes();
    (0..).flat_map(word).take(length).collect()
}

fn hex(bytes: &[u8]) -> String {
    let mut sum = Command::new("sha256sum");
    let mut sum = sum.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("run sha256sum");
    sum.stdin.take().expect("it is piped").write_all(bytes).expect("it reads");
    let output = sum.wait_with_output().expect("it ends");
    String::from_utf8_lossy(&output.stdout).split(' ').next().expect("a sum").to_owned()
}

/// A call that is given all of this, on a thread of its own.
fn giving(world: &World, share: &Share, call: &[&str], given: Vec<u8>) -> (Child, JoinHandle<()>) {
    let call: Vec<&str> = std::iter::once("call").chain(call.iter().copied()).collect();
    let mut command = world.vendor().command(share, &call);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("run the client");
    let mut stdin = child.stdin.take().expect("it is piped");
    let thread = std::thread::spawn(move || drop(stdin.write_all(&given)));
    (child, thread)
}

fn said(world: &World, share: &Share, call: &[&str], given: &[u8]) -> Output {
    let (child, thread) = giving(world, share, call, given.to_vec());
    let output = child.wait_with_output().expect("it ends");
    thread.join().expect("it gives");
    output
}

fn end(world: &World) -> serde_json::Value {
    world.last_end()
}

#[test]
fn what_a_recipient_gives_arrives_byte_exact_up_to_the_limit_and_is_on_record() {
    let (world, share) = open();
    let whole = bytes(8 << 20);
    let output = said(&world, &share, &["in.cat"], &whole);
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*words), (Some(0), ""));
    assert!(output.stdout == whole, "{} bytes came back", output.stdout.len());
    let end = end(&world);
    assert_eq!((&end["stdin"], &end["stdout"]), (&(8 << 20).into(), &(8 << 20).into()), "{end}");
    assert_eq!(end["stdin_sha256"], hex(&whole));
}

#[test]
fn an_input_of_nothing_is_one() {
    let (world, share) = open();
    let json = said(&world, &share, &["--json", "in.text"], b"");
    let outcome: serde_json::Value = serde_json::from_slice(&json.stdout).expect("one value");
    assert_eq!(outcome["outcome"]["stdin_bytes"], 0);
    assert_eq!(end(&world)["stdin_sha256"], hex(b""));
}

#[test]
fn ru3_an_input_over_the_limit_ends_the_call_and_never_the_share() {
    let (world, share) = open();
    let output = said(&world, &share, &["in.cat"], &bytes((8 << 20) + 1));
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(137), "{words}");
    assert!(words.contains("you gave the verb more than it takes"), "{words}");
    assert_eq!(end(&world)["ending"], "input_limit");
    assert_eq!(said(&world, &share, &["in.cat"], b"again").stdout, b"again");
}

#[test]
fn what_is_no_text_ends_the_call_of_a_verb_that_takes_text() {
    let (world, share) = open();
    let text = "zwei Zeilen,\tä\n".repeat(20_000);
    assert_eq!(said(&world, &share, &["in.text"], text.as_bytes()).stdout, text.as_bytes());
    for bad in [&b"\x1b[2J"[..], b"\xff", b"a\0b", b"ends within \xc3"] {
        let output = said(&world, &share, &["in.text"], &[text.as_bytes(), bad].concat());
        let words = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(137), "{bad:x?}: {words}");
        assert!(words.contains("no text"), "{words}");
        assert_eq!(end(&world)["ending"], "bad_input", "{bad:x?}");
    }
    assert_eq!(world.vendor().call(&share, &["test.true"]).status, 0);
}

#[test]
fn ru3_an_input_that_never_ends_dies_with_its_time() {
    let (world, share) = open();
    let mut endless = world.vendor().start(&share, &["in.brief"]);
    endless.say("a beginning");
    assert_eq!(endless.wait().code(), Some(124), "{}", endless.stderr.text());
    assert_eq!(endless.stdout.to_end(), b"a beginning");
    assert_eq!(end(&world)["ending"], "timed_out");
}

#[test]
fn p06_a_verb_that_never_reads_holds_nobody_up_and_dies_with_the_share() {
    let (world, share) = open();
    world.script("deaf", "echo ready >&2; exec sleep 600\n");
    let (child, thread) = giving(&world, &share, &["in.sh", "name=deaf"], bytes(16 << 20));
    until("it runs", || (!world.events("call_started").is_empty()).then_some(()));
    // Another call goes its way.
    assert_eq!(said(&world, &share, &["in.cat"], b"meanwhile").stdout, b"meanwhile");
    let broker = world.process("--as-broker").expect("it runs");
    let status = std::fs::read_to_string(format!("/proc/{broker}/status")).expect("read");
    assert_eq!(world.alice().revoke(&share).status, 0);
    let output: Said = child.wait_with_output().expect("it ends").into();
    assert_eq!(output.status, 255, "{output:?}");
    thread.join().expect("nobody reads any more");
    let ends = world.ends();
    assert!(ends.iter().any(|end| end["ending"] == "revoked"), "{ends:?}");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let kib = peak.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok());
    assert!(kib.is_some_and(|kib| kib < 64 * 1024), "the broker used {peak}");
}

#[test]
fn a_verb_that_closes_its_input_lives_on() {
    let (world, share) = open();
    world.script("enough", "head -c 5\nexec <&-\nsleep 0.5\necho ' and on'\n");
    let output = said(&world, &share, &["in.sh", "name=enough"], &bytes(16 << 20));
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*words), (Some(0), ""));
    assert_eq!(output.stdout, [&bytes(5)[..], b" and on\n"].concat());
    assert_eq!(end(&world)["ending"], serde_json::json!({ "exited": 0 }));
}

#[test]
fn a_verb_without_input_leaves_ours_alone() {
    let (world, share) = open();
    for (call, left) in [("test.true", "all of it"), ("-n in.cat", "all of it"), ("in.cat", "")] {
        let client = world.vendor().command(&share, &[]);
        let words = client.get_args().map(|word| word.to_str().expect("text"));
        let line = format!("\"$@\" call {call} >/dev/null; cat");
        let mut shell = Command::new("/bin/sh");
        tests::background::as_user(&mut shell, &world.accounts.vendor);
        shell.envs(client.get_envs().filter_map(|(name, value)| Some((name, value?))));
        shell.args(["-c", &line, "sh"]).arg(client.get_program()).args(words);
        let mut child =
            shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("run a shell");
        let mut stdin = child.stdin.take().expect("it is piped");
        stdin.write_all(b"all of it").expect("give it");
        drop(stdin);
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(String::from_utf8_lossy(&output.stdout), left, "{call}");
    }
}

#[test]
fn re5_a_relay_restart_in_mid_upload_is_only_a_pause() {
    let (mut world, share) = open();
    let script = "{ head -c 3000000; echo half >&2; until [ -e @HOME@/drop/go ]; do sleep 0.05; done; cat; } | sha256sum\n";
    world.script("half", script);
    let whole = bytes(16 << 20);
    let (child, thread) = giving(&world, &share, &["in.sh", "name=half"], whole.clone());
    until("half of it is there", || {
        let running = world.alice().show(&share)["share"]["running"].as_array()?.len();
        (running == 1).then_some(())
    });
    world.relay = None;
    world.start_relay();
    std::fs::write(world.drop_file("go"), "").expect("let it go on");
    let output = child.wait_with_output().expect("it ends");
    thread.join().expect("all of it was given");
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{words}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{}  -\n", hex(&whole)));
    assert_eq!(end(&world)["stdin"], 16 << 20);
}

#[test]
fn approvers_owners_and_recipients_are_told_that_a_verb_takes_input() {
    let (world, share) = open();
    let listed = world.vendor().run(&share, &["list"]);
    assert!(
        listed.stdout.contains("in.text  [read, takes standard input: text, at most 1MiB]"),
        "{listed:?}"
    );
    let plan =
        ["share", "open", "--agent", "you", "--verb", "in.cat", "--to", "vendor-b", "--plan"];
    let plan = world.alice().run(&plan);
    assert!(plan.stdout.contains("with input: bytes, at most 8MiB"), "{plan:?}");
}
