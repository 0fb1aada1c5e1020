//! One leg on every relay, for as long as the broker lives: dialled again whenever it is lost, and every admitted seat
//! registered on it each time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use policy::ShareId;
use relay::leg::{DialFault, Dialer, HostEvent, HostEvents, HostLeg, LegKey, Redial, RelayAddress};
use relay::protocol::{DeploymentToken, FlowId, RendezvousKey};
use tokio::time::{Instant, sleep};
use wire::channel::{LegNumber, Route};
use wire::privsep::{FromBroker, RelaySetting};

use super::Broker;
use super::lock::lock;
use super::openings::Answer;
use super::shares::Door;

/// All tries of one dial together: a share that is being opened waits four seconds.
pub(super) const DIAL_LIMIT: Duration = Duration::from_millis(3500);

/// How long a share waits for a relay. The monitor gives up after five seconds, and has nothing better to say then.
const OPENING_LIMIT: Duration = Duration::from_secs(4);

/// The relays, and the leg on each that is up.
pub(super) struct Legs(Mutex<Vec<Slot>>);

struct Slot {
    address: String,
    leg: Leg,
}

enum Leg {
    /// Nothing is known yet, or the leg was lost and is being dialled.
    Dialling,
    Up(HostLeg),
    /// The last dial failed.
    Down(String),
}

/// A relay to keep a leg on.
struct Relay {
    number: usize,
    address: RelayAddress,
    token: DeploymentToken,
}

impl Legs {
    /// Legs on `relays`, none of them dialled.
    pub(super) fn new(relays: &[RelaySetting]) -> Self {
        let slot =
            |relay: &RelaySetting| Slot { address: relay.address.clone(), leg: Leg::Dialling };
        Self(Mutex::new(relays.iter().map(slot).collect()))
    }

    /// The key that a flow's guest has proved.
    pub(super) fn rendezvous_of(&self, route: Route) -> Option<RendezvousKey> {
        let flow = FlowId::from_number(route.flow)?;
        self.up(usize::from(route.leg.0))?.rendezvous_of(flow)
    }

    /// Takes the keys back from every relay.
    pub(super) fn unregister(&self, keys: &[RendezvousKey]) {
        for (_, leg) in self.all_up() {
            for key in keys {
                leg.unregister(*key);
            }
        }
    }

    fn up(&self, number: usize) -> Option<HostLeg> {
        match &lock(&self.0).get(number)?.leg {
            Leg::Up(leg) => Some(leg.clone()),
            Leg::Dialling | Leg::Down(_) => None,
        }
    }

    fn all_up(&self) -> Vec<(usize, HostLeg)> {
        let count = lock(&self.0).len();
        (0..count).filter_map(|number| Some((number, self.up(number)?))).collect()
    }

    fn set(&self, number: usize, leg: Leg) -> Option<String> {
        let mut slots = lock(&self.0);
        let slot = slots.get_mut(number)?;
        slot.leg = leg;
        Some(slot.address.clone())
    }

    /// Why relays are down, by their numbers, and how many there are.
    fn known_down(&self) -> (Vec<(usize, String)>, usize) {
        let slots = lock(&self.0);
        let down = slots.iter().enumerate().filter_map(|(number, slot)| match &slot.leg {
            Leg::Down(why) => Some((number, why.clone())),
            Leg::Dialling | Leg::Up(_) => None,
        });
        (down.collect(), slots.len())
    }
}

impl Broker {
    /// Keeps a leg on every relay.
    pub(super) fn keep_legs(&self, relays: &[RelaySetting], dialer: &Dialer, key: LegKey) {
        let key = Arc::new(key);
        for (number, setting) in relays.iter().enumerate() {
            match read(number, setting) {
                Ok(relay) => {
                    let (broker, dialer, key) = (self.clone(), dialer.clone(), Arc::clone(&key));
                    self.tasks.spawn(async move { broker.keep_leg(&relay, &dialer, &key).await });
                }
                Err(why) => self.leg_down(number, &why),
            }
        }
    }

    async fn keep_leg(&self, relay: &Relay, dialer: &Dialer, key: &LegKey) {
        let mut redial = Redial::new();
        loop {
            let wait = match HostLeg::dial(dialer, &relay.address, key, &relay.token).await {
                Ok((leg, events)) => {
                    let since = Instant::now();
                    self.leg_up(relay.number, &leg);
                    match self.follow(relay.number, events).await {
                        Over::Lost => redial.after_loss(since.elapsed(), random()),
                        Over::Draining => Duration::ZERO,
                    }
                }
                Err(fault) => {
                    self.dial_failed(relay.number, &fault);
                    redial.after_fault(&fault, random())
                }
            };
            sleep(wait).await;
        }
    }

    /// Until the leg is over, or is about to be. A draining one goes on serving until the next one replaces it.
    async fn follow(&self, number: usize, mut events: HostEvents) -> Over {
        loop {
            match events.next().await {
                HostEvent::FlowOpened { .. } => {}
                HostEvent::FlowClosed { flow } => self.flow_closed(number, flow),
                HostEvent::Draining => {
                    let broker = self.clone();
                    self.tasks.spawn(async move { broker.serve_out(number, events).await });
                    return Over::Draining;
                }
                HostEvent::Lost(why) => {
                    self.lost(number, &why.to_string());
                    return Over::Lost;
                }
            }
        }
    }

    async fn serve_out(&self, number: usize, mut events: HostEvents) {
        loop {
            match events.next().await {
                HostEvent::FlowOpened { .. } | HostEvent::Draining => {}
                HostEvent::FlowClosed { flow } => self.flow_closed(number, flow),
                HostEvent::Lost(why) => return self.lost(number, &why.to_string()),
            }
        }
    }

    fn leg_up(&self, number: usize, leg: &HostLeg) {
        // Channels first: a packet that comes before its flow is known has nowhere to go.
        let path = Arc::new(leg.clone());
        self.endpoint.attach(leg_number(number), path);
        let address = self.legs.set(number, Leg::Up(leg.clone()));
        let shares = lock(&self.shares).all();
        for share in shares {
            self.register(number, leg.clone(), share);
        }
        if let Some(address) = address {
            tracing::info!(relay = %address, "a leg is up");
            self.monitor.say(&FromBroker::Relay { address, down: None });
        }
    }

    /// The loss of a leg that a newer one has replaced is no news.
    fn lost(&self, number: usize, why: &str) {
        if self.legs.up(number).is_some_and(|current| current.is_lost()) {
            self.report_down(number, Leg::Dialling, why);
        }
    }

    /// While a draining leg still serves, a relay that takes no new one is not down.
    fn dial_failed(&self, number: usize, fault: &DialFault) {
        if self.legs.up(number).is_none() {
            self.leg_down(number, &fault.to_string());
        }
    }

    fn leg_down(&self, number: usize, why: &str) {
        self.report_down(number, Leg::Down(why.to_owned()), why);
        let answers = lock(&self.openings).down(number, why);
        self.answer(answers);
    }

    fn report_down(&self, number: usize, leg: Leg, why: &str) {
        if let Some(address) = self.legs.set(number, leg) {
            tracing::warn!(relay = %address, why, "a leg is down");
            self.monitor.say(&FromBroker::Relay { address, down: Some(why.to_owned()) });
        }
    }

    /// Asks every relay that is up to take the share's seats, and answers within [`OPENING_LIMIT`].
    pub(super) fn open(&self, share: ShareId) {
        let (down, relays) = self.legs.known_down();
        lock(&self.openings).begin(share, relays);
        if relays == 0 {
            return self.give_up(share);
        }
        for (number, why) in down {
            let answer = lock(&self.openings).failed(share, number, &why);
            self.answer(answer);
        }
        for (number, leg) in self.legs.all_up() {
            self.register(number, leg, share);
        }
        let broker = self.clone();
        self.tasks.spawn(async move {
            sleep(OPENING_LIMIT).await;
            broker.give_up(share);
        });
    }

    fn register(&self, number: usize, leg: HostLeg, share: ShareId) {
        let broker = self.clone();
        self.tasks.spawn(async move { broker.register_all(number, &leg, share).await });
    }

    async fn register_all(&self, number: usize, leg: &HostLeg, share: ShareId) {
        let keys = lock(&self.shares).rendezvous(share);
        for key in &keys {
            let registered = leg.register(*key).await;
            if let Err(fault) = registered {
                tracing::warn!(%share, %fault, "a relay does not take a share");
                let answer = lock(&self.openings).failed(share, number, &fault.to_string());
                return self.answer(answer);
            }
        }
        // What was retired meanwhile must not stay behind at the relay.
        let current = lock(&self.shares).rendezvous(share);
        for gone in keys.iter().filter(|key| !current.contains(key)) {
            leg.unregister(*gone);
        }
        let answer = lock(&self.openings).registered(share);
        self.answer(answer);
    }

    fn give_up(&self, share: ShareId) {
        let answer = lock(&self.openings).give_up(share);
        self.answer(answer);
    }

    fn answer(&self, answers: impl IntoIterator<Item = Answer>) {
        for Answer { share, failure } in answers {
            self.monitor.say(&FromBroker::Admitted { share, failure });
        }
    }

    /// Whose seat a route leads to.
    pub(super) fn door(&self, route: Route) -> Option<Door> {
        let key = self.legs.rendezvous_of(route)?;
        lock(&self.shares).door(key)
    }

    fn flow_closed(&self, number: usize, flow: FlowId) {
        self.guest_left(Route { leg: leg_number(number), flow: flow.number() });
    }
}

/// How a leg came to be dialled again.
enum Over {
    Lost,
    Draining,
}

fn read(number: usize, setting: &RelaySetting) -> Result<Relay, String> {
    let address = setting.address.parse::<RelayAddress>().map_err(|fault| fault.to_string())?;
    let token = setting.token.parse::<DeploymentToken>().map_err(|fault| fault.to_string())?;
    Ok(Relay { number, address, token })
}

fn leg_number(number: usize) -> LegNumber {
    LegNumber(u16::try_from(number).unwrap_or(u16::MAX))
}

/// Spreads daemons that lost the same relay at the same time; nothing worse hangs on it.
fn random() -> u32 {
    getrandom::u32().unwrap_or_default()
}
