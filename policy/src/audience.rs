//! Audiences: whom a selector can be about at all, for comparing and telling rules apart.
//!
//! Nothing here decides a call. `covers` never says yes when the truth is no, `meets` never says no when
//! the truth is yes.

use std::collections::{BTreeMap, BTreeSet};

use crate::name::{AgentName, shown};
use crate::selector::{Selected, Selector};

/// Which user an agent name means: who declared it, else the user of that name.
pub(crate) type Owners = BTreeMap<AgentName, String>;

fn owner<'a>(owners: &'a Owners, agent: &'a AgentName) -> &'a str {
    owners.get(agent).map_or(agent.as_str(), String::as_str)
}

impl Selector {
    /// The same selector with agents and users that can occur together: an agent name is one user's alone.
    pub(crate) fn resolved(&self, owners: &Owners) -> Self {
        let Selected::Only(agents) = &self.agents else { return self.clone() };
        let theirs = |agent: &&AgentName| match &self.users {
            Selected::Everyone => true,
            Selected::Only(users) => users.contains(owner(owners, agent)),
        };
        let agents: BTreeSet<AgentName> = agents.iter().filter(theirs).cloned().collect();
        let users = agents.iter().map(|agent| owner(owners, agent).to_owned()).collect();
        let (agents, users) = (Selected::Only(agents), Selected::Only(users));
        Self { agents, users, groups: self.groups.clone(), windows: self.windows.clone() }
    }

    /// Whether nobody can be selected, once resolved.
    pub(crate) fn is_nobody(&self) -> bool {
        self.agents.is_none() || self.users.is_none()
    }

    /// Whether all whom `narrower` selects are selected here, whenever it selects them. Both resolved.
    pub(crate) fn covers(&self, narrower: &Self) -> bool {
        let grouped =
            |wide: &BTreeSet<String>| narrower.groups.iter().any(|narrow| narrow.is_subset(wide));
        let open = self.windows.is_empty()
            || (!narrower.windows.is_empty()
                && narrower.windows.iter().all(|window| self.windows.contains(window)));
        self.agents.covers(&narrower.agents)
            && self.users.covers(&narrower.users)
            && self.groups.iter().all(grouped)
            && open
    }

    /// Whether somebody can be selected by both. Both resolved.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        self.agents.meets(&other.agents) && self.users.meets(&other.users)
    }

    /// The users that can be selected; `None` when it may be anybody.
    pub(crate) fn users(&self) -> Option<&BTreeSet<String>> {
        match &self.users {
            Selected::Everyone => None,
            Selected::Only(users) => Some(users),
        }
    }

    /// Whom it is about, as people say it: `alice/you in group sre, mon,tue 08:00-18:00 UTC`.
    pub(crate) fn told(&self, owners: &Owners) -> String {
        let mut told = self.people(owners);
        for groups in &self.groups {
            let names: Vec<String> = groups.iter().map(|group| shown(group)).collect();
            told.push_str(if names.len() == 1 { " in group " } else { " in one of the groups " });
            told.push_str(&names.join(", "));
        }
        let windows: Vec<String> = self.windows.iter().map(ToString::to_string).collect();
        if !windows.is_empty() {
            told.push_str(", ");
            told.push_str(&windows.join(" or "));
        }
        told
    }

    fn people(&self, owners: &Owners) -> String {
        let names: Vec<String> = match (&self.agents, &self.users) {
            (Selected::Everyone, Selected::Everyone) if self.groups.is_empty() => {
                return "everyone".to_owned();
            }
            (Selected::Everyone, Selected::Everyone) => return "whoever is".to_owned(),
            (Selected::Everyone, Selected::Only(users)) => users.iter().map(|u| shown(u)).collect(),
            (Selected::Only(agents), _) => {
                agents.iter().map(|a| format!("{}/{a}", shown(owner(owners, a)))).collect()
            }
        };
        if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
    }
}

impl<T: Ord> Selected<T> {
    fn is_none(&self) -> bool {
        matches!(self, Self::Only(chosen) if chosen.is_empty())
    }

    fn covers(&self, narrower: &Self) -> bool {
        match (self, narrower) {
            (Self::Everyone, _) => true,
            (Self::Only(_), Self::Everyone) => false,
            (Self::Only(wide), Self::Only(narrow)) => narrow.is_subset(wide),
        }
    }

    fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Only(one), Self::Only(two)) => !one.is_disjoint(two),
            (one, two) => !one.is_none() && !two.is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owners() -> Owners {
        BTreeMap::from([("you".parse().unwrap(), "alice".to_owned())])
    }

    fn selector(agents: &[&str], users: &[&str], groups: &[&str]) -> Selector {
        fn only<T: Ord>(names: Vec<T>) -> Selected<T> {
            if names.is_empty() {
                Selected::Everyone
            } else {
                Selected::Only(names.into_iter().collect())
            }
        }
        let groups: BTreeSet<String> = groups.iter().map(ToString::to_string).collect();
        Selector {
            agents: only(agents.iter().map(|a| a.parse().unwrap()).collect()),
            users: only(users.iter().map(ToString::to_string).collect()),
            groups: if groups.is_empty() { vec![] } else { vec![groups] },
            windows: vec![],
        }
        .resolved(&owners())
    }

    #[test]
    fn an_agent_is_its_users_alone() {
        assert!(selector(&["you"], &["bob"], &[]).is_nobody());
        assert!(!selector(&["you"], &["alice"], &[]).is_nobody());
        assert!(!selector(&["bob"], &["bob"], &[]).is_nobody(), "a user's own name");
        assert!(selector(&[], &["alice"], &[]).covers(&selector(&["you"], &[], &[])));
        assert!(!selector(&["you"], &[], &[]).covers(&selector(&[], &["alice"], &[])));
        assert!(!selector(&[], &["bob"], &[]).meets(&selector(&["you"], &[], &[])));
    }

    #[test]
    fn fewer_groups_are_covered_by_more() {
        let (one, two) = (selector(&[], &[], &["sre"]), selector(&[], &[], &["ops", "sre"]));
        assert!(two.covers(&one) && !one.covers(&two));
        assert!(selector(&[], &[], &[]).covers(&one) && !one.covers(&selector(&[], &[], &[])));
    }

    #[test]
    fn an_audience_is_told_in_words() {
        assert_eq!(selector(&["you"], &[], &["sre"]).told(&owners()), "alice/you in group sre");
        assert_eq!(selector(&[], &[], &[]).told(&owners()), "everyone");
        assert_eq!(
            selector(&[], &[], &["a", "b"]).told(&owners()),
            "whoever is in one of the groups a, b"
        );
        assert_eq!(selector(&["you"], &["bob"], &[]).told(&owners()), "nobody");
    }
}
