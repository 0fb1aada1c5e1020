//! Shares that wait to hear whether a relay has them, as plain data. Each is answered once.

use std::collections::BTreeMap;

use policy::ShareId;

/// The shares whose opening is not answered yet.
#[derive(Debug, Default)]
pub(super) struct Openings {
    /// What is wrong at each relay, in the order of preference; none where nothing is known yet.
    waiting: BTreeMap<ShareId, Vec<Option<String>>>,
}

/// The answer to one opening.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Answer {
    pub(super) share: ShareId,
    pub(super) failure: Option<String>,
}

impl Openings {
    /// Waits for the word of `relays` relays.
    pub(super) fn begin(&mut self, share: ShareId, relays: usize) {
        self.waiting.insert(share, vec![None; relays]);
    }

    /// A relay has all the share's seats.
    pub(super) fn registered(&mut self, share: ShareId) -> Option<Answer> {
        self.waiting.remove(&share).map(|_| Answer { share, failure: None })
    }

    /// One relay has not, and why. The share fails when no relay is left, by the word of the first.
    pub(super) fn failed(&mut self, share: ShareId, relay: usize, why: &str) -> Option<Answer> {
        let relays = self.waiting.get_mut(&share)?;
        *relays.get_mut(relay)? = Some(why.to_owned());
        if relays.iter().all(Option::is_some) { self.give_up(share) } else { None }
    }

    /// One relay cannot be reached.
    pub(super) fn down(&mut self, relay: usize, why: &str) -> Vec<Answer> {
        let shares: Vec<_> = self.waiting.keys().copied().collect();
        shares.into_iter().filter_map(|share| self.failed(share, relay, why)).collect()
    }

    /// Time is up.
    pub(super) fn give_up(&mut self, share: ShareId) -> Option<Answer> {
        let relays = self.waiting.remove(&share)?;
        let none =
            if relays.is_empty() { "no relay is configured" } else { "no relay has answered" };
        let why = relays.into_iter().flatten().next();
        Some(Answer { share, failure: Some(why.unwrap_or_else(|| none.to_owned())) })
    }

    /// The share is not wanted any more.
    pub(super) fn forget(&mut self, share: ShareId) {
        self.waiting.remove(&share);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share() -> ShareId {
        ShareId::from_random([1; 8])
    }

    fn opening(relays: usize) -> Openings {
        let mut openings = Openings::default();
        openings.begin(share(), relays);
        openings
    }

    fn failure(why: &str) -> Answer {
        Answer { share: share(), failure: Some(why.to_owned()) }
    }

    #[test]
    fn the_first_relay_that_has_the_share_opens_it_once() {
        let mut openings = opening(2);
        assert_eq!(openings.failed(share(), 0, "away"), None);
        assert_eq!(openings.registered(share()), Some(Answer { share: share(), failure: None }));
        assert_eq!(openings.registered(share()), None);
        assert_eq!(openings.give_up(share()), None);
    }

    #[test]
    fn when_all_relays_fail_the_first_one_s_reason_is_told_whichever_came_first() {
        let mut openings = opening(2);
        assert_eq!(openings.failed(share(), 1, "full"), None);
        assert_eq!(openings.down(0, "away"), vec![failure("away")]);
        assert_eq!(openings.failed(share(), 1, "full"), None);
    }

    #[test]
    fn when_time_is_up_what_is_known_is_told() {
        assert_eq!(opening(1).give_up(share()), Some(failure("no relay has answered")));
        assert_eq!(opening(0).give_up(share()), Some(failure("no relay is configured")));
        let mut openings = opening(2);
        openings.failed(share(), 1, "full");
        assert_eq!(openings.give_up(share()), Some(failure("full")));
    }

    #[test]
    fn a_share_that_is_forgotten_is_not_answered() {
        let mut openings = opening(1);
        openings.forget(share());
        assert_eq!(openings.failed(share(), 0, "away"), None);
    }
}
