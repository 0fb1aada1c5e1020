//! The line to a process that asks a service. What has no room on it waits: the monitor never does.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::PollFlags;
use wire::privsep::{encode, send_packet};

use crate::reach::ToReach;

/// Bytes of orders that wait: as many as one turn gives, with the longest header fields.
const BYTES_MAX: usize = 4 << 20;
/// Orders that wait, each with its pipes open here.
const ORDERS_MAX: usize = 128;

/// A socket of packets, and what waits for room on it. How much that has is the system's to say: to ask for more takes a
/// privilege that the monitor has not.
pub(super) struct OrderLine {
    socket: OwnedFd,
    waiting: RefCell<VecDeque<(Vec<u8>, Vec<OwnedFd>)>>,
}

impl OrderLine {
    /// A socket that does not block.
    pub(super) fn new(socket: OwnedFd) -> Self {
        Self { socket, waiting: RefCell::default() }
    }

    /// Gives an order, now or once there is room.
    ///
    /// # Errors
    /// The socket's; [`io::ErrorKind::WouldBlock`] where too much waits.
    pub(super) fn say(&self, order: &ToReach, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        self.flush()?;
        let packet = encode(order)?;
        let mut waiting = self.waiting.borrow_mut();
        if waiting.is_empty() {
            match send_packet(&self.socket, &packet, descriptors) {
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => {}
                said => return said,
            }
        }
        let bytes: usize = waiting.iter().map(|(packet, _)| packet.len()).sum();
        if waiting.len() >= ORDERS_MAX || bytes + packet.len() > BYTES_MAX {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let kept = descriptors.iter().map(BorrowedFd::try_clone_to_owned);
        waiting.push_back((packet, kept.collect::<io::Result<_>>()?));
        Ok(())
    }

    /// Gives what waits, as far as there is room.
    ///
    /// # Errors
    /// The socket's.
    pub(super) fn flush(&self) -> io::Result<()> {
        let mut waiting = self.waiting.borrow_mut();
        while let Some((packet, descriptors)) = waiting.front() {
            let descriptors: Vec<_> = descriptors.iter().map(OwnedFd::as_fd).collect();
            match send_packet(&self.socket, packet, &descriptors) {
                Ok(()) => drop(waiting.pop_front()),
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(fault) => return Err(fault),
            }
        }
        Ok(())
    }

    /// What it is to be looked at for.
    pub(super) fn interest(&self) -> PollFlags {
        if self.waiting.borrow().is_empty() {
            PollFlags::IN
        } else {
            PollFlags::IN | PollFlags::OUT
        }
    }
}

impl AsFd for OrderLine {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    use wire::privsep::receive;

    fn pair() -> (OrderLine, OwnedFd) {
        let kind = SocketType::SEQPACKET;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, kind, flags, None).unwrap();
        (OrderLine::new(ours), theirs)
    }

    fn order(number: usize) -> ToReach {
        let request = policy::HttpRequest {
            method: "GET".to_owned(),
            path: format!("{number:0>32000}"),
            headers: std::collections::BTreeMap::new(),
            body: Vec::new(),
            is_reflected: false,
        };
        ToReach::Probe { request: Some(Box::new(request)), planned: Vec::new() }
    }

    #[test]
    fn what_has_no_room_waits_in_its_order_with_its_descriptors() {
        let (line, theirs) = pair();
        let file = std::fs::File::open("/dev/null").unwrap();
        for number in 0..100 {
            line.say(&order(number), &[file.as_fd()]).unwrap();
        }
        assert_eq!(line.interest(), PollFlags::IN | PollFlags::OUT);
        let mut buffer = vec![0; wire::privsep::MAX_PACKET];
        for number in 0..100 {
            let packet = receive::<ToReach>(&theirs, &mut buffer).unwrap().unwrap();
            assert_eq!((packet.message, packet.descriptors.len()), (order(number), 1));
            line.flush().unwrap();
        }
        assert_eq!(line.interest(), PollFlags::IN);
    }

    #[test]
    fn only_so_much_waits() {
        let (line, theirs) = pair();
        let given = (0..1000).take_while(|number| line.say(&order(*number), &[]).is_ok()).count();
        assert!((ORDERS_MAX..200).contains(&given), "{given}");
        let fault = line.say(&order(0), &[]).unwrap_err();
        assert_eq!(fault.kind(), io::ErrorKind::WouldBlock);
        drop(theirs);
        assert_ne!(line.say(&order(0), &[]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }
}
