//! Who gets a seat, who does not, and who cannot keep another from it.

use super::*;
use guest::{Stream, join};
use monitor::{joined, update};
use wire::channel::HolderKey;
use wire::frame::{Farewell, Frame, Refusal};

#[tokio::test]
async fn a_guest_whom_the_monitor_seats_is_joined_by_the_key_that_they_proved() {
    let mut world = World::open().await;
    let mut guest = world.guest(5).await;
    guest.ask().await;
    let (channel, holder) = world.monitor.asked().await;
    assert_eq!(holder, HolderKey::from_seed([5; 32]).public());
    world.monitor.seat(channel);
    guest.is_joined().await;
    guest.connection.close(0u32.into(), b"");
    assert_eq!(world.monitor.gone().await, channel);
}

#[tokio::test]
async fn a_guest_whom_the_monitor_refuses_hears_why_and_the_channel_ends() {
    let mut world = World::open().await;
    let mut guest = world.guest(5).await;
    guest.ask().await;
    let (channel, _) = world.monitor.asked().await;
    world.monitor.turn_away(channel);
    assert_eq!(guest.hear().await, Frame::Refused(Refusal::NoSeat));
    assert_eq!(guest.farewell().await, Farewell::NotJoined);
}

#[tokio::test]
async fn p08_se8_junk_before_the_recipient_does_not_lock_them_out() {
    let mut world = World::open().await;
    let mut strangers = Vec::new();
    for key in 0..20 {
        let stranger = world.guest(100 + key).await;
        let mut control = Stream::open(&stranger.connection).await;
        match key % 4 {
            0 => control.send.write_all(&[0xff; 64]).await.unwrap(),
            1 => control.say(&Frame::EndSeen).await,
            2 => control.send.finish().unwrap(),
            _ => {}
        }
        strangers.push((stranger, control));
    }
    let mut guest = world.guest(5).await;
    guest.ask().await;
    let (channel, _) = world.monitor.asked().await;
    world.monitor.seat(channel);
    guest.is_joined().await;
    let mut counted = 0;
    while counted < 15 {
        counted += world.monitor.strangers().await;
    }
    assert!(world.monitor.has_not_heard(|message| matches!(message, FromBroker::Join { .. })));
}

#[tokio::test]
async fn a_stranger_who_says_what_is_no_join_is_told_so_and_one_who_is_silent_too_long_as_well() {
    let mut world = World::open().await;
    let (junk, wrong, silent) = tokio::join!(world.guest(1), world.guest(2), world.guest(3));
    let mut control = Stream::open(&junk.connection).await;
    control.send.write_all(&[0xff; 64]).await.unwrap();
    assert_eq!(junk.farewell().await, Farewell::Protocol);
    let mut control = Stream::open(&wrong.connection).await;
    control.say(&Frame::Call(monitor::a_signed())).await;
    assert_eq!(wrong.farewell().await, Farewell::Protocol);
    assert_eq!(silent.farewell().await, Farewell::TooSlow);
    let mut counted = 0;
    while counted < 3 {
        counted += world.monitor.strangers().await;
    }
    assert_eq!(counted, 3);
}

#[tokio::test]
async fn before_a_seat_is_given_there_is_one_stream_and_then_as_many_as_calls_may_run() {
    let settings = Settings { calls_in_flight: 3, ..Settings::default() };
    let mut world = World::open_with(settings).await;
    let mut guest = world.guest(5).await;
    guest.ask().await;
    let (channel, _) = world.monitor.asked().await;
    let early = tokio::time::timeout(Duration::from_millis(50), guest.connection.open_bi());
    assert!(early.await.is_err());
    world.monitor.seat(channel);
    guest.is_joined().await;
    let mut calls = Vec::new();
    for _ in 0..3 {
        calls.push(guest.call().await);
        world.monitor.called().await;
    }
    let fourth = tokio::time::timeout(Duration::from_millis(50), guest.connection.open_bi());
    assert!(fourth.await.is_err());
}

#[tokio::test]
async fn a_holder_who_comes_back_replaces_their_oldest_channel() {
    let mut world = World::open().await;
    let first = world.holder().await;
    let mut second = world.holder().await;
    let mut third = world.holder().await;
    assert_eq!(first.farewell().await, Farewell::Replaced);
    world.monitor.gone().await;
    for guest in [&mut second, &mut third] {
        let _call = guest.call().await;
        world.monitor.called().await;
    }
}

#[tokio::test]
async fn a_guest_who_left_before_the_answer_is_not_kept_in_the_monitor_s_books() {
    let mut world = World::open().await;
    let mut guest = world.guest(5).await;
    guest.ask().await;
    let (channel, _) = world.monitor.asked().await;
    guest.connection.close(0u32.into(), b"");
    guest.endpoint.close().await;
    world.monitor.seat(channel);
    assert_eq!(world.monitor.gone().await, channel);
}

#[tokio::test]
async fn whoever_comes_back_often_replaces_their_own_channels_and_nobody_elses() {
    let settings = Settings { channels_per_seat: 3, ..Settings::default() };
    let mut world = World::open_with(settings).await;
    let parent = world.holder_with(1).await;
    let first = world.holder_with(2).await;
    let _second = world.holder_with(2).await;
    let third = world.holder_with(2).await;
    assert_eq!(first.farewell().await, Farewell::Replaced);
    world.monitor.gone().await;
    let _other = world.holder_with(3).await;
    let _call = parent.call().await;
    world.monitor.called().await;
    drop(third);
}

#[tokio::test]
async fn a_change_reaches_the_channel_that_it_is_for_at_once_and_no_other() {
    let mut world = World::open().await;
    let (first_channel, mut first) = world.seated_with(1).await;
    let (second_channel, mut second) = world.seated_with(2).await;
    let change = |channel, deadline| {
        world.monitor.say(&ToBroker::Update { channel, update: Box::new(update(deadline)) });
    };
    change(first_channel, 77);
    change(second_channel, 78);
    assert_eq!(first.hear().await, Frame::Update(Box::new(update(77))));
    assert_eq!(second.hear().await, Frame::Update(Box::new(update(78))));
}

#[tokio::test]
async fn a_holder_who_speaks_out_of_turn_loses_the_channel() {
    let mut world = World::open().await;
    for frame in [join(), Frame::EndSeen, Frame::Joined(Box::new(joined()))] {
        let mut guest = world.holder().await;
        guest.control.as_mut().unwrap().say(&frame).await;
        assert_eq!(guest.farewell().await, Farewell::Protocol, "{frame:?}");
    }
}

#[tokio::test]
async fn p08_who_is_at_the_door_of_a_share_that_ends_is_sent_away() {
    let mut world = World::open().await;
    let guest = world.guest(5).await;
    let end = wire::frame::ShareEnd::Expired;
    world.monitor.say(&ToBroker::Retire { share: share(), seat: None, end });
    assert_eq!(world.monitor.told().await, wire::control::Told::NoChannel);
    soon("the end of the channel", guest.connection.closed()).await;
    assert!(world.monitor.has_not_heard(|message| matches!(message, FromBroker::Join { .. })));
}
