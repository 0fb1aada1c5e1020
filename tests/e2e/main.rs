//! The product from outside: real users, real processes, a real relay.

mod boundary;
mod catalog;
mod confusion;
mod consent;
mod contained;
mod doctor;
mod files;
mod forward;
mod groups;
mod handing;
mod input;
mod paths;
mod reached;
mod record;
mod replay;
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
mod websocket;
