//! A service of the owner's at a local address: each request, or connection, is a call of its own.

mod answer;
mod carried;
mod command;
mod head;
mod http;
mod inspect;
mod port;
mod replay;
mod websocket;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use policy::{MenuEntry, Reflects};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::cli::ForwardArguments;
use crate::conduct::Stops;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::gate::Gate;
use crate::listen::{Places, bind};
use crate::one_call::listed;
use crate::report::is_over;
use crate::session::{Over, Session};
use crate::start::{print, say};

use command::Command;
use inspect::{Inspect, Style};

/// Calls that are made at one time: the daemon, by default, takes 32 of a seat.
const CALLS_MAX: usize = 24;
/// What is said of it then.
const CROWDED: &str =
    "as many requests are under way as may be at one time: end some, or wait for them";
/// How long what is one too many waits for its turn.
const TURN: Duration = Duration::from_secs(5);
/// What `--json` writes.
const SCHEMA: &str = "openscope.forward/1";
/// Connections of local programs at one time.
const CONNECTIONS_MAX: usize = 256;

/// Serves at a local address until the share is over, or somebody ends it.
pub(crate) async fn run(
    session: &Session,
    what: &ForwardArguments,
    (json, quiet): (bool, bool),
) -> Result<Exit, Failure> {
    let view = session.view();
    let entry = reflecting(&what.verb, &view.standing.menu)?;
    let reflects = entry.reflects.ok_or_else(|| not_reflecting(entry))?;
    let machine = |fault: io::Error| Failure::of(Exit::NOT_RUN, "listen", &fault);
    let (listener, here) = bind(what.listen, "--listen").await?;
    announce(entry, reflects, here, json);
    let mut stops = Stops::listen().map_err(machine)?;
    let server = Arc::new(Server {
        caller: session.caller(),
        entry: entry.clone(),
        gate: Gate::at(here),
        calls: Semaphore::new(CALLS_MAX),
        tasks: TaskTracker::new(),
        inspect: Inspect::new(style(what.inspect, json, quiet)),
    });
    let mut lines = match server.inspect.style() {
        Style::Silent => None,
        Style::Lines | Style::Json => Some(command::lines().map_err(machine)?),
    };
    let replays = Arc::new(Semaphore::new(replay::REPLAYS_MAX));
    let mut views = session.views();
    let places = Places::new(CONNECTIONS_MAX);
    loop {
        tokio::select! {
            stop = stops.next() => return Ok(if stop == Exit::INTERRUPTED { Exit::DONE } else { stop }),
            changed = views.changed() => {
                let over = views.borrow_and_update().over().cloned();
                if let Some(over) = over {
                    return Err(is_over(&over));
                }
                if changed.is_err() {
                    return Err(is_over(&Over::Closed));
                }
            }
            line = command::next(&mut lines) => match command::said(&line) {
                Some(Command::Replay(number)) => server.replay(number, &replays),
                Some(Command::Help) => say(command::HELP),
                None => {}
            },
            accepted = places.accept(&listener) => {
                let (stream, place) = accepted.map_err(machine)?;
                let server = Arc::clone(&server);
                server.tasks.clone().spawn(async move {
                    server.serve(stream, reflects).await;
                    drop(place);
                });
            }
        }
    }
}

/// What every connection is served with.
struct Server {
    caller: crate::session::Caller,
    entry: MenuEntry,
    gate: Gate,
    calls: Semaphore,
    tasks: TaskTracker,
    inspect: Inspect,
}

impl Server {
    /// A place among the calls that are made at one time, if there is one soon.
    async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        timeout(TURN, self.calls.acquire()).await.ok()?.ok()
    }

    async fn serve(self: Arc<Self>, stream: TcpStream, reflects: Reflects) {
        // A packet less for every answer; what cannot be set is only slower.
        let _ = stream.set_nodelay(true);
        match reflects {
            Reflects::Http => http::serve(self, stream).await,
            Reflects::Tcp => port::serve(self, stream).await,
        }
    }
}

fn style(inspect: bool, json: bool, quiet: bool) -> Style {
    match (inspect, json, quiet) {
        (true, true, _) => Style::Json,
        (true, false, false) => Style::Lines,
        (true, false, true) | (false, ..) => Style::Silent,
    }
}

/// The verb of this name, or the only one that reflects something for the app of this name.
fn reflecting<'a>(name: &str, menu: &'a [MenuEntry]) -> Result<&'a MenuEntry, Failure> {
    let mut of_app = menu.iter().filter(|one| one.reflects.is_some() && one.verb.app() == name);
    match (of_app.next(), of_app.next()) {
        (Some(entry), None) => Ok(entry),
        (None, _) => listed(name, menu),
        (Some(_), Some(_)) => {
            let told = format!("more than one verb of `{name}` can be forwarded");
            Err(Failure::new(Exit::USAGE, "usage", told).hint("say which: `list` shows them"))
        }
    }
}

fn not_reflecting(entry: &MenuEntry) -> Failure {
    let told = format!("`{}` is called, and not forwarded", entry.verb);
    Failure::new(Exit::USAGE, "usage", told).hint(format!("say `call {}`", entry.verb))
}

fn announce(entry: &MenuEntry, reflects: Reflects, here: SocketAddr, json: bool) {
    let address = match reflects {
        Reflects::Http => format!("http://{here}/"),
        Reflects::Tcp => here.to_string(),
    };
    if json {
        let document = json!({
            "schema": SCHEMA,
            "event": "listening",
            "verb": entry.verb,
            "address": address,
        });
        return print(&document.to_string());
    }
    print(&address);
}
