//! Passports: what is minted verifies, what is narrowed is narrower, and nothing else gets through.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use biscuit_auth::builder::{Algorithm, BlockBuilder, Fact, Term};
use biscuit_auth::{AuthorizerBuilder, AuthorizerLimits, Biscuit, KeyPair, PrivateKey, PublicKey};
use ed25519_dalek::SigningKey;
use policy::passport::{
    MAX_BLOCKS, MAX_PASSPORT_BYTES, MintFault, Narrowing, PassportFault, mint, narrow, verify,
};
use policy::{Anchored, Call, Capability, Constraint, Decision, Passport, Scope, Timestamp, Value};
use proptest::prelude::*;

use crate::world::{END, HOLDS_ALL, NOW, Shared, authority, call, root, scope, text};

const GOLDEN: &str = include_str!("golden_passport.txt");

const SAMPLES_ROOT: &str = "1055c750b1a1505937af1537c626ba3263995c33a64758aaafb1275b0312e284";

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
}

fn wide() -> Scope {
    scope(&["ssh.tail_logs:service=web|db", "ssh.restart_service"])
}

fn web_only() -> Scope {
    scope(&["ssh.tail_logs:service=web,lines<=100"])
}

pub(crate) fn bytes_of(scope: Scope) -> Vec<u8> {
    mint(&root(), &authority(scope)).unwrap()
}

pub(crate) fn checked(bytes: &[u8]) -> Result<Passport, PassportFault> {
    verify(bytes, &root().verifying_key())
}

fn narrowing(scope: Scope) -> Narrowing {
    Narrowing { not_after: END, depth: 2, scope, reason: String::new() }
}

pub(crate) fn narrowed(bytes: &[u8], to: &Narrowing) -> Result<Vec<u8>, MintFault> {
    narrow(bytes, &root().verifying_key(), to)
}

pub(crate) fn biscuit(bytes: &[u8]) -> Biscuit {
    let key = PublicKey::from_bytes(root().verifying_key().as_bytes(), Algorithm::Ed25519).unwrap();
    Biscuit::from(bytes, key).unwrap()
}

pub(crate) fn seeded(seed: u8) -> KeyPair {
    KeyPair::from(&PrivateKey::from_bytes(&[seed; 32], Algorithm::Ed25519).unwrap())
}

/// The last block of one passport, to be put where it does not belong.
pub(crate) fn last_block(of: &[u8]) -> BlockBuilder {
    let token = biscuit(of);
    let index = token.block_count() - 1;
    let context = token.context().remove(index).unwrap();
    let source = token.print_block_source(index).unwrap();
    BlockBuilder::new().code(source).unwrap().context(context)
}

pub(crate) fn appended(to: &[u8], block: BlockBuilder) -> Vec<u8> {
    biscuit(to).append_with_keypair(&seeded(9), block).unwrap().to_vec().unwrap()
}

#[test]
fn what_is_minted_verifies_as_what_was_stated() {
    let stated = authority(wide());
    let passport = checked(&mint(&root(), &stated).unwrap()).unwrap();
    assert_eq!(*passport.authority(), stated);
    assert!(passport.blocks().is_empty());
    assert_eq!(passport.not_after(), END);
}

#[test]
fn a_minted_passport_has_these_bytes() {
    let bytes = bytes_of(wide());
    assert_eq!(bytes, unhex(GOLDEN));
    assert_eq!(bytes_of(wide()), bytes, "minting is deterministic");
    assert_ne!(bytes_of(web_only()), bytes);
}

#[test]
fn a_passport_of_two_verbs_and_three_pins_is_short() {
    let pins = scope(&["ssh.tail_logs:service=web,lines<=100", "ssh.restart_service:service=web"]);
    let mut stated = authority(pins);
    stated.relays = vec![format!("relay.example.com:443#SHA256:{}", "A".repeat(43))];
    let bytes = mint(&root(), &stated).unwrap();
    assert!(bytes.len() <= 700, "{}", bytes.len());
}

#[test]
fn what_cannot_be_stated_is_not_minted() {
    assert_eq!(mint(&root(), &authority(Scope::default())), Err(MintFault::Empty));
    let relays = |count: usize, length: usize| {
        let mut stated = authority(wide());
        stated.relays = vec!["r".repeat(length); count];
        mint(&root(), &stated).map(drop)
    };
    assert_eq!(relays(3, 256), Ok(()));
    assert_eq!(relays(3, 257), Err(MintFault::Field("list of relays")));
    assert_eq!(relays(4, 10), Err(MintFault::Field("list of relays")));
    let owner = |length: usize| {
        let mut stated = authority(wide());
        stated.owner = "o".repeat(length);
        mint(&root(), &stated).map(drop)
    };
    assert_eq!(owner(64), Ok(()));
    assert_eq!(owner(65), Err(MintFault::Field("owner")));
    assert_eq!(owner(0), Err(MintFault::Field("owner")));
}

#[test]
fn pp2_a_passport_ends_when_it_says_and_a_block_can_only_bring_that_forward() {
    let mut shared = Shared::with_scope(HOLDS_ALL, wide());
    let call = || call("ssh.restart_service", [("service", text("web"))]);
    let early = Narrowing { not_after: Timestamp(NOW.0 + 1000), ..narrowing(wide()) };
    shared.passport = checked(&narrowed(&bytes_of(wide()), &early).unwrap()).unwrap();
    let permitted = |now| matches!(shared.decide_at(call(), Timestamp(now)), Decision::Permit(_));
    assert!(permitted(NOW.0 + 999));
    assert!(!permitted(NOW.0 + 1000));
    let later = Narrowing { not_after: Timestamp(END.0 + 1), ..narrowing(wide()) };
    assert_eq!(
        narrowed(&bytes_of(wide()), &later),
        Err(MintFault::Refused(PassportFault::Widened(1)))
    );
    let unstated = BlockBuilder::new().code("check if true;").unwrap();
    assert_eq!(checked(&appended(&bytes_of(wide()), unstated)), Err(PassportFault::Statement(1)));
}

#[test]
fn pp5_a_passport_signed_by_another_key_is_refused() {
    let other = SigningKey::from_bytes(&[8; 32]);
    let foreign = mint(&other, &authority(wide())).unwrap();
    assert_eq!(checked(&foreign), Err(PassportFault::Signature));
    assert!(verify(&foreign, &other.verifying_key()).is_ok());
}

#[test]
fn pp6_a_block_that_widens_its_parent_is_refused_although_its_signature_is_good() {
    let narrow = bytes_of(web_only());
    let wide_block = last_block(&narrowed(&bytes_of(wide()), &narrowing(wide())).unwrap());
    assert_eq!(checked(&appended(&narrow, wide_block.clone())), Err(PassportFault::Widened(1)));
    let fitting = checked(&appended(&bytes_of(wide()), wide_block)).unwrap();
    assert_eq!(fitting.blocks()[0].narrowing().scope, wide());
}

#[test]
fn pp6_a_block_after_a_narrow_one_cannot_return_to_what_the_authority_had() {
    let narrow = narrowed(&bytes_of(wide()), &narrowing(web_only())).unwrap();
    let again = narrowed(&narrow, &narrowing(wide()));
    assert_eq!(again, Err(MintFault::Refused(PassportFault::Widened(2))));
}

#[test]
fn pp7_depth_never_grows() {
    let deeper = Narrowing { depth: 3, ..narrowing(wide()) };
    assert_eq!(
        narrowed(&bytes_of(wide()), &deeper),
        Err(MintFault::Refused(PassportFault::Widened(1)))
    );
    let flat = Narrowing { depth: 0, ..narrowing(wide()) };
    let once = narrowed(&bytes_of(wide()), &flat).unwrap();
    assert_eq!(checked(&once).unwrap().depth(), 0);
    let back = Narrowing { depth: 1, ..narrowing(wide()) };
    assert_eq!(narrowed(&once, &back), Err(MintFault::Refused(PassportFault::Widened(2))));
}

#[test]
fn pp7_a_passport_has_at_most_eight_blocks() {
    let mut bytes = bytes_of(web_only());
    for _ in 1..MAX_BLOCKS {
        bytes = narrowed(&bytes, &narrowing(web_only())).unwrap();
    }
    assert_eq!(checked(&bytes).unwrap().blocks().len(), MAX_BLOCKS - 1);
    assert_eq!(narrowed(&bytes, &narrowing(web_only())), Err(MintFault::TooManyBlocks));
    let block = last_block(&bytes);
    assert_eq!(checked(&appended(&bytes, block)), Err(PassportFault::TooManyBlocks));
}

#[test]
fn pp7_a_passport_has_at_most_8192_bytes() {
    assert_eq!(checked(&vec![0; MAX_PASSPORT_BYTES]), Err(PassportFault::Malformed));
    assert_eq!(checked(&vec![0; MAX_PASSPORT_BYTES + 1]), Err(PassportFault::TooLarge));
    let long = |length: usize| {
        let pin = Constraint::exact(text(&"x".repeat(length)));
        let capability = Capability::new(
            "ssh.restart_service".parse().unwrap(),
            [("service".parse().unwrap(), pin)],
        );
        mint(&root(), &authority(Scope::new([capability])))
    };
    let largest = (2000..4096).rev().find_map(|length| long(length).ok()).unwrap();
    assert!(largest.len() > MAX_PASSPORT_BYTES - 8 && largest.len() <= MAX_PASSPORT_BYTES);
    assert!(checked(&largest).is_ok());
    assert!(matches!(long(4096), Err(MintFault::TooLarge(_))));
}

#[test]
fn pp9_the_public_sample_tokens_are_refused() {
    let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/samples");
    let key = unhex(SAMPLES_ROOT).try_into().unwrap();
    let key = ed25519_dalek::VerifyingKey::from_bytes(&key).unwrap();
    let mut seen = 0;
    for entry in std::fs::read_dir(samples).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "bc") {
            seen += 1;
            let token = std::fs::read(&path).unwrap();
            assert!(checked(&token).is_err(), "{}", path.display());
            assert!(verify(&token, &key).is_err(), "{} under its own root", path.display());
        }
    }
    assert!(seen >= 37, "{seen}");
}

#[test]
fn pp11_hostile_datalog_is_refused_unevaluated() {
    let bytes = bytes_of(wide());
    let genuine = last_block(&narrowed(&bytes, &narrowing(web_only())).unwrap());
    let explosive = "a(0); a(1); a(2); a(3); a(4); a(5); a(6); a(7);
        b($1, $2, $3, $4, $5, $6) <- a($1), a($2), a($3), a($4), a($5), a($6);
        check if b($1, $2, $3, $4, $5, $6), b($2, $1, $4, $3, $6, $5);";
    let hostile = [
        genuine.clone().code(explosive).unwrap(),
        genuine.clone().code("operation(\"ssh.restart_service\");").unwrap(),
        genuine.clone().code("check if true;").unwrap(),
        BlockBuilder { checks: vec![], ..genuine.clone() },
        BlockBuilder { context: Some(String::new()), ..genuine.clone() },
        BlockBuilder { context: Some("gICA".repeat(900)), ..genuine.clone() },
        BlockBuilder { context: biscuit(&bytes).context().remove(0), ..genuine },
    ];
    for block in hostile {
        let token = appended(&bytes, block);
        assert_eq!(checked(&token), Err(PassportFault::Statement(1)));
        assert!(fastest(|| drop(checked(&token))) < std::time::Duration::from_millis(1));
    }
}

/// The quickest of many runs: what the work costs, whatever else the machine does.
#[expect(clippy::disallowed_methods, reason = "the case is about time spent")]
fn fastest(mut work: impl FnMut()) -> std::time::Duration {
    let run = |()| {
        let start = std::time::Instant::now();
        work();
        start.elapsed()
    };
    std::iter::repeat_n((), 50).map(run).min().unwrap()
}

#[test]
fn pp12_a_p256_key_anywhere_in_the_chain_is_refused() {
    let bytes = bytes_of(wide());
    let block = || last_block(&narrowed(&bytes, &narrowing(web_only())).unwrap());
    let p256 = KeyPair::new_with_algorithm(Algorithm::Secp256r1);
    let with_p256 = biscuit(&bytes).append_with_keypair(&p256, block()).unwrap();
    assert_eq!(checked(&with_p256.to_vec().unwrap()), Err(PassportFault::Algorithm));
    let buried = with_p256.append_with_keypair(&seeded(9), block()).unwrap();
    assert_eq!(checked(&buried.to_vec().unwrap()), Err(PassportFault::Algorithm));
}

pub(crate) fn pinned_by(pattern: &str) -> Scope {
    let limit = Constraint::Pattern(Anchored::new(pattern).unwrap());
    let verb = "ssh.restart_service".parse().unwrap();
    Scope::new([Capability::new(verb, [("service".parse().unwrap(), limit)])])
}

#[test]
fn pp14_a_pattern_that_a_holder_chose_costs_authorize_under_a_millisecond() {
    let hostile = ["(a|aa)*b", "(.*a){3}", ".*.*.*.*x", "(a*)*b", "(((a?){9})*)*b"];
    for pattern in hostile {
        let mut shared = Shared::with_scope(HOLDS_ALL, wide());
        let bytes = narrowed(&bytes_of(wide()), &narrowing(pinned_by(pattern))).unwrap();
        shared.passport = checked(&bytes).unwrap();
        let long = || call("ssh.restart_service", [("service", text(&"a".repeat(4096)))]);
        let spent = fastest(|| drop(shared.decide_at(long(), NOW)));
        assert!(spent < std::time::Duration::from_millis(1), "{pattern} {spent:?}");
    }
}

#[test]
fn pp14_a_pattern_that_costs_too_much_to_compile_is_refused() {
    for pattern in ["(a|b)*a(a|b){8}", "(.{1,40}){1,9}"] {
        let refused = narrowed(&bytes_of(wide()), &narrowing(pinned_by(pattern)));
        assert_eq!(refused, Err(MintFault::Refused(PassportFault::Statement(1))), "{pattern}");
        let root_may = checked(&bytes_of(pinned_by(pattern))).unwrap();
        let inherited = narrowed(&bytes_of(pinned_by(pattern)), &narrowing(pinned_by(pattern)));
        assert_eq!(checked(&inherited.unwrap()).unwrap().scope(), root_may.scope());
    }
}

#[test]
fn pp14_holders_add_at_most_four_patterns() {
    let several = |count: usize| {
        let limits: Vec<_> = (0..count).map(|n| pinned_by(&format!("a{{{n},9}}"))).collect();
        let all = limits.iter().flat_map(|one| one.capabilities().to_vec());
        narrowed(&bytes_of(wide()), &narrowing(Scope::new(all)))
    };
    assert!(several(3).is_ok());
    assert!(several(4).is_ok());
    assert_eq!(several(5), Err(MintFault::Refused(PassportFault::Statement(1))));
}

#[test]
fn another_spelling_of_the_same_statement_is_refused() {
    let bytes = bytes_of(wide());
    let genuine = last_block(&narrowed(&bytes, &narrowing(web_only())).unwrap());
    let stated = URL_SAFE_NO_PAD.decode(genuine.context.clone().unwrap()).unwrap();
    assert_eq!(stated[..2], [0x85, 0x01], "an array of five, the version first");
    let respelled = |stated: Vec<u8>| {
        let context = Some(URL_SAFE_NO_PAD.encode(stated));
        checked(&appended(&bytes, BlockBuilder { context, ..genuine.clone() })).map(drop)
    };
    assert_eq!(respelled(stated.clone()), Ok(()));
    let refused = Err(PassportFault::Statement(1));
    assert_eq!(respelled([&[0x85, 0x18, 0x01], &stated[2..]].concat()), refused, "a long integer");
    assert_eq!(
        respelled([&[0x9f, 0x01], &stated[2..], &[0xff]].concat()),
        refused,
        "an open array"
    );
    assert_eq!(respelled([&[0x85, 0x02], &stated[2..]].concat()), refused, "another version");
    assert_eq!(respelled([stated.as_slice(), &[0x00]].concat()), refused, "something after it");
}

#[test]
fn another_spelling_of_the_same_token_is_refused() {
    let bytes = bytes_of(wide());
    let with_key_id = [&[0x08, 0x01], bytes.as_slice()].concat();
    assert!(checked(&with_key_id).is_err());
    let with_unknown_field = [bytes.as_slice(), &[0x78, 0x01]].concat();
    assert_eq!(checked(&with_unknown_field), Err(PassportFault::Malformed));
    let sealed = biscuit(&bytes).seal().unwrap().to_vec().unwrap();
    assert_eq!(checked(&sealed), Err(PassportFault::Unknown(0)));
}

#[test]
fn every_altered_or_cut_passport_is_refused_without_a_panic() {
    let bytes = narrowed(&bytes_of(wide()), &narrowing(web_only())).unwrap();
    for at in 0..bytes.len() {
        assert!(checked(&bytes[..at]).is_err(), "cut at {at}");
        for flip in [0x01, 0x80] {
            let mut altered = bytes.clone();
            altered[at] ^= flip;
            assert!(checked(&altered).is_err(), "altered at {at}");
        }
    }
}

#[test]
fn a_passport_does_not_show_its_keys() {
    let shown = format!("{:?}", checked(&bytes_of(wide())).unwrap());
    assert_eq!(shown, "Passport(osp_0102030405060708/0, 1 blocks)");
}

fn term(value: &Value) -> Term {
    match value {
        Value::Text(text) => Term::Str(text.to_string()),
        Value::Int(number) => Term::Integer(*number),
        Value::Bool(answer) => Term::Bool(*answer),
        Value::List(items) => Term::Array(items.iter().map(term).collect()),
    }
}

/// What an ordinary Biscuit verifier, told of the call, makes of the token's own checks.
fn datalog_permits(token: &[u8], call: &Call, now: Timestamp) -> bool {
    let mut builder = AuthorizerBuilder::new()
        .fact(Fact::new("time".to_owned(), vec![Term::Date(now.0 / 1000)]))
        .and_then(|b| {
            b.fact(Fact::new("operation".to_owned(), vec![Term::Str(call.verb.to_string())]))
        })
        .unwrap();
    for (name, value) in call.arguments.iter() {
        let terms = vec![Term::Str(name.to_string()), term(value)];
        builder = builder.fact(Fact::new("arg".to_owned(), terms)).unwrap();
    }
    let limits = AuthorizerLimits {
        max_time: std::time::Duration::from_secs(5),
        ..AuthorizerLimits::default()
    };
    let builder = builder.policy("allow if true").unwrap().set_limits(limits);
    builder.build(&biscuit(token)).unwrap().authorize().is_ok()
}

#[test]
fn the_datalog_enforces_the_deadline() {
    let bytes = bytes_of(wide());
    let call = call("ssh.restart_service", [("service", text("web"))]);
    assert!(datalog_permits(&bytes, &call, END));
    assert!(!datalog_permits(&bytes, &call, Timestamp(END.0 + 1000)));
}

fn limits() -> impl Strategy<Value = Constraint> {
    let pattern = |source| Constraint::Pattern(Anchored::new(source).unwrap());
    prop_oneof![
        proptest::collection::btree_set("[ab\"\\\\;(]{0,2}".prop_map(|t| text(&t)), 1..4)
            .prop_map(Constraint::OneOf),
        proptest::collection::btree_set((0..5_i64).prop_map(Value::Int), 1..4)
            .prop_map(Constraint::OneOf),
        (0..3_i64, 0..3_i64).prop_map(|(min, span)| Constraint::Range { min, max: min + span }),
        (0..5_i64).prop_map(|max| Constraint::Range { min: i64::MIN, max }),
        (0..5_i64).prop_map(|min| Constraint::Range { min, max: i64::MAX }),
        "[ab]{0,2}".prop_map(|prefix| Constraint::Prefix(policy::Text::new(prefix).unwrap())),
        proptest::sample::select(vec![pattern("a*"), pattern(".b?"), pattern("(a|b)+")]),
        any::<bool>().prop_map(|answer| Constraint::exact(Value::Bool(answer))),
        (0..3_u32, 0..2_u32).prop_map(|(min, span)| Constraint::Length { min, max: min + span }),
        proptest::sample::select(wider()),
        lists().prop_map(|list| Constraint::OneOf([list, text("a")].into())),
        lists().prop_map(Constraint::exact),
        proptest::collection::btree_set("[ab]{0,1}".prop_map(|t| text(&t)), 1..3)
            .prop_map(|items| Constraint::each(Constraint::OneOf(items))),
        Just(Constraint::each(pattern("a*"))),
        Just(Constraint::Has(Box::new(Constraint::Prefix("b".parse().unwrap())))),
    ]
}

/// Limits whose Datalog is wider than they are.
fn wider() -> Vec<Constraint> {
    let mut wider = vec![
        Constraint::Subtree("/a".parse().unwrap()),
        Constraint::Subtree("/a/b".parse().unwrap()),
        Constraint::Subtree("/".parse().unwrap()),
        Constraint::Cidr("10.0.0.0/8".parse().unwrap()),
        Constraint::Url("https://a.example/".parse().unwrap()),
        Constraint::Url("https://*.a.example/b/".parse().unwrap()),
    ];
    wider.extend(wider.clone().into_iter().map(Constraint::each));
    wider
}

fn is_wider(limit: &Constraint) -> bool {
    limit.item_parts().iter().any(|part| {
        matches!(part, Constraint::Subtree(_) | Constraint::Cidr(_) | Constraint::Url(_))
    })
}

fn lists() -> impl Strategy<Value = Value> {
    let texts = proptest::collection::vec(texts(), 0..3);
    texts.prop_map(|items| Value::list(items).unwrap())
}

fn texts() -> impl Strategy<Value = Value> {
    let hard = ["/a", "/a/b", "/ab", "/a/../b", "10.0.0.1", "11.0.0.1", "https://a.example/"];
    let looks = ["https://x.a.example/b/", "https://a.example.evil/", "https://a.example@evil/"];
    let hard = proptest::sample::select([&hard[..], &looks[..]].concat());
    prop_oneof!["[ab\"\\\\;(]{0,2}".prop_map(|t| text(&t)), hard.prop_map(text),]
}

pub(crate) fn scopes() -> impl Strategy<Value = Scope> {
    let verb = proptest::sample::select(vec!["a.one", "a.two"]);
    let limits =
        proptest::collection::vec((proptest::sample::select(vec!["x", "y"]), limits()), 0..3);
    let capability = (verb, limits).prop_map(|(verb, limits)| {
        let limits = limits.into_iter().map(|(name, limit)| (name.parse().unwrap(), limit));
        Capability::new(verb.parse().unwrap(), limits)
    });
    proptest::collection::vec(capability, 1..4).prop_map(Scope::new)
}

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        2 => texts(),
        1 => (0..5_i64).prop_map(Value::Int),
        1 => any::<bool>().prop_map(Value::Bool),
        2 => lists(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(600) })]

    /// pp10 through real tokens, with the tokens' own Datalog as a second opinion: it permits nothing
    /// that the scopes refuse, and, where the kinds agree, refuses nothing that they permit.
    #[test]
    fn pp10_a_narrowed_passport_permits_no_more_and_its_datalog_agrees(
        first in scopes(), wishes in proptest::collection::vec(scopes(), 0..3),
        verb in proptest::sample::select(vec!["a.one", "a.two"]), x in values(), y in values(),
    ) {
        let mut bytes = bytes_of(first);
        let mut chain = vec![checked(&bytes).unwrap()];
        for wish in wishes {
            let parent = chain.last().unwrap().scope();
            let child = parent.intersect(&wish);
            match narrowed(&bytes, &narrowing(child.clone())) {
                Ok(longer) => {
                    bytes = longer;
                    chain.push(checked(&bytes).unwrap());
                    prop_assert_eq!(chain.last().unwrap().scope(), &child);
                }
                Err(fault) => prop_assert!(child.is_empty(), "{fault}"),
            }
        }
        let call = call(verb, [("x", x), ("y", y)]);
        let last = chain.last().unwrap();
        let permitted = last.permits(&call);
        prop_assert!(!permitted || chain.iter().all(|one| one.permits(&call)));
        let second = datalog_permits(&bytes, &call, NOW);
        let wider = chain.iter().any(|one| one.scopes().any(|scope| {
            scope.capabilities().iter().any(|one| one.parameters().values().any(is_wider))
        }));
        prop_assert!(!second || permitted || wider, "the Datalog permits more: {}", biscuit(&bytes));
        prop_assert!(second || !permitted || kinds_clash(last, &call), "the Datalog refuses: {}", biscuit(&bytes));
    }

    #[test]
    fn random_bytes_are_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(checked(&bytes).is_err());
    }
}

/// Whether some limit compares the argument with another kind, which Datalog answers with an error for
/// the whole check. A catalog never lets that happen.
fn kinds_clash(passport: &Passport, call: &Call) -> bool {
    passport.scopes().flat_map(Scope::capabilities).any(|capability| {
        let clashes = |(name, limit): (&_, &_)| {
            call.arguments.value(name).is_some_and(|value| clashes(limit, value))
        };
        capability.parameters().iter().any(clashes)
    })
}

fn clashes(limit: &Constraint, value: &Value) -> bool {
    match limit {
        Constraint::Range { .. } => !matches!(value, Value::Int(_)),
        Constraint::Prefix(_)
        | Constraint::Pattern(_)
        | Constraint::Subtree(_)
        | Constraint::Cidr(_)
        | Constraint::Url(_) => !matches!(value, Value::Text(_)),
        Constraint::Length { .. } => !matches!(value, Value::Text(_) | Value::List(_)),
        Constraint::Each(item) | Constraint::Has(item) => {
            !matches!(value, Value::List(_)) || value.items().iter().any(|one| clashes(item, one))
        }
        Constraint::All(parts) => parts.iter().any(|part| clashes(part, value)),
        Constraint::OneOf(_) => matches!(value, Value::List(_)),
        Constraint::Any => false,
    }
}
