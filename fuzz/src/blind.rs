//! What a relay and its legs say.

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use relay::leg::RelayAddress;
use relay::protocol::control::{self, LegMessage, RelayMessage};
use relay::protocol::flow::{self, Datagram};
use relay::protocol::hello::Exporter;
use relay::protocol::token::{self, DeploymentToken};

use crate::ROOT;

/// A control message of a leg or a relay.
pub fn relay_control(bytes: &[u8]) -> bool {
    let leg = control::read::<LegMessage>(bytes);
    match &leg {
        Ok(LegMessage::Host(hello)) => _ = hello.proves(Exporter([0; 32])),
        Ok(LegMessage::Guest(hello)) => _ = hello.proves(Exporter([0; 32])),
        Ok(LegMessage::Register(_) | LegMessage::Unregister(_) | LegMessage::CloseFlow(_))
        | Err(_) => {}
    }
    leg.is_ok() || control::read::<RelayMessage>(bytes).is_ok()
}

/// One datagram of a leg.
pub fn relay_datagram(bytes: &[u8]) -> bool {
    match flow::read(Bytes::copy_from_slice(bytes)) {
        Some(Datagram::Packet(flow, packet)) => {
            assert_eq!(flow::write(flow, &packet), bytes);
            true
        }
        Some(Datagram::Probe) => true,
        None => false,
    }
}

/// The token that a daemon shows to a relay.
pub fn deployment_token(bytes: &[u8]) -> bool {
    let operator = SigningKey::from_bytes(&ROOT).verifying_key().to_bytes();
    let token = match std::str::from_utf8(bytes).map(str::parse::<DeploymentToken>) {
        Ok(Ok(token)) => token,
        _ => match DeploymentToken::from_bytes(bytes.to_vec()) {
            Ok(token) => token,
            Err(_) => return false,
        },
    };
    token::verify(&token, &[operator]).is_ok()
}

/// A relay's address as configured, or as a passport names it.
pub fn relay_address(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(address) = text.parse::<RelayAddress>() else { return false };
    let again: RelayAddress = address.to_string().parse().expect("its own spelling");
    assert_eq!(again, address);
    true
}
