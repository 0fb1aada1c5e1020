//! The real broker, on a thread of its own, between a real relay, real guests and a monitor that the test plays.

#![expect(clippy::wildcard_enum_match_arm, reason = "a test waits for one kind of message")]

mod calling;
mod ending;
mod giving;
mod guest;
mod joining;
mod legs;
mod monitor;
mod redacting;
mod relay;
mod sandbox;
mod terminal;
mod verb;

use std::os::fd::OwnedFd;
use std::process::Child;
use std::thread::JoinHandle;
use std::time::Duration;

use ::relay::protocol::RendezvousKey;
use policy::{SeatId, ShareId};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use wire::channel::ChannelKey;
use wire::privsep::{
    Admission, ChannelId, Configuration, FromBroker, RelaySetting, SeatAdmission, ToBroker,
};

use super::sandbox::Confinement;
use super::{Failure, serve};
use guest::Guest;
use monitor::Monitor;
use relay::Relay;

/// Longer than anything here takes; shorter than anyone would wait.
const PATIENCE: Duration = Duration::from_secs(20);

const LEG_KEY: [u8; 32] = [31; 32];
const CHANNEL_KEY: [u8; 32] = [32; 32];
const RENDEZVOUS: [u8; 32] = [33; 32];
const SEAT: SeatId = SeatId(0);

fn share() -> ShareId {
    ShareId::from_random([1; 8])
}

/// One broker with its relays.
struct World {
    monitor: Monitor,
    relay: Relay,
    broker: Option<Running>,
}

/// The broker: on a thread of this process, or as it is in life.
enum Running {
    Thread(JoinHandle<Result<(), Failure>>),
    Process(Child),
}

/// What a test sets otherwise.
#[derive(Clone, Copy)]
struct Settings {
    calls_in_flight: u32,
    grace: Duration,
    channels_per_seat: u32,
}

impl Settings {
    fn configuration(self, relays: Vec<RelaySetting>) -> Configuration {
        Configuration {
            relays,
            leg_key: LEG_KEY,
            reset_key: [34; 32],
            calls_in_flight: self.calls_in_flight,
            grace_ms: u64::try_from(self.grace.as_millis()).unwrap(),
            channels_per_seat: self.channels_per_seat,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self { calls_in_flight: 32, grace: Duration::from_secs(10), channels_per_seat: 2 }
    }
}

impl World {
    /// A broker whose leg is up and whose share can be reached.
    async fn open() -> Self {
        Self::open_with(Settings::default()).await
    }

    async fn open_with(settings: Settings) -> Self {
        let mut world = Self::start(settings);
        world.monitor.say(&ToBroker::Admit(Box::new(admission())));
        assert_eq!(world.monitor.admitted().await, None);
        world
    }

    fn start(settings: Settings) -> Self {
        let relay = Relay::start();
        let setting = relay.setting();
        Self::start_at(settings, relay, vec![setting])
    }

    fn start_at(settings: Settings, relay: Relay, relays: Vec<RelaySetting>) -> Self {
        let (ours, theirs) = sockets();
        let configuration = settings.configuration(relays);
        let broker = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let trust = ::relay::leg::Trust::pins_only();
            let confinement = Confinement { landlock: false, seccomp: false };
            let served = runtime.block_on(serve(theirs, configuration, trust, confinement));
            runtime.shutdown_background();
            served
        });
        Self { monitor: Monitor::new(ours), relay, broker: Some(Running::Thread(broker)) }
    }

    /// The whole broker, in a process of its own, confined.
    fn start_confined() -> Self {
        let relay = Relay::start();
        let (ours, theirs) = sockets();
        let broker = Some(Running::Process(sandbox::start("broker", theirs)));
        let world = Self { monitor: Monitor::new(ours), relay, broker };
        let configuration = Settings::default().configuration(vec![world.relay.setting()]);
        world.monitor.say(&ToBroker::Configure(Box::new(configuration)));
        world
    }

    /// A guest with a channel who has not said anything.
    async fn guest(&self, holder: u8) -> Guest {
        Guest::arrive(&self.relay, holder).await
    }

    /// A guest who holds the seat.
    async fn holder(&mut self) -> Guest {
        self.holder_with(1).await
    }

    async fn holder_with(&mut self, key: u8) -> Guest {
        self.seated_with(key).await.1
    }

    async fn seated_with(&mut self, key: u8) -> (ChannelId, Guest) {
        let mut guest = self.guest(key).await;
        guest.ask().await;
        let (channel, _) = self.monitor.asked().await;
        self.monitor.seat(channel);
        guest.is_joined().await;
        (channel, guest)
    }

    /// Takes the monitor away, and waits for the broker to end.
    fn end(mut self) -> Result<(), Failure> {
        let broker = self.broker.take().unwrap();
        drop(self);
        match broker {
            Running::Thread(broker) => broker.join().unwrap(),
            Running::Process(mut broker) => {
                assert!(broker.wait().unwrap().success());
                Ok(())
            }
        }
    }
}

fn sockets() -> (OwnedFd, OwnedFd) {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap()
}

fn admission() -> Admission {
    let rendezvous = RendezvousKey::of_seed(&RENDEZVOUS).0;
    let seats = vec![SeatAdmission { seat: SEAT, rendezvous }];
    Admission { share: share(), channel_key: CHANNEL_KEY, seats }
}

fn channel_public() -> [u8; 32] {
    ChannelKey::from_seed(CHANNEL_KEY).public()
}

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(PATIENCE, future).await;
    done.unwrap_or_else(|_| panic!("{what} did not happen"))
}

#[tokio::test]
async fn a_broker_says_that_it_is_ready_first_and_ends_with_the_monitor() {
    let mut world = World::start(Settings::default());
    let ready = FromBroker::Ready { landlock: false, seccomp: false };
    assert_eq!(world.monitor.next().await, ready);
    world.end().unwrap();
}
