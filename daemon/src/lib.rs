//! OpenScope's daemon, its runner, and the owner's command line: one library under three thin programs.

pub mod broker;
pub mod cli;
pub mod clock;
pub mod config;
pub mod exit;
pub mod keeper;
mod keys;
mod logging;
pub mod monitor;
pub mod reach;
pub mod redact;
mod roles;
pub mod run;
mod strict;

pub use roles::main;
