//! Chance that is the same on every machine: `SplitMix64`.

pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end.max(1)).unwrap()).unwrap()
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn from(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    pub(crate) fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    pub(crate) fn name(&mut self, from: &[&str]) -> String {
        (*self.pick(from)).to_owned()
    }

    /// From `low` to `high` of them, in their order.
    pub(crate) fn some<T: Clone>(&mut self, from: &[T], low: usize, high: usize) -> Vec<T> {
        let mut left: Vec<T> = from.to_vec();
        let many = self.from(low, high).min(left.len());
        while left.len() > many {
            left.remove(self.below(left.len()));
        }
        left
    }
}
