//! The relay's state, and the way of a packet through it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::Bytes;
use quinn::Connection;

use super::admission::{Admission, Neighbourhood};
use super::clock;
use super::flows::{Effect, Grant, LegId, Table};
use super::outbox::Outbox;
use super::quota::Ledger;
use super::tally::Tally;
use crate::config::Limits;
use crate::lock::lock;
use crate::protocol::flow::{FLOW_BYTES, FlowId};
use crate::protocol::{Refusal, RendezvousKey};

/// What all legs share.
#[derive(Debug)]
pub(crate) struct Relay {
    pub(crate) limits: Limits,
    pub(crate) operators: Vec<[u8; 32]>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) tally: Tally,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    table: Table,
    legs: HashMap<LegId, Handle>,
    ledger: Ledger,
    next: u64,
}

#[derive(Debug)]
struct Handle {
    connection: Connection,
    outbox: Arc<Outbox>,
    queued: u64,
}

/// A leg's place in the relay. Dropping it takes the leg out, and with it all that it holds.
#[derive(Debug)]
pub(crate) struct Seat {
    relay: Arc<Relay>,
    pub(crate) leg: LegId,
    pub(crate) outbox: Arc<Outbox>,
}

/// What a leg has proved to be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Proved {
    Host(Grant),
    Guest(RendezvousKey, Neighbourhood),
}

impl Relay {
    pub(crate) fn new(limits: Limits, operators: Vec<[u8; 32]>) -> Self {
        let state = State {
            table: Table::new(limits.clone()),
            legs: HashMap::new(),
            ledger: Ledger::new(limits.memory),
            next: 0,
        };
        let admission = Arc::new(Admission::new(limits.clone()));
        Self { limits, operators, admission, tally: Tally::default(), state: Mutex::new(state) }
    }

    /// Takes in a leg that has proved itself.
    pub(crate) fn seat(self: &Arc<Self>, connection: &Connection, proved: Proved) -> Seat {
        let outbox = Arc::new(Outbox::new(self.limits.control_queue as usize));
        let state = &mut *lock(&self.state);
        state.next += 1;
        let leg = LegId(state.next);
        let handle =
            Handle { connection: connection.clone(), outbox: Arc::clone(&outbox), queued: 0 };
        state.legs.insert(leg, handle);
        let now = clock::now();
        let effects = match proved {
            Proved::Host(grant) => state.table.admit_host(leg, &grant, now),
            Proved::Guest(key, from) => state.table.join(leg, key, from, random(), now),
        };
        self.apply(state, effects);
        Seat { relay: Arc::clone(self), leg, outbox }
    }

    /// Changes the table and does what follows from it.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Table) -> Vec<Effect>) {
        let state = &mut *lock(&self.state);
        let effects = change(&mut state.table);
        self.apply(state, effects);
    }

    fn apply(&self, state: &State, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Tell(leg, message) => {
                    let Some(handle) = state.legs.get(&leg) else { continue };
                    if !handle.outbox.push(message) {
                        self.close(&handle.connection, Refusal::Full);
                    }
                }
                Effect::Close(leg, why) => {
                    let Some(handle) = state.legs.get(&leg) else { continue };
                    self.close(&handle.connection, why);
                }
            }
        }
    }

    /// Ends a connection and says why.
    pub(crate) fn close(&self, connection: &Connection, why: Refusal) {
        self.tally.refused(why);
        connection.close(why.code().into(), b"");
    }

    /// Moves one datagram on, untouched: both ends know the flow by the same number.
    pub(crate) fn forward(&self, from: LegId, flow: FlowId, datagram: Bytes, now: Instant) {
        let bytes = datagram.len();
        let state = &mut *lock(&self.state);
        let to = match state.table.route(from, flow, bytes.saturating_sub(FLOW_BYTES), now) {
            Ok(to) => to,
            Err(why) => return self.tally.undelivered(why),
        };
        let Some(handle) = state.legs.get_mut(&to) else { return };
        let free = handle.connection.datagram_send_buffer_space();
        let held = self.limits.queue.saturating_sub(free as u64);
        state.ledger.update(&mut handle.queued, held);
        if !state.ledger.has_room(bytes) {
            return self.tally.over_memory();
        }
        // When this leg's own queue is full, its oldest datagram goes; one that the path no longer carries is dropped.
        if handle.connection.send_datagram(datagram).is_ok() {
            self.tally.forwarded(bytes);
        }
    }

    /// Once in a while: sends away what has expired and looks again at queues that were last seen in use.
    pub(crate) fn tick(&self) {
        let state = &mut *lock(&self.state);
        let effects = state.table.expire(clock::now());
        self.apply(state, effects);
        for handle in state.legs.values_mut().filter(|handle| handle.queued > 0) {
            let free = handle.connection.datagram_send_buffer_space();
            let held = self.limits.queue.saturating_sub(free as u64);
            state.ledger.update(&mut handle.queued, held);
        }
    }

    /// Hosts, guests.
    pub(crate) fn size(&self) -> (usize, usize) {
        lock(&self.state).table.size()
    }

    /// Closes every leg. How many there were.
    pub(crate) fn close_all(&self, why: Refusal) -> usize {
        let state = lock(&self.state);
        state.legs.values().for_each(|handle| self.close(&handle.connection, why));
        state.legs.len()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let state = &mut *lock(&self.relay.state);
        if let Some(mut handle) = state.legs.remove(&self.leg) {
            state.ledger.update(&mut handle.queued, 0);
        }
        let effects = state.table.leave(self.leg, clock::now());
        self.relay.apply(state, effects);
    }
}

/// For names that must not be guessed but are no secrets. Without randomness the kernel gives none to TLS either.
pub(crate) fn random() -> u32 {
    getrandom::u32().unwrap_or_default()
}
