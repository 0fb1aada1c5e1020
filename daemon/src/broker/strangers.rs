//! What fails on a share's channels before anything is signed: counted, and told to the monitor in batches, so that
//! nobody can fill a log, or a queue, by knocking.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use policy::ShareId;
use tokio::sync::Notify;
use tokio::time::sleep;
use wire::privsep::FromBroker;

use super::lock::lock;
use super::monitor::Monitor;

/// At most one message in so long for each share.
const EVERY: Duration = Duration::from_secs(1);

/// Counts strangers by the share whose door they were at.
#[derive(Clone, Default)]
pub(super) struct Strangers(Arc<Inner>);

#[derive(Default)]
struct Inner {
    counts: Mutex<BTreeMap<ShareId, u64>>,
    first: Notify,
}

impl Strangers {
    /// Counts one.
    pub(super) fn count(&self, share: ShareId) {
        let mut counts = lock(&self.0.counts);
        let count = counts.entry(share).or_default();
        *count = count.saturating_add(1);
        self.0.first.notify_one();
    }

    /// Tells the monitor, for ever.
    pub(super) async fn tell(&self, monitor: &Monitor) {
        loop {
            self.0.first.notified().await;
            for (share, count) in std::mem::take(&mut *lock(&self.0.counts)) {
                monitor.say(&FromBroker::Strangers { share, count });
            }
            sleep(EVERY).await;
        }
    }
}
