//! Strangers at the relay (re1 to re3): they take no slot, cost a bounded memory, and disturb nobody.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use relay::leg::{DialFault, Dialer, GuestLeg, HostLeg, LegKey, RelayAddress, Trust};
use relay::protocol::RendezvousKey;
use relay::protocol::token::{DeploymentToken, OperatorKey, Terms, mint};
use tests::world::World;

/// What junk may cost a relay.
const MAX_GROWTH: u64 = 32 * 1024;

fn relay_of(world: &World) -> (RelayAddress, SocketAddr) {
    let text = world.relay_address();
    let socket = text.split('#').next().expect("an address").parse().expect("an address");
    (text.parse().expect("an address"), socket)
}

fn dialer() -> Dialer {
    Dialer::new(Trust::pins_only(), Duration::from_secs(4))
}

/// The operator's key, which its file gives only to the operator and to root.
fn operator_seed(world: &World) -> [u8; 32] {
    let own = world.etc().join("operator.key");
    std::fs::copy(world.home.join("relay/operator.key"), &own).expect("copy it");
    std::os::unix::fs::chown(&own, Some(0), Some(0)).expect("take it");
    *relay::config::key_file::read_seed(&own).unwrap_or_else(|fault| panic!("{fault}"))
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("start a runtime").block_on(test);
}

fn peak_kib(pid: u32) -> u64 {
    let status =
        std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the relay is alive");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Xorshift: the same junk in every run.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 8
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

#[test]
fn re3_random_truncated_and_oversize_datagrams_cost_a_bounded_memory() {
    let world = World::start();
    world.alice().add_contact("vendor-b", &world.vendor());
    let share = world.alice().open(&["test.true"]);
    assert_eq!(world.vendor().call(&share, &["test.true"]).status, 0);
    let (_, socket) = relay_of(&world);
    let pid = world.relay.as_ref().expect("it runs").pid();
    let before = peak_kib(pid);

    let mut dice = Dice(0x5eed);
    for _ in 0..20 {
        let from = UdpSocket::bind("127.0.0.1:0").expect("bind");
        for _ in 0..1000 {
            let length = usize::try_from(dice.next() % 1500).expect("it is small");
            let mut packet = dice.bytes(length);
            match dice.next() % 4 {
                // A first packet of a connection, in QUIC version 1, with nonsense in it.
                0 => packet.splice(0..length.min(6), [0xc3, 0, 0, 0, 1, 8]).for_each(drop),
                // Another version: asks for a negotiation.
                1 => packet
                    .splice(0..length.min(6), [0xff, 0x1a, 0x2a, 0x3a, 0x4a, 20])
                    .for_each(drop),
                // A packet of a connection that is not.
                2 => packet.splice(0..length.min(1), [0x43]).for_each(drop),
                _ => {}
            }
            let _ = from.send_to(&packet, socket);
        }
        for length in [0, 1, 1200, 65_507] {
            let _ = from.send_to(&dice.bytes(length), socket);
        }
    }
    let mut doors = Vec::new();
    for _ in 0..50 {
        // Nobody need listen for TCP; whoever does must bear this.
        if let Ok(mut stream) = TcpStream::connect_timeout(&socket, Duration::from_millis(200)) {
            let _ = stream.write_all(&dice.bytes(4096));
            doors.push(stream);
        }
    }

    assert_eq!(world.vendor().call(&share, &["test.true"]).status, 0, "the real share still works");
    let after = peak_kib(pid);
    assert!(after < before + MAX_GROWTH, "the relay grew from {before} to {after} KiB");
}

#[test]
fn re1_a_guest_without_the_rendezvous_key_takes_no_slot() {
    let world = World::start();
    world.alice().add_contact("vendor-b", &world.vendor());
    let share = world.alice().open(&["test.true"]);
    let (address, _) = relay_of(&world);
    let pid = world.relay.as_ref().expect("it runs").pid();
    let before = peak_kib(pid);
    run(async {
        for round in 0..4u8 {
            let many: Vec<_> = (0..50u8)
                .map(|number| {
                    let (dialer, address) = (dialer(), address.clone());
                    tokio::spawn(async move {
                        let seed = [number ^ round.rotate_left(6) ^ 0x80; 32];
                        GuestLeg::dial(&dialer, &address, &seed).await.map(drop)
                    })
                })
                .collect();
            for one in many {
                let fault = one.await.expect("it ends").expect_err("no seat is theirs");
                let known = matches!(
                    fault,
                    DialFault::NotHere
                        | DialFault::Full
                        | DialFault::Lost(_)
                        | DialFault::Unreachable { .. }
                );
                assert!(known, "{fault:?}");
            }
        }
    });
    assert_eq!(world.vendor().call(&share, &["test.true"]).status, 0);
    let after = peak_kib(pid);
    assert!(after < before + MAX_GROWTH, "the relay grew from {before} to {after} KiB");
}

#[test]
fn re2_a_host_without_a_valid_bound_unexpired_token_registers_nothing() {
    let world = World::start();
    let (address, _) = relay_of(&world);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
    let now = u64::try_from(now).expect("before the year 500,000,000");
    let key = || LegKey::from_seed([3; 32]);
    let terms =
        Terms { leg_key: key().public(), shares: 4, bandwidth: 1 << 20, not_after: now + 60_000 };
    let mint = |seed: [u8; 32], terms: &Terms| {
        mint(&OperatorKey::from_seed(seed.into()), terms).expect("a token")
    };
    let real_seed = operator_seed(&world);
    let good = mint(real_seed, &terms);
    let mut altered = good.as_bytes().to_vec();
    let last = altered.len() - 1;
    altered[last] ^= 1;
    let bad = [
        ("another operator's", mint([9; 32], &terms)),
        ("bound to another leg", mint(real_seed, &Terms { leg_key: [4; 32], ..terms })),
        ("expired", mint(real_seed, &Terms { not_after: now - 1000, ..terms })),
        ("altered", DeploymentToken::from_bytes(altered).expect("it is short")),
        ("junk", DeploymentToken::from_bytes(vec![0x17; 300]).expect("it is short")),
    ];
    run(async {
        for (name, token) in bad {
            let dialled = HostLeg::dial(&dialer(), &address, &key(), &token).await;
            let fault = dialled.map(drop).expect_err(name);
            let known = matches!(
                fault,
                DialFault::TokenInvalid | DialFault::TokenUnbound | DialFault::TokenExpired
            );
            assert!(known, "{name}: {fault:?}");
        }
        let (leg, _events) =
            HostLeg::dial(&dialer(), &address, &key(), &good).await.expect("this token is good");
        leg.register(RendezvousKey::of_seed(&[1; 32])).await.expect("and registers");
        leg.close().await;
    });
}

#[test]
fn re2_a_host_cannot_take_the_rendezvous_of_another() {
    let world = World::start();
    let share = world.alice().try_open(&["test.true"], &["--bearer"]).expect("open");
    let second = share.second.clone().expect("a second value");
    let handle = tests::forge::open(&share.handle, &second);
    let seed = operator_seed(&world);
    let key = LegKey::from_seed([5; 32]);
    let terms =
        Terms { leg_key: key.public(), shares: 4, bandwidth: 1 << 20, not_after: u64::MAX / 2 };
    let token = mint(&OperatorKey::from_seed(seed.into()), &terms).expect("a token");
    let (address, _) = relay_of(&world);
    run(async {
        let (leg, _events) = HostLeg::dial(&dialer(), &address, &key, &token).await.expect("a leg");
        let theirs = RendezvousKey::of_seed(handle.rendezvous.expose());
        assert!(leg.register(theirs).await.is_err(), "it is taken");
        leg.close().await;
    });
    assert_eq!(world.vendor().call(&share, &["test.true"]).status, 0);
}
