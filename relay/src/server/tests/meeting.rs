//! Two legs meet.

use super::*;

#[tokio::test]
async fn a_host_and_a_guest_meet_and_exchange_packets() {
    let world = World::new();
    let (host, mut events) = world.ready_host().await;
    let (guest, _guest_events) = world.guest(&SEED).await.unwrap();
    let flow = opened(&mut events).await;
    assert_eq!(host.rendezvous_of(flow), Some(RendezvousKey::of_seed(&SEED)));
    assert_eq!(echo(&host, &guest, b"hello").await, flow);
    assert!(host.max_packet() >= SAFE_PACKET && guest.max_packet() >= SAFE_PACKET);
    echo(&host, &guest, &[7; SAFE_PACKET]).await;
}

#[tokio::test]
async fn a_guest_that_leaves_is_told_to_the_host() {
    let world = World::new();
    let (host, mut events) = world.ready_host().await;
    let (guest, _guest_events) = world.guest(&SEED).await.unwrap();
    let flow = opened(&mut events).await;
    guest.close().await;
    let closed = timeout(PATIENCE, events.next()).await.unwrap();
    assert_eq!(closed, HostEvent::FlowClosed { flow });
    assert_eq!(host.rendezvous_of(flow), None);
}

#[tokio::test]
async fn a_guest_waits_for_a_host_that_comes_later() {
    let world = World::new();
    let (guest, host) = tokio::join!(world.guest(&SEED), async {
        // By the time that another guest has waited in vain, the first one waits, too.
        assert!(matches!(world.hasty_guest(&OTHER_SEED).await, DialFault::NotHere));
        world.ready_host().await
    });
    let (guest, _guest_events) = guest.unwrap();
    echo(&host.0, &guest, b"late").await;
}

#[tokio::test]
async fn a_guest_of_nobody_learns_that_nobody_is_there() {
    let world = World::new();
    let (_host, _events) = world.ready_host().await;
    assert!(matches!(world.hasty_guest(&OTHER_SEED).await, DialFault::NotHere));
    let limits = Limits { wait: Duration::from_millis(100), ..Limits::default() };
    let world = start(limits, loopback());
    assert!(matches!(world.guest(&SEED).await, Err(DialFault::NotHere)));
}

#[tokio::test]
async fn a_key_taken_back_sends_its_guest_away() {
    let world = World::new();
    let (host, mut events) = world.ready_host().await;
    let (_guest, mut guest_events) = world.guest(&SEED).await.unwrap();
    let flow = opened(&mut events).await;
    host.unregister(RendezvousKey::of_seed(&SEED));
    assert_eq!(events.next().await, HostEvent::FlowClosed { flow });
    assert_eq!(guest_events.next().await, GuestEvent::Lost(Lost::Refused(Refusal::NotHere)));
    assert!(matches!(world.hasty_guest(&SEED).await, DialFault::NotHere));
}

#[tokio::test]
async fn a_host_ends_one_flow() {
    let world = World::new();
    let (host, mut events) = world.ready_host().await;
    let (_guest, mut guest_events) = world.guest(&SEED).await.unwrap();
    host.close_flow(opened(&mut events).await);
    assert_eq!(guest_events.next().await, GuestEvent::Lost(Lost::Refused(Refusal::Ended)));
}

#[tokio::test]
async fn a_host_that_dials_again_takes_over_with_its_guests() {
    let world = World::new();
    let (old, mut old_events) = world.ready_host().await;
    let (guest, _guest_events) = world.guest(&SEED).await.unwrap();
    let flow = opened(&mut old_events).await;
    let (new, mut new_events) = world.ready_host().await;
    assert_eq!(opened(&mut new_events).await, flow);
    assert_eq!(echo(&new, &guest, b"again").await, flow);
    drop(old);
    assert_eq!(echo(&new, &guest, b"and again").await, flow);
}

#[tokio::test]
async fn a_guest_stays_while_its_host_is_away() {
    let world = World::new();
    let (old, _old_events) = world.ready_host().await;
    let (guest, _guest_events) = world.guest(&SEED).await.unwrap();
    old.close().await;
    let (new, _new_events) = world.ready_host().await;
    echo(&new, &guest, b"back").await;
}

#[tokio::test]
async fn another_leg_key_cannot_take_a_key_over() {
    let world = World::new();
    let (_host, _events) = world.ready_host().await;
    let mallory = LegKey::from_seed([66; 32]);
    let token = minted(&Terms { leg_key: mallory.public(), ..terms() });
    let (thief, _) = HostLeg::dial(&dialer(), &world.address, &mallory, &token).await.unwrap();
    let refused = thief.register(RendezvousKey::of_seed(&SEED)).await;
    assert_eq!(refused, Err(RegisterFault::Taken));
}

#[tokio::test]
async fn re7_a_token_registers_its_number_of_shares_and_not_one_more() {
    let world = World::new();
    let (host, _events) = world.host_with(&minted(&Terms { shares: 1, ..terms() })).await.unwrap();
    host.register(RendezvousKey::of_seed(&SEED)).await.unwrap();
    host.register(RendezvousKey::of_seed(&SEED)).await.unwrap();
    let over = host.register(RendezvousKey::of_seed(&OTHER_SEED)).await;
    assert_eq!(over, Err(RegisterFault::Shares));
    host.unregister(RendezvousKey::of_seed(&SEED));
    host.register(RendezvousKey::of_seed(&OTHER_SEED)).await.unwrap();
}

#[tokio::test]
async fn re7_a_flow_moves_no_more_than_its_bandwidth() {
    let limits = Limits { seat_bandwidth: 64 << 10, ..Limits::default() };
    let world = start(limits, loopback());
    let (host, mut events) = world.ready_host().await;
    let (guest, _guest_events) = world.guest(&SEED).await.unwrap();
    opened(&mut events).await;
    for _ in 0..100 {
        guest.try_send(&[0; SAFE_PACKET]).unwrap();
    }
    let mut passed = 0;
    while let Ok(Some(_)) = timeout(Duration::from_millis(100), host.packet()).await {
        passed += SAFE_PACKET;
    }
    assert!((12_000..60_000).contains(&passed), "{passed}");
}

#[tokio::test]
async fn re7_legs_of_one_address_are_bounded() {
    let world = start(Limits { legs_per_address: 2, ..Limits::default() }, loopback());
    let (_host, _events) = world.ready_host().await;
    let guest = world.guest(&SEED).await.unwrap();
    assert!(matches!(world.guest(&SEED).await, Err(DialFault::Full)));
    drop(guest);
    let again = async { while world.guest(&SEED).await.is_err() {} };
    timeout(PATIENCE, again).await.unwrap();
}

#[tokio::test]
async fn a_full_leg_says_so_and_a_sender_is_woken_when_there_is_room() {
    let world = World::new();
    let (host, mut events) = world.ready_host().await;
    let (guest, _guest_events) = world.guest(&SEED).await.unwrap();
    opened(&mut events).await;
    let mut room = guest.room();
    let mut sent = 0;
    // Nothing else runs on this thread until something is awaited, so the queue must fill.
    while guest.try_send(&[0; SAFE_PACKET]).is_ok() {
        sent += 1;
    }
    assert!(sent > 500, "{sent}");
    let waits = std::future::poll_fn(|cx| room.poll(cx));
    timeout(PATIENCE, waits).await.unwrap();
    guest.try_send(b"room").unwrap();
    assert!(timeout(PATIENCE, host.packet()).await.unwrap().is_some());
}

#[tokio::test]
async fn a_packet_too_large_is_refused_and_nothing_else_happens() {
    let world = World::new();
    let (host, _events) = world.ready_host().await;
    let (guest, _guest_events) = world.guest(&SEED).await.unwrap();
    let large = vec![0; crate::protocol::MAX_PACKET + 1];
    assert_eq!(guest.try_send(&large), Err(crate::leg::SendFault::TooLarge));
    echo(&host, &guest, b"fits").await;
}
