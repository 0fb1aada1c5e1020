//! Handing on: who signed each block, for which redeem key, and that nothing else gets through.

use biscuit_auth::builder::{Algorithm, BlockBuilder};
use biscuit_auth::{KeyPair, PublicKey};
use ed25519_dalek::SigningKey;
use policy::passport::{
    MAX_BLOCKS, MintFault, Narrowing, PassportFault, hand_on, mint, narrow, verify,
};
use policy::{Passport, Scope, Timestamp};
use proptest::prelude::*;

use crate::passport::{appended, biscuit, bytes_of, checked, last_block, narrowed, scopes, seeded};
use crate::world::{END, authority, root, scope};

pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub(crate) fn public(seed: u8) -> [u8; 32] {
    key(seed).verifying_key().to_bytes()
}

fn wide() -> Scope {
    scope(&["ssh.tail_logs:service=web|db", "ssh.restart_service"])
}

fn web_only() -> Scope {
    scope(&["ssh.tail_logs:service=web,lines<=100"])
}

pub(crate) fn to(depth: u8, scope: Scope) -> Narrowing {
    Narrowing { not_after: END, depth, scope, reason: String::new() }
}

pub(crate) fn handed(
    bytes: &[u8],
    by: u8,
    narrowing: &Narrowing,
    redeem: u8,
) -> Result<Vec<u8>, MintFault> {
    hand_on(bytes, &root().verifying_key(), &key(by), narrowing, public(redeem))
}

fn refused(fault: PassportFault) -> Result<Vec<u8>, MintFault> {
    Err(MintFault::Refused(fault))
}

/// A third-party block as any Biscuit library would make it.
pub(crate) fn third_party(to: &[u8], by: &KeyPair, block: BlockBuilder) -> Vec<u8> {
    let signed = biscuit(to).third_party_request().unwrap().create_block(&by.private(), block);
    let token = biscuit(to).append_third_party(by.public(), signed.unwrap()).unwrap();
    token.to_vec().unwrap()
}

#[test]
fn what_is_handed_on_says_who_by_and_to_which_redeem_key() {
    let once = handed(&bytes_of(wide()), 20, &to(1, web_only()), 21).unwrap();
    let passport = checked(&once).unwrap();
    let [block] = passport.blocks() else { panic!("one block") };
    let hop = block.handed_on().unwrap();
    assert_eq!((hop.by, hop.redeem_key), (public(20), public(21)));
    assert_eq!((passport.depth(), passport.scope()), (1, &web_only()));
    assert_eq!(passport.redeem_key(), public(21));
    let narrower = narrowed(&once, &to(1, web_only())).unwrap();
    let twice = handed(&narrower, 22, &to(0, web_only()), 23).unwrap();
    let passport = checked(&twice).unwrap();
    let hops: Vec<_> = passport.hops().map(|hop| (hop.by, hop.redeem_key)).collect();
    assert_eq!(hops, [(public(20), public(21)), (public(22), public(23))]);
    assert_eq!(passport.blocks()[1].handed_on(), None);
    let keys: Vec<_> = passport.redeem_keys().collect();
    assert_eq!(keys, [[4; 32], public(21), public(23)]);
}

#[test]
fn handing_on_is_deterministic_and_each_hand_on_has_a_secret_of_its_own() {
    let parent = bytes_of(wide());
    let once = || handed(&parent, 20, &to(1, web_only()), 21).unwrap();
    assert_eq!(once(), once());
    let secret = |bytes: &[u8]| bytes[bytes.len() - 32..].to_vec();
    let others = [
        handed(&parent, 22, &to(1, web_only()), 21).unwrap(),
        handed(&parent, 20, &to(1, web_only()), 23).unwrap(),
        narrowed(&parent, &to(1, web_only())).unwrap(),
    ];
    assert!(others.iter().all(|other| secret(other) != secret(&once())));
}

#[test]
fn pp6_a_passport_is_not_handed_on_wider_or_for_longer() {
    let parent = bytes_of(web_only());
    assert_eq!(handed(&parent, 20, &to(1, wide()), 21), refused(PassportFault::Widened(1)));
    let later = Narrowing { not_after: Timestamp(END.0 + 1), ..to(1, web_only()) };
    assert_eq!(handed(&parent, 20, &later, 21), refused(PassportFault::Widened(1)));
    assert!(handed(&parent, 20, &to(1, web_only()), 21).is_ok());
}

#[test]
fn pp7_depth_is_counted_down_by_whoever_hands_on() {
    let parent = bytes_of(wide());
    assert_eq!(handed(&parent, 20, &to(2, wide()), 21), refused(PassportFault::TooDeep(1)));
    let once = handed(&parent, 20, &to(1, wide()), 21).unwrap();
    let twice = handed(&once, 22, &to(0, wide()), 23).unwrap();
    assert_eq!(handed(&twice, 24, &to(0, wide()), 25), refused(PassportFault::TooDeep(3)));
    let raised = narrowed(&once, &to(2, wide()));
    assert_eq!(raised, refused(PassportFault::Widened(2)), "a plain block cannot raise it");
    let given_up = narrowed(&parent, &to(0, wide())).unwrap();
    assert_eq!(handed(&given_up, 20, &to(0, wide()), 21), refused(PassportFault::TooDeep(2)));
}

#[test]
fn pp7_a_passport_that_is_handed_on_has_at_most_eight_blocks() {
    let mut stated = authority(web_only());
    stated.depth = 200;
    let mut bytes = mint(&root(), &stated).unwrap();
    for step in 1..8 {
        bytes = handed(&bytes, 20 + step, &to(200 - step, web_only()), 40 + step).unwrap();
    }
    let passport = checked(&bytes).unwrap();
    assert_eq!(
        (passport.blocks().len(), passport.hops().count()),
        (MAX_BLOCKS - 1, MAX_BLOCKS - 1)
    );
    assert_eq!(handed(&bytes, 30, &to(0, web_only()), 50), Err(MintFault::TooManyBlocks));
}

#[test]
fn a_redeem_key_is_named_once() {
    let once = handed(&bytes_of(wide()), 20, &to(1, wide()), 21).unwrap();
    assert_eq!(handed(&once, 22, &to(0, wide()), 21), refused(PassportFault::SameRedeemKey(2)));
    let root = root().verifying_key();
    let seats_own = hand_on(&bytes_of(wide()), &root, &key(20), &to(1, wide()), [4; 32]);
    assert_eq!(seats_own, refused(PassportFault::SameRedeemKey(1)));
}

#[test]
fn pp13_a_third_party_block_needs_a_redeem_key_and_a_redeem_key_a_third_party() {
    let parent = bytes_of(wide());
    let plain = last_block(&narrowed(&parent, &to(1, web_only())).unwrap());
    assert_eq!(checked(&third_party(&parent, &seeded(9), plain)), Err(PassportFault::Statement(1)));
    let handing = last_block(&handed(&parent, 20, &to(1, web_only()), 21).unwrap());
    assert_eq!(checked(&appended(&parent, handing.clone())), Err(PassportFault::Statement(1)));
    assert!(checked(&third_party(&parent, &seeded(9), handing)).is_ok());
}

#[test]
fn pp13_whoever_signs_is_named_be_it_a_stranger_or_the_parents_redeem_key() {
    let parent = bytes_of(wide());
    let handing = last_block(&handed(&parent, 20, &to(1, web_only()), 21).unwrap());
    for signer in [9, 4] {
        let token = third_party(&parent, &seeded(signer), handing.clone());
        let by = checked(&token).unwrap().hops().next().unwrap().by;
        assert_eq!(by, public(signer));
        assert_ne!(by, public(20));
    }
}

#[test]
fn pp13_a_block_that_was_signed_for_one_passport_fits_no_other() {
    let (one, other) = (bytes_of(wide()), bytes_of(scope(&["ssh.tail_logs:service=web|db"])));
    let handing = last_block(&handed(&one, 20, &to(1, web_only()), 21).unwrap());
    let request = biscuit(&one).third_party_request().unwrap();
    let signed = request.create_block(&seeded(9).private(), handing).unwrap();
    assert!(biscuit(&one).append_third_party(seeded(9).public(), signed.clone()).is_ok());
    assert!(biscuit(&other).append_third_party(seeded(9).public(), signed).is_err());
}

#[test]
fn pp12_a_p256_key_that_hands_on_is_refused_wherever_it_stands() {
    let parent = bytes_of(wide());
    let p256 = KeyPair::new_with_algorithm(Algorithm::Secp256r1);
    let handing = last_block(&handed(&parent, 20, &to(1, web_only()), 21).unwrap());
    let token = third_party(&parent, &p256, handing.clone());
    assert_eq!(checked(&token), Err(PassportFault::Algorithm));
    let plain = last_block(&narrowed(&parent, &to(1, web_only())).unwrap());
    assert_eq!(checked(&appended(&token, plain)), Err(PassportFault::Algorithm));
    let request = biscuit(&parent).third_party_request().unwrap();
    let signed = request.create_block(&seeded(9).private(), handing).unwrap();
    let next = KeyPair::new_with_algorithm(Algorithm::Secp256r1);
    let token = biscuit(&parent);
    let token = token.append_third_party_with_keypair(seeded(9).public(), signed, next).unwrap();
    assert_eq!(checked(&token.to_vec().unwrap()), Err(PassportFault::Algorithm));
}

#[test]
fn another_spelling_of_a_block_that_hands_on_is_refused() {
    let parent = bytes_of(wide());
    let handing = last_block(&handed(&parent, 20, &to(1, web_only()), 21).unwrap());
    let hostile = [
        handing.clone().code("operation(\"ssh.restart_service\");").unwrap(),
        handing.clone().code("check if true;").unwrap(),
        BlockBuilder { checks: vec![], ..handing.clone() },
        BlockBuilder { context: None, ..handing.clone() },
        BlockBuilder { context: handing.context.clone().map(|context| context + "AA"), ..handing },
    ];
    for block in hostile {
        let token = third_party(&parent, &seeded(20), block);
        assert_eq!(checked(&token), Err(PassportFault::Statement(1)));
    }
}

#[test]
fn every_altered_or_cut_passport_that_was_handed_on_is_refused_without_a_panic() {
    let bytes = handed(&bytes_of(wide()), 20, &to(1, web_only()), 21).unwrap();
    for at in 0..bytes.len() {
        assert!(checked(&bytes[..at]).is_err(), "cut at {at}");
        for flip in [0x01, 0x80] {
            let mut altered = bytes.clone();
            altered[at] ^= flip;
            assert!(checked(&altered).is_err(), "altered at {at}");
        }
    }
}

/// The sizes that the handle's own size follows from.
#[test]
fn a_block_that_narrows_takes_450_bytes_and_one_that_hands_on_620() {
    let pins = scope(&["ssh.tail_logs:service=web,lines<=100", "ssh.restart_service:service=web"]);
    let mut stated = authority(pins.clone());
    stated.relays = vec![format!("relay.example.com:443#SHA256:{}", "A".repeat(43))];
    let bytes = mint(&root(), &stated).unwrap();
    assert!(bytes.len() <= 700, "{}", bytes.len());
    let narrowing = Narrowing { reason: "for the night".to_owned(), ..to(1, pins) };
    let narrower = narrow(&bytes, &root().verifying_key(), &narrowing).unwrap();
    let added = narrower.len() - bytes.len();
    assert!(added <= 450, "narrowing: {added}");
    let once = handed(&bytes, 20, &narrowing, 21).unwrap();
    let twice = handed(&once, 22, &Narrowing { depth: 0, ..narrowing }, 23).unwrap();
    for added in [once.len() - bytes.len(), twice.len() - once.len()] {
        assert!(added <= 620, "handing on: {added}");
    }
}

#[test]
fn a_passport_under_another_root_is_not_handed_on() {
    let other = SigningKey::from_bytes(&[8; 32]);
    let parent = mint(&other, &authority(wide())).unwrap();
    assert_eq!(handed(&parent, 20, &to(1, wide()), 21), refused(PassportFault::Signature));
    assert!(PublicKey::from_bytes(&public(20), Algorithm::Ed25519).is_ok());
}

/// What is asked of one more block.
#[derive(Clone, Debug)]
struct Wish {
    scope: Scope,
    hands_on: bool,
    sooner: u64,
    depth: u8,
}

fn wishes() -> impl Strategy<Value = Vec<Wish>> {
    let wish = (scopes(), any::<bool>(), 0..3_u64, 0..9_u8)
        .prop_map(|(scope, hands_on, sooner, depth)| Wish { scope, hands_on, sooner, depth });
    proptest::collection::vec(wish, 0..MAX_BLOCKS)
}

/// The passport with one more block, as far as its maker may have it.
fn longer(bytes: &[u8], parent: &Passport, wish: &Wish, step: u8) -> Result<Vec<u8>, MintFault> {
    let scope = parent.scope().intersect(&wish.scope);
    let not_after = Timestamp(parent.not_after().0 - wish.sooner * 1000);
    let narrowing = Narrowing { not_after, depth: wish.depth, scope, reason: String::new() };
    if wish.hands_on {
        handed(bytes, 20 + step, &narrowing, 100 + step)
    } else {
        narrowed(bytes, &narrowing)
    }
}

fn a_chain_only_narrows(first: Scope, wishes: &[Wish]) -> Result<(), TestCaseError> {
    let mut stated = authority(first);
    stated.depth = 8;
    let mut bytes = mint(&root(), &stated).unwrap();
    let mut chain = vec![verify(&bytes, &root().verifying_key()).unwrap()];
    for (step, wish) in (0_u8..).zip(wishes) {
        let parent = chain.last().unwrap();
        let least = parent.depth().checked_sub(u8::from(wish.hands_on));
        let empty = parent.scope().intersect(&wish.scope).is_empty();
        let allowed = least.is_some_and(|least| wish.depth <= least) && !empty;
        match longer(&bytes, parent, wish, step) {
            Ok(next) => {
                prop_assert!(allowed, "{wish:?}");
                bytes = next;
                chain.push(verify(&bytes, &root().verifying_key()).unwrap());
            }
            Err(fault) => prop_assert!(!allowed, "{wish:?}: {fault}"),
        }
    }
    let last = chain.last().unwrap();
    for ancestor in &chain {
        prop_assert!(last.scope().is_subset_of(ancestor.scope()));
        prop_assert!(last.not_after() <= ancestor.not_after());
        let hops = last.hops().count() - ancestor.hops().count();
        prop_assert!(usize::from(last.depth()) + hops <= usize::from(ancestor.depth()));
    }
    Ok(())
}

/// How many chains of real, signed blocks are made; a hundred thousand take a quarter of an hour.
fn chains() -> u32 {
    crate::world::setting("CHAINS").map_or(500, |count| count.parse().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(chains()) })]

    #[test]
    fn pp10_a_chain_of_real_blocks_lies_within_every_ancestor(first in scopes(), wishes in wishes()) {
        prop_assume!(!first.is_empty());
        a_chain_only_narrows(first, &wishes)?;
    }
}
