//! The channel: one QUIC connection from client to daemon, end to end, whose packets travel over legs to a relay.
//!
//! The relay moves packets and sees neither keys nor content. Because the connection is not tied to a leg, it outlives
//! a relay's restart, a changed network and a move to another relay.

mod endpoint;
mod identity;
mod leg;
mod path;
mod reset;
mod settings;
mod socket;
#[cfg(test)]
mod tests;

pub use endpoint::{
    Arrival, ChannelFault, ClientEndpoint, HANDSHAKE_LIMIT, ServerEndpoint, peer_holder_key,
    route_of,
};
pub use identity::{ALPN, ChannelKey, HolderKey, ResetKey, SERVER_NAME};
pub use path::{LegNumber, PacketPath, Room, Route, SendFault};
pub use quinn::{
    ClosedStream, Connection, ConnectionError, ReadError, ReadExactError, RecvStream, SendStream,
    StoppedError, VarInt, WriteError,
};
pub use settings::Limits;
