//! What the rules of a world say, one by one.

use crate::decide::Approvers;
use crate::limit::glob;
use crate::model::{
    Approve, Call, Cap, Item, Limit, Mode, Recipient, Site, Subject, Terms, Val, Verbs, Who, World,
};

/// What a rule does with what cannot be known.
#[derive(Clone, Copy)]
pub(crate) enum Rule {
    Gives,
    Denies,
}

impl Verbs {
    pub(crate) fn permit(&self, verb: &str, args: &[(String, Val)]) -> bool {
        match self {
            Self::Listed(names) => names.iter().any(|name| glob(name.as_bytes(), verb.as_bytes())),
            Self::Limited(caps) => caps.iter().any(|cap| {
                let here = Cap { verb: verb.to_owned(), limits: cap.limits.clone() };
                glob(cap.verb.as_bytes(), verb.as_bytes()) && here.permits(verb, args)
            }),
        }
    }

    pub(crate) fn mention(&self, verb: &str) -> bool {
        self.of(verb).next().is_some()
    }

    /// What it says of one verb.
    pub(crate) fn of(&self, verb: &str) -> impl Iterator<Item = Cap> {
        let caps: Vec<(&str, &[(String, Limit)])> = match self {
            Self::Listed(names) => names.iter().map(|name| (name.as_str(), &[][..])).collect(),
            Self::Limited(caps) => {
                caps.iter().map(|cap| (cap.verb.as_str(), &cap.limits[..])).collect()
            }
        };
        let meant = caps.into_iter().filter(|(name, _)| glob(name.as_bytes(), verb.as_bytes()));
        let made = meant.map(|(_, limits)| Cap { verb: verb.to_owned(), limits: limits.to_vec() });
        made.collect::<Vec<_>>().into_iter()
    }
}

impl Terms {
    pub(crate) fn max_ttl(&self) -> u64 {
        self.max_ttl.unwrap_or(30 * 60 * 1000)
    }

    pub(crate) fn reach(&self, recipient: &Recipient) -> bool {
        let Some((alias, key)) = recipient else { return self.bearer };
        let own = |text: &str| text.starts_with("own/");
        let means = |pattern: &String| {
            own(pattern) == own(alias) && glob(pattern.as_bytes(), alias.as_bytes())
        };
        (self.to.is_some() || self.keys.is_some())
            && self.to.as_ref().is_none_or(|to| to.iter().any(means))
            && self.keys.as_ref().is_none_or(|keys| keys.contains(key))
    }

    pub(crate) fn mode(&self, verbs: &Verbs, verb: &str) -> Mode {
        if !verbs.mention(verb) {
            return Mode::Never;
        }
        match &self.approve {
            None => Mode::Never,
            Some(Approve::All(mode)) => *mode,
            Some(Approve::By(words)) => {
                let meant = words.iter().filter(|(name, _)| glob(name.as_bytes(), verb.as_bytes()));
                meant.map(|(_, mode)| *mode).max().unwrap_or_default()
            }
        }
    }

    /// How much it asks for a call.
    pub(crate) fn demand(&self, verbs: &Verbs, verb: &str) -> (Mode, u8) {
        let mode = self.mode(verbs, verb);
        (mode, if mode == Mode::Never { 0 } else { self.needs.unwrap_or(1) })
    }
}

impl World {
    /// Whether a user may act under an agent's name: a declared name is its user's, others are users' own.
    pub(crate) fn may_act(&self, user: &str, agent: &str) -> bool {
        let declared = self.items().find_map(|(_, item)| {
            let Item::Agent { name, user } = item else { return None };
            (name == agent).then_some(user.as_str())
        });
        declared.unwrap_or(agent) == user
    }

    /// The first rule that allows the call, when none denies it.
    pub(crate) fn policy_permits(&self, subject: &Subject, call: &Call) -> Option<Site> {
        let permits = |verbs: &Verbs| verbs.permit(&call.verb, &call.args);
        let denied = self
            .denies()
            .any(|(_, who, verbs)| self.selects(who, subject, Rule::Denies) && permits(verbs));
        let mut allowing = self
            .allows()
            .filter(|(_, who, verbs)| self.selects(who, subject, Rule::Gives) && permits(verbs));
        let first = allowing.next().map(|(site, _, _)| site);
        first.filter(|_| !denied)
    }

    /// What allows, roles first.
    pub(crate) fn allows(&self) -> impl Iterator<Item = (Site, Who, &Verbs)> {
        let roles = self.items().filter_map(|(site, item)| {
            let Item::Role { verbs: Some(verbs), groups, .. } = item else { return None };
            Some((site, Who { groups: Some(groups.clone()), ..Who::default() }, verbs))
        });
        roles.chain(self.items().filter_map(|(site, item)| {
            let Item::Allow { who, verbs } = item else { return None };
            Some((site, who.clone(), verbs))
        }))
    }

    pub(crate) fn denies(&self) -> impl Iterator<Item = (Site, &Who, &Verbs)> {
        self.items().filter_map(|(site, item)| {
            let Item::Deny { who, verbs } = item else { return None };
            Some((site, who, verbs))
        })
    }

    pub(crate) fn delegates(&self) -> impl Iterator<Item = (Site, &Who, &Verbs, &Terms)> {
        self.items().filter_map(|(site, item)| {
            let Item::Delegate { who, verbs, terms } = item else { return None };
            Some((site, who, verbs, terms))
        })
    }

    /// Whether a rule is about somebody at this moment.
    pub(crate) fn selects(&self, who: &Who, subject: &Subject, rule: Rule) -> bool {
        let unknown = match rule {
            Rule::Gives => false,
            Rule::Denies => true,
        };
        let named = |names: &Option<Vec<String>>, one: &String| match names {
            None => true,
            Some(names) => names.contains(&"*".to_owned()) || names.contains(one),
        };
        let in_one = |wanted: &Vec<String>| match &subject.groups {
            None => unknown,
            Some(groups) => groups.iter().any(|group| wanted.contains(group)),
        };
        let of_roles = who.roles.as_ref().map(|roles| self.groups_of(roles));
        let mut open = who.when.is_empty();
        for window in &who.when {
            open |= window.includes(subject.now).unwrap_or(unknown);
        }
        named(&who.agents, &subject.agent)
            && named(&who.users, &subject.user)
            && who.groups.as_ref().is_none_or(in_one)
            && of_roles.as_ref().is_none_or(in_one)
            && open
    }

    fn groups_of(&self, roles: &[String]) -> Vec<String> {
        let mut groups: Vec<String> = Vec::new();
        for (_, item) in self.items() {
            if let Item::Role { name, groups: own, .. } = item
                && roles.contains(name)
            {
                groups.extend(own.clone());
            }
        }
        groups.sort();
        groups.dedup();
        groups
    }

    pub(crate) fn approvers(&self, terms: &Terms) -> Approvers {
        let named = terms.approvers.clone();
        let (roles, mut users): (Vec<String>, Vec<String>) =
            named.iter().cloned().partition(|name| name.starts_with('@'));
        users.sort();
        users.dedup();
        let roles: Vec<String> = roles.iter().map(|role| role.replace('@', "")).collect();
        let groups = self.groups_of(&roles);
        Approvers { named, users, groups, needs: terms.needs.unwrap_or(1) }
    }
}
