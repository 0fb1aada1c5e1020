//! The rule language against a second evaluator, written for obviousness: plain structs, naive loops, no index,
//! its own dates and its own patterns. Of the crate under test it uses the reader of TOML, the maker of
//! passports, and the functions that are compared.
//!
//! `DIFFERENTIAL_CASES` sets how many cases each test runs, `DIFFERENTIAL_SEED` the seed of the first world.

#[cfg(test)]
mod bridge;
#[cfg(test)]
mod calls;
#[cfg(test)]
mod chains;
#[cfg(test)]
mod chance;
#[cfg(test)]
mod clock;
#[cfg(test)]
mod decide;
#[cfg(test)]
mod delegate;
#[cfg(test)]
mod generate;
#[cfg(test)]
mod limit;
#[cfg(test)]
mod menu;
#[cfg(test)]
mod model;
#[cfg(test)]
mod pool;
#[cfg(test)]
mod render;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod scale;
#[cfg(test)]
mod sequences;
#[cfg(test)]
mod sharing;
#[cfg(test)]
mod shrink;
#[cfg(test)]
mod tally;
#[cfg(test)]
mod wishes;
