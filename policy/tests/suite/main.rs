//! The policy crate from the outside: conformance cases, passports, laws, and text.

#[cfg(test)]
mod confinement;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod consent;
#[cfg(test)]
mod crowd;
#[cfg(test)]
mod delegates;
#[cfg(test)]
mod diff;
#[cfg(test)]
mod expectations;
#[cfg(test)]
mod explain;
#[cfg(test)]
mod files;
#[cfg(test)]
mod handing;
#[cfg(test)]
mod input;
#[cfg(test)]
mod language;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod lint;
#[cfg(test)]
mod notes;
#[cfg(test)]
mod passport;
#[cfg(test)]
mod random;
#[cfg(test)]
mod redact;
#[cfg(test)]
mod selectors;
#[cfg(test)]
mod services;
#[cfg(test)]
mod sockets;
#[cfg(test)]
mod sql;
#[cfg(test)]
mod targets;
#[cfg(test)]
mod text;
#[cfg(test)]
mod vectors;
#[cfg(test)]
mod within;
#[cfg(test)]
mod world;
