//! The program against a daemon's end of the channel, through a real relay.
//!
//! The daemon here is a script over the same wire crate: what a verb does is said by its name.

#[cfg(test)]
mod daemon;
#[cfg(test)]
mod giving;
#[cfg(test)]
mod kept;
#[cfg(test)]
mod looking;
#[cfg(test)]
mod relay_process;
#[cfg(test)]
mod story;
