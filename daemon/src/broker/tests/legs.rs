//! Relays that are there, that are not, and that come and go.

use super::*;
use guest::dial;
use verb::outcome;
use wire::frame::Frame;

#[tokio::test]
async fn a_leg_that_comes_up_is_reported() {
    let mut world = World::start(Settings::default());
    assert_eq!(world.monitor.relay().await, None);
}

#[tokio::test]
async fn se13_a_share_whose_relay_is_away_fails_within_seconds_and_says_why() {
    let relay = Relay::start();
    let mut setting = relay.setting();
    // Nobody is at the discard port.
    setting.address = setting.address.replace(&relay.address.port().to_string(), "9");
    let mut world = World::start_at(Settings::default(), relay, vec![setting]);
    let since = tokio::time::Instant::now();
    world.monitor.say(&ToBroker::Admit(Box::new(admission())));
    let why = world.monitor.admitted().await.unwrap();
    assert!(why.contains("no relay answers"), "{why}");
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    assert!(world.monitor.relay().await.is_some());
}

#[tokio::test]
async fn a_share_is_open_when_one_of_its_relays_has_it() {
    let relay = Relay::start();
    let (good, mut away) = (relay.setting(), relay.setting());
    away.address = away.address.replace(&relay.address.port().to_string(), "9");
    let mut world = World::start_at(Settings::default(), relay, vec![away, good]);
    world.monitor.say(&ToBroker::Admit(Box::new(admission())));
    assert_eq!(world.monitor.admitted().await, None);
    world.holder().await;
}

#[tokio::test]
async fn without_a_relay_or_with_one_that_cannot_be_read_a_share_fails_at_once() {
    let relay = Relay::start();
    let mut world = World::start_at(Settings::default(), relay, vec![]);
    world.monitor.say(&ToBroker::Admit(Box::new(admission())));
    assert_eq!(world.monitor.admitted().await.unwrap(), "no relay is configured");
    let relay = Relay::start();
    let unreadable = RelaySetting { address: "relay".to_owned(), token: String::new() };
    let mut world = World::start_at(Settings::default(), relay, vec![unreadable]);
    world.monitor.say(&ToBroker::Admit(Box::new(admission())));
    assert!(world.monitor.admitted().await.unwrap().contains("has no port"));
}

#[tokio::test]
async fn re5_a_relay_that_restarts_in_mid_call_does_not_end_the_call() {
    let mut world = World::open().await;
    let guest = world.holder().await;
    let mut stream = guest.call().await;
    let (call, mut verb) = world.monitor.start(1 << 20).await;
    verb.write(b"before ").await;
    assert_eq!(stream.next().await, Frame::Started);
    assert_eq!(stream.next().await, Frame::Stdout(b"before ".as_slice().into()));
    assert_eq!(world.monitor.relay().await, None);
    world.relay.restart();
    assert!(world.monitor.relay().await.is_some());
    assert_eq!(world.monitor.relay().await, None);
    let (leg, _events) = soon("a new leg", dial(&world.relay)).await;
    guest.endpoint.replace_leg(leg).unwrap();
    verb.write(b"and after").await;
    assert_eq!(world.monitor.exit(call, verb).await, (16, 0));
    world.monitor.end(call);
    assert_eq!(stream.collect().await, (b"and after".to_vec(), vec![], outcome()));
}

#[tokio::test]
async fn re6_a_draining_relay_serves_on_while_the_broker_looks_for_the_next() {
    let mut world = World::open().await;
    let guest = world.holder().await;
    let mut stream = guest.call().await;
    let (call, mut verb) = world.monitor.start(1 << 20).await;
    assert_eq!(stream.next().await, Frame::Started);
    world.relay.drain();
    verb.write(b"still here").await;
    assert_eq!(stream.next().await, Frame::Stdout(b"still here".as_slice().into()));
    world.monitor.exit(call, verb).await;
    world.monitor.end(call);
    assert_eq!(stream.collect().await.2, outcome());
}

#[tokio::test]
async fn a_guest_whose_leg_is_gone_for_the_grace_has_lost_the_channel_and_its_calls() {
    let settings = Settings { grace: Duration::from_millis(500), ..Settings::default() };
    let mut world = World::open_with(settings).await;
    let guest = world.holder().await;
    let _stream = guest.call().await;
    let (call, _verb) = world.monitor.start(1 << 20).await;
    let since = tokio::time::Instant::now();
    // Nothing is left that could say goodbye for the channel: the relay says that the leg is gone.
    guest.leg.as_ref().clone().close().await;
    assert_eq!(world.monitor.cancelled().await, call);
    assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
}
