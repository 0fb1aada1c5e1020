//! The relay.
//!
//! Legs come in over one UDP socket, prove themselves (`admission`, `attend`), and are paired by rendezvous key
//! (`flows`); their packets are moved (`forward`) within the bounds of `quota` until the relay is asked to drain.
//! Nothing is written to disk, and what is logged names legs by random numbers that mean nothing elsewhere.

mod admission;
mod attend;
mod bind;
pub(crate) mod clock;
mod drain;
mod flows;
mod forward;
mod identity;
mod outbox;
mod quota;
mod silence;
mod tally;

pub use bind::{BindFault, Server};
pub use drain::Report;
pub use identity::{Identity, IdentityFault};

#[cfg(test)]
mod tests;
