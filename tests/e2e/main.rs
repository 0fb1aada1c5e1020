//! The product from outside: real users, real processes, a real relay.

mod boundary;
mod catalog;
mod consent;
mod contained;
mod databases;
mod forward;
mod groups;
mod handing;
mod input;
mod paths;
mod record;
mod running;
mod secrets;
mod session;
mod sharing;
mod story;
mod targets;
mod terminal;
mod terms;
mod together;
mod tour;
