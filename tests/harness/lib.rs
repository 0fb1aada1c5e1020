//! A world to test in: real users, a real relay, a real daemon, real clients, all removed at the end.

pub mod account;
pub mod background;
pub mod client;
pub mod corpus;
pub mod dump;
pub mod forge;
pub mod installed;
pub mod introduced;
pub mod owner;
pub mod postgres;
pub mod proxy;
pub mod reflect;
pub mod service;
pub mod socket;
pub mod sshd;
pub mod terminal;
pub mod tmux;
pub mod wait;
pub mod web;
pub mod world;
