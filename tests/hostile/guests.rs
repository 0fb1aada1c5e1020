//! Guests who know more than a stranger and less than the recipient.

use ed25519_dalek::{SigningKey, VerifyingKey};
use policy::{Capability, Constraint, Narrowing, Scope, Value};
use tests::forge::{self, Guest};
use tests::owner::Share;
use tests::wait::until;
use tests::world::World;
use wire::channel::HolderKey;
use wire::frame::{Frame, Join, Refusal};
use wire::handle::{Handle, Secret};

fn bearer(world: &World) -> (Share, Handle) {
    let share = world.alice().try_open(&["test.append"], &["--bearer"]).expect("open");
    let second = share.second.clone().expect("a bearer's second value");
    let handle = forge::open(&share.handle, &second);
    (share, handle)
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("start a runtime").block_on(test);
}

fn holder(seed: u8) -> HolderKey {
    HolderKey::from_seed([seed; 32])
}

#[test]
fn se8_junk_before_the_recipient_does_not_lock_them_out() {
    let world = World::start();
    let (share, handle) = bearer(&world);
    run(async {
        // Somebody who has the rendezvous secret, and not the redeem secret.
        for number in 0..20u8 {
            let guest = Guest::arrive(&handle, &holder(number)).await;
            let junk: Vec<u8> = (0..=255u8).map(|byte| byte.wrapping_mul(number | 1)).collect();
            assert!(!matches!(guest.say(&junk).await, Some(Frame::Joined(_))));
            guest.leave().await;
        }
        let oversize = [0x01, 0xff, 0xff, 0xff, 0xff];
        let call_first = Frame::EndSeen.encode().expect("a frame");
        let nothing: &[u8] = &[];
        for bytes in [&oversize[..], &call_first, nothing] {
            let guest = Guest::arrive(&handle, &holder(99)).await;
            let answer = match bytes {
                [] => None,
                bytes => guest.say(bytes).await,
            };
            assert!(!matches!(answer, Some(Frame::Joined(_))), "{answer:?}");
            for number in 0..200u8 {
                let packet = vec![number; 1200];
                let _ = guest.leg().try_send(&packet);
            }
            // Left open, silent: a seat has more than one door.
            std::mem::forget(guest);
        }
    });
    let said = world.vendor().call(&share, &["test.append", "name=real"]);
    assert_eq!(said.status, 0, "{said:?}");
    assert_eq!(world.ran(), ["real"]);
}

#[test]
fn se9_a_wrong_seat_secret_decides_nothing_and_is_on_record() {
    let world = World::start();
    let (share, handle) = bearer(&world);
    run(async {
        let own = holder(1);
        let guest = Guest::arrive(&handle, &own).await;
        let wrong = forge::redemption(&handle, &own, &[9; 32]);
        let answer = guest.join(forge::join(&handle, Some(wrong))).await;
        assert_eq!(answer, Some(Frame::Refused(Refusal::NoSeat)));
        guest.leave().await;
        // A redemption for another's key.
        let guest = Guest::arrive(&handle, &own).await;
        let others = forge::redemption(&handle, &holder(2), forge::redeem_seed(&handle));
        let answer = guest.join(forge::join(&handle, Some(others))).await;
        assert_eq!(answer, Some(Frame::Refused(Refusal::NoSeat)));
        guest.leave().await;
        // None at all, and a passport that the daemon has not signed.
        let guest = Guest::arrive(&handle, &own).await;
        let answer = guest.join(forge::join(&handle, None)).await;
        assert_eq!(answer, Some(Frame::Refused(Refusal::NoSeat)));
        guest.leave().await;
        let guest = Guest::arrive(&handle, &own).await;
        let mut passport = handle.passport.clone();
        if let Some(byte) = passport.last_mut() {
            *byte ^= 1;
        }
        let redemption = forge::redemption(&handle, &own, forge::redeem_seed(&handle));
        let join = Join { passport, ..forge::join(&handle, Some(redemption)) };
        assert_eq!(guest.join(join).await, Some(Frame::Refused(Refusal::NoSeat)));
        guest.leave().await;
    });
    assert!(world.events("seat_redeemed").is_empty());
    assert!(world.events("call_started").is_empty());
    // A few a minute are told one by one, the rest as a number.
    let refused = world.events("redeem_refused");
    assert!((2..=3).contains(&refused.len()), "{refused:?}");
    let why = |refused: &serde_json::Value| refused["reason"].to_string().contains("redeem key");
    assert!(refused.iter().all(why), "{refused:?}");
    let said = world.vendor().call(&share, &["test.append", "name=real"]);
    assert_eq!(said.status, 0, "{said:?}");
}

#[test]
fn se14_a_seat_secret_stolen_after_binding_gets_nothing() {
    let world = World::start();
    let (share, handle) = bearer(&world);
    assert_eq!(world.vendor().call(&share, &["test.append", "name=first"]).status, 0);
    run(async {
        let thief = holder(3);
        let guest = Guest::arrive(&handle, &thief).await;
        let genuine = forge::redemption(&handle, &thief, forge::redeem_seed(&handle));
        let answer = guest.join(forge::join(&handle, Some(genuine))).await;
        assert_eq!(answer, Some(Frame::Refused(Refusal::NoSeat)));
        guest.leave().await;
    });
    assert_eq!(world.events("redeem_refused").len(), 1);
    assert_eq!(world.alice().show(&share)["share"]["second_redeemers"], 1);
    assert_eq!(world.vendor().call(&share, &["test.append", "name=second"]).status, 0);
    assert_eq!(world.ran(), ["first", "second"]);
}

#[test]
fn p08_a_handle_changed_by_whoever_opened_it_is_worth_no_more() {
    let world = World::start();
    let (_, handle) = bearer(&world);
    let stranger = SigningKey::from_bytes(&[5; 32]);
    let swapped = Handle { redeem: Some(Secret::new(stranger.to_bytes())), ..handle.clone() };
    assert!(swapped.verify().is_err(), "the passport names the redeem key");
    let other = Handle { daemon_key: stranger.verifying_key().to_bytes(), ..handle };
    assert!(other.verify().is_err(), "the passport names the daemon by its signature");
}

#[test]
fn se18_a_call_under_a_narrowed_passport_with_the_same_key_stays_narrow() {
    let world = World::start();
    let (_, handle) = bearer(&world);
    let verb = "test.append".parse().expect("a verb");
    let only = Constraint::exact(Value::text("only").expect("a value"));
    let pinned = Capability::new(verb, [("name".parse().expect("a name"), only)]);
    let narrowing = Narrowing {
        not_after: handle.verify().expect("a whole handle").not_after(),
        depth: 0,
        scope: Scope::new([pinned]),
        reason: String::new(),
    };
    let root = VerifyingKey::from_bytes(&handle.daemon_key).expect("a key");
    let narrow = policy::passport::narrow(&handle.passport, &root, &narrowing).expect("narrower");
    run(async {
        let own = holder(1);
        let guest = Guest::arrive(&handle, &own).await;
        let redemption = forge::redemption(&handle, &own, forge::redeem_seed(&handle));
        let join = forge::join(&handle, Some(redemption));
        let (answer, _seat) = guest.sit(Join { passport: narrow.clone(), ..join }).await;
        assert!(matches!(answer, Some(Frame::Joined(_))), "{answer:?}");
        let call = async |id, passport: &[u8], name| {
            let signed = forge::append(&handle, &own, passport, id, name);
            guest.say(&Frame::Call(signed).encode().expect("a frame")).await
        };
        let outside = call(1, &narrow, "more").await;
        assert!(matches!(outside, Some(Frame::Refused(Refusal::Denied(_)))), "{outside:?}");
        // The wider one was never shown.
        let wider = call(2, &handle.passport, "more").await;
        assert_eq!(wider, Some(Frame::Refused(Refusal::BadCall)));
        assert_eq!(call(3, &narrow, "only").await, Some(Frame::Started));
        guest.leave().await;
    });
    until("the one call ends", || world.events("call_ended").first().cloned());
    assert_eq!(world.events("call_refused").len(), 2);
    assert!(world.ran().iter().all(|name| name == "only"), "{:?}", world.ran());
}

#[test]
fn an_asking_that_was_answered_is_put_to_nobody_again() {
    let world = World::start();
    let (share, handle) = bearer(&world);
    run(async {
        let own = holder(7);
        let guest = Guest::arrive(&handle, &own).await;
        let redemption = forge::redemption(&handle, &own, forge::redeem_seed(&handle));
        let (answer, _seat) = guest.sit(forge::join(&handle, Some(redemption))).await;
        assert!(matches!(answer, Some(Frame::Joined(_))), "{answer:?}");
        let asking = Frame::Ask(forge::ask(&handle, &own, 5, "test.write")).encode();
        let asking = asking.expect("a frame");
        let Some(Frame::Pending(request)) = guest.say(&asking).await else { panic!("it waits") };
        let denied = world.alice().run(&["deny", &request.to_string()]);
        assert_eq!(denied.status, 0, "{denied:?}");
        for _ in 0..2 {
            // As a broker could that keeps what passes through it.
            let again = guest.say(&asking).await;
            assert!(matches!(again, Some(Frame::Refused(Refusal::Denied(_)))), "{again:?}");
        }
        guest.leave().await;
    });
    let waiting = world.alice().json(&["requests"]).expect("a list");
    assert_eq!(waiting["requests"].as_array().map(Vec::len), Some(0), "{waiting}");
    assert!(world.alice().show(&share)["share"]["id"].is_string(), "the share lives on");
}

#[test]
fn ru6_a_value_that_is_no_text_is_not_a_value() {
    let world = World::start();
    let (_share, handle) = bearer(&world);
    run(async {
        let own = holder(7);
        let guest = Guest::arrive(&handle, &own).await;
        let redemption = forge::redemption(&handle, &own, forge::redeem_seed(&handle));
        let (answer, _seat) = guest.sit(forge::join(&handle, Some(redemption))).await;
        assert!(matches!(answer, Some(Frame::Joined(_))), "{answer:?}");
        // A lone byte, one overlong, a surrogate, half a character, and what ends a string elsewhere.
        for (id, odd) in [b"\xffxxx", b"\xc0\xafxx", b"\xed\xa0\x80x", b"xx\xe2\x82", b"xx\x00x"]
            .into_iter()
            .enumerate()
        {
            let id = u8::try_from(id).expect("a few");
            let signed = forge::append(&handle, &own, &handle.passport, id, "qqqq");
            let signed = forge::altered(&signed, &own, b"qqqq", odd);
            let said = guest.say(&Frame::Call(signed).encode().expect("a frame")).await;
            assert!(matches!(said, Some(Frame::Refused(_))), "{odd:?}: {said:?}");
        }
        let signed = forge::append(&handle, &own, &handle.passport, 99, "real");
        let said = guest.say(&Frame::Call(signed).encode().expect("a frame")).await;
        assert_eq!(said, Some(Frame::Started), "the seat stands");
        until("it has run", || (!world.ran().is_empty()).then_some(()));
        guest.leave().await;
    });
    assert_eq!(world.ran(), ["real"]);
    assert_eq!(world.events("call_started").len(), 1);
}

#[test]
fn input_for_a_verb_that_takes_none_ends_the_channel_and_nothing_else() {
    let world = World::start();
    let (share, handle) = bearer(&world);
    run(async {
        let own = holder(7);
        let guest = Guest::arrive(&handle, &own).await;
        let redemption = forge::redemption(&handle, &own, forge::redeem_seed(&handle));
        let (answer, _seat) = guest.sit(forge::join(&handle, Some(redemption))).await;
        assert!(matches!(answer, Some(Frame::Joined(_))), "{answer:?}");
        let signed = forge::append(&handle, &own, &handle.passport, 1, "unasked");
        let frames = [Frame::Call(signed), Frame::Stdin(b"x".as_slice().into()), Frame::StdinEnd];
        let bytes: Vec<u8> =
            frames.iter().flat_map(|frame| frame.encode().expect("a frame")).collect();
        guest.say(&bytes).await;
        let closed = tokio::time::timeout(tests::wait::PATIENCE, guest.connection.closed()).await;
        let wanted = u64::from(wire::frame::Farewell::Protocol.code());
        match closed.expect("the daemon closes it") {
            wire::channel::ConnectionError::ApplicationClosed(close) => {
                assert_eq!(close.error_code.into_inner(), wanted);
            }
            other => panic!("{other}"),
        }
    });
    assert!(world.alice().show(&share)["share"]["id"].is_string(), "the share lives on");
}
