//! Rooms of two: what owner and recipient say to each other, by a verb that the share grants.

use std::time::Duration;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tests::background::Background;
use tests::owner::Share;
use tests::wait::until;
use tests::world::{Setup, World};

/// The entry of the ready catalog.
const VERBS: &str = include_str!("../../examples/verbs/verbs.d/notes.toml");

fn world() -> World {
    let Setup { policy, verbs, .. } = Setup::default();
    let policy = policy
        .replacen("verbs = { ", "verbs = { \"owner.note\" = {}, ", 1)
        .replace("[\"log.*\"", "[\"owner.*\", \"log.*\"");
    let world = Setup { policy, verbs: verbs + VERBS, ..Setup::default() }.start();
    world.alice().add_contact("vendor-b", &world.vendor());
    world
}

fn told(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

fn texts(notes: &[Value]) -> Vec<(String, String)> {
    let text = |note: &Value, key: &str| note[key].as_str().unwrap_or_default().to_owned();
    notes.iter().map(|note| (text(note, "author"), text(note, "text"))).collect()
}

fn said(who: &str, text: &str) -> (String, String) {
    (who.to_owned(), text.to_owned())
}

fn of_owner(world: &World, share: &Share) -> Vec<Value> {
    let said = world.alice().run(&["share", "notes", &share.id, "--json"]);
    assert_eq!(said.status, 0, "{said:?}");
    told(&said.stdout)
}

fn of_vendor(world: &World, share: &Share) -> Vec<Value> {
    let said = world.vendor().run(share, &["--json", "notes"]);
    assert_eq!(said.status, 0, "{said:?}");
    told(&said.stdout)
}

#[test]
fn both_sides_read_the_same_notes_in_the_same_order_and_the_record_has_their_hashes() {
    let world = world();
    let share = world.alice().open(&["owner.note", "test.true"]);
    assert!(of_owner(&world, &share).is_empty() && of_vendor(&world, &share).is_empty());
    let left = world.vendor().run(&share, &["note", "restarting", "web"]);
    assert_eq!((left.status, left.stdout.as_str()), (0, ""), "{left:?}");
    let left = world.alice().run(&["share", "note", &share.id, "go on\nand tell me"]);
    assert_eq!(left.status, 0, "{left:?}");
    assert!(left.stderr.contains("left for own/vendor-b"), "{left:?}");
    assert_eq!(world.vendor().run(&share, &["note", "done"]).status, 0);

    let (owners, vendors) = (of_owner(&world, &share), of_vendor(&world, &share));
    let expected = [
        said("recipient", "restarting web"),
        said("owner", "go on\nand tell me"),
        said("recipient", "done"),
    ];
    assert_eq!((texts(&owners), texts(&vendors)), (expected.to_vec(), expected.to_vec()));
    let times: Vec<u64> = owners.iter().filter_map(|note| note["at_ms"].as_u64()).collect();
    assert!(times.is_sorted() && times.len() == 3, "{times:?}");

    let record = world.events("note_left");
    assert_eq!(record.len(), 3, "{record:?}");
    for (entry, (who, text)) in record.iter().zip(&expected) {
        let hash: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!((&entry["sha256"], &entry["bytes"]), (&hash.into(), &text.len().into()));
        assert_eq!(entry["by"].is_null(), who == "recipient", "{entry}");
    }
    let audit: String = world.audit().iter().map(ToString::to_string).collect();
    assert!(!audit.contains("restarting web") && !audit.contains("and tell me"), "{audit}");

    let shown = world.alice().run(&["share", "notes", &share.id]).stdout;
    assert!(
        shown.contains("own/vendor-b")
            && shown.contains("you to own/vendor-b: go on\n    and tell me"),
        "{shown}"
    );
    let shown = world.vendor().run(&share, &["notes"]).stdout;
    assert!(
        shown.contains("owner: go on\n    and tell me") && shown.contains("you: done"),
        "{shown}"
    );
}

#[test]
fn who_follows_hears_at_once_and_until_the_share_is_over() {
    let world = world();
    let share = world.alice().open(&["owner.note"]);
    let mut vendor =
        Background::start(world.vendor().command(&share, &["--json", "notes", "--follow"]));
    let mut owner =
        Background::start(world.alice().command(&["share", "notes", &share.id, "--follow"]));
    assert_eq!(world.vendor().run(&share, &["note", "hello"]).status, 0);
    owner.stdout.line_with("own/vendor-b: hello");
    vendor.stdout.line_with("\"hello\"");
    assert_eq!(world.alice().run(&["share", "note", &share.id, "welcome"]).status, 0);
    vendor.stdout.line_with("\"welcome\"");
    assert_eq!(world.alice().revoke(&share).status, 0);
    assert_eq!(vendor.wait().code(), Some(255), "{}", vendor.stderr.text());
    assert_ne!(owner.wait().code(), Some(0), "{}", owner.stderr.text());
}

#[test]
fn without_the_verb_there_are_no_notes_either_way() {
    let world = world();
    let share = world.alice().open(&["test.true"]);
    for words in [&["note", "hello"][..], &["notes"]] {
        let said = world.vendor().run(&share, words);
        assert_eq!(said.status, 127, "{said:?}");
        assert!(said.stderr.contains("this share has no notes"), "{said:?}");
    }
    let said = world.alice().run(&["share", "note", &share.id, "hello"]);
    assert_ne!(said.status, 0);
    assert!(said.stderr.contains("it grants no verb that leaves one"), "{said:?}");
    let unlisted = ["call", "--unlisted", "owner.note", "text=hello"];
    assert_eq!(world.vendor().run(&share, &unlisted).status, 126);
    assert!(world.events("note_left").is_empty());
}

#[test]
fn a_note_is_for_one_seat_and_nobody_elses_owner() {
    let world = world();
    world.alice().add_contact("vendor-m", &world.mallory());
    let more = ["--to", "vendor-b", "--to", "vendor-m"];
    let shares = world.alice().try_open_all(&["owner.note"], &more).expect("it opens");
    let (b, m) = (&shares[0], &shares[1]);
    let said_to_all = world.alice().run(&["share", "note", &b.id, "hello"]);
    assert!(
        said_to_all.status == 2 && said_to_all.stderr.contains("--to ALIAS"),
        "{said_to_all:?}"
    );
    let to_m = world.alice().run(&["share", "note", &b.id, "--to", "vendor-m", "for m alone"]);
    assert_eq!(to_m.status, 0, "{to_m:?}");
    assert!(of_vendor(&world, b).is_empty());
    let heard = world.mallory().run(m, &["--json", "notes"]);
    assert_eq!(texts(&told(&heard.stdout)), [said("owner", "for m alone")]);
    for words in
        [&["share", "notes", &b.id][..], &["share", "note", &b.id, "--to", "vendor-m", "x"]]
    {
        let bobs = world.bob().run(words);
        assert!(bobs.status != 0 && bobs.stderr.contains("no live share"), "{bobs:?}");
    }
}

#[test]
fn a_note_is_bounded_in_size_and_number_and_the_share_lives() {
    let world = world();
    let share = world.alice().open(&["owner.note", "test.true"]);
    let long = "x".repeat(4097);
    for words in [&["note", ""][..], &["note", &long]] {
        let said = world.vendor().run(&share, words);
        assert!(said.status == 2 && said.stderr.contains("1 to 4096 bytes"), "{said:?}");
    }
    let said = world.vendor().run(&share, &["call", "owner.note", "text="]);
    assert_eq!(said.status, 125, "{said:?}");
    assert!(said.stderr.contains("4096 bytes of a note"), "{said:?}");
    let owners = world.alice().run(&["share", "note", &share.id, &long]);
    assert!(owners.status == 2 && owners.stderr.contains("1 to 4096 bytes"), "{owners:?}");

    let channel = ["--persist", "1m", "note", "again"];
    let mut crowded = 0;
    for _ in 0..40 {
        let said = world.vendor().run(&share, &channel);
        if said.status != 0 {
            assert!(said.stderr.contains("10 notes a second"), "{said:?}");
            crowded += 1;
            break;
        }
    }
    assert!(crowded > 0 || of_owner(&world, &share).len() == 40, "it is not that fast here");
    assert_eq!(world.vendor().call(&share, &["test.true"]).status, 0);
}

#[test]
fn only_the_last_notes_are_kept_and_a_restart_keeps_none_but_their_order() {
    let mut world = world();
    let share = world.alice().open(&["owner.note"]);
    for number in 0..70 {
        until("it is taken", || {
            let left = world.alice().run(&["share", "note", &share.id, &format!("note {number}")]);
            (left.status == 0).then_some(())
        });
    }
    let kept = of_vendor(&world, &share);
    assert_eq!((kept.len(), &kept[0]["text"]), (64, &"note 6".into()));
    // So many a second of one user are too many.
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(of_owner(&world, &share).len(), 64);
    let last = kept[63]["at_ms"].as_u64();
    world.stop_daemon();
    world.start_daemon();
    assert!(of_vendor(&world, &share).is_empty());
    assert_eq!(world.vendor().run(&share, &["note", "after"]).status, 0);
    let after = of_owner(&world, &share);
    assert_eq!(texts(&after), [said("recipient", "after")]);
    assert!(after[0]["at_ms"].as_u64() > last && last.is_some(), "{after:?}");
}

#[test]
fn who_was_handed_less_hears_nothing_and_who_is_given_notes_later_does() {
    let world = world();
    let share = world.alice().open(&["test.true", "owner.note"]);
    assert_eq!(world.vendor().run(&share, &["note", "mine"]).status, 0);
    let file = world.home.join("vendor/less").display().to_string();
    let words = ["narrow", "--verb", "test.true", "--output", &file];
    let narrowed = world.vendor().run(&share, &words);
    assert_eq!(narrowed.status, 0, "{narrowed:?}");
    let less = Share { handle: format!("@{file}"), ..share.clone() };
    assert_eq!(world.vendor().run(&less, &["notes"]).status, 127);
    assert_eq!(world.vendor().call(&less, &["test.true"]).status, 0);

    let later = world.alice().open(&["test.true"]);
    assert_eq!(world.vendor().call(&later, &["test.true"]).status, 0);
    let extended = world.alice().run(&["share", "extend", &later.id, "--verb", "owner.note"]);
    assert_eq!(extended.status, 0, "{extended:?}");
    let mut follows =
        Background::start(world.vendor().command(&later, &["--json", "notes", "--follow"]));
    assert_eq!(world.vendor().run(&later, &["note", "heard"]).status, 0);
    follows.stdout.line_with("\"heard\"");
    assert_eq!(world.alice().revoke(&later).status, 0);
    assert_eq!(follows.wait().code(), Some(255));
}
