//! The recipient's side: opens a handle, takes its seat, and calls the verbs that were shared.

mod arguments;
mod call;
mod cli;
mod clock;
mod conduct;
mod confirm;
mod console;
mod environment;
mod escape;
mod exit;
mod failure;
mod forward;
mod frames;
mod handle_text;
mod inspect;
mod join;
mod keygen;
mod keys;
mod known_daemons;
mod list;
mod narrow;
mod neutral;
mod output;
mod place;
mod private_file;
mod prompt;
mod relays;
mod report;
#[cfg(test)]
mod sample;
mod screen;
mod seat;
mod session;
mod source;
mod start;
mod told;
mod tty;
mod typed;
mod upload;

pub use call::{Call, CallFault, Event, Reached, Receipt};
pub use frames::FrameEnd;
pub use join::{JoinFault, Standing};
pub use relays::RelayFault;
pub use seat::Seat;
pub use session::{Over, Session, View};
pub use start::main;
