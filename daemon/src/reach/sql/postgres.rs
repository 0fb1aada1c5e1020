//! A `PostgreSQL` server: few connections, each for one statement at a time, kept as long as they are used.

mod connection;
mod dial;
mod login;
mod statement;

use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use policy::SqlQuery;
use tokio::net::unix::pipe;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, sleep, timeout};

use super::fault::Fault;
use super::order::{Planned, Server};
use super::{Put, unwell};
use crate::reach::order::Probed;
use connection::Connection;
use dial::Dialer;
use login::Login;

/// Connections of one share at a time.
const CONNECTIONS: usize = 4;
/// How long one that nobody uses is kept.
const IDLE: Duration = Duration::from_mins(1);
/// How long a server may take to let somebody in, and to say anything, when it is only looked for.
const PROBE: Duration = Duration::from_secs(2);
/// How much later than the server we end a statement.
const LATE: Duration = Duration::from_secs(1);
/// How long a server may take to end a statement; the monitor waits a second.
const CANCEL: Duration = Duration::from_millis(700);

/// Asks one server.
pub(in crate::reach) struct Asker {
    dialer: Dialer,
    login: Login,
    pub(super) rows_max: u32,
    room: Semaphore,
    /// Those that nobody uses, and since when.
    idle: RefCell<Vec<(Instant, Connection)>>,
}

impl Asker {
    pub(super) fn new(
        server: Server,
        (statement_timeout, rows_max): (Duration, u32),
        files: Vec<OwnedFd>,
    ) -> io::Result<Self> {
        let mut files = files.into_iter();
        let dialer = Dialer::new(&server, &mut files)?;
        let login = Login::new(server, statement_timeout, &mut files)?;
        let (room, idle) = (Semaphore::new(CONNECTIONS), RefCell::default());
        Ok(Self { dialer, login, rows_max, room, idle })
    }

    /// Puts a statement, and writes its rows.
    pub(super) async fn put(
        self: &Rc<Self>,
        query: &SqlQuery,
        stdout: &mut pipe::Sender,
        mut stopped: oneshot::Receiver<()>,
    ) -> Result<Put, Fault> {
        let begun = async {
            let room = self.room.acquire().await.map_err(|_| Fault::Stopped)?;
            Ok((room, self.begin().await?))
        };
        let (_room, mut connection) = tokio::select! {
            biased;
            _ = &mut stopped => return Err(Fault::Stopped),
            begun = begun => begun?,
        };
        let put = tokio::select! {
            biased;
            _ = &mut stopped => Err(Fault::Stopped),
            put = connection.put(query, self.rows_max, stdout) => put,
            // The server's own limit does not count while it waits for whoever reads its rows.
            () = sleep(self.login.statement_timeout + LATE) => {
                return Err(match self.cancel(connection).await {
                    Fault::Stopped => Fault::Refused("its rows were not taken in its time".to_owned()),
                    fault @ (Fault::Lost(_) | Fault::Cut(_) | Fault::Refused(_)) => fault,
                });
            }
        };
        match put {
            Ok(_) | Err(Fault::Refused(_)) => {
                // One that cannot be cleaned in time is not used again, and what it has given stands.
                if let Ok(Ok(())) = timeout(CANCEL, connection.clean()).await {
                    self.keep(connection);
                }
            }
            Err(Fault::Stopped) => return Err(self.cancel(connection).await),
            Err(Fault::Lost(why) | Fault::Cut(why)) => return Err(Fault::Cut(why)),
        }
        put
    }

    /// Whether it is there, lets the role in, and understands what it is going to be asked.
    pub(super) async fn probe(self: &Rc<Self>, planned: Vec<Planned>) -> Probed {
        let looked = async {
            let mut connection = self.connect().await.map_err(Fault::why)?;
            let mut faults = Vec::new();
            for one in planned {
                match connection.look(&one.statement, one.values).await {
                    Ok(()) => {}
                    Err(Fault::Refused(why)) => faults.push((one.verb, why)),
                    Err(fault) => return Err(fault.why()),
                }
            }
            self.keep(connection);
            Ok(faults)
        };
        match timeout(PROBE, looked).await {
            Ok(Ok(faults)) => unwell(&faults),
            Ok(Err(why)) => Probed::Away(why),
            Err(_) => Probed::Away(format!("it says nothing for {} s", PROBE.as_secs())),
        }
    }

    /// A connection in a transaction that only reads: one that is there, or, if that is lost, another.
    async fn begin(&self) -> Result<Connection, Fault> {
        let known = self.idle.borrow_mut().pop();
        // One that was cut off in silence says nothing any more.
        if let Some((_, mut known)) = known
            && let Ok(Ok(())) = timeout(PROBE, known.begin()).await
        {
            return Ok(known);
        }
        let mut connection = self.connect().await?;
        let begun = timeout(self.login.server.connect_timeout, connection.begin()).await;
        begun.map_err(|_| Fault::Lost("it begins no transaction".to_owned()))??;
        Ok(connection)
    }

    async fn connect(&self) -> Result<Connection, Fault> {
        let server = self.login.server.shown();
        let connected = async {
            let stream = self.dialer.dial().await?;
            self.login.enter(Connection::new(stream), self.dialer.trust()).await
        };
        match timeout(self.login.server.connect_timeout, connected).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(fault)) => Err(Fault::Lost(format!("{server}: {}", fault.why()))),
            Err(_) => {
                let most = self.login.server.connect_timeout.as_secs();
                Err(Fault::Lost(format!("{server} let nobody in within {most} s")))
            }
        }
    }

    /// Keeps a connection for whoever comes next, for a while.
    fn keep(self: &Rc<Self>, connection: Connection) {
        self.idle.borrow_mut().push((Instant::now(), connection));
        let asker = Rc::downgrade(self);
        tokio::task::spawn_local(async move {
            sleep(IDLE).await;
            if let Some(asker) = asker.upgrade() {
                asker.idle.borrow_mut().retain(|(since, _)| since.elapsed() < IDLE);
            }
        });
    }

    /// Has the server end what it does on a connection, and waits until it has, if it does not take too long.
    async fn cancel(&self, mut connection: Connection) -> Fault {
        let ended = async {
            let mut stream = self.dialer.dial().await?;
            connection.cancel_through(&mut stream).await?;
            connection.settled().await
        };
        match timeout(CANCEL, ended).await {
            // That it complains of having been ended is what was wanted.
            Ok(Ok(()) | Err(Fault::Refused(_) | Fault::Stopped)) => Fault::Stopped,
            // It loses its connection, and meets its own time limit.
            Ok(Err(Fault::Lost(why) | Fault::Cut(why))) => {
                Fault::Cut(format!("it was not seen to end: {why}"))
            }
            Err(_) => Fault::Cut(format!("it had not ended {} ms later", CANCEL.as_millis())),
        }
    }
}
