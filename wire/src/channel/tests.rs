//! Two ends over a path in memory that delays and, where a test says so, mangles. Time is virtual.

mod link;

use std::sync::Arc;
use std::time::Duration;

use policy::ShareId;
use quinn::{Connection, ConnectionError};
use sha2::{Digest, Sha256};
use tokio::time::{Instant, timeout};

use super::*;
use link::{End, Weather, link};

const LEG: LegNumber = LegNumber(3);
const SECRET: [u8; 32] = [7; 32];

fn channel_key() -> ChannelKey {
    ChannelKey::derive(&SECRET, ShareId::from_random([1; 8]))
}

fn holder() -> HolderKey {
    HolderKey::from_seed([9; 32])
}

struct Ends {
    server: ServerEndpoint,
    client: ClientEndpoint,
    near: Arc<End>,
    far: Arc<End>,
}

fn ends(weather: Weather) -> Ends {
    let (near, far) = link(weather);
    let server = ServerEndpoint::new(&ResetKey::derive(&SECRET), Limits::daemon(32)).unwrap();
    server.attach(LEG, Arc::clone(&far) as Arc<dyn PacketPath>);
    let client = ClientEndpoint::new(Arc::clone(&near) as Arc<dyn PacketPath>, Limits::client());
    Ends { server, client: client.unwrap(), near, far }
}

impl Ends {
    async fn connected(&self) -> (Connection, Connection) {
        let (holder, key) = (holder(), channel_key());
        let public = key.public();
        let admitted = async { self.server.accept().await.unwrap().admit(&key).await };
        let (client, server) = tokio::join!(self.client.connect(&holder, &public), admitted);
        (client.unwrap(), server.unwrap())
    }
}

/// Bytes that repeat nowhere within a transfer, so that a swap or a loss changes them.
fn bytes(length: usize) -> Vec<u8> {
    let block = |number: usize| Sha256::digest(number.to_le_bytes());
    (0..length.div_ceil(32)).flat_map(block).take(length).collect()
}

/// The client asks, the server answers with `down`; both sides' bytes must arrive exactly.
async fn exchange(client: &Connection, server: &Connection, up: usize, down: usize) {
    let (asked, answer) = (bytes(up), bytes(down));
    let server_side = async {
        let (mut send, mut receive) = server.accept_bi().await.unwrap();
        let got = receive.read_to_end(up).await.unwrap();
        send.write_all(&answer).await.unwrap();
        send.finish().unwrap();
        got
    };
    let client_side = async {
        let (mut send, mut receive) = client.open_bi().await.unwrap();
        send.write_all(&asked).await.unwrap();
        send.finish().unwrap();
        receive.read_to_end(down).await.unwrap()
    };
    let (at_server, at_client) = tokio::join!(server_side, client_side);
    assert!(at_server == asked, "the server got other bytes than were sent");
    assert!(at_client == answer, "the client got other bytes than were sent");
}

#[tokio::test(start_paused = true)]
async fn a_channel_carries_bytes_both_ways_and_the_daemon_knows_the_holder_and_the_route() {
    let ends = ends(Weather::FAIR);
    let (client, server) = ends.connected().await;
    exchange(&client, &server, 100_000, 3_000_000).await;
    assert_eq!(peer_holder_key(&server), Some(holder().public()));
    assert_eq!(peer_holder_key(&client), Some(channel_key().public()));
    assert_eq!(route_of(&server), Some(Route { leg: LEG, flow: link::FLOW }));
}

#[tokio::test(start_paused = true)]
async fn a_daemon_with_another_key_than_the_passport_names_is_refused() {
    let ends = ends(Weather::FAIR);
    let impostor = ChannelKey::derive(&SECRET, ShareId::from_random([2; 8]));
    let admitted = async { ends.server.accept().await.unwrap().admit(&impostor).await };
    let (holder, public) = (holder(), channel_key().public());
    let (client, server) = tokio::join!(ends.client.connect(&holder, &public), admitted);
    assert!(matches!(client, Err(ChannelFault::WrongChannelKey)), "{client:?}");
    assert!(server.is_err(), "the daemon must not take a client that refused it");
}

#[tokio::test(start_paused = true)]
async fn an_arrival_that_is_dropped_hears_nothing_and_times_out() {
    let ends = ends(Weather::FAIR);
    let ignoring = async {
        while let Some(arrival) = ends.server.accept().await {
            drop(arrival);
        }
    };
    let started = Instant::now();
    let (holder, public) = (holder(), channel_key().public());
    let outcome = tokio::select! {
        outcome = ends.client.connect(&holder, &public) => outcome,
        () = ignoring => panic!("the endpoint closed"),
    };
    assert!(matches!(outcome, Err(ChannelFault::TimedOut)), "{outcome:?}");
    assert!(started.elapsed() <= HANDSHAKE_LIMIT + Duration::from_millis(10));
    assert_eq!(ends.far.sent(), 0, "silence means no packet");
}

#[tokio::test(start_paused = true)]
async fn re9_loss_duplicates_corruption_and_reordering_deliver_exactly_the_bytes() {
    for seed in 1..=4 {
        let ends = ends(Weather { seed, ..Weather::STORM });
        let (client, server) = ends.connected().await;
        exchange(&client, &server, 300_000, 1_000_000).await;
        assert!(ends.far.mangled() > 20, "the weather must have been bad, seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn re5_a_channel_moves_to_another_leg_in_mid_stream() {
    let ends = ends(Weather::FAIR);
    let (client, server) = ends.connected().await;
    let moving = async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        ends.near.cut();
        let (near, far) = link(Weather::FAIR);
        ends.server.attach(LegNumber(4), far);
        tokio::time::sleep(Duration::from_secs(2)).await;
        ends.client.replace_leg(near).unwrap();
    };
    let started = Instant::now();
    tokio::join!(exchange(&client, &server, 100, 8_000_000), moving);
    assert!(started.elapsed() < Duration::from_secs(8), "took {:?}", started.elapsed());
    assert!(started.elapsed() > Duration::from_secs(2), "the cut must have been felt");
    assert_eq!(route_of(&server), Some(Route { leg: LegNumber(4), flow: link::FLOW }));
}

#[tokio::test(start_paused = true)]
async fn re5_a_daemon_that_dials_the_same_relay_again_goes_on_without_the_client() {
    let ends = ends(Weather::FAIR);
    let (client, server) = ends.connected().await;
    let redialling = async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        let fresh = ends.far.reconnect();
        tokio::time::sleep(Duration::from_secs(1)).await;
        ends.server.attach(LEG, fresh);
    };
    let started = Instant::now();
    tokio::join!(exchange(&client, &server, 100, 8_000_000), redialling);
    assert!(started.elapsed() < Duration::from_secs(6), "took {:?}", started.elapsed());
    assert!(started.elapsed() > Duration::from_secs(1), "the cut must have been felt");
}

#[tokio::test(start_paused = true)]
async fn a_full_path_makes_its_sender_wait_and_loses_nothing() {
    let ends = ends(Weather { queue: 4, ..Weather::FAIR });
    let (client, server) = ends.connected().await;
    exchange(&client, &server, 50_000, 500_000).await;
    assert!(ends.far.refused() > 0, "the path must have been full");
    assert_eq!(server.stats().path.lost_packets, 0);
}

#[tokio::test(start_paused = true)]
async fn an_idle_channel_is_kept_alive_and_a_cut_one_ends_in_thirty_seconds() {
    let ends = ends(Weather::FAIR);
    let (client, server) = ends.connected().await;
    tokio::time::sleep(Duration::from_mins(10)).await;
    assert!(client.close_reason().is_none() && server.close_reason().is_none());
    ends.near.cut();
    let gone = timeout(Duration::from_secs(41), server.closed()).await;
    assert_eq!(gone.unwrap(), ConnectionError::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn a_client_has_as_many_streams_as_the_daemon_permits_and_no_other_kind() {
    let ends = ends(Weather::FAIR);
    let (client, server) = ends.connected().await;
    let mut open = Vec::new();
    for _ in 0..33 {
        open.push(client.open_bi().await.unwrap());
    }
    let second = Duration::from_secs(1);
    assert!(timeout(second, client.open_bi()).await.is_err(), "32 calls and control, no more");
    assert!(timeout(second, client.open_uni()).await.is_err());
    assert!(timeout(second, server.open_bi()).await.is_err(), "a daemon opens no stream");
    assert!(client.send_datagram(bytes::Bytes::from_static(b"x")).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_stalled_stream_stops_neither_the_others_nor_fills_memory() {
    let ends = ends(Weather::FAIR);
    let (client, server) = ends.connected().await;
    let (mut ask, _unread) = client.open_bi().await.unwrap();
    ask.write_all(b"x").await.unwrap();
    let (mut flood, _ask) = server.accept_bi().await.unwrap();
    let mut taken = 0;
    while let Ok(written) = timeout(Duration::from_secs(1), flood.write(&[0; 4096])).await {
        taken += written.unwrap();
    }
    assert_eq!(taken, usize::try_from(Limits::client().stream_window).unwrap());
    exchange(&client, &server, 100, 1_000_000).await;
}

#[tokio::test(start_paused = true)]
async fn clients_of_a_broker_that_was_restarted_hear_of_it_at_their_next_packet() {
    for (secret, at_once) in [(SECRET, true), ([8; 32], false)] {
        let ends = ends(Weather::FAIR);
        let (client, _server) = ends.connected().await;
        ends.server.detach(LEG);
        let restarted =
            ServerEndpoint::new(&ResetKey::derive(&secret), Limits::daemon(32)).unwrap();
        restarted.attach(LEG, ends.far.reconnect());
        let (mut send, _receive) = client.open_bi().await.unwrap();
        send.write_all(&[0; 1000]).await.unwrap();
        let ended = timeout(Duration::from_secs(1), client.closed()).await;
        assert_eq!(ended.ok() == Some(ConnectionError::Reset), at_once);
    }
}

#[tokio::test(start_paused = true)]
async fn re3_junk_of_every_length_makes_no_arrival_and_harms_no_channel() {
    let ends = ends(Weather::FAIR);
    let (client, server) = ends.connected().await;
    let noise = bytes(4_000);
    for length in (0..1_500).chain([1_473, 2_000, 4_000]) {
        ends.near.inject(&noise[..length]);
        tokio::task::yield_now().await;
    }
    exchange(&client, &server, 100, 10_000).await;
    let nobody = timeout(Duration::from_secs(1), ends.server.accept()).await;
    assert!(nobody.is_err(), "junk is no client");
}

#[tokio::test(start_paused = true)]
async fn a_closed_endpoint_tells_its_peer_and_accepts_no_more() {
    let ends = ends(Weather::FAIR);
    let (client, _server) = ends.connected().await;
    ends.server.close().await;
    let reason = timeout(Duration::from_millis(200), client.closed()).await.unwrap();
    assert!(matches!(reason, ConnectionError::ApplicationClosed(_)), "{reason}");
    assert!(ends.server.accept().await.is_none());
}

#[test]
fn a_channel_key_depends_on_the_secret_and_on_the_share_and_is_the_same_every_time() {
    let key = |secret, share| ChannelKey::derive(&[secret; 32], ShareId::from_random([share; 8]));
    assert_eq!(key(1, 1).seed(), key(1, 1).seed());
    assert_ne!(key(1, 1).seed(), key(1, 2).seed());
    assert_ne!(key(1, 1).seed(), key(2, 1).seed());
    assert_ne!(key(1, 1).seed(), ResetKey::derive(&[1; 32]).seed());
    assert_eq!(format!("{:?}", key(1, 1)), "ChannelKey(…)");
}
