//! A session on a channel that another process of this user holds.

use std::sync::Arc;
use std::time::Duration;

use wire::channel::HolderKey;

use super::{Link, Over, Session, Supervisor, View};
use crate::held::{Door, Held, Told, ToldLink, Watched, Word};
use crate::join::{Clock, JoinFault, standing};
use crate::road::Road;
use crate::seat::Seat;

impl Session {
    /// Makes calls on a channel that is held. Should its holder go, the seat is taken again with this key, and a call goes on.
    ///
    /// # Errors
    /// When what the holder tells is not of this seat.
    pub(crate) fn on(
        held: Held,
        seat: Arc<Seat>,
        holder: HolderKey,
        patience: Duration,
    ) -> Result<Self, JoinFault> {
        let Held { door, watched, told } = held;
        let view = view(&seat, told, &door)?;
        let number = if let Link::Up(_, number) = view.link { number } else { 0 };
        let (session, mut supervisor) = Self::begin(seat, holder, patience, view, None);
        // A channel of our own is another than any that the holder has had.
        supervisor.channels = number;
        session.tasks.spawn(supervisor.follow(watched, door));
        Ok(session)
    }
}

impl Supervisor {
    /// Believes the holder of the channel, until it is gone: from then on the channel is ours.
    async fn follow(mut self, mut watched: Watched, door: Arc<Door>) {
        loop {
            let word = tokio::select! {
                biased;
                () = self.stop.cancelled() => return self.show(|view| view.link = Link::Over(Over::Closed)),
                word = watched.next() => word,
            };
            let Ok(Word::Standing(told)) = word else { break };
            match view(&self.shared.seat, *told, &door) {
                Ok(view) => self.believe(view),
                Err(fault) => {
                    tracing::warn!(%fault, "what the channel's holder says is not of this seat");
                }
            }
            if self.shared.view.borrow().over().is_some() {
                return;
            }
        }
        tracing::info!("the channel's holder is gone");
        self.show(|view| view.link = Link::Down);
        match self.again().await {
            Ok((connection, control)) => self.attend(connection, control).await,
            Err(over) => self.show(|view| view.link = Link::Over(over)),
        }
    }

    fn believe(&mut self, view: View) {
        if let Link::Up(_, number) = view.link {
            self.channels = self.channels.max(number);
        }
        self.show(|shown| *shown = view);
    }
}

fn view(seat: &Seat, told: Told, door: &Arc<Door>) -> Result<View, JoinFault> {
    let Told { link, now, standing: update } = told;
    let link = match link {
        ToldLink::Up(number) => Link::Up(Road::Held(Arc::clone(door)), number),
        ToldLink::Down => Link::Down,
        ToldLink::Ended(end) => Link::Over(Over::Ended(end)),
        ToldLink::Gone(words) => Link::Over(Over::Gone(Arc::new(JoinFault::Told(words)))),
        ToldLink::Replaced => Link::Over(Over::Replaced),
        ToldLink::Closed => Link::Over(Over::Closed),
    };
    let standing = standing(seat, (seat.passport().clone().into(), None), update)?;
    Ok(View { standing: Arc::new(standing), link, clock: Clock::at(now) })
}
