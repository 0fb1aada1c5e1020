//! The process that holds a channel: from its order to its end.

use std::sync::Arc;
use std::time::Duration;

use rustix::process::setsid;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

use super::launch::{Order, tell};
use super::serve::{Hub, serve};
use super::socket::Socket;
use crate::conduct::Stops;
use crate::environment::Environment;
use crate::exit::Exit;
use crate::failure::chain;
use crate::session::Session;
use crate::start::{CALL_PATIENCE, Taking, runtime};

/// Connections at one time: a call has two.
const CONNECTIONS_MAX: usize = 256;
/// How long those who use the channel may take to hear the last of it; the daemon tells of its calls within 2 s.
const AFTERMATH: Duration = Duration::from_secs(4);

/// Holds the channel that the order on standard input names, until nobody has used it for long enough, or it is over.
pub(crate) fn run(environment: &Environment) -> Exit {
    // A Ctrl+C is for the command at the terminal.
    let _leads_one_already = setsid();
    match begin(environment) {
        Ok(Some((holder, runtime))) => {
            if tell(Ok(())).is_err() {
                holder.socket.remove();
                return Exit::NOT_RUN;
            }
            runtime.block_on(holder.hold())
        }
        // Another was first, and is as good.
        Ok(None) => tell(Ok(())).map_or(Exit::NOT_RUN, |()| Exit::DONE),
        Err(why) => {
            let _nobody_hears = tell(Err(&why));
            Exit::NOT_RUN
        }
    }
}

struct Holder {
    socket: Socket,
    listener: UnixListener,
    order: Order,
    taking: Taking,
}

fn begin(environment: &Environment) -> Result<Option<(Holder, tokio::runtime::Runtime)>, String> {
    let order = Order::read().ok_or("its holder was given nothing that it could hold")?;
    let taking = Taking::of(&order.seat, environment, true).map_err(|failure| failure.what)?;
    let socket = Socket::of(&order.seat, environment).map_err(|fault| chain(&fault))?;
    let runtime = runtime().map_err(|failure| failure.what)?;
    let Some(listener) = socket.listen().map_err(|fault| chain(&fault))? else { return Ok(None) };
    let listener = {
        let _inside = runtime.enter();
        UnixListener::from_std(listener).map_err(|fault| chain(&fault))?
    };
    Ok(Some((Holder { socket, listener, order, taking }, runtime)))
}

/// Why nobody else is let in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Leaves {
    /// Nobody has come for long enough, or somebody has told us to go: those who are there may stay as long as they like.
    Idle,
    /// The session is over, or could not be.
    Over,
    /// By a signal.
    Stopped,
}

impl Holder {
    async fn hold(self) -> Exit {
        let Self { socket, listener, order, taking } = self;
        let Ok(mut stops) = Stops::listen() else { return Exit::NOT_RUN };
        let hub = Arc::new(Hub::new(order.stay));
        let (guests, places) = (TaskTracker::new(), Arc::new(Semaphore::new(CONNECTIONS_MAX)));
        let seat = Arc::new(order.seat);
        let mut joining = std::pin::pin!(taking.take(Arc::clone(&seat), CALL_PATIENCE));
        let mut session: Option<Session> = None;
        let mut idle = std::pin::pin!(hub.idle());
        let mut over = std::pin::pin!(hub.over());
        let leaves = loop {
            tokio::select! {
                biased;
                _stop = stops.next() => break Leaves::Stopped,
                () = &mut over => break Leaves::Over,
                () = &mut idle => break Leaves::Idle,
                () = hub.leave.cancelled(), if !hub.is_joining() => break Leaves::Idle,
                joined = &mut joining, if hub.is_joining() => session = hub.joined(joined),
                (stream, place) = accept(&listener, &places) => {
                    let (hub, seat) = (Arc::clone(&hub), Arc::clone(&seat));
                    guests.spawn(async move {
                        serve(stream, &hub, &seat).await;
                        drop(place);
                    });
                }
            }
        };
        // Whoever finds nobody makes a channel of their own, or has another held.
        socket.remove();
        drop(listener);
        guests.close();
        if leaves == Leaves::Idle {
            hub.leaving.cancel();
        }
        let left = async {
            tokio::select! {
                () = guests.wait() => {}
                _stop = stops.next() => {}
                () = hub.over(), if leaves == Leaves::Idle => {
                    let _longer = timeout(AFTERMATH, guests.wait()).await;
                }
            }
        };
        match leaves {
            Leaves::Idle => left.await,
            Leaves::Over => {
                let _longer = timeout(AFTERMATH, left).await;
            }
            Leaves::Stopped => {}
        }
        if let Some(session) = session {
            taking.leave(session).await;
        }
        Exit::DONE
    }
}

async fn accept(
    listener: &UnixListener,
    places: &Arc<Semaphore>,
) -> (UnixStream, Option<OwnedSemaphorePermit>) {
    let place = Arc::clone(places).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, place),
            // Too many files: the next may do better.
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
    }
}
