//! What the relay saw (P7, re8): its memory, all its traffic and its logs, searched for what it must not know.

use std::fs;

use ed25519_dalek::SigningKey;
use tests::dump::{Needles, memory_of};
use tests::forge;
use tests::owner::Share;
use tests::proxy::{Proxy, Weather};
use tests::world::{Setup, World};

use crate::weather::behind;

const VERBS: &str = r#"
[verb."zephyrquokka.spelunk_marmalade"]
summary = "Bring back an umbrella-shaped xylograph"
effect  = "read"
run     = { exec = { argv = ["/bin/sh", "@HOME@/script/spelunk", "{burrowparameter}"] } }
timeout = "30m"
[verb."zephyrquokka.spelunk_marmalade".params]
burrowparameter = { type = "string", required = true }
"#;
const POLICY: &str = r#"
[[agent]]
name = "gardeneragent"
user = "@ALICE@"
[[allow]]
agent = "gardeneragent"
verbs = { "zephyrquokka.spelunk_marmalade" = {} }
[[delegate]]
agent   = "gardeneragent"
verbs   = ["zephyrquokka.*"]
to      = ["vendor-*", "own/vendor-*"]
max_ttl = "30m"
"#;
const VALUE: &str = "a-value-nobody-guesses-7f3a91c2";
const OUTPUT: &str = "output-of-the-burrow-58d1e6b0";
const ERRORS: &str = "complaint-of-the-burrow-c01dcafe";
const REASON: &str = "because-the-moon-was-full-e77b";
const ALIAS: &str = "vendor-wrenboxthorn";

struct Opened {
    world: World,
    proxy: Proxy,
    share: Share,
    needles: Needles,
    /// Public keys by which the legs of the seat and of the daemon meet: these the relay does hold.
    rendezvous: [u8; 32],
}

fn open() -> Opened {
    let setup = Setup { verbs: VERBS.to_owned(), policy: POLICY.to_owned(), ..Setup::default() };
    let (world, proxy) = behind(setup, Weather::default());
    world.script("spelunk", &format!("echo {OUTPUT} $1\necho {ERRORS} >&2\nexec sleep 600\n"));
    world.alice().add_contact(ALIAS, &world.vendor());
    let arguments = ["share", "open", "--agent", "gardeneragent", "--to", ALIAS, "--verb"];
    let arguments: Vec<&str> =
        arguments.into_iter().chain(["zephyrquokka.spelunk_marmalade"]).collect();
    let opened = world.alice().json(&arguments).unwrap_or_else(|said| panic!("{said:?}"));
    let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
    let share = Share {
        id: text(&opened["share"]["id"]),
        handle: text(&opened["recipients"][0]["handle"]),
        second: None,
        fingerprint: text(&opened["fingerprint"]),
        words: String::new(),
        deadline: String::new(),
    };
    let handle = forge::open(&share.handle, &world.vendor().identity_text());
    let passport = handle.verify().expect("a whole handle");
    let rendezvous = SigningKey::from_bytes(handle.rendezvous.expose()).verifying_key().to_bytes();

    let mut needles = Needles::default();
    for (name, text) in [
        ("verb", "zephyrquokka"),
        ("verb's action", "spelunk_marmalade"),
        ("summary", "umbrella-shaped xylograph"),
        ("parameter", "burrowparameter"),
        ("value", VALUE),
        ("output", OUTPUT),
        ("errors", ERRORS),
        ("reason", REASON),
        ("alias", ALIAS),
        ("owner", &world.accounts.alice.name),
        ("agent", "gardeneragent"),
        ("share id", &share.id),
        ("fingerprint", share.fingerprint.trim_start_matches("SHA256:")),
        ("recipient's key", &world.vendor().public_key()),
    ] {
        needles.add(name, text.as_bytes());
    }
    let id: Vec<u8> = (4..share.id.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&share.id[at..at + 2], 16).expect("hexadecimal"))
        .collect();
    needles.add("share id's bytes", &id);
    needles.add("rendezvous secret", handle.rendezvous.expose());
    needles.add("redeem secret", forge::redeem_seed(&handle));
    let redeem = SigningKey::from_bytes(forge::redeem_seed(&handle)).verifying_key().to_bytes();
    needles.add("redeem key", &redeem);
    needles.add("daemon's key", &handle.daemon_key);
    needles.add("passport's digest", &passport.digest());
    needles.add("channel key", &passport.authority().channel_key);
    needles.add_parts("passport", &handle.passport, 24);
    needles.add_parts("handle", &share.handle.as_bytes()["osp1_".len()..], 24);
    for file in ["identity.key", "identity.pub"] {
        if let Ok(bytes) = fs::read(world.state().join(file)) {
            needles.add_parts(file, bytes.trim_ascii(), 24);
        }
    }
    Opened { world, proxy, share, needles, rendezvous }
}

#[test]
fn p07_re8_the_relay_holds_and_sees_nothing_of_what_it_carries() {
    let Opened { world, proxy, share, mut needles, rendezvous } = open();
    let argument = format!("burrowparameter={VALUE}");
    let mut call = world.vendor().start(&share, &["zephyrquokka.spelunk_marmalade", &argument]);
    let line = call.stdout.line_with(OUTPUT);
    assert!(line.contains(VALUE), "{line}");
    call.stderr.line_with(ERRORS);
    let relay = world.relay.as_ref().expect("it runs").pid();
    let seats = world.vendor().home().join("state/openscope/seats");
    for entry in fs::read_dir(&seats).expect("list the seats") {
        let text = fs::read_to_string(entry.expect("a seat").path()).expect("read a holder key");
        let key = text.lines().last().expect("a key");
        needles.add("holder key", key.as_bytes());
    }

    let during = memory_of(relay);
    let refused = world.vendor().call(&share, &["zephyrquokka.spelunk_marmalade"]);
    assert_ne!(refused.status, 0);
    let revoked = world.alice().run(&["share", "revoke", &share.id, "--reason", REASON]);
    assert_eq!(revoked.status, 0, "{revoked:?}");
    call.wait();
    assert_eq!(world.events("share_revoked")[0]["reason"], REASON);
    let after = memory_of(relay);
    let (traffic, logs) = (proxy.seen(), world.relay.as_ref().expect("it runs").stderr.bytes());

    // The search finds what is there.
    let mut control = Needles::default();
    control.add("rendezvous key", &rendezvous);
    assert!(!control.found_in(&during).is_empty(), "a dump shows what the relay does hold");
    let mut control = Needles::default();
    control.add("what the log says", b"the relay serves");
    assert!(!control.found_in(&logs).is_empty(), "the log is the relay's");
    assert!(!control.found_in(&after).is_empty(), "and the text of it is in its memory");
    assert!(traffic.len() > 20_000, "{} bytes went through the proxy", traffic.len());
    let mut control = Needles::default();
    control.add("what the client says", OUTPUT.as_bytes());
    assert!(!control.found_in(&call.stdout.bytes()).is_empty(), "the output is found where it is");

    for (place, hay) in [
        ("memory during", &during),
        ("memory after", &after),
        ("traffic", &traffic),
        ("logs", &logs),
    ] {
        let found = needles.found_in(hay);
        assert!(found.is_empty(), "the relay's {place} holds {found:?}");
    }
}

#[test]
fn p07_the_search_finds_every_spelling() {
    let secret = b"\x00\x01secret bytes that lie about\xfe\xff";
    let mut needles = Needles::default();
    needles.add("secret", secret);
    for shift in 0..3 {
        use base64::Engine as _;
        let mut inside = vec![0x5a; shift];
        inside.extend_from_slice(secret);
        inside.extend_from_slice(b"more");
        let spelt = [
            base64::prelude::BASE64_STANDARD.encode(&inside).into_bytes(),
            base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(&inside).into_bytes(),
            inside,
        ];
        for hay in spelt {
            assert!(!needles.found_in(&hay).is_empty(), "{hay:?}");
        }
    }
    assert!(needles.found_in(b"secret bytes that do not lie about").is_empty());
}
