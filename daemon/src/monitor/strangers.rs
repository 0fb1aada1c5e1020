//! What nobody signed is counted, and told once a minute.

use std::time::Duration;

use policy::ShareId;

use super::Monitor;
use super::audit::{Event, Said};
use crate::clock::Instants;

/// How often the counts are put on record.
const EVERY: Duration = Duration::from_mins(1);

impl Monitor {
    /// Counts failures that no signature vouches for. They never trip a share.
    pub(super) fn count_stranger(&mut self, share: ShareId, count: u64) {
        if self.shares.contains_key(&share) {
            let counted = self.strangers.entry(share).or_insert(0);
            *counted = counted.saturating_add(count);
        }
    }

    /// When the counts are due.
    pub(super) fn strangers_due(&self) -> Option<Duration> {
        self.strangers_since.map(|since| since.saturating_add(EVERY))
    }

    /// Puts the counts on record, once a minute.
    pub(super) fn report_strangers(&mut self, now: Instants) {
        if self.strangers.is_empty() {
            return;
        }
        let since = *self.strangers_since.get_or_insert(now.boot);
        if now.boot.saturating_sub(since) < EVERY {
            return;
        }
        self.strangers_since = None;
        for (share, count) in std::mem::take(&mut self.strangers) {
            let what = Said::new("messages on its channels that nobody had signed");
            self.note(Event::UnsignedFailures { share: Some(share), what, count }, now);
        }
    }
}
