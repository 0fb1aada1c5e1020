//! The policy crate from the outside: conformance cases, passports, laws, and text.

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod consent;
#[cfg(test)]
mod delegates;
#[cfg(test)]
mod handing;
mod language;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod passport;
#[cfg(test)]
mod selectors;
#[cfg(test)]
mod text;
#[cfg(test)]
mod vectors;
#[cfg(test)]
mod within;
#[cfg(test)]
mod world;
