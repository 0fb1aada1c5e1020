//! What goes wrong with a leg, as far apart as a person or a program can act on.

use std::io;

use quinn::{ConnectionError, TransportErrorCode};

use super::address::RelayAddress;
use crate::protocol::Refusal;

/// Why a leg is over.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Lost {
    /// We closed it.
    #[error("closed here")]
    Closed,
    /// The relay closed it and said why.
    #[error("the relay closed the leg: {}", reason(*.0))]
    Refused(Refusal),
    /// The relay no longer knows the leg: it has restarted.
    #[error("the relay has restarted")]
    Reset,
    /// Nothing came for too long.
    #[error("the relay no longer answers")]
    TimedOut,
    /// The relay says what its protocol does not say.
    #[error("the relay does not speak this protocol")]
    Protocol,
    /// QUIC gave up.
    #[error("the connection to the relay failed: {0}")]
    Transport(String),
}

/// Why no leg came up.
#[derive(Debug, thiserror::Error)]
pub enum DialFault {
    /// The name has no address.
    #[error("`{host}` cannot be resolved: check the name and this machine's DNS")]
    Resolve {
        /// As in the address.
        host: String,
        /// The resolver's word.
        #[source]
        source: io::Error,
    },
    /// Nobody answers there.
    #[error("no relay answers at `{address}`: check that it runs and that UDP port {} is open on the way", .address.port())]
    Unreachable {
        /// Where.
        address: RelayAddress,
    },
    /// This machine gives no socket.
    #[error("cannot open a UDP socket")]
    Socket(#[source] io::Error),
    /// Nobody that this machine trusts vouches for the relay.
    #[error("the certificate of `{address}` is not trusted: {reason}")]
    Certificate {
        /// Where.
        address: RelayAddress,
        /// What the verifier says.
        reason: String,
    },
    /// It is not the relay that the address names.
    #[error(
        "the relay at `{address}` does not hold the pinned key: either it was set up anew, or this is not it"
    )]
    Pin {
        /// Where.
        address: RelayAddress,
    },
    /// Something else answers there.
    #[error("`{address}` is not an OpenScope relay, or of another version")]
    NotRelay {
        /// Where.
        address: RelayAddress,
    },
    /// Nobody that this relay knows signed the token.
    #[error("the relay refuses the deployment token: not signed by its operator")]
    TokenInvalid,
    /// The token is another daemon's.
    #[error("the relay refuses the deployment token: it is bound to another leg key")]
    TokenUnbound,
    /// The token's time is over.
    #[error(
        "the relay refuses the deployment token: it has expired; ask the relay's operator for a new one"
    )]
    TokenExpired,
    /// The daemon is not at this relay, or knows no such seat.
    #[error("nobody is there for this seat: its share is over, or its daemon is not connected")]
    NotHere,
    /// A bound of the relay's is reached.
    #[error("the relay is full: try again, or another relay")]
    Full,
    /// The relay is going away.
    #[error("the relay is shutting down: try again, or another relay")]
    Draining,
    /// The path does not carry what an inner packet needs.
    #[error("the way to `{address}` does not carry UDP packets of 1280 bytes")]
    Narrow {
        /// Where.
        address: RelayAddress,
    },
    /// It came up and went.
    #[error("the leg did not stay up")]
    Lost(#[source] Lost),
}

/// Why a rendezvous key is not registered.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RegisterFault {
    /// Another leg key holds it.
    #[error("another daemon holds this rendezvous key at the relay")]
    Taken,
    /// The token's number is used up.
    #[error(
        "the deployment token allows no more shares at this relay: end one, or ask the relay's operator for more (`--shares`)"
    )]
    Shares,
    /// The relay is going away.
    #[error("the relay is shutting down")]
    Draining,
    /// The leg is over.
    #[error("the leg is lost")]
    Lost(#[source] Lost),
}

/// Why a packet was not taken.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SendFault {
    /// No room now: wait for it with a [`super::Room`].
    #[error("no room in the leg")]
    Full,
    /// The leg's path does not carry packets of this size.
    #[error("the packet is too large for the leg")]
    TooLarge,
    /// The leg is over.
    #[error("the leg is lost")]
    Lost,
}

impl Lost {
    pub(crate) fn from_quic(error: &ConnectionError) -> Self {
        match error {
            ConnectionError::ApplicationClosed(close) => {
                Refusal::from_code(close.error_code.into_inner())
                    .map_or(Self::Protocol, Self::Refused)
            }
            ConnectionError::Reset => Self::Reset,
            ConnectionError::TimedOut => Self::TimedOut,
            ConnectionError::LocallyClosed => Self::Closed,
            ConnectionError::VersionMismatch
            | ConnectionError::TransportError(_)
            | ConnectionError::ConnectionClosed(_)
            | ConnectionError::CidsExhausted => Self::Transport(error.to_string()),
        }
    }
}

impl DialFault {
    /// What a failed handshake means.
    pub(crate) fn from_handshake(error: &ConnectionError, address: &RelayAddress) -> Self {
        let address = address.clone();
        match error {
            ConnectionError::TransportError(ours) if is_certificate(ours.code) => {
                match address.pin() {
                    Some(_) => Self::Pin { address },
                    None => Self::Certificate { address, reason: ours.reason.clone() },
                }
            }
            ConnectionError::ConnectionClosed(theirs)
                if theirs.error_code == TransportErrorCode::CONNECTION_REFUSED =>
            {
                Self::Full
            }
            ConnectionError::TimedOut => Self::Unreachable { address },
            ConnectionError::VersionMismatch
            | ConnectionError::TransportError(_)
            | ConnectionError::ConnectionClosed(_) => Self::NotRelay { address },
            ConnectionError::ApplicationClosed(_)
            | ConnectionError::Reset
            | ConnectionError::LocallyClosed
            | ConnectionError::CidsExhausted => Self::from_lost(Lost::from_quic(error)),
        }
    }

    /// What the end of a leg means that is not up yet.
    pub(crate) fn from_lost(lost: Lost) -> Self {
        match lost {
            Lost::Refused(Refusal::TokenInvalid) => Self::TokenInvalid,
            Lost::Refused(Refusal::TokenUnbound) => Self::TokenUnbound,
            Lost::Refused(Refusal::TokenExpired) => Self::TokenExpired,
            Lost::Refused(Refusal::NotHere | Refusal::Ended) => Self::NotHere,
            Lost::Refused(Refusal::Full) => Self::Full,
            Lost::Refused(Refusal::Draining) => Self::Draining,
            Lost::Refused(
                Refusal::Bye
                | Refusal::Protocol
                | Refusal::TooSlow
                | Refusal::Proof
                | Refusal::Replaced,
            )
            | Lost::Closed
            | Lost::Reset
            | Lost::TimedOut
            | Lost::Protocol
            | Lost::Transport(_) => Self::Lost(lost),
        }
    }
}

/// The TLS alerts by which a verifier here turns a certificate down (RFC 8446 section 6): 42 to 49.
fn is_certificate(code: TransportErrorCode) -> bool {
    (42..=49).any(|alert| code == TransportErrorCode::crypto(alert))
}

fn reason(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Bye => "goodbye",
        Refusal::Protocol => "we said what its protocol does not say",
        Refusal::TooSlow => "we were too slow",
        Refusal::Proof => "our key was not proved",
        Refusal::TokenInvalid => "the deployment token is not signed by its operator",
        Refusal::TokenUnbound => "the deployment token is bound to another leg key",
        Refusal::TokenExpired => "the deployment token has expired",
        Refusal::NotHere => "nobody is there for this seat",
        Refusal::Full => "it is full",
        Refusal::Draining => "it is shutting down",
        Refusal::Replaced => "a newer leg has taken this one's place",
        Refusal::Ended => "the daemon ended the flow",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_of_a_hello_is_its_own_fault() {
        let fault = |refusal| DialFault::from_lost(Lost::Refused(refusal));
        assert!(matches!(fault(Refusal::TokenInvalid), DialFault::TokenInvalid));
        assert!(matches!(fault(Refusal::TokenUnbound), DialFault::TokenUnbound));
        assert!(matches!(fault(Refusal::TokenExpired), DialFault::TokenExpired));
        assert!(matches!(fault(Refusal::NotHere), DialFault::NotHere));
        assert!(matches!(fault(Refusal::Full), DialFault::Full));
        assert!(matches!(fault(Refusal::Draining), DialFault::Draining));
        assert!(matches!(fault(Refusal::Proof), DialFault::Lost(_)));
    }
}
