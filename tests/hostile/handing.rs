//! Holders who hand on what is not theirs, or use what they handed on.

use tests::forge::{self, Guest};
use tests::owner::Share;
use tests::wait::until;
use tests::world::World;
use wire::channel::HolderKey;
use wire::frame::{Frame, Join, Refusal};
use wire::handle::Handle;

const PARENT: u8 = 1;
const SUB: u8 = 2;
const STRANGER: u8 = 3;

fn holder(seed: u8) -> HolderKey {
    HolderKey::from_seed([seed; 32])
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("start a runtime").block_on(test);
}

fn shared(world: &World) -> (Share, Handle) {
    let more = ["--bearer", "--redelegate", "2"];
    let share = world.alice().try_open(&["test.append"], &more).expect("open");
    let second = share.second.clone().expect("a bearer's second value");
    let handle = forge::open(&share.handle, &second);
    (share, handle)
}

/// What `key` shows who redeems the handle.
fn redeeming(handle: &Handle, key: u8) -> Join {
    let redemption = forge::redemption(handle, &holder(key), forge::redeem_seed(handle));
    forge::join(handle, Some(redemption))
}

/// The answer to `key`, who says this at the door.
async fn answer(handle: &Handle, key: u8, join: Join) -> Option<Frame> {
    let guest = Guest::arrive(handle, &holder(key)).await;
    let answer = guest.join(join).await;
    guest.leave().await;
    answer
}

/// A channel on which `key` holds the handle.
async fn seated(handle: &Handle, key: u8) -> (Guest, impl Sized + use<>) {
    let guest = Guest::arrive(handle, &holder(key)).await;
    let (answer, seat) = guest.sit(redeeming(handle, key)).await;
    assert!(matches!(answer, Some(Frame::Joined(_))), "{answer:?}");
    (guest, seat)
}

async fn call(guest: &Guest, handle: &Handle, key: u8, under: &Handle, id: u8) -> Option<Frame> {
    let signed = forge::append(handle, &holder(key), &under.passport, id, &format!("k{key}"));
    guest.say(&Frame::Call(signed).encode().expect("a frame")).await
}

fn no_seat() -> Option<Frame> {
    Some(Frame::Refused(Refusal::NoSeat))
}

#[test]
fn p01_neither_parent_nor_sub_holder_uses_the_others_passport() {
    let world = World::start();
    let (share, whole) = shared(&world);
    let sub = forge::handed_on(&whole, &holder(PARENT), 20);
    run(async {
        let (parent, _seat) = seated(&whole, PARENT).await;
        let (agent, _other) = seated(&sub, SUB).await;
        let bad = Some(Frame::Refused(Refusal::BadCall));
        assert_eq!(call(&agent, &sub, SUB, &whole, 1).await, bad, "the parent's passport");
        assert_eq!(call(&parent, &whole, PARENT, &sub, 2).await, bad, "the sub-holder's");
        assert_eq!(call(&agent, &sub, PARENT, &whole, 3).await, bad, "the parent's call, astray");
        assert_eq!(call(&parent, &whole, SUB, &sub, 4).await, bad, "the sub-holder's call, astray");
        // At the door it is the same.
        assert_eq!(answer(&whole, SUB, forge::join(&whole, None)).await, no_seat());
        assert_eq!(answer(&sub, PARENT, forge::join(&sub, None)).await, no_seat());
        assert_eq!(answer(&sub, PARENT, redeeming(&sub, PARENT)).await, no_seat());
        // One id, two keys: two calls.
        assert_eq!(call(&parent, &whole, PARENT, &whole, 9).await, Some(Frame::Started));
        assert_eq!(call(&agent, &sub, SUB, &sub, 9).await, Some(Frame::Started));
        until("both calls end", || (world.events("call_ended").len() == 2).then_some(()));
        agent.leave().await;
        parent.leave().await;
    });
    let started = world.events("call_started");
    let [one, other] = started.as_slice() else { panic!("{started:?}") };
    assert_eq!(one["call"], other["call"]);
    assert_ne!(one["holder"], other["holder"]);
    assert_eq!(world.events("call_refused").len(), 2, "those whose signature was good");
    assert_eq!(world.alice().show(&share)["share"]["second_redeemers"], 1);
}

#[test]
fn pp13_what_a_stranger_handed_on_is_nobodys() {
    let world = World::start();
    let (_, whole) = shared(&world);
    let sub = forge::handed_on(&whole, &holder(PARENT), 20);
    run(async {
        let (parent, _seat) = seated(&whole, PARENT).await;
        // Signed by a stranger, and by the seat's own redeem key.
        for signer in [holder(STRANGER), HolderKey::from_seed(*forge::redeem_seed(&whole))] {
            let foreign = forge::handed_on(&whole, &signer, 21);
            let unproven = Handle { ancestors: vec![None], ..foreign.clone() };
            for handle in [foreign, unproven] {
                assert_eq!(answer(&handle, SUB, redeeming(&handle, SUB)).await, no_seat());
            }
        }
        // One who does not hold what was handed on hands it on further.
        let skipped = forge::handed_on(&sub, &holder(STRANGER), 22);
        let skipped = Handle { ancestors: vec![None, None], ..skipped };
        assert_eq!(answer(&skipped, SUB, redeeming(&skipped, SUB)).await, no_seat());
        parent.leave().await;
    });
    assert!(world.events("seat_handed_on").is_empty(), "{:?}", world.events("seat_handed_on"));
    assert!(world.events("call_started").is_empty());
}

#[test]
fn p08_a_replayed_redemption_binds_no_other_key_than_the_first() {
    let world = World::start();
    let (share, whole) = shared(&world);
    let sub = forge::handed_on(&whole, &holder(PARENT), 20);
    run(async {
        let (agent, _seat) = seated(&sub, SUB).await;
        assert_eq!(answer(&sub, STRANGER, redeeming(&sub, SUB)).await, no_seat(), "replayed");
        assert_eq!(answer(&sub, STRANGER, redeeming(&sub, STRANGER)).await, no_seat(), "anew");
        let again = answer(&sub, SUB, redeeming(&sub, SUB)).await;
        assert!(matches!(again, Some(Frame::Joined(_))), "{again:?}");
        let unspoken = answer(&sub, SUB, forge::join(&sub, None)).await;
        assert!(matches!(unspoken, Some(Frame::Joined(_))), "{unspoken:?}");
        agent.leave().await;
    });
    assert_eq!(world.events("seat_redeemed").len(), 1, "by what the sub-holder showed");
    assert_eq!(world.events("seat_handed_on").len(), 1);
    assert_eq!(world.alice().show(&share)["share"]["second_redeemers"], 1);
}

#[test]
fn se14_a_seat_secret_stolen_after_binding_does_not_hand_on() {
    let world = World::start();
    let (share, whole) = shared(&world);
    run(async {
        let (parent, _seat) = seated(&whole, PARENT).await;
        // The thief has every secret of the handle, and proves by them that the seat is theirs.
        let stolen = forge::handed_on(&whole, &holder(STRANGER), 20);
        assert!(stolen.verify().is_ok());
        assert_eq!(answer(&stolen, SUB, redeeming(&stolen, SUB)).await, no_seat());
        parent.leave().await;
    });
    assert!(world.events("seat_handed_on").is_empty());
    assert_eq!(world.alice().show(&share)["share"]["second_redeemers"], 1);
}
