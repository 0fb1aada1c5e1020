//! Peers, guests, networks and a broker that mean harm; and what is found where nothing may be.

mod broker;
mod guests;
mod handing;
mod junk;
mod remains;
mod repeats;
mod secrets;
mod weather;
