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

use super::order::{Attached, Known, Order, Received, Report};

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
struct Packet<O, K> {
    order: O,
    known: Option<K>,
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

/// Sends one order without waiting, with what is known of the account, if there is room for it.
///
/// # Errors
/// When it is too long, or the runner is gone.
pub(crate) fn send_order(
    socket: impl AsFd,
    order: &Order,
    known: Option<&Known>,
    attached: &Attached,
) -> Result<(), PacketFault> {
    let (carries, descriptors): (Vec<_>, Vec<_>) = attached.carried().into_iter().unzip();
    let bytes = match packed(order, known, &carries) {
        Err(PacketFault::TooLong(_)) if known.is_some() => packed(order, None, &carries),
        packed => packed,
    }?;
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

fn packed(
    order: &Order,
    known: Option<&Known>,
    carries: &[Carried],
) -> Result<Vec<u8>, PacketFault> {
    let packet = Packet { order, known, carries: carries.to_vec() };
    let bytes = serde_cbor::to_vec(&packet).map_err(PacketFault::Encode)?;
    if bytes.len() > MAX_ORDER {
        return Err(PacketFault::TooLong(bytes.len()));
    }
    Ok(bytes)
}

/// Waits for an order. None when the other side is gone.
///
/// # Errors
/// When what comes is not one whole order with its descriptors.
pub(super) fn receive(socket: impl AsFd) -> Result<Option<Received>, PacketFault> {
    // Never given back: what executes the verb takes it along, and for less.
    let bytes = Vec::leak(vec![0; MAX_ORDER]);
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let got = retry_on_intr(|| {
        let mut into = [IoSliceMut::new(bytes)];
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
    let packet: Packet<Order, Known> =
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
    Ok(Received { order: packet.order, known: packet.known, attached })
}

/// Sends one report without waiting.
pub(super) fn send_report(socket: impl AsFd, report: &Report) -> Result<(), PacketFault> {
    let bytes = serde_cbor::to_vec(report).map_err(PacketFault::Encode)?;
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    retry_on_intr(|| send(&socket, &bytes, flags)).map_err(PacketFault::Socket)?;
    Ok(())
}

/// The reports that are there now. Does not wait.
pub(crate) fn reports(socket: &impl AsFd) -> impl Iterator<Item = Report> {
    let mut bytes = vec![0; MAX_REPORT];
    std::iter::from_fn(move || {
        let got = retry_on_intr(|| recv(socket, &mut *bytes, RecvFlags::DONTWAIT)).ok()?.0;
        serde_cbor::from_slice(bytes.get(..got)?).ok()
    })
}

/// Whether the other side has closed, or has said that it wants no more.
pub(super) fn is_over(socket: impl AsFd) -> bool {
    let mut sockets = [PollFd::new(&socket, PollFlags::RDHUP)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    retry_on_intr(|| poll(&mut sockets, Some(&now))) != Ok(0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs::File;
    use std::os::fd::AsRawFd;

    use policy::{Confinement, ProcessLimits, Reach, SystemCalls, TotalLimits};
    use proptest::prelude::*;
    use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType, shutdown, socketpair};

    use super::*;
    use crate::run::order::{Account, Argument, Status};

    fn pair() -> (OwnedFd, OwnedFd) {
        let kind = SocketType::SEQPACKET;
        socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).unwrap()
    }

    fn order() -> Order {
        Order {
            account: Account::Become { uid: 1000, name: "alice".into() },
            program: "/bin/true".into(),
            arguments: ["/bin/true", "--", "-x"].map(|text| Argument::Text(text.into())).into(),
            environment: BTreeMap::from([("TERM".into(), "dumb".into())]),
            directory: Some("/".into()),
            confinement: Confinement {
                limits: ProcessLimits { open_files: Some(64), ..ProcessLimits::default() },
                total: TotalLimits::default(),
                reach: Some(Reach {
                    read: vec!["/var/log".parse().unwrap()],
                    write: vec!["/".parse().unwrap()],
                }),
                system_calls: SystemCalls::Read,
                network: policy::NetworkAccess::None,
            },
            file: None,
        }
    }

    fn known(groups: usize) -> Known {
        let groups = vec![u32::MAX; groups];
        Known { uid: 1000, name: "alice".into(), gid: 1000, groups, home: "/home/alice".into() }
    }

    #[test]
    fn what_is_known_goes_along_unless_it_makes_the_order_too_long() {
        let (ours, theirs) = pair();
        let mut order = order();
        send_order(&ours, &order, Some(&known(3)), &attached(None, None)).unwrap();
        assert_eq!(receive(&theirs).unwrap().unwrap().known, Some(known(3)));
        order.program = "x".repeat(MAX_ORDER - 500);
        send_order(&ours, &order, Some(&known(200)), &attached(None, None)).unwrap();
        assert_eq!(receive(&theirs).unwrap().unwrap().known, None);
    }

    fn null() -> OwnedFd {
        File::open("/dev/null").unwrap().into()
    }

    fn attached(stdin: Option<OwnedFd>, program: Option<OwnedFd>) -> Attached {
        Attached { stdin, stdout: null(), stderr: null(), program }
    }

    /// Sends raw bytes with so many descriptors.
    fn send_raw(socket: &OwnedFd, bytes: &[u8], descriptors: usize) {
        let file = null();
        let all: Vec<_> = std::iter::repeat_n(file.as_fd(), descriptors).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(all.is_empty() || control.push(SendAncillaryMessage::ScmRights(&all)));
        sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::empty()).unwrap();
    }

    #[test]
    fn an_order_crosses_whole_with_what_is_attached() {
        let (ours, theirs) = pair();
        for (stdin, program) in [(None, None), (Some(null()), None), (None, Some(null()))] {
            let given = attached(stdin, program);
            send_order(&ours, &order(), None, &given).unwrap();
            let received = receive(&theirs).unwrap().unwrap();
            assert_eq!(received.order, order());
            assert_eq!(received.attached.stdin.is_some(), given.stdin.is_some());
            assert_eq!(received.attached.program.is_some(), given.program.is_some());
        }
    }

    #[test]
    fn received_descriptors_close_at_exec() {
        let (ours, theirs) = pair();
        send_order(&ours, &order(), None, &attached(Some(null()), Some(null()))).unwrap();
        let got = receive(&theirs).unwrap().unwrap().attached;
        for fd in [&got.stdout, &got.stderr, &got.stdin.unwrap(), &got.program.unwrap()] {
            let flags = rustix::io::fcntl_getfd(fd).unwrap();
            assert!(flags.contains(rustix::io::FdFlags::CLOEXEC), "{}", fd.as_raw_fd());
        }
    }

    #[test]
    fn a_monitor_that_is_gone_gives_no_order_and_is_seen_to_be() {
        let (ours, theirs) = pair();
        assert!(!is_over(&theirs));
        shutdown(&ours, Shutdown::Write).unwrap();
        assert!(is_over(&theirs));
        assert!(receive(&theirs).unwrap().is_none());
    }

    #[test]
    fn too_few_descriptors_and_too_many_are_refused() {
        let bytes = packed(&order(), None, &[Carried::Stdout, Carried::Stderr]).unwrap();
        let (ours, theirs) = pair();
        send_raw(&ours, &bytes, 2);
        assert!(receive(&theirs).unwrap().is_some());
        for wrong in [0, 1, 3, MAX_DESCRIPTORS, MAX_DESCRIPTORS + 1] {
            send_raw(&ours, &bytes, wrong);
            assert!(matches!(receive(&theirs), Err(PacketFault::Cut)), "{wrong}");
        }
    }

    #[test]
    fn outputs_are_required() {
        let bytes = packed(&order(), None, &[Carried::Stdout]).unwrap();
        let (ours, theirs) = pair();
        send_raw(&ours, &bytes, 1);
        assert!(matches!(receive(&theirs), Err(PacketFault::Malformed)));
    }

    #[test]
    fn a_report_crosses_and_none_is_none() {
        let (ours, theirs) = pair();
        assert_eq!(reports(&ours).next(), None);
        for report in [
            Report::LookedUp(known(super::super::MAX_GROUPS)),
            Report::NotStarted("x".repeat(4 * super::super::MAX_REASON)),
            Report::Ended(Status::Exited(255)),
            Report::Ended(Status::Signaled(9)),
        ] {
            send_report(&theirs, &report).unwrap();
            assert_eq!(reports(&ours).collect::<Vec<_>>(), [report]);
        }
    }

    proptest! {
        #[test]
        fn perturbed_bytes_are_an_order_or_refused_and_never_a_panic(
            at in 0_usize..400, byte: u8, cut in 0_usize..400
        ) {
            let carries = [Carried::Stdout, Carried::Stderr];
            let mut bytes = packed(&order(), Some(&known(3)), &carries).unwrap();
            let at = at % bytes.len();
            bytes[at] = byte;
            bytes.truncate(bytes.len().saturating_sub(cut % 3 * cut).max(1));
            let _ = understand(&bytes, vec![null(), null()]);
        }
    }
}
