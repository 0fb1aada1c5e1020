//! The catalog's redaction rules: told once, named by each call.

use super::*;
use crate::clock::Instants;
use guest::Stream;
use tokio::io::AsyncWriteExt;
use wire::frame::Frame;
use wire::privsep::{CallRef, FromBroker, RedactBy, RedactRules, RedactSetRules};

use crate::redact::Seal;

fn own() -> RedactBy {
    RedactBy::Own("internal".parse().unwrap())
}

/// The rules of a catalog that knows this value.
fn rules(value: &str) -> ToBroker {
    let seal = Seal::new([7; 32], 1);
    let set = RedactSetRules {
        name: "internal".parse().unwrap(),
        label: "corp".parse().unwrap(),
        forms: Vec::new(),
        literals: vec![seal.seal(value.as_bytes()).unwrap()],
    };
    let told = RedactRules { key: [7; 32], slot_bits: seal.bits(), sets: vec![set] };
    ToBroker::Rules(Box::new(told))
}

/// What arrives of a call until its last word, and how many secrets were masked.
async fn arrived(
    world: &mut World,
    mut stream: Stream,
    (call, verb): (CallRef, verb::Verb),
) -> (String, u64) {
    drop(verb);
    world.monitor.say(&ToBroker::Exited { call });
    let masked = world.monitor.hear(|said| match said {
        FromBroker::Drained { redactions, .. } => Some(*redactions),
        _ => None,
    });
    let masked = masked.await;
    world.monitor.end(call);
    let (stdout, _, _) = stream.collect().await;
    (String::from_utf8(stdout).unwrap(), masked)
}

#[tokio::test]
async fn ru7_a_value_in_two_writes_is_masked_and_new_rules_are_for_calls_that_start_after_them() {
    let mut world = World::open().await;
    let guest = world.holder().await;
    world.monitor.say(&rules("correct-horse-battery"));
    let first = guest.call().await;
    let call = world.monitor.called().await;
    let mut verb = world.monitor.start_call_by(call, 1 << 20, vec![own()]);
    verb.write(b"a correct-ho").await;
    world.monitor.say(&rules("Tr0ub4dor&3"));
    verb.write(b"rse-battery Tr0ub4dor&3\n").await;
    let said = arrived(&mut world, first, (call, verb)).await;
    assert_eq!(said, ("a [redacted:corp] Tr0ub4dor&3\n".to_owned(), 1));
    let second = guest.call().await;
    let call = world.monitor.called().await;
    let mut verb = world.monitor.start_call_by(call, 1 << 20, vec![own()]);
    verb.write(b"a correct-horse-battery Tr0ub4dor&3\n").await;
    let said = arrived(&mut world, second, (call, verb)).await;
    assert_eq!(said, ("a correct-horse-battery [redacted:corp]\n".to_owned(), 1));
}

#[tokio::test]
async fn the_beginning_of_a_line_waits_no_longer_for_the_rest_than_it_may() {
    let mut world = World::open().await;
    let guest = world.holder().await;
    let mut stream = guest.call().await;
    let call = world.monitor.called().await;
    let mut verb = world.monitor.start_call_by(call, 1 << 20, vec![RedactBy::Default]);
    assert_eq!(stream.next().await, Frame::Started);
    for piece in ["Continue? [y/N] ", "-----BEGIN ", "password="] {
        let begun = Instants::now().boot;
        verb.write(piece.as_bytes()).await;
        let mut shown = Vec::new();
        while shown != piece.as_bytes() {
            let Frame::Stdout(some) = stream.next().await else { panic!("after {shown:?}") };
            shown.extend_from_slice(&some);
        }
        let took = Instants::now().boot.checked_sub(begun).unwrap();
        assert!(took < Duration::from_millis(500), "{piece:?} took {took:?}");
    }
}

#[tokio::test]
async fn output_to_be_looked_through_by_rules_that_were_not_told_is_not_passed_on() {
    let mut world = World::open().await;
    let guest = world.holder().await;
    let stream = guest.call().await;
    let call = world.monitor.called().await;
    let mut verb = world.monitor.start_call_by(call, 1 << 20, vec![RedactBy::Default, own()]);
    let _ = verb.stdout.write_all(b"correct-horse-battery\n").await;
    let said = arrived(&mut world, stream, (call, verb)).await;
    assert_eq!(said, (String::new(), 0));
}
