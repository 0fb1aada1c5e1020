//! The blind relay, its protocol, and a party's way to it.
//!
//! Two parties dial out to a relay and meet by a *rendezvous* key: the daemon as host, a recipient's client as guest.
//! The relay moves their packets, which are QUIC packets of an inner connection that it holds no key for. This crate
//! depends on no other crate of ours: nothing that could read what the relay carries is linked into it.
//!
//! - [`protocol`]: what a leg and a relay say to each other, as bytes.
//! - [`leg`]: a party's connection to a relay, made to sit under an asynchronous UDP socket.
//! - `server` (feature `server`): the relay itself, as a value to embed and as the `openscope-relay` program.

mod lock;
mod quic;

pub mod leg;
pub mod protocol;

#[cfg(feature = "server")]
pub mod cli;
#[cfg(feature = "server")]
pub mod config;
#[cfg(feature = "server")]
pub mod server;
