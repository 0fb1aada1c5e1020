//! Who is paired with whom. No socket, no clock: time and random numbers come in, effects go out.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Instant;

use super::admission::Neighbourhood;
use super::quota::Bucket;
use crate::config::Limits;
use crate::protocol::control::{FlowOpened, RegisterCode, RegisterRefused, RelayMessage};
use crate::protocol::{FlowId, Refusal, RendezvousKey};

/// A leg, by a number that is never used again.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct LegId(pub(crate) u64);

/// What is to be done to a leg.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Effect {
    Tell(LegId, RelayMessage),
    Close(LegId, Refusal),
}

/// What a host's token lets it do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grant {
    pub(crate) leg_key: [u8; 32],
    pub(crate) shares: u32,
    pub(crate) bandwidth: u64,
    pub(crate) until: Instant,
}

/// All legs and what joins them.
#[derive(Debug)]
pub(crate) struct Table {
    limits: Limits,
    hosts: HashMap<LegId, Host>,
    guests: HashMap<LegId, Guest>,
    tenants: HashMap<[u8; 32], Tenant>,
    posts: HashMap<RendezvousKey, Post>,
    flows: HashMap<FlowId, Flow>,
    waiting: HashMap<Neighbourhood, u32>,
    waiting_all: u32,
    draining: bool,
}

#[derive(Debug)]
struct Host {
    tenant: [u8; 32],
    posts: HashSet<RendezvousKey>,
    until: Instant,
}

#[derive(Debug)]
struct Guest {
    flow: FlowId,
}

/// A daemon, by its leg key, over all its legs.
#[derive(Debug)]
struct Tenant {
    legs: VecDeque<LegId>,
    registered: u32,
    shares: u32,
    bucket: Bucket,
}

/// A rendezvous key: where guests wait for its host, or meet it.
#[derive(Debug, Default)]
struct Post {
    tenant: Option<[u8; 32]>,
    host: Option<LegId>,
    flows: VecDeque<FlowId>,
}

#[derive(Debug)]
struct Flow {
    guest: LegId,
    rendezvous: RendezvousKey,
    bucket: Bucket,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Both ends are here.
    Paired { host: LegId, tenant: [u8; 32] },
    /// The guest has not been paired yet.
    Newcomer { until: Instant, from: Neighbourhood },
    /// The guest's host has gone away.
    Orphan { until: Instant },
}

impl Table {
    pub(crate) fn new(limits: Limits) -> Self {
        let (hosts, guests, tenants, posts, flows, waiting) = Default::default();
        Self {
            limits,
            hosts,
            guests,
            tenants,
            posts,
            flows,
            waiting,
            waiting_all: 0,
            draining: false,
        }
    }

    /// A host has proved itself. The newest legs of one leg key stay, so that a daemon that dials again is not kept out
    /// by a leg of its own whose death has not been noticed.
    pub(crate) fn admit_host(&mut self, leg: LegId, grant: &Grant, now: Instant) -> Vec<Effect> {
        if self.draining {
            return vec![Effect::Close(leg, Refusal::Draining)];
        }
        let tenant = self.tenants.entry(grant.leg_key).or_insert_with(|| Tenant {
            legs: VecDeque::new(),
            registered: 0,
            shares: 0,
            bucket: Bucket::new(grant.bandwidth, now),
        });
        tenant.shares = grant.shares;
        tenant.bucket.set_rate(grant.bandwidth);
        tenant.legs.push_back(leg);
        let over = tenant.legs.len().saturating_sub(self.limits.legs_per_token as usize);
        let oldest: Vec<_> = tenant.legs.iter().copied().take(over).collect();
        let host = Host { tenant: grant.leg_key, posts: HashSet::new(), until: grant.until };
        self.hosts.insert(leg, host);
        let mut effects = vec![Effect::Tell(leg, RelayMessage::Welcome)];
        effects.extend(oldest.into_iter().map(|old| Effect::Close(old, Refusal::Replaced)));
        effects
    }

    /// A host wants a key's guests.
    pub(crate) fn register(&mut self, leg: LegId, key: RendezvousKey) -> Vec<Effect> {
        match self.take_post(leg, key) {
            Ok(()) => {
                let mut effects = vec![Effect::Tell(leg, RelayMessage::Registered(key))];
                effects.extend(self.pair(leg, key));
                effects
            }
            Err(code) => {
                let refused = RegisterRefused { code, rendezvous: key };
                vec![Effect::Tell(leg, RelayMessage::RegisterRefused(refused))]
            }
        }
    }

    fn take_post(&mut self, leg: LegId, key: RendezvousKey) -> Result<(), RegisterCode> {
        if self.draining {
            return Err(RegisterCode::Draining);
        }
        let owner = self.hosts.get(&leg).map(|host| host.tenant).ok_or(RegisterCode::Draining)?;
        let tenant = self.tenants.get_mut(&owner).ok_or(RegisterCode::Draining)?;
        let held = self.posts.get(&key).map(|post| (post.tenant, post.host));
        let (claimed, previous) = held.unwrap_or_default();
        if claimed.is_some_and(|claimed| claimed != owner) {
            return Err(RegisterCode::Taken);
        }
        if previous.is_none() {
            if tenant.registered >= tenant.shares {
                return Err(RegisterCode::Shares);
            }
            tenant.registered += 1;
        }
        if let Some(previous) = previous.and_then(|previous| self.hosts.get_mut(&previous)) {
            previous.posts.remove(&key);
        }
        if let Some(host) = self.hosts.get_mut(&leg) {
            host.posts.insert(key);
        }
        let post = self.posts.entry(key).or_default();
        (post.tenant, post.host) = (Some(owner), Some(leg));
        Ok(())
    }

    /// Gives the key's flows to the leg that has it now.
    fn pair(&mut self, leg: LegId, key: RendezvousKey) -> Vec<Effect> {
        let flows = self.posts.get(&key).map(|post| post.flows.clone()).unwrap_or_default();
        flows.into_iter().flat_map(|flow| self.pair_one(leg, key, flow)).collect()
    }

    fn pair_one(&mut self, host: LegId, rendezvous: RendezvousKey, id: FlowId) -> Vec<Effect> {
        let Some(tenant) = self.hosts.get(&host).map(|host| host.tenant) else { return vec![] };
        let Some(flow) = self.flows.get_mut(&id) else { return vec![] };
        let before = std::mem::replace(&mut flow.state, State::Paired { host, tenant });
        if matches!(before, State::Paired { host: same, .. } if same == host) {
            return vec![];
        }
        let guest = flow.guest;
        let opened = RelayMessage::FlowOpened(FlowOpened { flow: id, rendezvous });
        let mut effects = vec![Effect::Tell(host, opened)];
        if let State::Newcomer { from, .. } = before {
            self.stop_waiting(from);
            // After the host was told: the guest's first packet then finds the host prepared.
            effects.push(Effect::Tell(guest, RelayMessage::Joined(id)));
        }
        effects
    }

    /// A host gives a key back: its guests are sent away.
    pub(crate) fn unregister(&mut self, leg: LegId, key: RendezvousKey) -> Vec<Effect> {
        if self.posts.get(&key).is_none_or(|post| post.host != Some(leg)) {
            return vec![];
        }
        let Some(post) = self.posts.remove(&key) else { return vec![] };
        if let Some(host) = self.hosts.get_mut(&leg) {
            host.posts.remove(&key);
        }
        self.count_down(post.tenant);
        post.flows.into_iter().flat_map(|flow| self.end(flow, Refusal::NotHere)).collect()
    }

    /// A host ends one of its flows.
    pub(crate) fn close_flow(&mut self, leg: LegId, id: FlowId) -> Vec<Effect> {
        let Some(flow) = self.flows.get(&id) else { return vec![] };
        match flow.state {
            State::Paired { host, .. } if host == leg => self.end(id, Refusal::Ended),
            State::Paired { .. } | State::Newcomer { .. } | State::Orphan { .. } => vec![],
        }
    }

    /// A guest has proved a key. It is paired with the host, or waits for it; the oldest flow of the key gives way when
    /// there are too many, since whoever proves the key holds the seat's secret.
    pub(crate) fn join(
        &mut self,
        leg: LegId,
        key: RendezvousKey,
        from: Neighbourhood,
        random: u32,
        now: Instant,
    ) -> Vec<Effect> {
        if self.draining {
            return vec![Effect::Close(leg, Refusal::Draining)];
        }
        let host = self.posts.get(&key).and_then(|post| post.host);
        if host.is_none() && !self.may_wait(from) {
            return vec![Effect::Close(leg, Refusal::Full)];
        }
        let mut effects = self.make_way(key);
        let id = self.unused(random);
        let state = State::Newcomer { until: now + self.limits.wait, from };
        let bucket = Bucket::new(self.limits.seat_bandwidth, now);
        self.flows.insert(id, Flow { guest: leg, rendezvous: key, bucket, state });
        self.guests.insert(leg, Guest { flow: id });
        self.posts.entry(key).or_default().flows.push_back(id);
        *self.waiting.entry(from).or_default() += 1;
        self.waiting_all += 1;
        match host {
            Some(host) => effects.extend(self.pair_one(host, key, id)),
            None => effects.push(Effect::Tell(leg, RelayMessage::Waiting)),
        }
        effects
    }

    fn may_wait(&self, from: Neighbourhood) -> bool {
        let here = self.waiting.get(&from).copied().unwrap_or_default();
        self.waiting_all < self.limits.waiting && here < self.limits.waiting_per_address
    }

    fn make_way(&mut self, key: RendezvousKey) -> Vec<Effect> {
        let flows = self.posts.get(&key).map(|post| post.flows.clone()).unwrap_or_default();
        let over = (flows.len() + 1).saturating_sub(self.limits.flows_per_seat as usize);
        flows.into_iter().take(over).flat_map(|flow| self.end(flow, Refusal::Replaced)).collect()
    }

    fn unused(&self, random: u32) -> FlowId {
        let mut numbers = (0..=u32::MAX).map(|step| random.wrapping_add(step));
        let unused = numbers.find_map(|number| {
            FlowId::from_number(number).filter(|flow| !self.flows.contains_key(flow))
        });
        // The bound on legs is far below the count of numbers.
        unused.unwrap_or_else(|| FlowId::from(std::num::NonZeroU32::MIN))
    }

    /// Ends a flow: its guest is closed for `why`, its host is told.
    fn end(&mut self, id: FlowId, why: Refusal) -> Vec<Effect> {
        let Some(guest) = self.flows.get(&id).map(|flow| flow.guest) else { return vec![] };
        let mut effects = self.forget(id);
        effects.push(Effect::Close(guest, why));
        effects
    }

    /// Removes a flow; its host is told.
    fn forget(&mut self, id: FlowId) -> Vec<Effect> {
        let Some(flow) = self.flows.remove(&id) else { return vec![] };
        self.guests.remove(&flow.guest);
        if let Some(post) = self.posts.get_mut(&flow.rendezvous) {
            post.flows.retain(|other| *other != id);
            if post.flows.is_empty() && post.host.is_none() {
                self.posts.remove(&flow.rendezvous);
            }
        }
        match flow.state {
            State::Paired { host, .. } => vec![Effect::Tell(host, RelayMessage::FlowClosed(id))],
            State::Newcomer { from, .. } => {
                self.stop_waiting(from);
                vec![]
            }
            State::Orphan { .. } => vec![],
        }
    }

    fn stop_waiting(&mut self, from: Neighbourhood) {
        self.waiting_all = self.waiting_all.saturating_sub(1);
        if let Some(here) = self.waiting.get_mut(&from) {
            *here = here.saturating_sub(1);
            if *here == 0 {
                self.waiting.remove(&from);
            }
        }
    }

    fn count_down(&mut self, tenant: Option<[u8; 32]>) {
        if let Some(tenant) = tenant.and_then(|tenant| self.tenants.get_mut(&tenant)) {
            tenant.registered = tenant.registered.saturating_sub(1);
        }
    }

    /// A leg is gone. A host's guests wait for it: it may dial again before they notice.
    pub(crate) fn leave(&mut self, leg: LegId, now: Instant) -> Vec<Effect> {
        if let Some(guest) = self.guests.get(&leg) {
            return self.forget(guest.flow);
        }
        let Some(host) = self.hosts.remove(&leg) else { return vec![] };
        for key in &host.posts {
            self.orphan(*key, now);
            self.count_down(Some(host.tenant));
        }
        if let Some(tenant) = self.tenants.get_mut(&host.tenant) {
            tenant.legs.retain(|other| *other != leg);
            if tenant.legs.is_empty() {
                self.tenants.remove(&host.tenant);
            }
        }
        vec![]
    }

    fn orphan(&mut self, key: RendezvousKey, now: Instant) {
        let Some(post) = self.posts.get_mut(&key) else { return };
        post.host = None;
        for id in &post.flows {
            if let Some(flow) = self.flows.get_mut(id) {
                flow.state = State::Orphan { until: now + self.limits.wait };
            }
        }
        if post.flows.is_empty() {
            self.posts.remove(&key);
        }
    }

    /// Sends away whoever has waited, or whose token has run, for too long.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<Effect> {
        let late = |flow: &Flow| match flow.state {
            State::Newcomer { until, .. } | State::Orphan { until } => until <= now,
            State::Paired { .. } => false,
        };
        let flows: Vec<_> =
            self.flows.iter().filter(|(_, flow)| late(flow)).map(|(id, _)| *id).collect();
        let hosts = self.hosts.iter().filter(|(_, host)| host.until <= now);
        let mut effects: Vec<_> =
            hosts.map(|(leg, _)| Effect::Close(*leg, Refusal::TokenExpired)).collect();
        effects.extend(flows.into_iter().flat_map(|flow| self.end(flow, Refusal::NotHere)));
        effects
    }

    /// From now on nobody new; everybody is told.
    pub(crate) fn drain(&mut self) -> Vec<Effect> {
        self.draining = true;
        let legs = self.hosts.keys().chain(self.guests.keys());
        legs.map(|leg| Effect::Tell(*leg, RelayMessage::Draining)).collect()
    }

    /// Where a datagram of `bytes` goes that `from` sends on a flow: to its other end, if it is one of `from`'s, both
    /// ends are here, and neither the flow nor the host's token has used up its bandwidth.
    pub(crate) fn route(
        &mut self,
        from: LegId,
        id: FlowId,
        bytes: usize,
        now: Instant,
    ) -> Result<LegId, Undelivered> {
        let flow = self.flows.get_mut(&id).ok_or(Undelivered::NoFlow)?;
        let State::Paired { host, tenant } = flow.state else { return Err(Undelivered::NoFlow) };
        let to = match from {
            from if from == flow.guest => host,
            from if from == host => flow.guest,
            _ => return Err(Undelivered::NoFlow),
        };
        let tenant = self.tenants.get_mut(&tenant).ok_or(Undelivered::NoFlow)?;
        if !flow.bucket.holds(bytes, now) || !tenant.bucket.holds(bytes, now) {
            return Err(Undelivered::Quota);
        }
        flow.bucket.take(bytes);
        tenant.bucket.take(bytes);
        Ok(to)
    }

    /// Hosts, guests.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.hosts.len(), self.guests.len())
    }
}

/// Why a datagram goes nowhere.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Undelivered {
    /// It is on no flow of its sender's.
    NoFlow,
    /// Its flow or its token has used up its bandwidth.
    Quota,
}

#[cfg(test)]
mod tests;
