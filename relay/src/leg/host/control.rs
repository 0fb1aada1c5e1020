//! The control stream of a host, held by one task.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use quinn::{Connection, SendStream};
use tokio::sync::{mpsc, oneshot};

use super::HostEvent;
use super::arrival::Arrivals;
use crate::leg::dial::why;
use crate::leg::fault::{Lost, RegisterFault};
use crate::leg::guest::close;
use crate::protocol::control::{FlowOpened, LegMessage, RegisterCode, RelayMessage};
use crate::protocol::stream::{self, ControlReader, ReadFault};
use crate::protocol::{FlowId, RendezvousKey};

/// Where the answer to a registration goes.
pub(super) struct Answer(pub(super) oneshot::Sender<Result<(), RegisterFault>>);

/// What the leg's owner wants said.
pub(super) enum Order {
    Register(RendezvousKey, Answer),
    Unregister(RendezvousKey),
    CloseFlow(FlowId),
}

/// What ends a leg.
enum Over {
    /// The stream broke.
    Read(ReadFault),
    /// The relay says what it does not say, or more than there is room for.
    Protocol,
    /// The owner has let go.
    Released,
}

impl From<ReadFault> for Over {
    fn from(fault: ReadFault) -> Self {
        Self::Read(fault)
    }
}

/// Speaks and listens for a leg until it is lost.
pub(super) struct Control {
    connection: Connection,
    reader: ControlReader<RelayMessage>,
    writer: SendStream,
    orders: mpsc::Receiver<Order>,
    events: mpsc::Sender<HostEvent>,
    arrivals: Arc<Arrivals>,
    registered: HashSet<RendezvousKey>,
    asked: HashMap<RendezvousKey, Vec<Answer>>,
}

impl Control {
    pub(super) fn new(
        connection: Connection,
        reader: ControlReader<RelayMessage>,
        writer: SendStream,
        orders: mpsc::Receiver<Order>,
        events: mpsc::Sender<HostEvent>,
        arrivals: Arc<Arrivals>,
    ) -> Self {
        let (registered, asked) = Default::default();
        Self { connection, reader, writer, orders, events, arrivals, registered, asked }
    }

    pub(super) async fn run(mut self) {
        let over = loop {
            if let Err(over) = self.turn().await {
                break over;
            }
        };
        let lost = match over {
            Over::Read(fault) => why(&self.connection, &fault).await,
            Over::Protocol => Lost::Protocol,
            Over::Released => Lost::Closed,
        };
        close(&self.connection);
        for answer in self.asked.drain().flat_map(|(_, answers)| answers) {
            let _ = answer.0.send(Err(RegisterFault::Lost(lost.clone())));
        }
        let _ = self.events.send(HostEvent::Lost(lost)).await;
    }

    /// One order or one message. Fails with what ends the leg.
    async fn turn(&mut self) -> Result<(), Over> {
        tokio::select! {
            biased;
            message = self.reader.next() => self.hear(message?).await,
            order = self.orders.recv() => {
                let message = self.obey(order.ok_or(Over::Released)?);
                Ok(stream::write(&mut self.writer, &message).await?)
            }
        }
    }

    fn obey(&mut self, order: Order) -> LegMessage {
        match order {
            Order::Register(key, answer) => {
                self.registered.insert(key);
                self.asked.entry(key).or_default().push(answer);
                LegMessage::Register(key)
            }
            Order::Unregister(key) => {
                self.registered.remove(&key);
                LegMessage::Unregister(key)
            }
            Order::CloseFlow(flow) => LegMessage::CloseFlow(flow),
        }
    }

    async fn hear(&mut self, message: RelayMessage) -> Result<(), Over> {
        let event = match message {
            RelayMessage::Registered(key) => return self.answer(key, &Ok(())),
            RelayMessage::RegisterRefused(refused) => {
                self.registered.remove(&refused.rendezvous);
                return self.answer(refused.rendezvous, &Err(fault(refused.code)));
            }
            RelayMessage::FlowOpened(opened) => return self.opened(opened).await,
            RelayMessage::FlowClosed(flow) if self.arrivals.close(flow) => {
                HostEvent::FlowClosed { flow }
            }
            RelayMessage::FlowClosed(_) => return Ok(()),
            RelayMessage::Draining => HostEvent::Draining,
            RelayMessage::Welcome | RelayMessage::Waiting | RelayMessage::Joined(_) => {
                return Err(Over::Protocol);
            }
        };
        self.tell(event).await
    }

    /// A flow for a key that was taken back meanwhile is nobody's.
    async fn opened(&mut self, FlowOpened { flow, rendezvous }: FlowOpened) -> Result<(), Over> {
        if !self.registered.contains(&rendezvous) {
            return Ok(());
        }
        if !self.arrivals.open(flow, rendezvous) {
            return Err(Over::Protocol);
        }
        self.tell(HostEvent::FlowOpened { flow, rendezvous }).await
    }

    #[expect(clippy::unnecessary_wraps, reason = "one of several ways in which a message is heard")]
    fn answer(
        &mut self,
        key: RendezvousKey,
        answer: &Result<(), RegisterFault>,
    ) -> Result<(), Over> {
        for asked in self.asked.remove(&key).into_iter().flatten() {
            let _ = asked.0.send(answer.clone());
        }
        Ok(())
    }

    async fn tell(&mut self, event: HostEvent) -> Result<(), Over> {
        // Nobody listening is the owner's choice; packets still flow.
        let _ = self.events.send(event).await;
        Ok(())
    }
}

fn fault(code: RegisterCode) -> RegisterFault {
    match code {
        RegisterCode::Taken => RegisterFault::Taken,
        RegisterCode::Shares => RegisterFault::Shares,
        RegisterCode::Draining => RegisterFault::Draining,
    }
}
