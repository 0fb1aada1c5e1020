//! Whatever is opened, extended, handed on and reloaded: what policy denies is never permitted.

use crate::bridge::{Loaded, derived, mint, narrow, verified};
use crate::calls::loaded;
use crate::chance::Chance;
use crate::decide::Verdict;
use crate::delegate::{Answer, Wish, knows, may_share};
use crate::generate::{groups, moment, principal, recipient, world};
use crate::model::{Block, Call, Cap, Groups, Mode, Share, World};
use crate::rules::Rule;
use crate::sharing::{call, narrower};
use crate::tally::{Tally, first_seed, wanted};

const MINUTE: u64 = 60_000;
/// Steps of one sequence.
const STEPS: usize = 150;

/// A share as it lives, with the passports that are about.
struct Living {
    share: Share,
    redelegate: u8,
    /// Each with its last block, which bounds it.
    passports: Vec<(Vec<u8>, policy::Passport, Vec<Block>)>,
}

/// Policies that root writes one after the other over one catalog, and what is shared under them.
struct Story {
    seed: u64,
    worlds: Vec<(World, Loaded)>,
    current: usize,
    owner: (String, String),
    groups: Groups,
    now: u64,
    shares: Vec<Living>,
}

#[test]
fn differential_p01_no_sequence_of_open_extend_narrow_permits_what_policy_denies() {
    let first = first_seed(3_000_000_000);
    let mut tally = Tally::default();
    let mut seed = first;
    while tally.cases() < wanted() {
        let mut chance = Chance::seeded(seed);
        let mut story = Story::begin(&mut chance, seed);
        for _ in 0..STEPS {
            tally.count(story.step(&mut chance));
        }
        seed += 1;
    }
    let at_least = [
        ("open", 10),
        ("extend", 4),
        ("narrow", 10),
        ("call: permit", 50),
        ("call: ask", 30),
        ("call: refuse", 100),
    ];
    tally.check("sequences", first, &at_least);
}

impl Story {
    fn begin(chance: &mut Chance, seed: u64) -> Self {
        let mut worlds: Vec<(World, Loaded)> = Vec::new();
        while worlds.len() < 3 {
            let mut made = world(chance);
            // Rules speak of their own catalog, so that one that is replaced takes its verbs along.
            if worlds.len() == 1 {
                made = worlds[0].0.clone();
                made.files[0].retain(|_| chance.percent(75));
            }
            if let Ok(text) = Loaded::of(&made) {
                worlds.push((made, text));
            } else {
                let anew = world(chance);
                let text = loaded(&anew, seed);
                worlds.push((anew, text));
            }
        }
        let (owner, groups, now) = (principal(chance), groups(chance), moment(chance));
        Self { seed, worlds, current: 0, owner, groups, now, shares: vec![] }
    }

    fn step(&mut self, chance: &mut Chance) -> &'static str {
        match chance.below(100) {
            _ if self.shares.is_empty() => self.open(chance),
            0..5 => self.open(chance),
            5..9 => self.extend(chance),
            9..13 => self.narrow(chance),
            13..18 => {
                self.now += *chance.pick(&[1, MINUTE / 2, MINUTE, 4 * MINUTE]);
                "time passes"
            }
            18 => {
                self.groups = groups(chance);
                "groups change"
            }
            19 => {
                self.current = chance.below(self.worlds.len());
                "reload"
            }
            _ => self.call(chance),
        }
    }

    fn world(&self) -> &World {
        &self.worlds[self.current].0
    }

    fn loaded(&self) -> &Loaded {
        &self.worlds[self.current].1
    }

    fn subject(&self) -> crate::model::Subject {
        let (user, agent) = self.owner.clone();
        crate::model::Subject { user, agent, groups: self.groups.clone(), now: self.now }
    }

    fn live(&self, but: Option<usize>) -> Vec<(Vec<Cap>, Vec<crate::model::Recipient>)> {
        let others = self.shares.iter().enumerate().filter(|(place, _)| Some(*place) != but);
        let living = others.filter(|(_, one)| self.now < one.share.deadline);
        living
            .map(|(_, one)| (one.share.scope.clone(), vec![one.share.recipient.clone()]))
            .collect()
    }

    /// What both say of a wish; they must say the same.
    fn answer(&self, wish: &mut Wish) -> Answer {
        wish.scope = crate::bridge::from_scope(&crate::bridge::to_scope(&wish.scope));
        let said = self.loaded().may_share(&self.subject(), wish);
        if !knows(self.world(), wish) {
            return said;
        }
        let second = may_share(self.world(), &self.subject(), wish);
        assert_eq!(said, second, "seed {}: {wish:#?}\n{}", self.seed, self.loaded().text.shown());
        said
    }

    fn asked(&self, chance: &mut Chance) -> Option<Vec<Cap>> {
        let verbs: Vec<String> = self.world().verbs.iter().map(|verb| verb.name.clone()).collect();
        let most = if chance.percent(75) { 1 } else { 2 };
        let some = chance.some(&verbs, 1, most);
        derived(self.loaded(), &self.subject(), &some).filter(|scope| scope.len() < 12)
    }

    fn open(&mut self, chance: &mut Chance) -> &'static str {
        if !self.world().may_act(&self.owner.0, &self.owner.1) {
            self.owner = principal(chance);
            return "nobody";
        }
        let Some(scope) = self.asked(chance).filter(|scope| !scope.is_empty()) else {
            (self.owner, self.groups) = (principal(chance), groups(chance));
            self.current = chance.below(self.worlds.len());
            return "nothing to open";
        };
        let ttl = *chance.pick(&[MINUTE, MINUTE, 5 * MINUTE, 30 * MINUTE]);
        let redelegate = u8::from(chance.percent(20));
        let live = self.live(None);
        let recipient = recipient(chance);
        let mut wish = Wish { scope, recipient, ttl, redelegate, live, in_doubt: true };
        let Answer::Yes { calls, bytes, .. } = self.answer(&mut wish) else { return "not opened" };
        let share = Share {
            user: self.owner.0.clone(),
            agent: self.owner.1.clone(),
            groups: self.groups.clone(),
            recipient: wish.recipient,
            scope: wish.scope,
            opened: self.now,
            deadline: self.now + ttl,
            approve: *chance.pick(&[Mode::Never, Mode::Never, Mode::Once]),
            max_calls: calls,
            max_bytes: bytes,
            used_calls: 0,
            used_bytes: 0,
            consents: vec![],
        };
        let block = Block { scope: share.scope.clone(), not_after: share.deadline };
        let bytes = mint(&share.user, &block);
        let passports = vec![(bytes.clone(), verified(&bytes), vec![block])];
        self.shares.push(Living { share, redelegate, passports });
        "open"
    }

    /// More verbs, or more time; the old passports stay about.
    fn extend(&mut self, chance: &mut Chance) -> &'static str {
        let place = chance.below(self.shares.len());
        let more = self.asked(chance).unwrap_or_default();
        let one = &self.shares[place];
        let deadline = one.share.deadline + *chance.pick(&[0, MINUTE]);
        let mut wish = Wish {
            scope: [one.share.scope.clone(), more].concat(),
            recipient: one.share.recipient.clone(),
            ttl: deadline - one.share.opened,
            redelegate: one.redelegate,
            live: self.live(Some(place)),
            in_doubt: true,
        };
        let mine = (&one.share.user, &one.share.agent) == (&self.owner.0, &self.owner.1);
        let over = self.now >= one.share.deadline;
        if !mine || over || !matches!(self.answer(&mut wish), Answer::Yes { .. }) {
            return "not extended";
        }
        let one = &mut self.shares[place];
        (one.share.scope, one.share.deadline) = (wish.scope, deadline);
        let block = Block { scope: one.share.scope.clone(), not_after: deadline };
        let bytes = mint(&one.share.user, &block);
        one.passports.push((bytes.clone(), verified(&bytes), vec![block]));
        "extend"
    }

    fn narrow(&mut self, chance: &mut Chance) -> &'static str {
        let place = chance.below(self.shares.len());
        let from = chance.pick(&self.shares[place].passports).clone();
        let parent = from.2.last().unwrap();
        let mut child = parent.clone();
        child.scope = if chance.percent(80) {
            narrower(chance, self.world(), &parent.scope)
        } else {
            self.asked(chance).filter(|scope| !scope.is_empty()).unwrap_or(child.scope)
        };
        match narrow(&from.0, &child) {
            Ok(bytes) => {
                let blocks = [from.2, vec![child]].concat();
                let passport = verified(&bytes);
                self.shares[place].passports.push((bytes, passport, blocks));
                "narrow"
            }
            Err(_) => "not narrowed",
        }
    }

    fn call(&mut self, chance: &mut Chance) -> &'static str {
        let place = chance.below(self.shares.len());
        let Living { share, passports, .. } = &self.shares[place];
        let (_, passport, blocks) = chance.pick(passports);
        let aimed = chance.pick(blocks);
        let call = call(chance, self.world(), &aimed.scope);
        let share = Share { groups: self.groups.clone(), ..share.clone() };
        let (verdict, _) = self.loaded().decide(&share, passport, &call, self.now);
        let call = match &verdict {
            Verdict::Permit { call, .. } | Verdict::Ask { call, .. } => call,
            Verdict::Refuse(_) => return "call: refuse",
        };
        let why = || {
            let (seed, text) = (self.seed, self.loaded().text.shown());
            format!("seed {seed}: {verdict:?} {share:#?} {blocks:#?}\n{text}")
        };
        self.check_policy(&share, call).unwrap_or_else(|fault| panic!("{fault}: {}", why()));
        let permits = |scope: &[Cap]| scope.iter().any(|cap| cap.permits(&call.verb, &call.args));
        assert!(permits(&share.scope), "{}", why());
        assert!(blocks.iter().all(|block| permits(&block.scope)), "{}", why());
        assert!(blocks.iter().all(|block| self.now < block.not_after), "{}", why());
        assert!(self.now < share.deadline, "{}", why());
        assert!(share.max_calls.is_none_or(|most| share.used_calls < most), "{}", why());
        if matches!(verdict, Verdict::Ask { .. }) {
            return "call: ask";
        }
        self.shares[place].share.used_calls += 1;
        "call: permit"
    }

    /// Whether policy, as it is at this moment, lets the owner do this and share it so.
    fn check_policy(&self, share: &Share, call: &Call) -> Result<(), &'static str> {
        let (world, subject) = (self.world(), share.subject(self.now));
        world.verb(&call.verb).ok_or("there is no such verb")?;
        world.policy_permits(&subject, call).ok_or("denied, or not allowed")?;
        if !world.may_act(&share.user, &share.agent) {
            return Err("the agent is another's");
        }
        let delegates = world.delegates().any(|(_, who, verbs, terms)| {
            world.selects(who, &subject, Rule::Gives)
                && verbs.permit(&call.verb, &call.args)
                && terms.reach(&share.recipient)
                && self.now < share.opened + terms.max_ttl()
                && terms.max_calls.is_none_or(|most| share.used_calls < most)
        });
        if delegates { Ok(()) } else { Err("no rule lets it be shared so") }
    }
}
