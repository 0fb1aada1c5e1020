//! Passports for other implementations to check themselves against: `tests/vectors/passport/` of the repository.

use std::fmt::Write as _;
use std::path::PathBuf;

use biscuit_auth::builder::{Algorithm, BlockBuilder};
use biscuit_auth::{KeyPair, UnverifiedBiscuit};
use ed25519_dalek::{SigningKey, VerifyingKey};
use policy::passport::{Block, MAX_BLOCKS, Narrowing, PassportFault, mint, verify};
use policy::{Constraint, Passport, Scope, Timestamp, Value};
use serde_json::{Value as Json, json};

use crate::handing::{handed, public, third_party, to};
use crate::passport::{
    appended, biscuit, bytes_of, last_block, narrowed, pinned_by, seeded, unhex,
};
use crate::world::{END, authority, root, scope, text};

/// A passport and what is to be made of it.
struct Case {
    name: &'static str,
    says: &'static str,
    passport: Vec<u8>,
    expected: Result<(), PassportFault>,
}

fn directory() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/passport"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn wide() -> Scope {
    scope(&["ssh.tail_logs:service=web|db", "ssh.restart_service"])
}

fn web_only() -> Scope {
    scope(&["ssh.tail_logs:service=web,lines<=100"])
}

/// A capability for each kind of constraint.
fn every_kind() -> Scope {
    let numbered = Constraint::OneOf([Value::Bool(true)].into());
    let limit = |limit: Constraint| {
        let path = "path".parse().unwrap();
        let numbered = ("numbered".parse().unwrap(), numbered.clone());
        policy::Capability::new("file.read".parse().unwrap(), [(path, limit), numbered])
    };
    let prefix = Constraint::Prefix(policy::Text::new("/var/log/").unwrap());
    let ranges = scope(&["ssh.tail_logs:service=db|web,lines=1..9", "ssh.tail_logs:lines>=400"]);
    let pattern = pinned_by("[a-z]+-[0-9]");
    let all = prefix.intersect(&Constraint::Pattern(policy::Anchored::new(".*[.]gz").unwrap()));
    let listed = Constraint::OneOf([text("/a \"b\\"), text("(c;")].into());
    let files = [limit(prefix), limit(all.unwrap()), limit(listed)];
    let one = |name: &str, limit| {
        policy::Capability::new("a.b".parse().unwrap(), [(name.parse().unwrap(), limit)])
    };
    let lists = Constraint::OneOf([Value::list([text("x"), text("y")]).unwrap()].into());
    let some = Constraint::Has(Box::new(Constraint::exact(text("x"))));
    let newer = [
        one("address", Constraint::Cidr("10.0.0.0/8".parse().unwrap())),
        one("file", Constraint::Subtree("/var/log".parse().unwrap())),
        one("host", Constraint::Url("https://*.example.com/api/".parse().unwrap())),
        one("url", Constraint::Url("https://example.com:8443/".parse().unwrap())),
        one("length", Constraint::Length { min: 1, max: u32::MAX }),
        one("lengths", Constraint::Length { min: 0, max: 0 }),
        one("each", Constraint::each(Constraint::Range { min: 1, max: 9 })),
        one("some", some),
        one("list", lists),
    ];
    let others = ranges.capabilities().iter().chain(pattern.capabilities()).cloned();
    Scope::new(files.into_iter().chain(others).chain(newer))
}

fn good() -> Vec<Case> {
    let case = |name, says, passport| Case { name, says, passport, expected: Ok(()) };
    let own = bytes_of(wide());
    let later = Narrowing { not_after: Timestamp(END.0 - 1500), ..to(1, web_only()) };
    let why = Narrowing { reason: "naïve \u{1b}[2J, for the night".to_owned(), ..later };
    let narrow = narrowed(&own, &why).unwrap();
    let once = handed(&own, 20, &to(1, web_only()), 21).unwrap();
    let between = narrowed(&once, &to(1, web_only())).unwrap();
    let twice = handed(&between, 22, &to(0, web_only()), 23).unwrap();
    let mut eight = own.clone();
    for _ in 1..MAX_BLOCKS {
        eight = narrowed(&eight, &to(2, wide())).unwrap();
    }
    vec![
        case("own", "As the daemon gives it to a recipient", own),
        case("constraints", "A constraint of each kind", bytes_of(every_kind())),
        case("narrowed", "Narrowed by its holder, with a reason", narrow),
        case("handed-on", "Handed on, by a block that the holder signed", once),
        case("handed-on-twice", "Handed on, narrowed, and handed on again", twice),
        case("eight-blocks", "As many blocks as there may be", eight),
    ]
}

fn bad() -> Vec<Case> {
    [foreign(), chains(), statements(), forms()].into_iter().flatten().collect()
}

fn refused(
    name: &'static str,
    says: &'static str,
    passport: Vec<u8>,
    fault: PassportFault,
) -> Case {
    Case { name, says, passport, expected: Err(fault) }
}

fn foreign() -> Vec<Case> {
    let other = SigningKey::from_bytes(&[8; 32]);
    let foreign = mint(&other, &authority(wide())).unwrap();
    let mut altered = bytes_of(wide());
    altered[40] ^= 1;
    let cut = bytes_of(wide())[..100].to_vec();
    let fault = PassportFault::Signature;
    vec![
        refused("foreign-root", "Signed by another daemon", foreign, fault.clone()),
        refused("altered", "One bit of what was signed is another", altered, fault),
        refused("cut", "Cut short", cut, PassportFault::Malformed),
        refused("too-large", "8,193 bytes", vec![0; 8193], PassportFault::TooLarge),
    ]
}

fn chains() -> Vec<Case> {
    let (own, narrow) = (bytes_of(wide()), bytes_of(web_only()));
    let last = |narrowing: &Narrowing, of: &[u8]| last_block(&narrowed(of, narrowing).unwrap());
    let wider = appended(&narrow, last(&to(2, wide()), &own));
    let mut longer = authority(wide());
    longer.not_after = Timestamp(END.0 + 1000);
    let longer = mint(&root(), &longer).unwrap();
    let later = Narrowing { not_after: Timestamp(END.0 + 1000), ..to(2, wide()) };
    let later = appended(&own, last(&later, &longer));
    let shallow = narrowed(&own, &to(0, wide())).unwrap();
    let deeper = appended(&shallow, last(&to(1, wide()), &own));
    let handing = last_block(&handed(&own, 20, &to(1, wide()), 21).unwrap());
    let handed_on = |onto: &[u8], by| third_party(onto, &seeded(by), handing.clone());
    let mut deep = authority(wide());
    deep.depth = 1;
    let uncounted = handed_on(&mint(&root(), &deep).unwrap(), 20);
    let twice = handed_on(&handed_on(&own, 20), 22);
    let again = last_block(
        &handed(&handed(&own, 20, &to(1, wide()), 21).unwrap(), 22, &to(0, wide()), 23).unwrap(),
    );
    let same = last_block(&handed(&own, 20, &to(0, wide()), 21).unwrap());
    let same = third_party(&handed_on(&own, 20), &seeded(22), same);
    let mut nine = own.clone();
    for _ in 1..MAX_BLOCKS {
        nine = narrowed(&nine, &to(2, wide())).unwrap();
    }
    let nine = appended(&nine, last_block(&nine));
    assert!(
        verify(&third_party(&handed_on(&own, 20), &seeded(22), again), &root().verifying_key())
            .is_ok()
    );
    vec![
        refused("wider", "A block permits more than its parent", wider, PassportFault::Widened(1)),
        refused("later", "A block ends later than its parent", later, PassportFault::Widened(1)),
        refused("deeper", "A block raises the depth", deeper, PassportFault::Widened(2)),
        refused(
            "uncounted",
            "Handed on without counting down",
            uncounted,
            PassportFault::TooDeep(1),
        ),
        refused("uncounted-later", "The same, further down", twice, PassportFault::TooDeep(2)),
        refused("same-redeem-key", "One redeem key twice", same, PassportFault::SameRedeemKey(2)),
        refused("nine-blocks", "One block too many", nine, PassportFault::TooManyBlocks),
    ]
}

fn statements() -> Vec<Case> {
    let own = bytes_of(wide());
    let plain = || last_block(&narrowed(&own, &to(1, web_only())).unwrap());
    let handing = || last_block(&handed(&own, 20, &to(1, web_only()), 21).unwrap());
    let unnamed = third_party(&own, &seeded(9), plain());
    let unsigned = appended(&own, handing());
    let more = appended(&own, plain().code("check if true;").unwrap());
    let fewer = appended(&own, BlockBuilder { checks: vec![], ..plain() });
    let silent = appended(&own, BlockBuilder { context: None, ..plain() });
    let fact = plain().code("operation(\"ssh.restart_service\");").unwrap();
    let foreign = BlockBuilder { context: biscuit(&own).context().remove(0), ..plain() };
    let spelled = |stated: &[u8]| {
        use base64::Engine as _;
        let context = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(stated);
        BlockBuilder { context: Some(context), ..plain() }
    };
    let fault = || PassportFault::Statement(1);
    vec![
        refused(
            "third-party-without-redeem-key",
            "Signed by a holder, and names no redeem key",
            unnamed,
            fault(),
        ),
        refused(
            "redeem-key-without-third-party",
            "Names a redeem key, and no holder signed it",
            unsigned,
            fault(),
        ),
        refused("more-datalog", "A check more than follows from the context", more, fault()),
        refused("less-datalog", "No check at all", fewer, fault()),
        refused("a-fact", "A fact", appended(&own, fact), fault()),
        refused("no-context", "States nothing", silent, fault()),
        refused(
            "an-authoritys-context",
            "States what only the first block states",
            appended(&own, foreign),
            fault(),
        ),
        refused("no-array", "The context is no array", appended(&own, spelled(&[0x01])), fault()),
        refused(
            "unknown-version",
            "The context is of version 2",
            appended(&own, spelled(&[0x85, 0x02, 0, 0, 0x80, 0x60])),
            fault(),
        ),
    ]
}

fn forms() -> Vec<Case> {
    let own = bytes_of(wide());
    let plain = last_block(&narrowed(&own, &to(1, web_only())).unwrap());
    let handing = last_block(&handed(&own, 20, &to(1, web_only()), 21).unwrap());
    let p256 = KeyPair::new_with_algorithm(Algorithm::Secp256r1);
    let next = biscuit(&own).append_with_keypair(&p256, plain).unwrap().to_vec().unwrap();
    let signer = third_party(&own, &p256, handing);
    let sealed = biscuit(&own).seal().unwrap().to_vec().unwrap();
    let unknown_field = [own.as_slice(), &[0x78, 0x01]].concat();
    assert!(UnverifiedBiscuit::from(&next).is_ok() && UnverifiedBiscuit::from(&signer).is_ok());
    let fault = PassportFault::Algorithm;
    vec![
        refused("p256-next-key", "The next block's key is of P-256", next, fault.clone()),
        refused("p256-signer", "Handed on by a key of P-256", signer, fault),
        refused("sealed", "Sealed, so that nobody narrows it", sealed, PassportFault::Unknown(0)),
        refused(
            "unknown-field",
            "A field that is not read",
            unknown_field,
            PassportFault::Malformed,
        ),
    ]
}

fn claims(passport: &Passport) -> Json {
    let stated = passport.authority();
    json!({
        "authority": {
            "daemon": stated.daemon.to_string(),
            "share": hex(stated.share.as_bytes()),
            "seat": stated.seat.0,
            "owner": stated.owner,
            "relays": stated.relays,
            "not_after": stated.not_after.0,
            "channel_key": hex(&stated.channel_key),
            "redeem_key": hex(&stated.redeem_key),
            "depth": stated.depth,
            "scope": stated.scope.to_string().lines().collect::<Vec<_>>(),
        },
        "blocks": passport.blocks().iter().map(block).collect::<Vec<_>>(),
        "redeem_key": hex(&passport.redeem_key()),
        "not_after": passport.not_after().0,
        "depth": passport.depth(),
        "sha256": hex(&passport.digest()),
    })
}

fn block(block: &Block) -> Json {
    let said = block.narrowing();
    let handed_on = block.handed_on();
    json!({
        "not_after": said.not_after.0,
        "depth": said.depth,
        "scope": said.scope.to_string().lines().collect::<Vec<_>>(),
        "reason": said.reason,
        "handed_on": handed_on.map(|hop| json!({
            "by": hex(&hop.by),
            "redeem_key": hex(&hop.redeem_key),
        })),
    })
}

fn fault(fault: &PassportFault) -> Json {
    match fault {
        PassportFault::TooLarge => json!({ "fault": "too_large" }),
        PassportFault::TooManyBlocks => json!({ "fault": "too_many_blocks" }),
        PassportFault::Malformed => json!({ "fault": "malformed" }),
        PassportFault::Signature => json!({ "fault": "signature" }),
        PassportFault::Algorithm => json!({ "fault": "algorithm" }),
        PassportFault::Unknown(at) => json!({ "fault": "unknown", "block": at }),
        PassportFault::Statement(at) => json!({ "fault": "statement", "block": at }),
        PassportFault::Widened(at) => json!({ "fault": "widened", "block": at }),
        PassportFault::TooDeep(at) => json!({ "fault": "too_deep", "block": at }),
        PassportFault::SameRedeemKey(at) => json!({ "fault": "same_redeem_key", "block": at }),
    }
}

/// What this implementation makes of a passport.
fn verdict(passport: &[u8], root: &VerifyingKey) -> Json {
    match verify(passport, root) {
        Ok(passport) => json!({ "valid": claims(&passport) }),
        Err(why) => json!({ "refused": fault(&why) }),
    }
}

#[test]
fn every_vector_is_what_it_says() {
    if crate::world::setting("WRITE_VECTORS").is_some() {
        write_vectors();
    }
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory()).unwrap() {
        let path = entry.unwrap().path();
        let vector: Json = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let bytes = |field: &str| unhex(vector[field].as_str().unwrap());
        let root = VerifyingKey::from_bytes(&bytes("root").try_into().unwrap()).unwrap();
        assert_eq!(verdict(&bytes("passport"), &root), vector["expected"], "{}", path.display());
        names.push(path.file_stem().unwrap().to_str().unwrap().to_owned());
    }
    names.sort();
    let mut cases: Vec<_> = good().iter().chain(&bad()).map(|case| case.name.to_owned()).collect();
    cases.sort();
    assert_eq!(names, cases);
}

#[test]
fn every_case_of_a_vector_is_taken_or_refused_for_what_it_is_named_for() {
    for case in good().iter().chain(&bad()) {
        let found = verify(&case.passport, &root().verifying_key()).map(drop);
        assert_eq!(found, case.expected, "{}", case.name);
    }
    assert_eq!(public(20), seeded(20).public().to_bytes()[..]);
}

/// With `WRITE_VECTORS=1`, before they are read.
fn write_vectors() {
    std::fs::create_dir_all(directory()).unwrap();
    for case in good().iter().chain(&bad()) {
        let root = root().verifying_key();
        let vector = json!({
            "says": case.says,
            "root": hex(root.as_bytes()),
            "passport": hex(&case.passport),
            "expected": verdict(&case.passport, &root),
        });
        let text = serde_json::to_string_pretty(&vector).unwrap() + "\n";
        std::fs::write(directory().join(format!("{}.json", case.name)), text).unwrap();
    }
}
