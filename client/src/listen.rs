//! A local address, and those who come to it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

use crate::exit::Exit;
use crate::failure::Failure;

/// Takes an address of this machine alone, that `flag` has named.
pub(crate) async fn bind(at: SocketAddr, flag: &str) -> Result<(TcpListener, SocketAddr), Failure> {
    if !at.ip().is_loopback() {
        let told = format!("{at} is not an address of this machine alone");
        return Err(Failure::new(Exit::USAGE, "usage", told).hint(format!(
            "say `{flag} 127.0.0.1:PORT`: whoever reaches the address acts as you"
        )));
    }
    let machine = |fault: io::Error| Failure::of(Exit::NOT_RUN, "listen", &fault);
    let listener = TcpListener::bind(at).await.map_err(|fault| {
        machine(fault).hint(format!("{at} cannot be had: say another `{flag}`"))
    })?;
    let here = listener.local_addr().map_err(machine)?;
    Ok((listener, here))
}

/// How many may be there at one time.
pub(crate) struct Places(Arc<Semaphore>);

impl Places {
    pub(crate) fn new(most: usize) -> Self {
        Self(Arc::new(Semaphore::new(most)))
    }

    /// The next who comes, once there is a place, which is theirs until it is dropped.
    pub(crate) async fn accept(
        &self,
        listener: &TcpListener,
    ) -> io::Result<(TcpStream, Option<OwnedSemaphorePermit>)> {
        let place = Arc::clone(&self.0).acquire_owned().await.ok();
        loop {
            match listener.accept().await {
                Ok((stream, _)) => return Ok((stream, place)),
                // One that hung up meanwhile, or too many files: the next may do better.
                Err(fault) if fault.raw_os_error().is_some() => {
                    tracing::warn!(%fault, "a connection was not taken");
                    sleep(Duration::from_millis(50)).await;
                }
                Err(fault) => return Err(fault),
            }
        }
    }
}
