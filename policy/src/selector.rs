//! Whom a rule is about, and when.

use std::collections::BTreeSet;

use crate::name::AgentName;
use crate::principal::Subject;
use crate::window::Window;

/// What a rule does with what cannot be known: a clock out of range, a name service that is late.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Doubt {
    /// What gives does not give.
    Excludes,
    /// What denies denies.
    Includes,
}

impl Doubt {
    pub(crate) fn settle(self, known: Option<bool>) -> bool {
        known.unwrap_or(self == Self::Includes)
    }
}

/// Everyone whom all of these include, at the times that one of the windows includes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Selector {
    pub(crate) agents: Selected<AgentName>,
    pub(crate) users: Selected<String>,
    /// Of each of these sets, one group at least: what `group` and what `role` says.
    pub(crate) groups: Vec<BTreeSet<String>>,
    /// Always, when there is none.
    pub(crate) windows: Vec<Window>,
}

#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) enum Selected<T> {
    #[default]
    Everyone,
    Only(BTreeSet<T>),
}

impl<T: Ord> Selected<T> {
    fn includes(&self, one: &T) -> bool {
        match self {
            Self::Everyone => true,
            Self::Only(chosen) => chosen.contains(one),
        }
    }
}

impl Selector {
    pub(crate) fn selects(&self, subject: &Subject, doubt: Doubt) -> bool {
        self.agents.includes(&subject.principal.agent)
            && self.users.includes(&subject.principal.user)
            && self.groups.iter().all(|wanted| doubt.settle(subject.groups.meet(wanted)))
            && self.is_open(subject, doubt)
    }

    pub(crate) fn is_open(&self, subject: &Subject, doubt: Doubt) -> bool {
        let open = |window: &Window| doubt.settle(window.includes(subject.now));
        self.windows.is_empty() || self.windows.iter().any(open)
    }

    /// Whether what it selects can change without policy changing.
    pub(crate) fn varies(&self) -> bool {
        !self.groups.is_empty() || !self.windows.is_empty()
    }
}
