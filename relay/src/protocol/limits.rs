//! The sizes that both ends of a leg agree on.

/// The protocol's name and version in the TLS handshake. Constant: it tells an observer nothing but that this is a relay.
pub const ALPN: &[u8] = b"openscope-relay/1";

/// The largest packet a flow ever carries, in bytes: the bound of the inner connection's MTU discovery.
pub const MAX_PACKET: usize = 1404;

/// The packet size that every leg which is up has been seen to carry both ways, in bytes.
pub const SAFE_PACKET: usize = 1200;

/// UDP payload that a leg is told its path carries, in bytes, and never goes below. Quinn's own floor of 1200 would let
/// its black-hole detector shrink a leg until no inner packet fits, for ever, on a leg that looks healthy.
pub const LEG_MTU: u16 = 1280;

/// The largest hello, in bytes: a host's carries its deployment token.
pub const MAX_HELLO: usize = 1536;

/// The largest control message after the hello, in bytes.
pub const MAX_CONTROL: usize = 128;

/// The largest deployment token, in bytes of Biscuit.
pub const MAX_TOKEN: usize = 1024;

/// The longest relay address, in bytes of text.
pub const MAX_ADDRESS: usize = 256;
