//! Samples of one thing, and what they say together.

use std::time::Duration;

/// Measured values of one kind, sorted.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<f64>);

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        Self(values)
    }
}

impl FromIterator<Duration> for Samples {
    /// In milliseconds.
    fn from_iter<I: IntoIterator<Item = Duration>>(values: I) -> Self {
        values.into_iter().map(|value| value.as_secs_f64() * 1000.0).collect()
    }
}

impl Samples {
    /// The smallest value that `percent` of a hundred do not exceed.
    ///
    /// # Panics
    /// When there are no samples.
    pub fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        *self.0.get(rank - 1).expect("there are samples")
    }

    pub fn median(&self) -> f64 {
        self.percentile(50)
    }

    pub fn min(&self) -> f64 {
        self.percentile(0)
    }

    pub fn max(&self) -> f64 {
        self.percentile(100)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn all(&self) -> impl Iterator<Item = f64> {
        self.0.iter().copied()
    }
}

/// Ours and a peer's, taken in turn: one pair of samples a round.
#[derive(Default)]
pub struct Duel {
    ours: Vec<Samples>,
    theirs: Vec<Samples>,
}

impl Duel {
    pub fn round(&mut self, ours: Samples, theirs: Samples) {
        self.ours.push(ours);
        self.theirs.push(theirs);
    }

    pub fn ours(&self) -> Samples {
        self.ours.iter().flat_map(Samples::all).collect()
    }

    pub fn theirs(&self) -> Samples {
        self.theirs.iter().flat_map(Samples::all).collect()
    }

    /// Our median for one of theirs.
    pub fn ratio(&self) -> f64 {
        self.ours().median() / self.theirs().median()
    }

    /// The same, round by round: how far it varies within the run.
    pub fn ratios(&self) -> Samples {
        let pairs = self.ours.iter().zip(&self.theirs);
        pairs.map(|(ours, theirs)| ours.median() / theirs.median()).collect()
    }

    pub fn rounds(&self) -> usize {
        self.ours.len()
    }
}
