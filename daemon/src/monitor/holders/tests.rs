use ed25519_dalek::SigningKey;
use policy::passport::{Narrowing, hand_on, mint, narrow, verify};
use policy::{Authority, Capability, Scope, SeatId, ShareId, Timestamp};
use wire::call::{Proof, Signed};
use wire::frame::VERSION;
use wire::privsep::ChannelId;

use super::*;

const END: Timestamp = Timestamp(1_000_000);
/// Seeds: the daemon, the seat's redeem key, and its holder.
const ROOT: u8 = 1;
const REDEEM: u8 = 2;
const HOLDER: u8 = 3;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn public(seed: u8) -> [u8; 32] {
    key(seed).verifying_key().to_bytes()
}

fn share() -> ShareId {
    ShareId::from_random([7; 8])
}

fn scope() -> Scope {
    Scope::new([Capability::new("log.tail".parse().unwrap(), [])])
}

fn seat(holder: Option<u8>, subs: &[(u8, u8, u8)]) -> Seat {
    let sub = |(redeem, holder, by): &(u8, u8, u8)| SubHolder {
        redeem: public(*redeem),
        holder: public(*holder),
        by: public(*by),
    };
    Seat {
        id: SeatId(0),
        recipient: Recipient::Bearer,
        rendezvous: [0; 32],
        redeem: public(REDEEM),
        holder: holder.map(public),
        passport: [0; 32],
        sub_holders: subs.iter().map(sub).collect(),
        ended: None,
    }
}

/// A passport, handed on by each signer to each redeem key.
fn passport(hops: &[(u8, u8)]) -> Passport {
    let authority = Authority {
        daemon: "web-1".parse().unwrap(),
        share: share(),
        seat: SeatId(0),
        owner: "alice".to_owned(),
        relays: vec![],
        not_after: END,
        channel_key: [0; 32],
        redeem_key: public(REDEEM),
        depth: 5,
        scope: scope(),
    };
    let root = key(ROOT).verifying_key();
    let mut bytes = mint(&key(ROOT), &authority).unwrap();
    for (step, (by, redeem)) in (0_u8..).zip(hops) {
        let (depth, reason) = (4 - step, String::new());
        let narrowing = Narrowing { not_after: END, depth, scope: scope(), reason };
        bytes = hand_on(&bytes, &root, &key(*by), &narrowing, public(*redeem)).unwrap();
    }
    verify(&bytes, &root).unwrap()
}

fn visitor(holder: u8) -> Visitor {
    Visitor { channel: ChannelId(1), share: share(), seat: SeatId(0), holder: public(holder) }
}

fn proof(passport: &Passport, holder: u8, redeem: u8) -> Option<Proof> {
    Redemption::of(public(ROOT), passport, public(holder)).prove(&key(redeem)).ok()
}

/// A join with a redemption by `redeem` for `holder`, and these proofs of ancestors.
fn join(passport: &Passport, shown: Option<(u8, u8)>, ancestors: Vec<Option<Proof>>) -> Join {
    let redemption = shown.map(|(holder, redeem)| {
        let redemption = Redemption::of(public(ROOT), passport, public(holder));
        Signed::new(&redemption, &key(redeem)).unwrap()
    });
    Join { version: VERSION, passport: vec![], ancestors, redemption, nonce: [0; 16] }
}

/// What is bound for `holder`, as seeds would be too much to read back: how many places.
fn bind(
    seat: &Seat,
    holder: u8,
    passport: &Passport,
    join: &Join,
) -> Result<Vec<[u8; 32]>, NotHeld> {
    let bindings = missing(seat, &visitor(holder), join, passport, public(ROOT))?;
    Ok(bindings.iter().map(Binding::holder).collect())
}

#[test]
fn p08_the_first_redemption_binds_and_a_replay_binds_the_same_key() {
    let own = passport(&[]);
    let shown = |holder| join(&own, Some((holder, REDEEM)), vec![]);
    assert_eq!(bind(&seat(None, &[]), HOLDER, &own, &shown(HOLDER)), Ok(vec![public(HOLDER)]));
    let bound = seat(Some(HOLDER), &[]);
    assert_eq!(bind(&bound, HOLDER, &own, &shown(HOLDER)), Ok(vec![]));
    assert_eq!(bind(&bound, 9, &own, &shown(9)), Err(NotHeld::Another));
    assert_eq!(bind(&bound, 9, &own, &shown(HOLDER)), Err(NotHeld::Forged), "another's word");
    assert_eq!(bind(&bound, HOLDER, &own, &join(&own, None, vec![])), Ok(vec![]));
    assert_eq!(bind(&bound, 9, &own, &join(&own, None, vec![])), Err(NotHeld::Unshown));
    assert_eq!(
        bind(&seat(None, &[]), HOLDER, &own, &join(&own, None, vec![])),
        Err(NotHeld::Unshown)
    );
}

#[test]
fn who_was_handed_the_seat_is_bound_and_so_is_whoever_handed_it_on() {
    let sub = passport(&[(HOLDER, 20)]);
    let ancestors = vec![proof(&sub, HOLDER, REDEEM)];
    let whole = join(&sub, Some((10, 20)), ancestors);
    let both = Ok(vec![public(HOLDER), public(10)]);
    assert_eq!(bind(&seat(None, &[]), 10, &sub, &whole), both);
    assert_eq!(bind(&seat(Some(HOLDER), &[]), 10, &sub, &whole), Ok(vec![public(10)]));
    let unshown = join(&sub, Some((10, 20)), vec![None]);
    assert_eq!(bind(&seat(Some(HOLDER), &[]), 10, &sub, &unshown), Ok(vec![public(10)]));
    assert_eq!(bind(&seat(None, &[]), 10, &sub, &unshown), Err(NotHeld::AncestorUnshown));
    let bound = seat(Some(HOLDER), &[(20, 10, HOLDER)]);
    assert_eq!(bind(&bound, 10, &sub, &whole), Ok(vec![]));
    assert_eq!(bind(&bound, 10, &sub, &join(&sub, None, vec![])), Ok(vec![]));
}

#[test]
fn a_replayed_redemption_binds_no_other_key() {
    let sub = passport(&[(HOLDER, 20)]);
    let bound = seat(Some(HOLDER), &[(20, 10, HOLDER)]);
    let second = join(&sub, Some((11, 20)), vec![None]);
    assert_eq!(bind(&bound, 11, &sub, &second), Err(NotHeld::Another));
    let replayed = join(&sub, Some((10, 20)), vec![None]);
    assert_eq!(bind(&bound, 11, &sub, &replayed), Err(NotHeld::Forged));
    let by_the_parents = join(&sub, Some((11, REDEEM)), vec![None]);
    assert_eq!(bind(&bound, 11, &sub, &by_the_parents), Err(NotHeld::Forged));
}

#[test]
fn no_key_holds_what_another_of_the_seat_holds() {
    let (own, sub) = (passport(&[]), passport(&[(HOLDER, 20)]));
    let fresh = seat(Some(HOLDER), &[]);
    let by_parent = join(&sub, Some((HOLDER, 20)), vec![None]);
    assert_eq!(bind(&fresh, HOLDER, &sub, &by_parent), Err(NotHeld::Twofold), "the parent");
    let bound = seat(Some(HOLDER), &[(20, 10, HOLDER)]);
    assert_eq!(bind(&bound, HOLDER, &sub, &by_parent), Err(NotHeld::Another));
    assert_eq!(bind(&bound, HOLDER, &sub, &join(&sub, None, vec![])), Err(NotHeld::Unshown));
    assert_eq!(bind(&bound, 10, &own, &join(&own, None, vec![])), Err(NotHeld::Unshown));
    let other = passport(&[(HOLDER, 21)]);
    let again = join(&other, Some((10, 21)), vec![None]);
    assert_eq!(bind(&bound, 10, &other, &again), Err(NotHeld::Twofold), "two places");
    let unbound = join(&sub, Some((HOLDER, 20)), vec![proof(&sub, HOLDER, REDEEM)]);
    assert_eq!(bind(&seat(None, &[]), HOLDER, &sub, &unbound), Err(NotHeld::Twofold));
}

#[test]
fn se14_a_seat_secret_stolen_after_binding_neither_redeems_nor_hands_on() {
    let bound = seat(Some(HOLDER), &[]);
    let own = passport(&[]);
    let redeemed = join(&own, Some((9, REDEEM)), vec![]);
    assert_eq!(bind(&bound, 9, &own, &redeemed), Err(NotHeld::Another));
    let thiefs = passport(&[(9, 20)]);
    let proven = join(&thiefs, Some((10, 20)), vec![proof(&thiefs, 9, REDEEM)]);
    assert_eq!(bind(&bound, 10, &thiefs, &proven), Err(NotHeld::Another));
}

#[test]
fn pp13_what_a_stranger_or_the_redeem_key_handed_on_is_nobodys() {
    for signer in [9, REDEEM] {
        let foreign = passport(&[(signer, 20)]);
        let shown = join(&foreign, Some((10, 20)), vec![proof(&foreign, HOLDER, REDEEM)]);
        let bound = seat(Some(HOLDER), &[]);
        assert_eq!(bind(&bound, 10, &foreign, &shown), Err(NotHeld::Stranger), "{signer}");
        let unbound = bind(&seat(None, &[]), 10, &foreign, &shown);
        assert_eq!(unbound, Err(NotHeld::AncestorUnshown), "{signer}");
    }
    let sub = passport(&[(HOLDER, 20)]);
    let too_many = join(&sub, Some((10, 20)), vec![None, None]);
    let bound = seat(Some(HOLDER), &[]);
    assert_eq!(bind(&bound, 10, &sub, &too_many), Err(NotHeld::Stranger));
}

#[test]
fn a_chain_of_three_is_bound_in_order_and_named_for_whom_each_acts() {
    let deep = passport(&[(HOLDER, 20), (10, 21)]);
    let ancestors = vec![proof(&deep, HOLDER, REDEEM), proof(&deep, 10, 20)];
    let whole = join(&deep, Some((11, 21)), ancestors);
    let all = Ok(vec![public(HOLDER), public(10), public(11)]);
    assert_eq!(bind(&seat(None, &[]), 11, &deep, &whole), all);
    let bound = seat(Some(HOLDER), &[(20, 10, HOLDER), (21, 11, 10)]);
    assert_eq!(bound.acting_for(&public(11)), [public(HOLDER), public(10)]);
    let other_parent = passport(&[(HOLDER, 22), (12, 21)]);
    let bound = seat(Some(HOLDER), &[(20, 10, HOLDER), (21, 11, 10), (22, 12, HOLDER)]);
    let shown = join(&other_parent, Some((11, 21)), vec![None, None]);
    assert_eq!(bind(&bound, 11, &other_parent, &shown), Err(NotHeld::OtherParent));
}

#[test]
fn a_narrowing_of_the_holders_own_changes_nothing_about_who_holds() {
    let root = key(ROOT).verifying_key();
    let narrowing =
        |depth| Narrowing { not_after: END, depth, scope: scope(), reason: String::new() };
    let authority = passport(&[]).authority().clone();
    let bytes = mint(&key(ROOT), &authority).unwrap();
    let narrowed = verify(&narrow(&bytes, &root, &narrowing(3)).unwrap(), &root).unwrap();
    let nothing = join(&narrowed, None, vec![]);
    assert_eq!(bind(&seat(Some(HOLDER), &[]), HOLDER, &narrowed, &nothing), Ok(vec![]));
    assert_eq!(bind(&seat(None, &[]), HOLDER, &narrowed, &nothing), Err(NotHeld::Unshown));
    assert_eq!(bind(&seat(Some(HOLDER), &[]), 10, &narrowed, &nothing), Err(NotHeld::Unshown));
}

#[test]
fn a_seat_is_handed_on_to_thirty_two_keys_and_not_to_one_more() {
    let known = |count: u8| {
        let subs: Vec<_> = (0..count).map(|n| (100 + n, 150 + n, HOLDER)).collect();
        seat(Some(HOLDER), &subs)
    };
    let limit = u8::try_from(SUB_HOLDERS_MAX).unwrap();
    let sub = passport(&[(HOLDER, 20)]);
    let shown = join(&sub, Some((10, 20)), vec![None]);
    assert_eq!(bind(&known(limit - 1), 10, &sub, &shown), Ok(vec![public(10)]));
    assert_eq!(bind(&known(limit), 10, &sub, &shown), Err(NotHeld::Full));
    let deep = passport(&[(HOLDER, 20), (10, 21)]);
    let both = join(&deep, Some((11, 21)), vec![None, proof(&deep, 10, 20)]);
    assert_eq!(bind(&known(limit - 1), 11, &deep, &both), Err(NotHeld::Full));
    let last = passport(&[(HOLDER, 131)]);
    assert_eq!(bind(&known(limit), 181, &last, &join(&last, None, vec![])), Ok(vec![]));
}
