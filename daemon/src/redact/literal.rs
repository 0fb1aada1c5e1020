//! Values that only root knows, found by whoever must not know them.
//!
//! What the looker holds of a value is its length, a few bits that depend on how it begins, and a keyed hash of all of
//! it: enough to tell that it is there. Whoever takes the looker over can check a guess, and nothing else.

use std::ops::RangeInclusive;

use sha2::{Digest as _, Sha256};
use wire::privsep::SealedLiteral;

use super::verdict;

/// The least length of a value: a shorter one stands in ordinary words, and is soon guessed.
pub const VALUE_MIN: usize = 8;
/// The greatest: a hash of so much is what a byte of output may cost that looks like the beginning of a value.
pub const VALUE_MAX: usize = 1024;
/// How many of its first bytes a value is looked for by.
const WINDOW: usize = 8;
/// Of so many bytes of output that are no value, 2 to the power of this, one is hashed.
const RARITY: u32 = 10;
/// The most bits that a looker is told: those of 256 values.
const SLOT_BITS_MAX: u8 = 18;
/// By how many bits of a beginning most output is passed over: a table of so many is near at hand, whatever is told.
const FIRST_BITS: u32 = 15;

/// Seals values.
pub struct Seal {
    key: [u8; 32],
    bits: u8,
}

impl Seal {
    /// For so many values. The more bits of a beginning are told, the fewer hashes a looker makes, and the less is left
    /// to be guessed: no more are told than keep hashes rare.
    #[must_use]
    pub fn new(key: [u8; 32], values: usize) -> Self {
        let bits = RARITY.saturating_add(values.max(1).next_power_of_two().trailing_zeros());
        Self { key, bits: u8::try_from(bits).unwrap_or(SLOT_BITS_MAX).min(SLOT_BITS_MAX) }
    }

    /// How many bits of a beginning are told.
    #[must_use]
    pub fn bits(&self) -> u8 {
        self.bits
    }

    /// What a looker is told of this value; nothing of one that is too short or too long.
    #[must_use]
    pub fn seal(&self, value: &[u8]) -> Option<SealedLiteral> {
        let length = Some(value.len()).filter(|length| (VALUE_MIN..=VALUE_MAX).contains(length));
        let length = u16::try_from(length?).ok()?;
        let slot = Slots::new(&self.key, self.bits).of(*value.first_chunk()?);
        Some(SealedLiteral { length, slot, tag: tag(&keyed(&self.key), value) })
    }
}

fn keyed(key: &[u8; 32]) -> Sha256 {
    Sha256::new().chain_update(key)
}

fn tag(keyed: &Sha256, value: &[u8]) -> [u8; 16] {
    let whole: [u8; 32] = keyed.clone().chain_update(value).finalize().into();
    whole.first_chunk().copied().unwrap_or_default()
}

/// Where a window's value is looked up.
struct Slots {
    factor: u64,
    bits: u32,
}

impl Slots {
    fn new(key: &[u8; 32], bits: u8) -> Self {
        let drawn: [u8; 32] = keyed(key).chain_update(b"window").finalize().into();
        let factor = u64::from_le_bytes(drawn.first_chunk().copied().unwrap_or_default()) | 1;
        Self { factor, bits: u32::from(bits.clamp(1, SLOT_BITS_MAX)) }
    }

    fn of(&self, window: [u8; WINDOW]) -> u32 {
        u32::try_from(self.product(window) >> (64 - self.bits)).unwrap_or_default()
    }

    /// The first bits of what a slot is of.
    fn first(&self, window: [u8; WINDOW]) -> u64 {
        self.product(window) >> (64 - FIRST_BITS)
    }

    /// Those that go with a slot.
    fn firsts(&self, slot: u32) -> RangeInclusive<u64> {
        let least = u64::from(slot) << (64 - self.bits);
        let most = least | u64::MAX >> self.bits;
        least >> (64 - FIRST_BITS)..=most >> (64 - FIRST_BITS)
    }

    fn product(&self, window: [u8; WINDOW]) -> u64 {
        u64::from_le_bytes(window).wrapping_mul(self.factor)
    }
}

/// Sealed values to be looked for.
pub(super) struct Literals {
    slots: Slots,
    keyed: Sha256,
    /// A bit for all first bits that go with the slot of some value.
    taken: [u64; 1 << (FIRST_BITS - 6)],
    /// In order of their slots.
    sealed: Vec<SealedLiteral>,
}

impl Literals {
    pub(super) fn new(key: &[u8; 32], bits: u8, told: &[SealedLiteral]) -> Self {
        let slots = Slots::new(key, bits);
        let mut taken = [0; 1 << (FIRST_BITS - 6)];
        for first in told.iter().flat_map(|sealed| slots.firsts(sealed.slot)) {
            if let Some(word) = taken.get_mut(word_of(first)) {
                *word |= 1 << (first % 64);
            }
        }
        let mut sealed = told.to_vec();
        sealed.sort_by_key(|one| one.slot);
        Self { slots, keyed: keyed(key), taken, sealed }
    }

    /// Tells of each value from `at` on: where it begins and ends.
    pub(super) fn find(&self, bytes: &[u8], at: usize, add: &mut impl FnMut(usize, usize)) {
        let mut ahead = bytes.get(at..).unwrap_or_default();
        while let Some((from, window)) = self.likely(ahead) {
            ahead = ahead.get(from..).unwrap_or_default();
            if let Some(length) = self.length(self.slots.of(window), ahead) {
                let from = bytes.len().saturating_sub(ahead.len());
                add(from, from.saturating_add(length));
            }
            ahead = ahead.get(1..).unwrap_or_default();
        }
    }

    /// Where a value may begin first, by the first bits, and with what. All output goes through this, so it is kept apart: within
    /// something larger the processor's registers do not suffice for it.
    #[inline(never)]
    fn likely(&self, bytes: &[u8]) -> Option<(usize, [u8; WINDOW])> {
        let mut windows = bytes.array_windows().copied().enumerate();
        windows.find(|(_, window)| self.is_taken(self.slots.first(*window)))
    }

    /// Where a value may have begun of which the end is not there. What is taken for one begins where a word does, and
    /// has no space in it: for the few bits that are looked at, anything else would be by chance.
    pub(super) fn unfinished(&self, bytes: &[u8], from: usize) -> Option<usize> {
        let space = bytes.iter().rposition(u8::is_ascii_whitespace);
        let begin = space.map_or(0, |space| space.saturating_add(1)).max(from);
        let ahead = bytes.get(begin..)?;
        let mut windows = ahead.array_windows::<WINDOW>().enumerate();
        let found = windows.find(|(at, window)| {
            let at = begin.saturating_add(*at);
            let slot = self.slots.of(**window);
            let left = bytes.len().saturating_sub(at);
            begins_a_word(bytes, at) && self.of(slot).any(|one| usize::from(one.length) > left)
        });
        found.map(|(at, _)| begin.saturating_add(at))
    }

    fn is_taken(&self, first: u64) -> bool {
        self.taken.get(word_of(first)).is_some_and(|word| word >> (first % 64) & 1 == 1)
    }

    fn of(&self, slot: u32) -> impl Iterator<Item = &SealedLiteral> {
        let first = self.sealed.partition_point(|one| one.slot < slot);
        self.sealed.iter().skip(first).take_while(move |one| one.slot == slot)
    }

    /// How long the longest value is that `bytes` begins with.
    fn length(&self, slot: u32, bytes: &[u8]) -> Option<usize> {
        let is_there = |one: &&SealedLiteral| {
            let value = bytes.get(..usize::from(one.length));
            value.is_some_and(|value| tag(&self.keyed, value) == one.tag)
        };
        self.of(slot).filter(is_there).map(|one| usize::from(one.length)).max()
    }
}

fn word_of(first: u64) -> usize {
    usize::try_from(first / 64).unwrap_or(usize::MAX)
}

fn begins_a_word(bytes: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|before| bytes.get(before));
    before.is_none_or(|byte| !verdict::is_of_word(*byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_window_is_looked_at_by_the_first_bits_that_go_with_its_slot(
            window: [u8; WINDOW], other: [u8; WINDOW], key: [u8; 32], bits in 0_u8..=255,
        ) {
            let slots = Slots::new(&key, bits);
            let firsts = slots.firsts(slots.of(window));
            prop_assert!(firsts.contains(&slots.first(window)));
            let is_same = slots.of(window) == slots.of(other);
            prop_assert!(!is_same || firsts.contains(&slots.first(other)));
            prop_assert!(*firsts.end() < 1 << FIRST_BITS);
        }
    }
}
