//! A case that fails, and the smallest part of it that still does.

use std::fmt::Write as _;

use crate::bridge::{Loaded, passports};
use crate::decide::{Told, Verdict, decide};
use crate::model::{Call, Chain, Share, World};

/// One call in its world.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) world: World,
    pub(crate) share: Share,
    pub(crate) chain: Chain,
    pub(crate) call: Call,
    pub(crate) now: u64,
}

/// Whether both evaluators say the same.
pub(crate) fn agree(crates: &Verdict, second: &Verdict) -> bool {
    match (crates, second) {
        (Verdict::Refuse(told), Verdict::Refuse(Told::ParameterOrNothing(name))) => {
            *told == Told::NotPermitted || *told == Told::Parameter(name.clone())
        }
        (one, two) => one == two,
    }
}

impl Case {
    /// What both say, when it is not the same.
    fn disagreement(&self) -> Option<(Verdict, Verdict)> {
        let loaded = Loaded::of(&self.world).ok()?;
        let made = passports(&self.chain);
        let passport = made.last().filter(|_| made.len() == self.chain.blocks.len())?;
        let (crates, _) = loaded.decide(&self.share, passport, &self.call, self.now);
        let second = decide(&self.world, &self.share, &self.chain, &self.call, self.now);
        (!agree(&crates, &second)).then_some((crates, second))
    }

    /// Fails the test with the smallest case that can be found.
    pub(crate) fn fail(mut self, seed: u64) -> ! {
        while let Some(smaller) =
            self.smaller().into_iter().find(|one| one.disagreement().is_some())
        {
            self = smaller;
        }
        let Self { world, share, chain, call, now } = &self;
        let mut said = format!("seed {seed}: the evaluators disagree\n");
        match self.disagreement() {
            Some((crates, second)) => {
                let _ = writeln!(said, "policy: {crates:?}\nsecond: {second:?}");
            }
            None => said += "(not again, when it is done anew)\n",
        }
        let text = crate::render::Rendered::of(world).shown();
        panic!("{said}now {now}\n{call:?}\n{share:#?}\n{chain:#?}\n{text}")
    }

    /// Every case with one thing less.
    fn smaller(&self) -> Vec<Self> {
        let mut all = Vec::new();
        for (file, items) in self.world.files.iter().enumerate() {
            for place in 0..items.len() {
                all.push(self.with(|one| drop(one.world.files[file].remove(place))));
            }
        }
        for place in 0..self.world.verbs.len() {
            all.push(self.with(|one| drop(one.world.verbs.remove(place))));
        }
        for place in 1..self.chain.blocks.len() {
            all.push(self.with(|one| drop(one.chain.blocks.remove(place))));
        }
        for place in 0..self.share.consents.len() {
            all.push(self.with(|one| drop(one.share.consents.remove(place))));
        }
        for place in 0..self.share.scope.len() {
            all.push(self.with(|one| drop(one.share.scope.remove(place))));
        }
        for place in 0..self.call.args.len() {
            all.push(self.with(|one| drop(one.call.args.remove(place))));
        }
        all
    }

    fn with(&self, change: impl Fn(&mut Self)) -> Self {
        let mut one = self.clone();
        change(&mut one);
        one
    }
}
