//! The second evaluator: one call, decided by walking through everything in order.

use crate::limit::glob;
use crate::model::{
    Approve, Call, Cap, Chain, Item, Mode, Part, Recipient, Share, Site, Subject, Terms, To, Val,
    Verb, Verbs, Who, World,
};

/// What is to come of a call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    Permit { allowed: Site, delegated: Site, call: Call },
    Ask { mode: Mode, approvers: Approvers, delegated: Site, call: Call },
    Refuse(Told),
}

/// What the caller is told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Told {
    NotPermitted,
    Over,
    Spent,
    Combination,
    Parameter(String),
    /// One of both: which depends on how well the menu sees that nothing is left.
    ParameterOrNothing(String),
}

/// Whose yes it takes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Approvers {
    pub(crate) named: Vec<String>,
    /// Sorted.
    pub(crate) users: Vec<String>,
    /// Sorted.
    pub(crate) groups: Vec<String>,
    pub(crate) needs: u8,
}

/// What a rule does with what cannot be known.
#[derive(Clone, Copy)]
pub(crate) enum Rule {
    Gives,
    Denies,
}

pub(crate) fn decide(
    world: &World,
    share: &Share,
    chain: &Chain,
    call: &Call,
    now: u64,
) -> Verdict {
    verdict(world, share, chain, call, now).unwrap_or_else(Verdict::Refuse)
}

fn verdict(
    world: &World,
    share: &Share,
    chain: &Chain,
    call: &Call,
    now: u64,
) -> Result<Verdict, Told> {
    if now >= share.deadline || chain.blocks.iter().any(|block| now >= block.not_after) {
        return Err(Told::Over);
    }
    if chain.owner != share.user || !world.may_act(&share.user, &share.agent) {
        return Err(Told::NotPermitted);
    }
    let verb = world.verb(&call.verb).ok_or(Told::NotPermitted)?;
    let mut scopes: Vec<&[Cap]> = chain.blocks.iter().map(|block| &block.scope[..]).collect();
    scopes.push(&share.scope);
    if scopes.iter().any(|scope| scope.iter().all(|cap| cap.verb != verb.name)) {
        return Err(Told::NotPermitted);
    }
    let call = complete(verb, call)?;
    let menu = Menu { world, share, chain, verb, now };
    for scope in scopes {
        check_scope(scope, &call, &menu)?;
    }
    let (allowed, delegated) = ruled(world, share, &call, now).ok_or(Told::NotPermitted)?;
    check_catalog(verb, &call, &menu)?;
    if share.max_calls.is_some_and(|most| share.used_calls >= most)
        || share.max_bytes.is_some_and(|most| share.used_bytes >= most)
    {
        return Err(Told::Spent);
    }
    let (site, verbs, terms) = delegated;
    let mode = terms.mode(verbs, &verb.name).max(share.approve);
    let approvers = world.approvers(terms);
    if mode == Mode::Never || approvers.are_met(share, mode, &call) {
        return Ok(Verdict::Permit { allowed, delegated: site, call });
    }
    Ok(Verdict::Ask { mode, approvers, delegated: site, call })
}

/// The call with its defaults, when its arguments are of the right names and kinds.
fn complete(verb: &Verb, call: &Call) -> Result<Call, Told> {
    let param = |name: &str| verb.params.iter().find(|param| param.name == name);
    for (name, _) in &call.args {
        param(name).ok_or_else(|| Told::Parameter(name.clone()))?;
    }
    let mut args = Vec::new();
    for param in &verb.params {
        let value = call.arg(&param.name).or(param.default.as_ref());
        let value = value.ok_or_else(|| Told::Parameter(param.name.clone()))?;
        args.push((param.name.clone(), value.clone()));
    }
    for (name, value) in &args {
        if param(name).is_none_or(|param| param.kind != value.kind()) {
            return Err(Told::Parameter(name.clone()));
        }
    }
    Ok(Call { verb: call.verb.clone(), args })
}

fn check_scope(scope: &[Cap], call: &Call, menu: &Menu<'_>) -> Result<(), Told> {
    if scope.iter().any(|cap| cap.permits(&call.verb, &call.args)) {
        return Ok(());
    }
    for (name, value) in &call.args {
        let takes = |cap: &Cap| {
            cap.verb == call.verb && cap.limit(name).is_none_or(|limit| limit.permits(value))
        };
        if !scope.iter().any(takes) {
            return Err(menu.told(name));
        }
    }
    Err(Told::Combination)
}

fn check_catalog(verb: &Verb, call: &Call, menu: &Menu<'_>) -> Result<(), Told> {
    for param in &verb.params {
        if !param.limit.permits(call.arg(&param.name).unwrap()) {
            return Err(menu.told(&param.name));
        }
    }
    for element in &verb.argv {
        if matches!(element.as_slice(), [Part::Text(text)] if text == "--") {
            return Ok(());
        }
        if let Some(name) = option_made_by(element, call) {
            return Err(Told::Parameter(name));
        }
    }
    Ok(())
}

/// An element that begins with a parameter must not begin with a dash.
fn option_made_by(element: &[Part], call: &Call) -> Option<String> {
    let text = |part: &Part| match part {
        Part::Text(text) => text.clone(),
        Part::Param(name) => call.arg(name).map(Val::plain).unwrap_or_default(),
    };
    let Some(Part::Param(first)) = element.first() else { return None };
    let maker = element.iter().find(|part| !text(part).is_empty())?;
    match maker {
        part if !text(part).starts_with('-') => None,
        Part::Param(name) => Some(name.clone()),
        Part::Text(_) => Some(first.clone()),
    }
}

/// The first rule that allows, and of those that delegate the one that asks least.
fn ruled<'w>(
    world: &'w World,
    share: &Share,
    call: &Call,
    now: u64,
) -> Option<(Site, (Site, &'w Verbs, &'w Terms))> {
    let subject = share.subject(now);
    let permits = |verbs: &Verbs| verbs.permit(&call.verb, &call.args);
    let allowed = world.policy_permits(&subject, call)?;
    let mut best: Option<(Site, &Verbs, &Terms)> = None;
    for (site, who, verbs, terms) in world.delegates() {
        let serves = world.selects(who, &subject, Rule::Gives)
            && permits(verbs)
            && terms.reach(&share.recipient)
            && now < share.opened.saturating_add(terms.max_ttl())
            && terms.max_calls.is_none_or(|most| share.used_calls < most)
            && terms.max_bytes.is_none_or(|most| share.used_bytes < most);
        let asks_less = |(_, other, before): (Site, &Verbs, &Terms)| {
            terms.demand(verbs, &call.verb) < before.demand(other, &call.verb)
        };
        if serves && best.is_none_or(asks_less) {
            best = Some((site, verbs, terms));
        }
    }
    Some((allowed, best?))
}

/// What the menu would show of one verb.
struct Menu<'a> {
    world: &'a World,
    share: &'a Share,
    chain: &'a Chain,
    verb: &'a Verb,
    now: u64,
}

impl Menu<'_> {
    /// A value is refused by name only where the menu has the verb at all.
    fn told(&self, name: &str) -> Told {
        match self.shows() {
            Some(true) => Told::Parameter(name.to_owned()),
            Some(false) => Told::NotPermitted,
            None => Told::ParameterOrNothing(name.to_owned()),
        }
    }

    /// `Some(true)` when a call can be thought of that would be shown, `Some(false)` when nothing of
    /// the verb is allowed, delegated or left; `None` when that cannot be seen so easily.
    fn shows(&self) -> Option<bool> {
        let subject = self.share.subject(self.now);
        let verb = &self.verb.name;
        let gives = |who: &Who| self.world.selects(who, &subject, Rule::Gives);
        let denies = |who: &Who| self.world.selects(who, &subject, Rule::Denies);
        let allowing: Vec<&Verbs> =
            self.world.allows().filter(|(_, who, _)| gives(who)).map(|(_, _, v)| v).collect();
        let denying: Vec<&Verbs> =
            self.world.denies().filter(|(_, who, _)| denies(who)).map(|(_, _, v)| v).collect();
        let delegating = self.world.delegates();
        let delegating: Vec<&Verbs> = delegating
            .filter(|(_, who, _, terms)| gives(who) && terms.reach(&self.share.recipient))
            .map(|(_, _, verbs, _)| verbs)
            .collect();
        let all = [&allowing, &delegating].map(|rules| rules.iter().any(|v| v.mention(verb)));
        if all.contains(&false) || denying.iter().any(|verbs| verbs.permit(verb, &[])) {
            return Some(false);
        }
        let stated = &self.chain.blocks.last().unwrap().scope;
        let shown = |args: &[(String, Val)]| {
            let within = |scope: &[Cap]| scope.iter().any(|cap| cap.permits(verb, args));
            within(stated)
                && within(&self.share.scope)
                && allowing.iter().any(|verbs| verbs.permit(verb, args))
                && delegating.iter().any(|verbs| verbs.permit(verb, args))
                && !denying.iter().any(|verbs| verbs.permit(verb, args))
        };
        self.thinkable().iter().any(|args| shown(args)).then_some(true)
    }

    /// Calls that the catalog takes, of values that are mentioned everywhere.
    fn thinkable(&self) -> Vec<Vec<(String, Val)>> {
        let mut all = vec![vec![]];
        let stated = &self.chain.blocks.last().unwrap().scope;
        for param in &self.verb.params {
            let fits = |value: &Val| {
                let of_verb = stated.iter().filter(|cap| cap.verb == self.verb.name);
                param.limit.permits(value)
                    && of_verb
                        .map(|cap| cap.limit(&param.name))
                        .any(|limit| limit.is_none_or(|limit| limit.permits(value)))
            };
            let values: Vec<Val> =
                crate::generate::pool(param.kind).into_iter().filter(fits).collect();
            let longer = |args: &Vec<(String, Val)>| {
                let with = |value: &Val| {
                    let mut args = args.clone();
                    args.push((param.name.clone(), value.clone()));
                    args
                };
                values.iter().map(with).collect::<Vec<_>>()
            };
            all = all.iter().flat_map(longer).collect();
        }
        all
    }
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
        let caps: Vec<(&str, &[(String, crate::model::Limit)])> = match self {
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
        match &self.approve {
            None => Mode::Never,
            Some(Approve::All(mode)) => *mode,
            Some(Approve::By(words)) if verbs.mention(verb) => {
                let meant = words.iter().filter(|(name, _)| glob(name.as_bytes(), verb.as_bytes()));
                meant.map(|(_, mode)| *mode).max().unwrap_or_default()
            }
            Some(Approve::By(_)) => Mode::Never,
        }
    }

    /// How much it asks for a call.
    pub(crate) fn demand(&self, verbs: &Verbs, verb: &str) -> (Mode, u8) {
        match self.mode(verbs, verb) {
            Mode::Never => (Mode::Never, 0),
            mode => (mode, self.needs.unwrap_or(1)),
        }
    }
}

impl Approvers {
    /// Whether enough people said yes to this: the owner alone where nobody is named, and never the
    /// owner where somebody is.
    fn are_met(&self, share: &Share, mode: Mode, call: &Call) -> bool {
        let mut yes: Vec<&str> = Vec::new();
        for consent in &share.consents {
            let to = match mode {
                Mode::Once => To::Verb(call.verb.clone()),
                Mode::Never | Mode::Each => To::Call(call.clone()),
            };
            let grouped = consent.groups.iter().flatten().any(|group| self.groups.contains(group));
            let counts = if self.named.is_empty() {
                consent.user == share.user
            } else {
                consent.user != share.user && (self.users.contains(&consent.user) || grouped)
            };
            if counts && consent.to == to && !yes.contains(&consent.user.as_str()) {
                yes.push(&consent.user);
            }
        }
        yes.len() >= usize::from(self.needs)
    }
}

impl World {
    /// Whether a user may act under an agent's name: a declared name is its user's, others are users' own.
    pub(crate) fn may_act(&self, user: &str, agent: &str) -> bool {
        let declared = self.items().find_map(|(_, item)| match item {
            Item::Agent { name, user } if name == agent => Some(user.as_str()),
            _ => None,
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
        let roles = self.items().filter_map(|(site, item)| match item {
            Item::Role { verbs: Some(verbs), groups, .. } => {
                Some((site, Who { groups: Some(groups.clone()), ..Who::default() }, verbs))
            }
            _ => None,
        });
        roles.chain(self.items().filter_map(|(site, item)| match item {
            Item::Allow { who, verbs } => Some((site, who.clone(), verbs)),
            _ => None,
        }))
    }

    pub(crate) fn denies(&self) -> impl Iterator<Item = (Site, &Who, &Verbs)> {
        self.items().filter_map(|(site, item)| match item {
            Item::Deny { who, verbs } => Some((site, who, verbs)),
            _ => None,
        })
    }

    pub(crate) fn delegates(&self) -> impl Iterator<Item = (Site, &Who, &Verbs, &Terms)> {
        self.items().filter_map(|(site, item)| match item {
            Item::Delegate { who, verbs, terms } => Some((site, who, verbs, terms)),
            _ => None,
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
        let roles: Vec<String> = roles.iter().map(|role| role[1..].to_owned()).collect();
        let groups = self.groups_of(&roles);
        Approvers { named, users, groups, needs: terms.needs.unwrap_or(1) }
    }
}
