//! Every bound of a relay, with its default.

use std::time::Duration;

/// The bounds. Each is a key of the `[limits]` table, of the same name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Legs in all.
    pub legs: u32,
    /// Legs of one address: an IPv4 address or an IPv6 /64.
    pub legs_per_address: u32,
    /// Connections that have not yet said who they are, in all.
    pub handshakes: u32,
    /// The same, of one address.
    pub handshakes_per_address: u32,
    /// From a connection's first packet to its hello.
    pub hello_timeout: Duration,
    /// Guests that wait for a host that has not been there, in all.
    pub waiting: u32,
    /// The same, of one address.
    pub waiting_per_address: u32,
    /// How long a guest waits for its host, and how long it stays when its host has gone.
    pub wait: Duration,
    /// Legs of one deployment token's leg key; the oldest is closed.
    pub legs_per_token: u32,
    /// Flows of one rendezvous key; the oldest is closed.
    pub flows_per_seat: u32,
    /// Bytes per second of one flow, both ways together. A token has its own limit for all its flows.
    pub seat_bandwidth: u64,
    /// Bytes that wait for one leg, in each direction. The kernel hands over two thousand packets at a time, 2.6 MiB.
    pub queue: u64,
    /// Bytes that wait for all legs together.
    pub memory: u64,
    /// Control messages that wait for one leg.
    pub control_queue: u32,
    /// Control messages per second that a host may send, after a burst of 16384.
    pub control_rate: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            legs: 20_000,
            legs_per_address: 2048,
            handshakes: 1024,
            handshakes_per_address: 256,
            hello_timeout: Duration::from_secs(3),
            waiting: 1024,
            waiting_per_address: 64,
            wait: Duration::from_secs(10),
            legs_per_token: 4,
            flows_per_seat: 16,
            seat_bandwidth: 512 << 20,
            queue: 4 << 20,
            memory: 256 << 20,
            control_queue: 16_384,
            control_rate: 1000,
        }
    }
}
