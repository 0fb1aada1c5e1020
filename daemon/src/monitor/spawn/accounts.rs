//! Accounts that a runner has looked up a moment ago.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use crate::clock::Instants;
use crate::run::{Account, Known};

/// How long a lookup is good for: who leaves a group may use it so long, in calls that begin.
const FRESH: Duration = Duration::from_secs(10);
/// The most accounts that are remembered.
const MAX_ACCOUNTS: usize = 256;

/// What runners reported, shared with all of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Accounts(Rc<RefCell<BTreeMap<u32, (Duration, Known)>>>);

impl Accounts {
    /// What is known of it, if that is fresh.
    pub(super) fn of(&self, account: &Account, now: Instants) -> Option<Known> {
        let accounts = self.0.borrow();
        let (at, known) = match account {
            Account::Become { uid, .. } => accounts.get(uid)?,
            Account::Called { name, .. } => {
                let called = |(_, known): &&(Duration, Known)| known.name == *name;
                accounts.values().filter(called).max_by_key(|(at, _)| *at)?
            }
            Account::Stay { .. } => return None,
        };
        (is_fresh(*at, now) && known.name == account.name()).then(|| known.clone())
    }

    /// Remembers what was looked up no earlier than `at`.
    pub(super) fn learn(&self, known: Known, at: Instants) {
        let mut accounts = self.0.borrow_mut();
        if accounts.len() >= MAX_ACCOUNTS {
            accounts.retain(|_uid, (then, _)| is_fresh(*then, at));
        }
        if accounts.len() < MAX_ACCOUNTS || accounts.contains_key(&known.uid) {
            accounts.insert(known.uid, (at.boot, known));
        }
    }
}

fn is_fresh(at: Duration, now: Instants) -> bool {
    now.boot.saturating_sub(at) < FRESH
}

#[cfg(test)]
mod tests {
    use policy::Timestamp;

    use super::*;

    fn known(uid: u32, name: &str) -> Known {
        Known { uid, name: name.into(), gid: uid, groups: vec![uid], home: "/".into() }
    }

    fn account(uid: u32, name: &str) -> Account {
        Account::Become { uid, name: name.into() }
    }

    fn at(boot: Duration) -> Instants {
        Instants { wall: Timestamp(0), boot }
    }

    const MOMENT: Duration = Duration::from_millis(1);

    #[test]
    fn a_lookup_is_good_for_ten_seconds() {
        let accounts = Accounts::default();
        let begin = Duration::from_secs(100);
        accounts.learn(known(1000, "alice"), at(begin));
        let of = |now| accounts.of(&account(1000, "alice"), at(now));
        assert_eq!(of(begin), Some(known(1000, "alice")));
        assert_eq!(of(begin + FRESH.saturating_sub(MOMENT)), Some(known(1000, "alice")));
        assert_eq!(of(begin + FRESH), None);
    }

    #[test]
    fn p03_it_is_good_for_that_uid_and_name_only() {
        let accounts = Accounts::default();
        accounts.learn(known(1000, "alice"), at(MOMENT));
        assert_eq!(accounts.of(&account(1000, "bob"), at(MOMENT)), None);
        assert_eq!(accounts.of(&account(1001, "alice"), at(MOMENT)), None);
        let stay = Account::Stay { name: "alice".into(), home: "/".into() };
        assert_eq!(accounts.of(&stay, at(MOMENT)), None);
    }

    #[test]
    fn no_more_are_remembered_than_the_bound_and_old_ones_make_room() {
        let accounts = Accounts::default();
        for uid in 0..=u32::try_from(MAX_ACCOUNTS).unwrap() {
            accounts.learn(known(uid, "x"), at(MOMENT));
        }
        let last = u32::try_from(MAX_ACCOUNTS).unwrap();
        assert_eq!(accounts.0.borrow().len(), MAX_ACCOUNTS);
        assert_eq!(accounts.of(&account(last, "x"), at(MOMENT)), None);
        accounts.learn(known(last, "x"), at(MOMENT + FRESH));
        assert_eq!(accounts.0.borrow().len(), 1);
    }
}
