//! How many cases a test ran, and how they ended.

use std::collections::BTreeMap;

/// Cases of every run.
const CASES: usize = 100_000;

#[derive(Default)]
pub(crate) struct Tally(BTreeMap<&'static str, usize>);

impl Tally {
    pub(crate) fn count(&mut self, ended: &'static str) {
        *self.0.entry(ended).or_default() += 1;
    }

    pub(crate) fn cases(&self) -> usize {
        self.0.values().sum()
    }

    /// Prints it, and insists that of each thousand cases so many ended so.
    pub(crate) fn check(&self, test: &str, first_seed: u64, at_least: &[(&str, usize)]) {
        println!("{test}: {} cases from seed {first_seed}: {:?}", self.cases(), self.0);
        for (ended, thousandths) in at_least {
            let many = self.0.get(ended).copied().unwrap_or_default();
            assert!(
                many * 1000 >= thousandths * self.cases(),
                "{test} proves little: {ended} {many}"
            );
        }
    }
}

/// How many cases to run.
pub(crate) fn wanted() -> usize {
    setting("DIFFERENTIAL_CASES").map_or(CASES, |cases| usize::try_from(cases).unwrap())
}

/// The seed of the first world.
pub(crate) fn first_seed(usual: u64) -> u64 {
    setting("DIFFERENTIAL_SEED").unwrap_or(usual)
}

#[expect(
    clippy::disallowed_methods,
    reason = "how much is tried is whoever runs the tests' choice"
)]
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect(name))
}
