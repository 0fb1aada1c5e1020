//! The orderly end of a relay.

use std::sync::Arc;
use std::time::Duration;

use quinn::Endpoint;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use super::bind::receive;
use super::forward::Relay;
use crate::protocol::Refusal;

/// How long the last goodbyes are given to leave.
const GOODBYE: Duration = Duration::from_millis(500);

/// How a relay ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Report {
    /// Legs that were still there when the time was up.
    pub cut_off: usize,
}

/// Tells every leg to move on, gives them `longest`, closes those that stay.
pub(crate) async fn drain(
    relay: &Arc<Relay>,
    endpoint: &Endpoint,
    legs: &mut JoinSet<()>,
    longest: Duration,
) -> Report {
    let (hosts, guests) = relay.size();
    tracing::info!(hosts, guests, seconds = longest.as_secs(), "draining");
    relay.change(super::flows::Table::drain);
    let _ = timeout_at(Instant::now() + longest, all_gone(relay, endpoint, legs)).await;
    let cut_off = relay.close_all(Refusal::Draining);
    endpoint.close(Refusal::Draining.code().into(), b"");
    let _ = timeout(GOODBYE, endpoint.wait_idle()).await;
    tracing::info!(cut_off, "drained");
    Report { cut_off }
}

/// New legs are still heard, so that they learn why they are refused.
async fn all_gone(relay: &Arc<Relay>, endpoint: &Endpoint, legs: &mut JoinSet<()>) {
    loop {
        tokio::select! {
            biased;
            incoming = endpoint.accept() => match incoming {
                Some(incoming) => receive(relay, legs, incoming),
                None => return,
            },
            gone = legs.join_next() => if gone.is_none() { return },
        }
    }
}
