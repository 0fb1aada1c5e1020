//! A party's connection to a relay.
//!
//! A daemon dials a [`HostLeg`] and registers the rendezvous keys of its seats; a client dials a [`GuestLeg`] with the
//! secret of its seat. Both then send and receive whole packets, without waiting in the sending, so that they can lie
//! under an asynchronous UDP socket. Everything else that happens to a leg arrives as its events.

mod address;
mod dial;
mod fault;
mod guest;
mod host;
mod key;
mod link;
mod redial;
mod trust;

pub use address::{AddressFault, Pin, RelayAddress};
pub use dial::Dialer;
pub use fault::{DialFault, Lost, RegisterFault, SendFault};
pub use guest::{GuestEvent, GuestEvents, GuestLeg};
pub use host::{HostEvent, HostEvents, HostLeg};
pub use key::LegKey;
pub use link::Room;
pub use redial::Redial;
pub use trust::{Trust, TrustFault};
