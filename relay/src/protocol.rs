//! What a leg and a relay say to each other.
//!
//! A leg is a QUIC connection with ALPN [`limits::ALPN`]. The dialling side opens one bidirectional stream, the control
//! stream, and says who it is ([`hello`]); after that both sides exchange [`control`] messages on it. Packets travel in
//! DATAGRAM frames, each with the number of its [`flow`] in front. A relay that will not serve a leg closes the
//! connection with a [`control::Refusal`] as its code.

pub mod control;
pub mod flow;
pub mod hello;
pub mod limits;
pub(crate) mod stream;
pub mod token;

pub use control::Refusal;
pub use flow::{FlowId, RendezvousKey};
pub use limits::{MAX_PACKET, SAFE_PACKET};
pub use token::{DeploymentToken, OperatorKey};
