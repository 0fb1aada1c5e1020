//! What the program gives a verb as its standard input.

use std::io::{Read as _, Write as _};
use std::process::{Child, Stdio};

use crate::story::World;

/// Bytes that repeat nowhere near.
fn bytes(length: usize) -> Vec<u8> {
    (0..length as u64).map(|at| (at * at / 251).to_le_bytes()[0]).collect()
}

fn start(world: &World, call: &[&str]) -> Child {
    let mut command = world.command(&["call"]);
    command.args(call).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// What a call that is given all of this says, and its status.
fn ran(world: &World, call: &[&str], given: Vec<u8>) -> (Option<i32>, Vec<u8>, String) {
    let mut child = start(world, call);
    let mut stdin = child.stdin.take().unwrap();
    let giving = std::thread::spawn(move || drop(stdin.write_all(&given)));
    let output = child.wait_with_output().unwrap();
    giving.join().unwrap();
    (output.status.code(), output.stdout, String::from_utf8(output.stderr).unwrap())
}

#[test]
fn our_standard_input_is_the_verb_s_to_the_last_byte() {
    let world = World::start();
    let whole = bytes(3_000_001);
    let (status, given, words) = ran(&world, &["give.all"], whole.clone());
    assert_eq!((status, words.as_str()), (Some(0), ""));
    assert!(given == whole);
    assert_eq!(ran(&world, &["give.all"], vec![]).1, b"");
}

#[test]
fn a_verb_is_given_nothing_where_that_is_said() {
    let world = World::start();
    for option in ["--no-stdin", "-n"] {
        let (status, given, _) = ran(&world, &[option, "give.all"], b"secret".to_vec());
        assert_eq!((status, given.as_slice()), (Some(0), &b""[..]));
    }
}

#[test]
fn a_verb_that_is_not_listed_as_taking_input_is_given_none_whatever_the_daemon_says() {
    let world = World::start();
    for call in [&["give.nothing"][..], &["--unlisted", "give.all"]] {
        let (status, given, _) = ran(&world, call, b"secret".to_vec());
        assert_eq!((status, given.as_slice()), (Some(0), &b""[..]), "{call:?}");
    }
}

#[test]
fn se7_after_a_lost_channel_input_goes_on_where_the_daemon_says() {
    let world = World::start();
    world.daemon.script.go.send_replace(true);
    let whole = bytes(1_000_000);
    let (status, rest, words) = ran(&world, &["give.lost"], whole.clone());
    assert_eq!(status, Some(0), "{words}");
    assert!(words.contains("the channel was lost"), "{words}");
    assert!(rest == whole[150_000..], "{} bytes came", rest.len());
}

#[test]
fn a_call_ends_although_its_input_does_not() {
    let world = World::start();
    let mut child = start(&world, &["give.enough"]);
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"x").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said, "");
}

#[test]
fn an_input_that_cannot_be_read_ends_the_call_and_does_not_look_like_its_end() {
    let world = World::start();
    let mut command = world.command(&["call", "give.all"]);
    command.stdin(std::fs::File::open("/").unwrap());
    let output = command.output().unwrap();
    let words = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(125), "{words}");
    assert!(words.contains("standard input cannot be read"), "{words}");
}
