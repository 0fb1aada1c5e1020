//! What the second evaluator thinks that the menu would show.

use crate::decide::Told;
use crate::model::{Cap, Chain, Share, Val, Verb, Verbs, Who, World};
use crate::pool::pool;
use crate::rules::Rule;

/// What the menu would show of one verb.
pub(crate) struct Menu<'a> {
    pub(crate) world: &'a World,
    pub(crate) share: &'a Share,
    pub(crate) chain: &'a Chain,
    pub(crate) verb: &'a Verb,
    pub(crate) now: u64,
}

impl Menu<'_> {
    /// A value is refused by name only where the menu has the verb at all.
    pub(crate) fn told(&self, name: &str) -> Told {
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
            let values: Vec<Val> = pool(param.kind).into_iter().filter(fits).collect();
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
