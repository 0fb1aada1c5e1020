//! The end of a share, as its holders hear of it.

use super::*;
use verb::outcome;
use wire::control::Told;
use wire::frame::{Farewell, Frame, ShareEnd};

fn retire(world: &World, end: &ShareEnd) {
    world.monitor.say(&ToBroker::Retire { share: share(), seat: None, end: end.clone() });
}

#[tokio::test]
async fn p06_a_holder_who_acknowledges_was_told() {
    let mut world = World::open().await;
    let mut guest = world.holder().await;
    let end = ShareEnd::Revoked { reason: Some("done".to_owned()) };
    retire(&world, &end);
    assert_eq!(guest.hear().await, Frame::Ended(end));
    guest.control.as_mut().unwrap().say(&Frame::EndSeen).await;
    assert_eq!(world.monitor.told().await, Told::Acknowledged);
    assert_eq!(guest.farewell().await, Farewell::Ended);
    world.monitor.gone().await;
}

#[tokio::test]
async fn p06_a_holder_who_says_nothing_is_waited_for_a_quarter_of_a_second() {
    let mut world = World::open().await;
    let guest = world.holder().await;
    let since = tokio::time::Instant::now();
    retire(&world, &ShareEnd::Expired);
    assert_eq!(world.monitor.told().await, Told::TimedOut);
    let waited = since.elapsed();
    assert!(waited >= Duration::from_millis(240), "{waited:?}");
    assert_eq!(guest.farewell().await, Farewell::Ended);
}

#[tokio::test]
async fn p06_without_a_channel_nobody_is_told() {
    let mut world = World::open().await;
    retire(&world, &ShareEnd::Expired);
    assert_eq!(world.monitor.told().await, Told::NoChannel);
}

#[tokio::test]
async fn a_share_that_is_not_there_can_be_retired() {
    let mut world = World::open().await;
    let other = ShareId::from_random([9; 8]);
    world.monitor.say(&ToBroker::Retire { share: other, seat: None, end: ShareEnd::Expired });
    let told = world.monitor.hear(|message| match message {
        FromBroker::Told { share, told, .. } if *share == other => Some(*told),
        _ => None,
    });
    assert_eq!(told.await, Told::NoChannel);
}

#[tokio::test]
async fn p06_a_running_call_still_says_how_it_ended() {
    let mut world = World::open().await;
    let mut guest = world.holder().await;
    let mut stream = guest.call().await;
    let (call, verb) = world.monitor.start(1000).await;
    assert_eq!(stream.next().await, Frame::Started);
    retire(&world, &ShareEnd::Expired);
    assert_eq!(guest.hear().await, Frame::Ended(ShareEnd::Expired));
    guest.control.as_mut().unwrap().say(&Frame::EndSeen).await;
    assert_eq!(world.monitor.told().await, Told::Acknowledged);
    world.monitor.exit(call, verb).await;
    world.monitor.end(call);
    assert_eq!(stream.collect().await, (vec![], vec![], outcome()));
    assert_eq!(guest.farewell().await, Farewell::Ended);
}

#[tokio::test]
async fn p12_the_relay_no_longer_knows_a_share_that_is_over() {
    let mut world = World::open().await;
    let mut guest = world.holder().await;
    retire(&world, &ShareEnd::Expired);
    guest.hear().await;
    guest.control.as_mut().unwrap().say(&Frame::EndSeen).await;
    assert_eq!(guest.farewell().await, Farewell::Ended);
    soon("the end of the flow", async {
        while !matches!(guest.events.next().await, ::relay::leg::GuestEvent::Lost(_)) {}
    })
    .await;
    // Opened again, it is another share to the relay, and takes guests.
    world.monitor.say(&ToBroker::Admit(Box::new(admission())));
    assert_eq!(world.monitor.admitted().await, None);
    world.holder().await;
}

#[tokio::test]
async fn p06_a_holder_who_was_seated_a_moment_ago_is_told_too() {
    let mut world = World::open().await;
    let mut guest = world.guest(5).await;
    guest.ask().await;
    let (channel, _) = world.monitor.asked().await;
    world.monitor.seat(channel);
    retire(&world, &ShareEnd::Expired);
    guest.is_joined().await;
    assert_eq!(guest.hear().await, Frame::Ended(ShareEnd::Expired));
    guest.control.as_mut().unwrap().say(&Frame::EndSeen).await;
    assert_eq!(world.monitor.told().await, Told::Acknowledged);
}
