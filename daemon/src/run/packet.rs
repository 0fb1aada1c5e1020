//! One order, or one report, as one packet of a sequenced-packet socket pair.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recv, recvmsg, send, sendmsg,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::order::{Attached, Order, Received, Report};

/// The longest order, in bytes: below what a socket takes by default (212,992), above 24 values of the
/// greatest size.
pub(crate) const MAX_ORDER: usize = 128 * 1024;
/// The longest report, in bytes.
const MAX_REPORT: usize = 8 * 1024;
/// Standard input, output, error, and the program.
const MAX_DESCRIPTORS: usize = 4;

/// Why an order or a report could not cross.
#[derive(Debug, Error)]
pub(crate) enum PacketFault {
    #[error("an order of {0} bytes is longer than {MAX_ORDER}")]
    TooLong(usize),
    #[error("cannot write the packet")]
    Encode(#[source] serde_cbor::Error),
    #[error("the packet is malformed")]
    Malformed,
    #[error("the packet is cut short")]
    Cut,
    #[error("cannot use the runner's socket")]
    Socket(#[source] Errno),
}

/// An order as it travels: `carries` says what the descriptors are, in their sequence.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Packet<O> {
    order: O,
    carries: Vec<Carried>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
enum Carried {
    Stdin,
    Stdout,
    Stderr,
    Program,
}

impl Attached {
    fn carried(&self) -> Vec<(Carried, BorrowedFd<'_>)> {
        let stdin = self.stdin.as_ref().map(|fd| (Carried::Stdin, fd.as_fd()));
        let program = self.program.as_ref().map(|fd| (Carried::Program, fd.as_fd()));
        let outputs =
            [(Carried::Stdout, self.stdout.as_fd()), (Carried::Stderr, self.stderr.as_fd())];
        stdin.into_iter().chain(outputs).chain(program).collect()
    }
}

/// Sends one order without waiting.
///
/// # Errors
/// When it is too long, or the runner is gone.
pub(crate) fn send_order(
    socket: impl AsFd,
    order: &Order,
    attached: &Attached,
) -> Result<(), PacketFault> {
    let (carries, descriptors): (Vec<_>, Vec<_>) = attached.carried().into_iter().unzip();
    let bytes = serde_cbor::to_vec(&Packet { order, carries }).map_err(PacketFault::Encode)?;
    if bytes.len() > MAX_ORDER {
        return Err(PacketFault::TooLong(bytes.len()));
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(PacketFault::Malformed);
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    retry_on_intr(|| sendmsg(&socket, &[IoSlice::new(&bytes)], &mut control, flags))
        .map_err(PacketFault::Socket)?;
    Ok(())
}

/// Waits for an order. None when the other side is gone.
///
/// # Errors
/// When what comes is not one whole order with its descriptors.
pub(super) fn receive(socket: impl AsFd) -> Result<Option<Received>, PacketFault> {
    let mut bytes = vec![0; MAX_ORDER];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let got = retry_on_intr(|| {
        let mut into = [IoSliceMut::new(&mut bytes)];
        recvmsg(&socket, &mut into, &mut control, RecvFlags::CMSG_CLOEXEC)
    })
    .map_err(PacketFault::Socket)?;
    let descriptors: Vec<OwnedFd> = control.drain().filter_map(rights).flatten().collect();
    if got.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
        return Err(PacketFault::Cut);
    }
    match bytes.get(..got.bytes) {
        None | Some([]) => Ok(None),
        Some(bytes) => understand(bytes, descriptors).map(Some),
    }
}

fn rights(message: RecvAncillaryMessage<'_>) -> Option<impl Iterator<Item = OwnedFd>> {
    if let RecvAncillaryMessage::ScmRights(descriptors) = message {
        Some(descriptors)
    } else {
        None
    }
}

fn understand(bytes: &[u8], descriptors: Vec<OwnedFd>) -> Result<Received, PacketFault> {
    let packet: Packet<Order> =
        serde_cbor::from_slice(bytes).map_err(|_fault| PacketFault::Malformed)?;
    if packet.carries.len() != descriptors.len() {
        return Err(PacketFault::Cut);
    }
    let mut carried: Vec<_> = packet.carries.into_iter().zip(descriptors).collect();
    let mut take = |what| {
        let at = carried.iter().position(|(carried, _)| *carried == what)?;
        Some(carried.swap_remove(at).1)
    };
    let attached = Attached {
        stdin: take(Carried::Stdin),
        stdout: take(Carried::Stdout).ok_or(PacketFault::Malformed)?,
        stderr: take(Carried::Stderr).ok_or(PacketFault::Malformed)?,
        program: take(Carried::Program),
    };
    Ok(Received { order: packet.order, attached })
}

/// Sends one report without waiting.
pub(super) fn send_report(socket: impl AsFd, report: &Report) -> Result<(), PacketFault> {
    let bytes = serde_cbor::to_vec(report).map_err(PacketFault::Encode)?;
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    retry_on_intr(|| send(&socket, &bytes, flags)).map_err(PacketFault::Socket)?;
    Ok(())
}

/// The report that is there now, if any. Does not wait.
pub(crate) fn take_report(socket: impl AsFd) -> Option<Report> {
    let mut bytes = vec![0; MAX_REPORT];
    let got = retry_on_intr(|| recv(&socket, &mut *bytes, RecvFlags::DONTWAIT)).ok()?.0;
    serde_cbor::from_slice(bytes.get(..got)?).ok()
}

/// Whether the other side has closed, or has said that it wants no more.
pub(super) fn is_over(socket: impl AsFd) -> bool {
    let mut sockets = [PollFd::new(&socket, PollFlags::RDHUP)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    retry_on_intr(|| poll(&mut sockets, Some(&now))) != Ok(0)
}
