//! The line to the monitor.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::net::UnixDatagram;
use tokio::sync::Notify;
use wire::privsep;

use super::order::{FromReach, ToReach};

/// Packets both ways. What is said goes out as soon as there is room; nobody waits for that.
pub(super) struct Line {
    /// A socket of packets. It keeps their order as well, which its type here does not say: only its readiness is used.
    socket: UnixDatagram,
    waiting: RefCell<VecDeque<FromReach>>,
    /// Something waits for room.
    queued: Notify,
}

impl Line {
    pub(super) fn new(socket: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        let socket = UnixDatagram::from_std(socket.into())?;
        Ok(Self { socket, waiting: RefCell::default(), queued: Notify::new() })
    }

    /// The next order; `None` when the monitor is gone.
    pub(super) async fn hear(
        &self,
        buffer: &mut [u8],
    ) -> io::Result<Option<(ToReach, Vec<OwnedFd>)>> {
        loop {
            tokio::select! {
                ready = self.socket.ready(self.interest()) => drop(ready?),
                () = self.queued.notified() => continue,
            }
            self.flush()?;
            let receive = || privsep::receive(&self.socket, buffer);
            match self.socket.try_io(Interest::READABLE, receive) {
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => {}
                heard => {
                    let heard = heard?;
                    return Ok(heard.map(|packet| (packet.message, packet.descriptors)));
                }
            }
        }
    }

    fn interest(&self) -> Interest {
        if self.waiting.borrow().is_empty() {
            Interest::READABLE
        } else {
            Interest::READABLE | Interest::WRITABLE
        }
    }

    pub(super) fn say(&self, message: FromReach) {
        self.waiting.borrow_mut().push_back(message);
        // A monitor that is gone is heard of where it is listened to.
        let _ = self.flush();
        if !self.waiting.borrow().is_empty() {
            self.queued.notify_one();
        }
    }

    fn flush(&self) -> io::Result<()> {
        loop {
            let Some(next) = self.waiting.borrow().front().cloned() else { return Ok(()) };
            let send = || privsep::send(&self.socket, &next, &[]);
            match self.socket.try_io(Interest::WRITABLE, send) {
                Ok(()) => drop(self.waiting.borrow_mut().pop_front()),
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(fault) => return Err(fault),
            }
        }
    }
}
