//! What asks services, `openscope-reach`: one for each share and service, as the owner. It is a runner that executes
//! nothing: having become the owner it stays what it is, so that nobody of the owner's can look into it, and carries out
//! the orders of the monitor, many at a time.
//!
//! It alone connects to a service and reads what that says. The monitor passes it a call's pipes, whose other ends are
//! the broker's.

mod answer;
mod connection;
mod credential;
mod line;
mod order;
mod question;
mod service;
mod sql;
mod tls;

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::LocalSet;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

pub(crate) use order::{Finish, FromReach, Probed, Served, ToReach, What};
pub(crate) use sql::{Planned, SqlService};

use line::Line;
use service::{Attached, Service};

/// What `openscope-reach` does: wait for one order on descriptor 0, become the owner, and serve.
#[must_use]
pub fn main() -> ExitCode {
    crate::run::main_of(serve)
}

/// Serves until the monitor closes its line, which is standard input.
fn serve() -> io::Result<()> {
    let line = rustix::stdio::stdin().try_clone_to_owned()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, attend(line))
}

/// What is carried out now, and what stops it.
type Errands = Rc<std::cell::RefCell<HashMap<u64, oneshot::Sender<()>>>>;

/// How long what is carried out may take to stop when nobody is there any more.
const LAST: Duration = Duration::from_secs(1);

async fn attend(line: OwnedFd) -> io::Result<()> {
    let line = Rc::new(Line::new(line)?);
    let mut buffer = vec![0; wire::privsep::MAX_PACKET];
    let Some((ToReach::Serve(served), files)) = line.hear(&mut buffer).await? else {
        return Ok(());
    };
    let service = Rc::new(Service::new(served, files)?);
    let (errands, tasks) = (Errands::default(), TaskTracker::new());
    while let Some((order, descriptors)) = line.hear(&mut buffer).await? {
        match order {
            ToReach::Serve(_) => return Err(io::Error::other("told twice what to serve")),
            ToReach::Do { errand, what } => {
                let attached = Attached::new(descriptors)?;
                tasks.spawn_local(begin(&line, &service, &errands, (errand, *what, attached)));
            }
            ToReach::Stop { errand } => {
                // It says itself that it has stopped.
                let known = errands.borrow_mut().remove(&errand);
                known.map(|stop| stop.send(()));
            }
            ToReach::Probe { request, planned } => {
                let (line, service) = (Rc::clone(&line), Rc::clone(&service));
                tokio::task::spawn_local(async move {
                    let probed = service.probe(request, planned).await;
                    line.say(FromReach::Probed(probed.shortened()));
                });
            }
        }
    }
    // Whoever gave the orders is gone: what a database is at for them is ended there.
    errands.borrow_mut().clear();
    tasks.close();
    let _ = timeout(LAST, tasks.wait()).await;
    Ok(())
}

fn begin(
    line: &Rc<Line>,
    service: &Rc<Service>,
    errands: &Errands,
    (errand, what, attached): (u64, What, Attached),
) -> impl Future<Output = ()> + 'static {
    let (line, service, done) = (Rc::clone(line), Rc::clone(service), Rc::clone(errands));
    let (stop, stopped) = oneshot::channel();
    errands.borrow_mut().insert(errand, stop);
    async move {
        let finish = service.carry_out(what, attached, stopped).await.shortened();
        done.borrow_mut().remove(&errand);
        line.say(FromReach::Done { errand, finish });
    }
}
