//! One leg, from its first packet to its end.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use quinn::{Connection, Incoming, SendStream};
use tokio::time::timeout;

use super::admission::Entry;
use super::clock;
use super::flows::Grant;
use super::forward::{Proved, Relay, Seat, random};
use super::quota::Bucket;
use crate::protocol::Refusal;
use crate::protocol::control::{LegMessage, RelayMessage};
use crate::protocol::flow::{self, Datagram};
use crate::protocol::hello::{EXPORTER_LABEL, Exporter, GuestHello, HostHello};
use crate::protocol::limits::{MAX_CONTROL, MAX_HELLO};
use crate::protocol::stream::{self, ControlReader, ReadFault};
use crate::protocol::token::{self, DeploymentToken, TokenFault};

/// Probes that one leg may have echoed: a dial sends eight.
const PROBES_MAX: u32 = 64;

/// Datagrams that are moved before other legs have their turn.
const BATCH: usize = 64;

/// No leg outlives this, whatever its token says; it keeps the arithmetic of time far from its end.
const LEG_LIFE_MAX: Duration = Duration::from_hours(10 * 365 * 24);

/// A leg whose hello is accepted.
struct Leg {
    relay: Arc<Relay>,
    connection: Connection,
    reader: ControlReader<LegMessage>,
    writer: SendStream,
    seat: Seat,
    role: Role,
    messages: Bucket,
    probes: u32,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Role {
    Host,
    Guest,
}

/// Attends one connection until it ends.
pub(crate) async fn attend(relay: Arc<Relay>, incoming: Incoming, mut entry: Entry) {
    let name = format!("{:08x}", random());
    tracing::debug!(leg = name, peer = %incoming.remote_address(), "a connection begins");
    let Ok(connecting) = incoming.accept() else { return };
    let deadline = tokio::time::Instant::now() + relay.limits.hello_timeout;
    let Ok(Ok(connection)) = tokio::time::timeout_at(deadline, connecting).await else { return };
    let greeted = tokio::time::timeout_at(deadline, greet(&relay, &connection, &mut entry)).await;
    match greeted.unwrap_or(Err(Refusal::TooSlow)) {
        Ok(leg) => {
            let role = leg.role;
            tracing::debug!(leg = name, ?role, "a leg is up");
            leg.serve().await;
            tracing::debug!(leg = name, ?role, "a leg is gone");
        }
        Err(why) => {
            tracing::debug!(leg = name, ?why, "a leg is refused");
            relay.close(&connection, why);
            // The refusal leaves with the connection's task; what is counted is freed at once.
        }
    }
}

/// Hears the hello and takes the leg in. Nothing is held for it before its key is proved.
async fn greet(
    relay: &Arc<Relay>,
    connection: &Connection,
    entry: &mut Entry,
) -> Result<Leg, Refusal> {
    let (writer, reader) = connection.accept_bi().await.map_err(|_| Refusal::Protocol)?;
    let mut reader = ControlReader::new(reader, MAX_HELLO);
    let hello = reader.next().await.map_err(|_| Refusal::Protocol)?;
    let exporter = exporter(connection)?;
    let (role, proved) = match hello {
        LegMessage::Host(hello) => (Role::Host, Proved::Host(judge_host(relay, hello, exporter)?)),
        LegMessage::Guest(hello) => {
            let proved =
                Proved::Guest(judge_guest(&hello, exporter)?.rendezvous, entry.neighbourhood());
            (Role::Guest, proved)
        }
        LegMessage::Register(_) | LegMessage::Unregister(_) | LegMessage::CloseFlow(_) => {
            return Err(Refusal::Protocol);
        }
    };
    if !entry.become_leg() {
        return Err(Refusal::Full);
    }
    let reader = reader.bounded(MAX_CONTROL);
    let (relay, connection) = (Arc::clone(relay), connection.clone());
    let seat = relay.seat(&connection, proved);
    let messages = Bucket::new(relay.limits.control_rate.into(), clock::now());
    Ok(Leg { relay, connection, reader, writer, seat, role, messages, probes: 0 })
}

fn exporter(connection: &Connection) -> Result<Exporter, Refusal> {
    let mut material = [0; 32];
    let exported = connection.export_keying_material(&mut material, EXPORTER_LABEL, &[]);
    exported.map(|()| Exporter(material)).map_err(|_| Refusal::Protocol)
}

/// The key is looked at before the token: who cannot prove a key learns nothing about tokens.
fn judge_host(relay: &Relay, hello: HostHello, exporter: Exporter) -> Result<Grant, Refusal> {
    if !hello.proves(exporter) {
        return Err(Refusal::Proof);
    }
    let wall = clock::wall();
    let token = DeploymentToken::from_bytes(hello.token).map_err(|_| Refusal::TokenInvalid)?;
    let terms = token::verify(&token, &relay.operators).map_err(|_| Refusal::TokenInvalid)?;
    terms.admit(&hello.leg_key, wall).map_err(|fault| match fault {
        TokenFault::Expired => Refusal::TokenExpired,
        TokenFault::Unbound => Refusal::TokenUnbound,
        TokenFault::Malformed
        | TokenFault::TooLong
        | TokenFault::Unsigned
        | TokenFault::NotCanonical
        | TokenFault::Unmakeable => Refusal::TokenInvalid,
    })?;
    let left = Duration::from_millis(terms.not_after.saturating_sub(wall)).min(LEG_LIFE_MAX);
    Ok(Grant {
        leg_key: terms.leg_key,
        shares: terms.shares,
        bandwidth: terms.bandwidth,
        until: clock::now() + left,
    })
}

fn judge_guest(hello: &GuestHello, exporter: Exporter) -> Result<&GuestHello, Refusal> {
    if hello.proves(exporter) { Ok(hello) } else { Err(Refusal::Proof) }
}

impl Leg {
    async fn serve(mut self) {
        loop {
            if let Err(why) = self.turn().await {
                return self.relay.close(&self.connection, why);
            }
        }
    }

    async fn turn(&mut self) -> Result<(), Refusal> {
        tokio::select! {
            biased;
            message = self.reader.next() => {
                let message = message.map_err(|fault| match fault {
                    ReadFault::Message(_) => Refusal::Protocol,
                    ReadFault::Ended => Refusal::Bye,
                })?;
                self.hear(&message)
            }
            message = self.seat.outbox.next() => self.say(&message).await,
            datagram = self.connection.read_datagram() => {
                self.move_on(datagram.map_err(|_| Refusal::Bye)?).await
            }
        }
    }

    fn hear(&mut self, message: &LegMessage) -> Result<(), Refusal> {
        let now = clock::now();
        if self.role != Role::Host || !self.messages.holds(1, now) {
            return Err(Refusal::Protocol);
        }
        self.messages.take(1);
        let leg = self.seat.leg;
        match *message {
            LegMessage::Register(key) => self.relay.change(|table| table.register(leg, key)),
            LegMessage::Unregister(key) => self.relay.change(|table| table.unregister(leg, key)),
            LegMessage::CloseFlow(flow) => self.relay.change(|table| table.close_flow(leg, flow)),
            LegMessage::Host(_) | LegMessage::Guest(_) => return Err(Refusal::Protocol),
        }
        Ok(())
    }

    /// A leg that does not take in what it is told is not waited for: its packets would wait, too.
    async fn say(&mut self, message: &RelayMessage) -> Result<(), Refusal> {
        let written =
            timeout(self.relay.limits.hello_timeout, stream::write(&mut self.writer, message));
        match written.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Refusal::Bye),
            Err(_) => Err(Refusal::TooSlow),
        }
    }

    /// Moves this datagram and those behind it, up to a batch; then other legs have their turn.
    async fn move_on(&mut self, first: Bytes) -> Result<(), Refusal> {
        let now = clock::now();
        self.pass(first, now);
        for _ in 1..BATCH {
            let Some(datagram) = waiting(&self.connection) else { return Ok(()) };
            self.pass(datagram, now);
        }
        tokio::task::yield_now().await;
        Ok(())
    }

    fn pass(&mut self, datagram: Bytes, now: Instant) {
        match flow::read(datagram.clone()) {
            Some(Datagram::Packet(flow, _)) => {
                self.relay.forward(self.seat.leg, flow, datagram, now);
            }
            Some(Datagram::Probe) => self.echo(datagram),
            None => {}
        }
    }

    fn echo(&mut self, probe: Bytes) {
        if self.probes < PROBES_MAX {
            self.probes += 1;
            let _ = self.connection.send_datagram(probe);
        }
    }
}

/// A datagram that has come already.
fn waiting(connection: &Connection) -> Option<Bytes> {
    match pin!(connection.read_datagram()).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(datagram) => datagram.ok(),
        Poll::Pending => None,
    }
}
