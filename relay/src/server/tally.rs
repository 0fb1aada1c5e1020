//! Counts of what strangers can cause: they are summed up once a minute, not logged one by one.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::protocol::Refusal;
use crate::server::flows::Undelivered;

/// Since the last summary.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    forwarded: AtomicU64,
    forwarded_bytes: AtomicU64,
    no_flow: AtomicU64,
    over_quota: AtomicU64,
    over_memory: AtomicU64,
    turned_away: AtomicU64,
    refused_full: AtomicU64,
    refused_proof: AtomicU64,
    refused_token: AtomicU64,
    refused_other: AtomicU64,
}

impl Tally {
    pub(crate) fn forwarded(&self, bytes: usize) {
        self.forwarded.fetch_add(1, Relaxed);
        self.forwarded_bytes.fetch_add(bytes as u64, Relaxed);
    }

    pub(crate) fn undelivered(&self, why: Undelivered) {
        let counter = match why {
            Undelivered::NoFlow => &self.no_flow,
            Undelivered::Quota => &self.over_quota,
        };
        counter.fetch_add(1, Relaxed);
    }

    pub(crate) fn over_memory(&self) {
        self.over_memory.fetch_add(1, Relaxed);
    }

    /// Before anything was said.
    pub(crate) fn turned_away(&self) {
        self.turned_away.fetch_add(1, Relaxed);
    }

    pub(crate) fn refused(&self, why: Refusal) {
        let counter = match why {
            Refusal::Full => &self.refused_full,
            Refusal::Proof => &self.refused_proof,
            Refusal::TokenInvalid | Refusal::TokenUnbound | Refusal::TokenExpired => {
                &self.refused_token
            }
            Refusal::Bye
            | Refusal::Protocol
            | Refusal::TooSlow
            | Refusal::NotHere
            | Refusal::Draining
            | Refusal::Replaced
            | Refusal::Ended => &self.refused_other,
        };
        counter.fetch_add(1, Relaxed);
    }

    /// Logs the counts and starts anew; silent when there is nothing to tell.
    pub(crate) fn summarise(&self, hosts: usize, guests: usize) {
        let take = |counter: &AtomicU64| counter.swap(0, Relaxed);
        let (forwarded, forwarded_bytes) = (take(&self.forwarded), take(&self.forwarded_bytes));
        let (no_flow, over_quota) = (take(&self.no_flow), take(&self.over_quota));
        let (over_memory, turned_away) = (take(&self.over_memory), take(&self.turned_away));
        let (full, proof) = (take(&self.refused_full), take(&self.refused_proof));
        let (token, other) = (take(&self.refused_token), take(&self.refused_other));
        let dropped = no_flow + over_quota + over_memory;
        if forwarded + dropped + turned_away + full + proof + token + other == 0 {
            return;
        }
        tracing::info!(
            hosts,
            guests,
            forwarded,
            forwarded_bytes,
            no_flow,
            over_quota,
            over_memory,
            turned_away,
            full,
            proof,
            token,
            other,
            "in the last minute"
        );
    }
}
