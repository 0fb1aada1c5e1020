//! The way to the daemon: a leg to one of the passport's relays, and the next when it is lost.

use std::sync::Arc;
use std::time::Duration;

use relay::leg::{
    DialFault, Dialer, GuestEvent, GuestEvents, GuestLeg, Redial, RelayAddress, Trust,
};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use wire::channel::ClientEndpoint;
use wire::handle::Secret;

use crate::seat::Seat;

/// One relay has this long to bring us together with the daemon.
const DIAL_LIMIT: Duration = Duration::from_secs(6);
/// The next relay is tried beside one that has not answered for so long.
const STAGGER: Duration = Duration::from_millis(400);

/// Why no relay leads to the daemon.
#[derive(Debug, thiserror::Error)]
pub enum RelayFault {
    /// An address in the passport is none.
    #[error("the passport names a relay `{address}` that is no address")]
    Address {
        /// As signed.
        address: String,
    },
    /// The passport names none.
    #[error("the passport names no relay")]
    None,
    /// This machine's certificate authorities cannot be read.
    #[error("cannot read this machine's certificate authorities")]
    Trust(#[source] relay::leg::TrustFault),
    /// None of them led there; each with its reason, in the passport's order.
    #[error("{}", told(.0))]
    Dial(Vec<(RelayAddress, DialFault)>),
}

fn told(faults: &[(RelayAddress, DialFault)]) -> String {
    let one = |(address, fault): &(RelayAddress, DialFault)| {
        format!("relay {}:{}: {}", address.host(), address.port(), crate::failure::chain(fault))
    };
    faults.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// The relays of one passport.
#[derive(Debug)]
pub(crate) struct Relays {
    addresses: Vec<RelayAddress>,
    dialer: Dialer,
    rendezvous: Secret,
    /// Which is tried first.
    first: usize,
}

/// How one relay answered.
pub(crate) struct Tried {
    pub(crate) address: RelayAddress,
    pub(crate) took: Duration,
    pub(crate) dialled: Result<Leg, DialFault>,
}

/// A leg that is up.
pub(crate) struct Leg {
    pub(crate) path: GuestLeg,
    pub(crate) address: RelayAddress,
    events: GuestEvents,
    since: Instant,
}

impl Relays {
    pub(crate) fn of(seat: &Seat) -> Result<Self, RelayFault> {
        let parse = |address: &String| {
            address.parse().map_err(|_| RelayFault::Address { address: address.clone() })
        };
        let addresses: Vec<RelayAddress> =
            seat.authority().relays.iter().map(parse).collect::<Result<_, _>>()?;
        // A hundred certificate authorities cost milliseconds to read: not when every relay is pinned.
        let pinned = addresses.iter().all(|address| address.pin().is_some());
        let trust =
            if pinned { Trust::pins_only() } else { Trust::native().map_err(RelayFault::Trust)? };
        let dialer = Dialer::new(trust, DIAL_LIMIT);
        Ok(Self { addresses, dialer, rendezvous: seat.handle().rendezvous.clone(), first: 0 })
    }

    /// As the passport names them.
    pub(crate) fn addresses(&self) -> &[RelayAddress] {
        &self.addresses
    }

    /// The first leg that comes up, each relay a little after the one before it.
    pub(crate) async fn dial(&mut self) -> Result<Leg, RelayFault> {
        let mut tries = JoinSet::new();
        let mut delay = Duration::ZERO;
        for at in 0..self.addresses.len() {
            let place = (self.first + at) % self.addresses.len();
            let Some(address) = self.addresses.get(place).cloned() else { continue };
            let (dialer, rendezvous) = (self.dialer.clone(), self.rendezvous.clone());
            tries.spawn(async move {
                sleep(delay).await;
                match GuestLeg::dial(&dialer, &address, rendezvous.expose()).await {
                    Ok((path, events)) => (place, Ok((path, events, address))),
                    Err(fault) => (place, Err((address, fault))),
                }
            });
            delay += STAGGER;
        }
        let mut faults = Vec::new();
        while let Some(tried) = tries.join_next().await {
            match tried {
                Ok((place, Ok((path, events, address)))) => {
                    self.first = place;
                    return Ok(Leg { path, address, events, since: Instant::now() });
                }
                Ok((place, Err(fault))) => faults.push((place, fault)),
                Err(_aborted) => {}
            }
        }
        if faults.is_empty() {
            return Err(RelayFault::None);
        }
        faults.sort_by_key(|(place, _)| *place);
        Err(RelayFault::Dial(faults.into_iter().map(|(_, fault)| fault).collect()))
    }

    /// Each relay on its own, all at one time; told in the passport's order.
    pub(crate) async fn try_each(&self) -> Vec<Tried> {
        let mut tries = JoinSet::new();
        for (place, address) in self.addresses.iter().cloned().enumerate() {
            let (dialer, rendezvous) = (self.dialer.clone(), self.rendezvous.clone());
            tries.spawn(async move {
                let since = Instant::now();
                let dialled = GuestLeg::dial(&dialer, &address, rendezvous.expose()).await;
                let leg = |(path, events)| Leg {
                    path,
                    address: address.clone(),
                    events,
                    since: Instant::now(),
                };
                let dialled = dialled.map(leg);
                (place, Tried { address, took: since.elapsed(), dialled })
            });
        }
        let mut answers = tries.join_all().await;
        answers.sort_by_key(|(place, _)| *place);
        answers.into_iter().map(|(_, tried)| tried).collect()
    }

    /// Keeps a leg under the endpoint: a lost or draining one is replaced, and what runs above goes on.
    pub(crate) async fn keep(
        mut self,
        mut leg: Leg,
        endpoint: ClientEndpoint,
        stop: CancellationToken,
    ) {
        let mut redial = Redial::new();
        loop {
            let event = tokio::select! {
                biased;
                () = stop.cancelled() => return leave(leg).await,
                event = leg.events.next() => event,
            };
            tracing::info!(?event, "the leg needs another");
            let pause = match event {
                GuestEvent::Draining => {
                    self.first = (self.first + 1) % self.addresses.len().max(1);
                    Duration::ZERO
                }
                GuestEvent::Lost(_) => redial.after_loss(leg.since.elapsed(), random()),
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return leave(leg).await,
                new = self.redial(&mut redial, pause) => leg = new,
            }
            if let Err(fault) = endpoint.replace_leg(Arc::new(leg.path.clone())) {
                tracing::warn!(%fault, "the new leg is of no use");
            }
        }
    }

    async fn redial(&mut self, redial: &mut Redial, mut pause: Duration) -> Leg {
        loop {
            sleep(pause).await;
            match self.dial().await {
                Ok(leg) => return leg,
                Err(RelayFault::Dial(faults)) => {
                    let pauses =
                        faults.iter().map(|(_, fault)| redial.clone().after_fault(fault, random()));
                    pause = pauses.min().unwrap_or(DIAL_LIMIT);
                    if let Some((_, fault)) = faults.first() {
                        let _counted = redial.after_fault(fault, random());
                    }
                }
                Err(_) => pause = DIAL_LIMIT,
            }
        }
    }
}

/// Says goodbye to the relay, so that the seat's place there is free at once, and waits for nothing.
pub(crate) async fn leave(leg: Leg) {
    let _unanswered = timeout(Duration::ZERO, leg.path.close()).await;
}

/// Spreads a crowd; nothing rests on it.
fn random() -> u32 {
    let mut bytes = [0; 4];
    let _or_zero = getrandom::fill(&mut bytes);
    u32::from_ne_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    fn seat(relays: &[&str]) -> Seat {
        let relays = relays.iter().map(ToString::to_string).collect();
        let authority = policy::Authority { relays, ..sample::authority() };
        Seat::verified(sample::handle(4, &authority), policy::Timestamp(0)).unwrap()
    }

    #[test]
    fn an_address_that_is_none_is_named() {
        let fault = Relays::of(&seat(&["no address"])).unwrap_err();
        assert!(matches!(fault, RelayFault::Address { address } if address == "no address"));
    }

    #[tokio::test]
    async fn every_relay_that_fails_is_told_with_its_reason() {
        let pin = "#SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let [one, two] = ["127.0.0.1:9", "127.0.0.2:9"].map(|address| format!("{address}{pin}"));
        let mut relays = Relays::of(&seat(&[&one, &two])).unwrap();
        relays.dialer = Dialer::new(Trust::pins_only(), Duration::from_millis(50));
        let Err(RelayFault::Dial(faults)) = relays.dial().await else { panic!("it came up") };
        assert_eq!(faults.len(), 2);
        assert_eq!(faults[0].0.to_string(), one);
    }
}
