//! A relay that goes, and comes back.

use super::*;
use crate::leg::Redial;

#[tokio::test]
async fn re5_legs_notice_a_restart_within_three_seconds_and_meet_again() {
    let world = World::new();
    let (host, mut events) = world.ready_host().await;
    let (guest, mut guest_events) = world.guest(&SEED).await.unwrap();
    opened(&mut events).await;
    echo(&host, &guest, b"before").await;
    let world = start(Limits::default(), world.kill());

    let lost =
        timeout(Duration::from_secs(3), async { tokio::join!(events.next(), guest_events.next()) });
    let (host_lost, guest_lost) = lost.await.unwrap();
    assert_eq!(host_lost, HostEvent::Lost(Lost::Reset));
    assert_eq!(guest_lost, GuestEvent::Lost(Lost::Reset));

    // The guest is first: the relay lets it wait for its host.
    let (guest, host) = tokio::join!(world.guest(&SEED), world.ready_host());
    echo(&host.0, &guest.unwrap().0, b"after").await;
}

#[tokio::test]
async fn a_relay_that_drains_tells_its_legs_waits_for_them_and_ends() {
    let world = World::new();
    let (host, mut events) = world.ready_host().await;
    let (guest, mut guest_events) = world.guest(&SEED).await.unwrap();
    opened(&mut events).await;
    world.shutdown.cancel();
    assert_eq!(events.next().await, HostEvent::Draining);
    assert_eq!(guest_events.next().await, GuestEvent::Draining);
    echo(&host, &guest, b"still moving").await;
    assert!(matches!(world.guest(&SEED).await, Err(DialFault::Draining)));
    assert_eq!(
        host.register(RendezvousKey::of_seed(&OTHER_SEED)).await,
        Err(RegisterFault::Draining)
    );
    drop((host, guest));
    let report = timeout(PATIENCE, world.report()).await.unwrap();
    assert_eq!(report, Report { cut_off: 0 });
}

#[tokio::test]
async fn a_relay_that_drains_cuts_off_who_stays() {
    let world = World::new();
    let (_host, mut events) = world.ready_host().await;
    world.shutdown.cancel();
    assert_eq!(events.next().await, HostEvent::Draining);
    let report = timeout(PATIENCE, world.report()).await.unwrap();
    assert_eq!(report, Report { cut_off: 1 });
    assert_eq!(events.next().await, HostEvent::Lost(Lost::Refused(Refusal::Draining)));
    assert_eq!(events.next().await, HostEvent::Lost(Lost::Refused(Refusal::Draining)));
}

#[tokio::test]
async fn a_relay_that_is_not_there_is_named_within_the_time_given() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let pin = Identity::self_signed(&[51; 32]).unwrap().pin();
    let address = RelayAddress::new("127.0.0.1", port, Some(pin)).unwrap();
    let dialer = Dialer::new(Trust::pins_only(), Duration::from_millis(300));
    let fault = GuestLeg::dial(&dialer, &address, &SEED).await.unwrap_err();
    assert!(matches!(fault, DialFault::Unreachable { .. }));
    assert!(fault.to_string().contains(&port.to_string()), "{fault}");
    assert!(Redial::new().after_fault(&fault, 0) > Duration::ZERO);
}

#[tokio::test]
async fn another_key_than_the_pinned_one_is_not_the_relay() {
    let world = World::new();
    let pin = Identity::self_signed(&[52; 32]).unwrap().pin();
    let address = RelayAddress::new("127.0.0.1", world.local.port(), Some(pin)).unwrap();
    let fault = GuestLeg::dial(&dialer(), &address, &SEED).await.unwrap_err();
    assert!(matches!(fault, DialFault::Pin { .. }), "{fault:?}");
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_named() {
    let address: RelayAddress = "does-not-exist.invalid:4433".parse().unwrap();
    let pinned = Identity::self_signed(&[51; 32]).unwrap().pin();
    let address = RelayAddress::new(address.host(), address.port(), Some(pinned)).unwrap();
    let fault = GuestLeg::dial(&dialer(), &address, &SEED).await.unwrap_err();
    assert!(matches!(&fault, DialFault::Resolve { host, .. } if host == "does-not-exist.invalid"));
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_not_trusted() {
    let world = World::new();
    let address = RelayAddress::new("127.0.0.1", world.local.port(), None).unwrap();
    let native = Dialer::new(Trust::native().unwrap(), Duration::from_secs(5));
    let fault = GuestLeg::dial(&native, &address, &SEED).await.unwrap_err();
    assert!(matches!(fault, DialFault::Certificate { .. }), "{fault:?}");
}
