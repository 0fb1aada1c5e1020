//! Verbs that have a terminal: what is typed arrives, what is shown is fit to be, and all of it ends with the call.

use std::io::Write as _;
use std::process::Stdio;

use rustix::process::Signal;
use tests::owner::Share;
use tests::terminal::AtTerminal;
use tests::wait::until;
use tests::world::{Setup, World};

const VERBS: &str = r#"
[verb."tty.sh"]
summary = "Runs one of the test's own scripts before a terminal"
effect  = "write"
run     = { exec = { argv = ["/bin/sh", "@HOME@/script/{name}"], tty = true } }
timeout = "10m"
[verb."tty.sh".params]
name = { type = "string", pattern = "[a-z0-9-]+", required = true }

[verb."tty.shell"]
summary = "A shell"
effect  = "write"
run     = { exec = { argv = ["/bin/sh"], tty = true } }

[verb."plain.sh"]
summary = "Runs one of the test's own scripts"
effect  = "read"
run     = { exec = { argv = ["/bin/sh", "@HOME@/script/{name}"] } }
[verb."plain.sh".params]
name = { type = "string", pattern = "[a-z0-9-]+", required = true }
"#;
const POLICY: &str = r#"
[[agent]]
name = "you"
user = "@ALICE@"
[[allow]]
agent = "you"
verbs = ["tty.*", "plain.*"]
[[delegate]]
agent   = "you"
verbs   = ["tty.*", "plain.*"]
to      = ["own/vendor-*"]
"#;

fn open() -> (World, Share) {
    let setup = Setup { verbs: VERBS.to_owned(), policy: POLICY.to_owned(), ..Setup::default() };
    let world = setup.start();
    world.alice().add_contact("vendor-b", &world.vendor());
    let share = world.alice().open(&["tty.sh", "tty.shell", "plain.sh"]);
    (world, share)
}

/// The recipient at a terminal, who calls this.
fn calling(world: &World, share: &Share, call: &[&str]) -> AtTerminal {
    let command = world.vendor().command(share, call);
    AtTerminal::start(&command, &world.accounts.vendor, 30, 100)
}

fn end(world: &World) -> serde_json::Value {
    world.last_end()
}

#[test]
fn a_recipient_types_to_a_verb_and_its_screen_is_theirs() {
    let (world, share) = open();
    world.script(
        "greet",
        "stty size; echo \"$TERM\"; test -w \"$(tty)\" && id -un; read -r name; printf '\\033[1;31mhello %s\\033[m\\n' \"$name\"; exit 7\n",
    );
    let mut person = calling(&world, &share, &["call", "tty.sh", "name=greet"]);
    let alice = &world.accounts.alice.name;
    person.sees(&format!("30 100\r\nxterm-256color\r\n{alice}\r\n"));
    assert!(person.is_raw());
    person.types("you\r");
    person.sees("you\r\n\u{1b}[1;31mhello you\u{1b}[m\r\n");
    assert_eq!(person.wait().code(), Some(7));
    assert!(person.is_usual());
    let end = end(&world);
    assert_eq!(end["ending"], serde_json::json!({ "exited": 7 }));
    assert_eq!(end["stdin"], 4, "{end}");
}

#[test]
fn no_more_than_colour_and_cursor_reaches_the_recipients_terminal() {
    let (world, share) = open();
    let hostile = "printf 'a\\033]52;c;aGk=\\a\\033]0;title\\033\\\\\\033[6n\\033[c\\033P$qm\\033\\\\\\033[?1000h\\2336n\\033[21t\\033[3Jb\\033[2J\\033[32mc\\033[?25l\\n'\nread -r answer; echo \"answer:$answer.\"\n";
    world.script("hostile", hostile);
    let mut person = calling(&world, &share, &["--quiet", "call", "tty.sh", "name=hostile"]);
    person.sees("c\u{1b}[?25l\r\n");
    // A terminal that had been asked would have answered by now, ahead of this.
    person.types("\r");
    person.sees("answer:.\r\n");
    person.wait();
    let shown = person.sees("\u{1b}[m");
    // What follows the byte that is no sequence here is text, and what was hidden is shown again at the end.
    assert!(shown.starts_with("a6nb\u{1b}[2J\u{1b}[32mc\u{1b}[?25l\r\n"), "{shown:?}");
    assert!(shown.ends_with("\u{1b}[?25h\u{1b}[m"), "{shown:?}");
}

#[test]
fn control_c_reaches_the_program_and_not_the_session() {
    let (world, share) = open();
    world.script("trap", "trap 'echo caught' INT; echo ready; while :; do sleep 0.05; done\n");
    let mut person = calling(&world, &share, &["call", "tty.sh", "name=trap"]);
    person.sees("ready");
    person.types("\u{3}");
    person.sees("caught");
    person.types("\u{3}");
    until("it is caught again", || {
        (person.shown.text().matches("caught").count() == 2).then_some(())
    });
    assert!(world.events("call_ended").is_empty());
    // The way out is another.
    person.types("\r~.");
    assert_eq!(person.wait().code(), Some(130), "{}", person.shown.text());
    assert!(person.is_usual());
    assert_eq!(end(&world)["ending"], "cancelled");
    world.script("after", "echo after\n");
    let said = world.vendor().call(&share, &["plain.sh", "name=after"]);
    assert_eq!(said.stdout, "after\n", "{said:?}");
}

#[test]
fn p06_revoke_kills_what_sits_before_a_terminal_and_gives_it_back() {
    let (world, share) = open();
    world.script(
        "stay",
        "trap '' INT HUP TERM; printf '\\033[?1049h\\033[?25l'; echo ready $$; while :; do sleep 0.05; done\n",
    );
    let mut person = calling(&world, &share, &["call", "tty.sh", "name=stay"]);
    let shown = person.sees("ready");
    let pid = until("its number is shown", || {
        let number = person.shown.text().split_once("ready ")?.1.split_once('\r')?.0.to_owned();
        Some(number)
    });
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists(), "{shown:?}");
    assert_eq!(world.alice().revoke(&share).status, 0);
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    assert_eq!(person.wait().code(), Some(255));
    assert!(person.is_usual());
    person.sees("\u{1b}[?25h\u{1b}[?1049l");
    assert_eq!(end(&world)["ending"], "revoked");
}

#[test]
fn another_size_reaches_the_program() {
    let (world, share) = open();
    world.script("size", "trap 'stty size' WINCH; echo ready; while :; do sleep 0.05; done\n");
    let mut person = calling(&world, &share, &["call", "tty.sh", "name=size"]);
    person.sees("ready");
    person.resizes(12, 34);
    person.sees("12 34\r\n");
    // More than is passed on is passed on as the most.
    person.resizes(2000, 1);
    person.sees("1000 1\r\n");
    person.types("\r~.");
    person.wait();
}

#[test]
fn a_terminal_is_given_back_whatever_ends_the_client() {
    let (world, share) = open();
    world.script("wait", "echo ready; exec sleep 600\n");
    for (signal, status) in
        [(Signal::TERM, 143), (Signal::HUP, 143), (Signal::INT, 130), (Signal::QUIT, 130)]
    {
        let mut person = calling(&world, &share, &["call", "tty.sh", "name=wait"]);
        person.sees("ready");
        assert!(person.is_raw());
        person.signal(signal);
        assert_eq!(person.wait().code(), Some(status), "{signal:?}");
        assert!(person.is_usual(), "{signal:?}");
    }
}

#[test]
fn between_programs_a_verb_with_a_terminal_is_a_pipe() {
    let (world, share) = open();
    let said = |call: &[&str], given: &str| {
        let mut command = world.vendor().command(&share, call);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("run the client");
        let mut stdin = child.stdin.take().expect("it is piped");
        stdin.write_all(given.as_bytes()).expect("it reads");
        drop(stdin);
        child.wait_with_output().expect("it ends")
    };
    world.script("pipe", "stty -echo; stty size; echo $TERM; while read -r line; do printf '\\033]0;%s\\a\\n' \"$line\"; done; exit 3\n");
    let output = said(&["call", "tty.sh", "name=pipe"], "one\ntwo\n");
    assert_eq!(output.status.code(), Some(3));
    let text = String::from_utf8_lossy(&output.stdout);
    // Byte by byte as any other output, where it goes to no terminal.
    assert!(text.contains("24 80\r\ndumb\r\n"), "{text:?}");
    assert!(text.ends_with("\u{1b}]0;one\u{7}\r\n\u{1b}]0;two\u{7}\r\n"), "{text:?}");
    let json = said(&["--json", "call", "tty.sh", "name=pipe"], "one\n");
    let last = String::from_utf8_lossy(&json.stdout).lines().last().expect("an outcome").to_owned();
    let outcome: serde_json::Value = serde_json::from_str(&last).expect("JSON");
    assert_eq!(outcome["outcome"]["status"], 3);
}

#[test]
fn much_that_is_typed_waits_for_who_reads_it() {
    let (world, share) = open();
    world.script("sum", "stty raw -echo; echo ready; sleep 1; head -c 1000000 | sha256sum\n");
    let keys: Vec<u8> = (0..1_000_000_u32).map(|at| (at % 251).to_le_bytes()[0]).collect();
    let mut command = world.vendor().command(&share, &["call", "tty.sh", "name=sum"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("run the client");
    let mut stdin = child.stdin.take().expect("it is piped");
    let mut stdout = child.stdout.take().expect("it is piped");
    let mut first = [0; 6];
    std::io::Read::read_exact(&mut stdout, &mut first).expect("it is ready");
    let given = keys.clone();
    let giving = std::thread::spawn(move || drop(stdin.write_all(&given)));
    let said = std::io::read_to_string(stdout).expect("it ends");
    giving.join().expect("all of it was given");
    child.wait().expect("it ends");
    let mut sum = std::process::Command::new("sha256sum");
    let mut sum = sum.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("run sha256sum");
    sum.stdin.take().expect("it is piped").write_all(&keys).expect("it reads");
    let wanted = String::from_utf8(sum.wait_with_output().expect("it ends").stdout).expect("text");
    assert_eq!(said.trim(), wanted.trim());
}

#[test]
fn re5_a_relay_restart_at_a_terminal_is_only_a_pause() {
    let (mut world, share) = open();
    world.script(
        "ask",
        "read -r one; echo \"one:$one\"; read -r two; stty size; echo \"two:$two\"\n",
    );
    let mut person = calling(&world, &share, &["call", "tty.sh", "name=ask"]);
    until("it runs", || (!world.events("call_started").is_empty()).then_some(()));
    until("the terminal is the verb's", || person.is_raw().then_some(()));
    person.types("before\r");
    person.sees("one:before\r\n");
    world.relay = None;
    person.types("mean");
    world.start_relay();
    person.resizes(40, 90);
    person.types("while\r");
    person.sees("40 90\r\n");
    person.sees("two:meanwhile\r\n");
    assert_eq!(person.wait().code(), Some(0));
    assert!(person.is_usual());
}

#[test]
fn a_verb_without_a_terminal_is_shown_as_ever() {
    let (world, share) = open();
    world.script("colour", "test -t 1 && echo a terminal; printf '\\033[31mred\\033[m\\n'\n");
    let call = ["--quiet", "call", "plain.sh", "name=colour"];
    let mut person = calling(&world, &share, &call);
    assert_eq!(person.wait().code(), Some(0));
    assert_eq!(person.shown.text(), "red\r\n");
    let said = world.vendor().run(&share, &call);
    assert_eq!(said.stdout, "\u{1b}[31mred\u{1b}[m\n");
}

#[test]
fn at_the_prompt_a_verb_has_the_terminal_and_gives_it_back() {
    let (world, share) = open();
    world.script("ask", "read -r name; echo \"name:$name\"\n");
    let mut person = calling(&world, &share, &[]);
    person.sees("m> ");
    person.types("tty.sh name=ask\r");
    person.sees("the verb has this terminal");
    person.types("you\r");
    person.sees("name:you\r\n");
    until("the prompt is back", || (person.shown.text().matches("m> ").count() >= 2).then_some(()));
    person.types("quit\r");
    assert_eq!(person.wait().code(), Some(0));
    assert!(person.is_usual());
}

#[test]
fn approvers_owners_and_recipients_are_told_that_a_verb_has_a_terminal() {
    let (world, share) = open();
    let listed = world.vendor().run(&share, &["list"]);
    assert!(listed.stdout.contains("tty.shell  [write, takes a terminal]"), "{listed:?}");
    let plan =
        ["share", "open", "--agent", "you", "--verb", "tty.shell", "--to", "vendor-b", "--plan"];
    let plan = world.alice().run(&plan);
    assert!(
        plan.stdout.contains("with input: a terminal, at which the recipient types"),
        "{plan:?}"
    );
}
