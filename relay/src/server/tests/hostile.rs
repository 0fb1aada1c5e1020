//! Those who are not supposed to get anywhere.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint};

use super::*;
use crate::protocol::control::{self, LegMessage};
use crate::protocol::hello::{EXPORTER_LABEL, Exporter, GuestHello, HostHello};
use crate::protocol::limits::MAX_HELLO;

/// A connection to the relay that has said nothing yet.
async fn stranger(world: &World) -> (Endpoint, Connection) {
    let tls = Trust::pins_only().client(world.address.pin()).unwrap();
    let tls = QuicClientConfig::try_from(tls).unwrap();
    let mut endpoint = Endpoint::client(loopback()).unwrap();
    let mut config = ClientConfig::new(Arc::new(tls));
    let idle = quinn::IdleTimeout::from(quinn::VarInt::from_u32(10_000));
    config.transport_config(Arc::new(crate::quic::transport(1 << 20, 1 << 20, idle)));
    endpoint.set_default_client_config(config);
    let connection = endpoint.connect(world.local, "relay").unwrap().await.unwrap();
    (endpoint, connection)
}

fn exporter(connection: &Connection) -> Exporter {
    let mut material = [0; 32];
    connection.export_keying_material(&mut material, EXPORTER_LABEL, &[]).unwrap();
    Exporter(material)
}

/// Says `bytes` on the control stream; why the relay closes.
async fn said(connection: &Connection, bytes: &[u8]) -> Refusal {
    let (mut writer, _reader) = connection.open_bi().await.unwrap();
    let _ = writer.write_all(bytes).await;
    closed(connection).await
}

async fn closed(connection: &Connection) -> Refusal {
    let error = timeout(PATIENCE, connection.closed()).await.unwrap();
    let ConnectionError::ApplicationClosed(close) = error else { panic!("{error:?}") };
    Refusal::from_code(close.error_code.into_inner()).unwrap()
}

#[tokio::test]
async fn re1_a_guest_without_the_rendezvous_secret_takes_no_slot() {
    let limits = Limits { waiting: 1, legs_per_address: 2, ..Limits::default() };
    let world = start(limits, loopback());
    let (_host, mut events) = world.ready_host().await;
    for _ in 0..4 {
        let (_endpoint, connection) = stranger(&world).await;
        let own = GuestHello::sign(&OTHER_SEED, exporter(&connection));
        let stolen = GuestHello { rendezvous: RendezvousKey::of_seed(&SEED), ..own };
        let hello = control::write(&LegMessage::Guest(stolen)).unwrap();
        assert_eq!(said(&connection, &hello).await, Refusal::Proof);
    }
    // The host has heard of nobody, and the real guest still finds the one place that is left.
    let _guest = world.guest(&SEED).await.unwrap();
    opened(&mut events).await;
}

#[tokio::test]
async fn re1_a_proof_made_for_another_connection_is_none() {
    let world = World::new();
    let (_one, recorded) = stranger(&world).await;
    let (_two, replayed) = stranger(&world).await;
    let hello = LegMessage::Guest(GuestHello::sign(&SEED, exporter(&recorded)));
    assert_eq!(said(&replayed, &control::write(&hello).unwrap()).await, Refusal::Proof);
}

#[tokio::test]
async fn re2_a_host_without_a_valid_bound_unexpired_token_registers_nothing() {
    let world = World::new();
    let stranger = OperatorKey::from_seed(Zeroizing::new([42; 32]));
    let foreign = token::mint(&stranger, &terms()).unwrap();
    let junk = DeploymentToken::from_bytes(b"junk".to_vec()).unwrap();
    let expired = minted(&Terms { not_after: 1, ..terms() });
    let unbound = minted(&Terms { leg_key: [1; 32], ..terms() });
    assert!(matches!(world.host_with(&foreign).await, Err(DialFault::TokenInvalid)));
    assert!(matches!(world.host_with(&junk).await, Err(DialFault::TokenInvalid)));
    assert!(matches!(world.host_with(&expired).await, Err(DialFault::TokenExpired)));
    assert!(matches!(world.host_with(&unbound).await, Err(DialFault::TokenUnbound)));
    assert!(matches!(world.hasty_guest(&SEED).await, DialFault::NotHere));
    assert!(world.host_with(&minted(&terms())).await.is_ok());
}

#[tokio::test]
async fn re2_a_host_that_does_not_hold_the_leg_key_is_refused_before_its_token_is_read() {
    let world = World::new();
    let (_endpoint, connection) = stranger(&world).await;
    let other = ed25519_dalek::SigningKey::from_bytes(&[1; 32]);
    let token = minted(&terms()).as_bytes().to_vec();
    let hello = HostHello::sign(&other, token, exporter(&connection));
    let hello = HostHello { leg_key: LegKey::from_seed(LEG).public(), ..hello };
    let hello = control::write(&LegMessage::Host(hello)).unwrap();
    assert_eq!(said(&connection, &hello).await, Refusal::Proof);
}

#[tokio::test]
async fn re3_an_order_without_a_hello_closes_the_connection() {
    let world = World::new();
    let (_endpoint, connection) = stranger(&world).await;
    let order = LegMessage::Register(RendezvousKey::of_seed(&SEED));
    assert_eq!(said(&connection, &control::write(&order).unwrap()).await, Refusal::Protocol);
}

#[tokio::test]
async fn re3_a_guest_that_gives_orders_is_closed() {
    let world = World::new();
    let (_host, _events) = world.ready_host().await;
    let (_endpoint, connection) = stranger(&world).await;
    let hello = LegMessage::Guest(GuestHello::sign(&SEED, exporter(&connection)));
    let order = LegMessage::Register(RendezvousKey::of_seed(&OTHER_SEED));
    let both = [control::write(&hello).unwrap(), control::write(&order).unwrap()].concat();
    assert_eq!(said(&connection, &both).await, Refusal::Protocol);
    assert!(matches!(world.hasty_guest(&OTHER_SEED).await, DialFault::NotHere));
}

#[tokio::test]
async fn re3_an_oversize_hello_is_refused_by_its_length() {
    let world = World::new();
    let (_endpoint, connection) = stranger(&world).await;
    let over = u16::try_from(MAX_HELLO + 1).unwrap().to_be_bytes();
    assert_eq!(said(&connection, &over).await, Refusal::Protocol);
}

#[tokio::test]
async fn re3_a_truncated_hello_is_not_waited_for() {
    let world = start(
        Limits { hello_timeout: Duration::from_millis(200), ..Limits::default() },
        loopback(),
    );
    let (_endpoint, connection) = stranger(&world).await;
    assert_eq!(said(&connection, &[0, 100, 1]).await, Refusal::TooSlow);
    let (_endpoint, silent) = stranger(&world).await;
    assert_eq!(closed(&silent).await, Refusal::TooSlow);
}

#[tokio::test]
async fn re3_a_second_stream_and_datagrams_without_a_flow_harm_nobody() {
    let world = World::new();
    let (host, mut events) = world.ready_host().await;
    let (guest, _guest_events) = world.guest(&SEED).await.unwrap();
    opened(&mut events).await;
    let (_endpoint, connection) = stranger(&world).await;
    let hello = control::write(&LegMessage::Guest(GuestHello::sign(&SEED, exporter(&connection))));
    let (mut writer, _reader) = connection.open_bi().await.unwrap();
    writer.write_all(&hello.unwrap()).await.unwrap();
    let second = timeout(Duration::from_millis(200), connection.open_bi()).await;
    assert!(second.is_err(), "one stream is all that a leg may open");
    for datagram in [&b""[..], b"\0", b"\0\0\0\0", b"\x01\x02\x03\x04packet", &[255; 1000]] {
        connection.send_datagram(bytes::Bytes::copy_from_slice(datagram)).unwrap();
    }
    echo(&host, &guest, b"unharmed").await;
}

#[tokio::test]
async fn a_foreign_protocol_is_refused_in_the_handshake() {
    let world = World::new();
    let mut tls = Trust::pins_only().client(world.address.pin()).unwrap();
    tls.alpn_protocols = vec![b"h3".to_vec()];
    let config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
    let endpoint = Endpoint::client(loopback()).unwrap();
    let connecting = endpoint.connect_with(config, world.local, "relay").unwrap();
    assert!(matches!(connecting.await, Err(ConnectionError::ConnectionClosed(_))));
}

#[tokio::test]
async fn re3_junk_is_answered_with_silence() {
    let world = World::new();
    let socket = UdpSocket::bind(loopback()).await.unwrap();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let packets = proptest::collection::vec(any::<u8>(), 0..1472);
    for _ in 0..400 {
        let packet = packets.new_tree(&mut runner).unwrap().current();
        socket.send_to(&packet, world.local).await.unwrap();
    }
    // A large packet of another QUIC version, which QUIC itself would answer.
    let mut grease = vec![0; 1300];
    grease[..6].copy_from_slice(&[0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8]);
    socket.send_to(&grease, world.local).await.unwrap();
    // A leg dialled after it all shows that the relay has read it all.
    let _host = world.ready_host().await;
    let mut buffer = [0; 2048];
    let answered = timeout(Duration::from_millis(100), socket.recv_from(&mut buffer)).await;
    assert!(answered.is_err(), "{answered:?}");
}
