//! The table by itself: time and randomness are arguments.

use std::time::Duration;

use super::*;
use crate::server::clock;

const KEY: RendezvousKey = RendezvousKey([1; 32]);
const OTHER: RendezvousKey = RendezvousKey([2; 32]);
const HOST: LegId = LegId(100);
const ALICE: [u8; 32] = [10; 32];
const MALLORY: [u8; 32] = [11; 32];

struct World {
    table: Table,
    now: Instant,
}

fn limits() -> Limits {
    Limits {
        waiting: 3,
        waiting_per_address: 2,
        wait: Duration::from_secs(10),
        legs_per_token: 2,
        flows_per_seat: 2,
        seat_bandwidth: 1 << 20,
        ..Limits::default()
    }
}

fn here(last: u8) -> Neighbourhood {
    Neighbourhood::of([192, 0, 2, last].into())
}

fn flow(number: u32) -> FlowId {
    FlowId::from_number(number).unwrap()
}

fn opened(leg: LegId, number: u32, rendezvous: RendezvousKey) -> Effect {
    Effect::Tell(leg, RelayMessage::FlowOpened(FlowOpened { flow: flow(number), rendezvous }))
}

fn joined(leg: LegId, number: u32) -> Effect {
    Effect::Tell(leg, RelayMessage::Joined(flow(number)))
}

fn refused(leg: LegId, code: RegisterCode) -> Vec<Effect> {
    let refused = RegisterRefused { code, rendezvous: KEY };
    vec![Effect::Tell(leg, RelayMessage::RegisterRefused(refused))]
}

impl World {
    fn new() -> Self {
        Self { table: Table::new(limits()), now: clock::now() }
    }

    /// One host, `KEY` registered.
    fn with_host() -> Self {
        let mut world = Self::new();
        world.host(HOST, ALICE, 2);
        world.table.register(HOST, KEY);
        world
    }

    fn host(&mut self, leg: LegId, leg_key: [u8; 32], shares: u32) -> Vec<Effect> {
        let until = self.now + Duration::from_hours(1);
        self.table.admit_host(leg, &Grant { leg_key, shares, bandwidth: 1 << 20, until }, self.now)
    }

    fn guest(&mut self, leg: u64, key: RendezvousKey) -> Vec<Effect> {
        let number = u32::try_from(leg).unwrap();
        self.table.join(LegId(leg), key, here(1), number, self.now)
    }

    fn route(&mut self, from: LegId, number: u32) -> Result<LegId, Undelivered> {
        self.table.route(from, flow(number), 1200, self.now)
    }

    fn after(&mut self, seconds: u64) -> Vec<Effect> {
        self.now += Duration::from_secs(seconds);
        self.table.expire(self.now)
    }
}

#[test]
fn the_host_is_told_of_a_guest_before_the_guest_of_the_host() {
    let mut world = World::with_host();
    assert_eq!(world.guest(1, KEY), [opened(HOST, 1, KEY), joined(LegId(1), 1)]);
}

#[test]
fn packets_go_between_the_ends_of_a_flow_and_nowhere_else() {
    let mut world = World::with_host();
    world.table.register(HOST, OTHER);
    world.guest(1, KEY);
    world.guest(2, OTHER);
    assert_eq!(world.route(LegId(1), 1), Ok(HOST));
    assert_eq!(world.route(HOST, 1), Ok(LegId(1)));
    assert_eq!(world.route(LegId(2), 1), Err(Undelivered::NoFlow));
    assert_eq!(world.route(LegId(9), 1), Err(Undelivered::NoFlow));
    assert_eq!(world.route(HOST, 7), Err(Undelivered::NoFlow));
}

#[test]
fn a_guest_that_comes_first_waits_and_is_paired_when_its_host_comes() {
    let mut world = World::new();
    assert_eq!(world.guest(1, KEY), [Effect::Tell(LegId(1), RelayMessage::Waiting)]);
    assert_eq!(world.route(LegId(1), 1), Err(Undelivered::NoFlow));
    world.host(HOST, ALICE, 1);
    assert_eq!(
        world.table.register(HOST, KEY),
        [
            Effect::Tell(HOST, RelayMessage::Registered(KEY)),
            opened(HOST, 1, KEY),
            joined(LegId(1), 1)
        ]
    );
    assert_eq!(world.route(LegId(1), 1), Ok(HOST));
    assert_eq!(world.after(3600 - 1), []);
}

#[test]
fn a_guest_waits_no_longer_than_the_bound() {
    let mut world = World::new();
    world.guest(1, KEY);
    assert_eq!(world.after(9), []);
    assert_eq!(world.after(1), [Effect::Close(LegId(1), Refusal::NotHere)]);
    assert_eq!(world.after(1), []);
}

#[test]
fn re7_waiting_guests_are_bounded_per_address_and_in_all() {
    let mut world = World::new();
    let join = |world: &mut World, leg: u64, last: u8| {
        let key = RendezvousKey([u8::try_from(leg).unwrap(); 32]);
        world.table.join(LegId(leg), key, here(last), 0, world.now)
    };
    let waits = |leg| vec![Effect::Tell(LegId(leg), RelayMessage::Waiting)];
    let full = |leg| vec![Effect::Close(LegId(leg), Refusal::Full)];
    assert_eq!(join(&mut world, 1, 1), waits(1));
    assert_eq!(join(&mut world, 2, 1), waits(2));
    assert_eq!(join(&mut world, 3, 1), full(3));
    assert_eq!(join(&mut world, 4, 2), waits(4));
    assert_eq!(join(&mut world, 5, 3), full(5));
    world.table.leave(LegId(1), world.now);
    assert_eq!(join(&mut world, 6, 3), waits(6));
}

#[test]
fn a_guest_of_a_host_that_is_here_needs_no_place_among_the_waiting() {
    let mut world = World::with_host();
    for leg in 1..=3 {
        world.table.join(
            LegId(leg),
            RendezvousKey([50 + u8::try_from(leg).unwrap(); 32]),
            here(u8::try_from(leg).unwrap()),
            0,
            world.now,
        );
    }
    assert_eq!(world.guest(9, KEY), [opened(HOST, 9, KEY), joined(LegId(9), 9)]);
}

#[test]
fn re7_the_flows_of_a_seat_are_bounded_and_the_oldest_gives_way() {
    let mut world = World::with_host();
    world.guest(1, KEY);
    world.guest(2, KEY);
    assert_eq!(
        world.guest(3, KEY),
        [
            Effect::Tell(HOST, RelayMessage::FlowClosed(flow(1))),
            Effect::Close(LegId(1), Refusal::Replaced),
            opened(HOST, 3, KEY),
            joined(LegId(3), 3)
        ]
    );
    assert_eq!(world.route(LegId(1), 1), Err(Undelivered::NoFlow));
    assert_eq!(world.table.leave(LegId(1), world.now), []);
    assert_eq!(world.route(LegId(2), 2), Ok(HOST));
}

#[test]
fn re7_a_token_registers_its_number_of_shares_and_one_given_back_is_free() {
    let mut world = World::new();
    world.host(HOST, ALICE, 1);
    world.table.register(HOST, OTHER);
    assert_eq!(world.table.register(HOST, KEY), refused(HOST, RegisterCode::Shares));
    assert_eq!(
        world.table.register(HOST, OTHER),
        [Effect::Tell(HOST, RelayMessage::Registered(OTHER))]
    );
    world.table.unregister(HOST, OTHER);
    assert_eq!(
        world.table.register(HOST, KEY),
        [Effect::Tell(HOST, RelayMessage::Registered(KEY))]
    );
}

#[test]
fn re7_the_shares_of_a_token_are_counted_over_its_legs() {
    let mut world = World::new();
    world.host(HOST, ALICE, 1);
    world.host(LegId(101), ALICE, 1);
    world.table.register(HOST, OTHER);
    assert_eq!(world.table.register(LegId(101), KEY), refused(LegId(101), RegisterCode::Shares));
    world.table.leave(HOST, world.now);
    assert_eq!(
        world.table.register(LegId(101), KEY),
        [Effect::Tell(LegId(101), RelayMessage::Registered(KEY))]
    );
}

#[test]
fn re2_a_leg_that_is_no_host_registers_nothing() {
    let mut world = World::new();
    world.guest(1, KEY);
    assert_eq!(
        world.table.register(LegId(1), OTHER),
        [Effect::Tell(
            LegId(1),
            RelayMessage::RegisterRefused(RegisterRefused {
                code: RegisterCode::Draining,
                rendezvous: OTHER
            })
        )]
    );
    assert_eq!(world.guest(2, OTHER), [Effect::Tell(LegId(2), RelayMessage::Waiting)]);
}

#[test]
fn another_leg_key_cannot_take_a_key_over_even_while_its_host_is_away() {
    let mut world = World::with_host();
    world.guest(1, KEY);
    world.host(LegId(200), MALLORY, 9);
    assert_eq!(world.table.register(LegId(200), KEY), refused(LegId(200), RegisterCode::Taken));
    world.table.leave(HOST, world.now);
    assert_eq!(world.table.register(LegId(200), KEY), refused(LegId(200), RegisterCode::Taken));
    assert_eq!(world.table.unregister(LegId(200), KEY), []);
}

#[test]
fn a_newer_leg_of_the_same_host_takes_over_with_the_same_flows() {
    let mut world = World::with_host();
    world.guest(1, KEY);
    let newer = LegId(101);
    world.host(newer, ALICE, 2);
    assert_eq!(
        world.table.register(newer, KEY),
        [Effect::Tell(newer, RelayMessage::Registered(KEY)), opened(newer, 1, KEY)]
    );
    assert_eq!(world.route(LegId(1), 1), Ok(newer));
    assert_eq!(world.route(HOST, 1), Err(Undelivered::NoFlow));
    world.table.leave(HOST, world.now);
    assert_eq!(world.route(newer, 1), Ok(LegId(1)));
}

#[test]
fn a_guest_whose_host_is_gone_stays_for_the_host_that_dials_again() {
    let mut world = World::with_host();
    world.guest(1, KEY);
    world.table.leave(HOST, world.now);
    assert_eq!(world.route(LegId(1), 1), Err(Undelivered::NoFlow));
    world.host(LegId(101), ALICE, 2);
    let effects = world.table.register(LegId(101), KEY);
    assert_eq!(effects[1..], [opened(LegId(101), 1, KEY)]);
    assert_eq!(world.route(LegId(1), 1), Ok(LegId(101)));
    assert_eq!(world.after(60), []);
}

#[test]
fn a_guest_whose_host_does_not_come_back_is_sent_away() {
    let mut world = World::with_host();
    world.guest(1, KEY);
    world.table.leave(HOST, world.now);
    assert_eq!(world.after(9), []);
    assert_eq!(world.after(1), [Effect::Close(LegId(1), Refusal::NotHere)]);
}

#[test]
fn giving_a_key_back_sends_its_guests_away() {
    let mut world = World::with_host();
    world.guest(1, KEY);
    assert_eq!(
        world.table.unregister(HOST, KEY),
        [
            Effect::Tell(HOST, RelayMessage::FlowClosed(flow(1))),
            Effect::Close(LegId(1), Refusal::NotHere)
        ]
    );
    assert_eq!(world.guest(2, KEY), [Effect::Tell(LegId(2), RelayMessage::Waiting)]);
}

#[test]
fn a_host_ends_its_own_flows_only() {
    let mut world = World::with_host();
    world.guest(1, KEY);
    world.host(LegId(200), MALLORY, 1);
    assert_eq!(world.table.close_flow(LegId(200), flow(1)), []);
    assert_eq!(
        world.table.close_flow(HOST, flow(1)),
        [
            Effect::Tell(HOST, RelayMessage::FlowClosed(flow(1))),
            Effect::Close(LegId(1), Refusal::Ended)
        ]
    );
}

#[test]
fn a_guest_that_leaves_takes_its_flow_along() {
    let mut world = World::with_host();
    world.guest(1, KEY);
    let closed = Effect::Tell(HOST, RelayMessage::FlowClosed(flow(1)));
    assert_eq!(world.table.leave(LegId(1), world.now), [closed]);
    assert_eq!(world.route(HOST, 1), Err(Undelivered::NoFlow));
}

#[test]
fn re7_the_legs_of_a_token_are_bounded_and_the_oldest_gives_way() {
    let mut world = World::new();
    let welcome = |leg| Effect::Tell(leg, RelayMessage::Welcome);
    assert_eq!(world.host(HOST, ALICE, 1), [welcome(HOST)]);
    assert_eq!(world.host(LegId(101), ALICE, 1), [welcome(LegId(101))]);
    assert_eq!(
        world.host(LegId(102), ALICE, 1),
        [welcome(LegId(102)), Effect::Close(HOST, Refusal::Replaced)]
    );
    assert_eq!(world.host(LegId(200), MALLORY, 1), [welcome(LegId(200))]);
}

#[test]
fn re2_a_leg_ends_when_its_token_does() {
    let mut world = World::new();
    world.host(HOST, ALICE, 1);
    assert_eq!(world.after(3599), []);
    assert_eq!(world.after(1), [Effect::Close(HOST, Refusal::TokenExpired)]);
}

#[test]
fn re7_a_flow_and_a_token_have_their_bandwidth() {
    let mut world = World::with_host();
    world.table.register(HOST, OTHER);
    world.guest(1, KEY);
    world.guest(2, OTHER);
    let mut passed = 0;
    while world.route(LegId(1), 1).is_ok() {
        passed += 1200;
    }
    assert!(((1 << 18) - 1200..=1 << 18).contains(&passed), "{passed}");
    assert_eq!(world.route(LegId(1), 1), Err(Undelivered::Quota));
    // The token's rate is the same here: one flow has used it up for both.
    assert_eq!(world.route(HOST, 2), Err(Undelivered::Quota));
    world.now += Duration::from_millis(10);
    assert_eq!(world.route(HOST, 2), Ok(LegId(2)));
}

#[test]
fn a_draining_relay_tells_everybody_and_takes_nobody() {
    let mut world = World::with_host();
    world.guest(1, KEY);
    let effects = world.table.drain();
    assert_eq!(effects.len(), 2);
    assert!(effects.contains(&Effect::Tell(HOST, RelayMessage::Draining)));
    assert!(effects.contains(&Effect::Tell(LegId(1), RelayMessage::Draining)));
    assert_eq!(world.guest(2, KEY), [Effect::Close(LegId(2), Refusal::Draining)]);
    assert_eq!(world.host(LegId(5), ALICE, 1), [Effect::Close(LegId(5), Refusal::Draining)]);
    assert_eq!(world.route(LegId(1), 1), Ok(HOST));
}

#[test]
fn a_flow_number_that_is_taken_or_nought_is_not_given_twice() {
    let mut world = World::with_host();
    world.table.join(LegId(1), KEY, here(1), 0, world.now);
    world.table.join(LegId(2), KEY, here(1), 0, world.now);
    assert_eq!(world.route(LegId(1), 1), Ok(HOST));
    assert_eq!(world.route(LegId(2), 2), Ok(HOST));
}

#[test]
fn re3_nothing_is_kept_of_who_has_left() {
    let mut world = World::with_host();
    world.guest(1, KEY);
    world.guest(2, OTHER);
    world.table.leave(HOST, world.now);
    world.after(10);
    world.table.leave(LegId(1), world.now);
    world.table.leave(LegId(2), world.now);
    let Table { hosts, guests, tenants, posts, flows, waiting, waiting_all, .. } = world.table;
    assert!(hosts.is_empty() && guests.is_empty() && tenants.is_empty());
    assert!(posts.is_empty() && flows.is_empty() && waiting.is_empty());
    assert_eq!(waiting_all, 0);
}
