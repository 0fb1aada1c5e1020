//! `openscoped` whose broker was taken over: all else of it is the real thing.
//!
//! Between the monitor and a real broker it passes everything on, and beside that does what somebody would who wants a
//! verb to run that no holder has asked for. What the monitor answers to that goes to standard error, a line each.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ed25519_dalek::SigningKey;
use policy::{SeatId, ShareId, Timestamp, Value};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use serde::{Deserialize, Serialize};
use wire::call::{CallId, CallStatement, ClockStatement, Redemption, Signed};
use wire::cbor::{from_canonical, to_canonical};
use wire::frame::{Join, VERSION};
use wire::privsep::{self, CallRef, ChannelId, FromBroker, MAX_PACKET, Packet, ToBroker};

/// Numbers that the real broker never reaches.
const OURS: u64 = 1 << 40;
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    match arguments.first().and_then(|first| first.to_str()) {
        Some("--as-broker") => Hostile::start().map_or(ExitCode::FAILURE, Hostile::run),
        Some("--as-real-broker") => daemon::broker::main(),
        _ => daemon::main(arguments.into_iter()),
    }
}

/// The man in the middle.
struct Hostile {
    monitor: OwnedFd,
    broker: OwnedFd,
    child: Child,
    beside: PathBuf,
    /// A key of its own: nobody's.
    key: SigningKey,
    next: u64,
    attacks: BTreeMap<u64, String>,
    joins: Vec<(ChannelId, ShareId, SeatId, [u8; 32], Join)>,
    clock: Option<Signed>,
    /// Calls that are sent again when their outcome is known.
    done: BTreeMap<CallRef, (ChannelId, Signed)>,
    kept: Vec<(Timestamp, ChannelId, Signed)>,
}

impl Hostile {
    fn start() -> io::Result<Self> {
        let monitor = io::stdin().as_fd().try_clone_to_owned()?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (broker, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        for socket in [&broker, &theirs] {
            rustix::net::sockopt::set_socket_send_buffer_size(socket, 8 * MAX_PACKET)?;
        }
        let mut real = Command::new("/proc/self/exe");
        let child = real.arg("--as-real-broker").stdin(Stdio::from(theirs)).spawn()?;
        let beside = fs::read_link("/proc/self/exe")?.with_file_name("");
        Ok(Self {
            monitor,
            broker,
            child,
            beside,
            key: SigningKey::from_bytes(&[0x66; 32]),
            next: OURS,
            attacks: BTreeMap::new(),
            joins: Vec::new(),
            clock: None,
            done: BTreeMap::new(),
            kept: Vec::new(),
        })
    }

    fn run(mut self) -> ExitCode {
        let mut buffer = vec![0; MAX_PACKET];
        while self.turn(&mut buffer).is_ok() {}
        let _ = self.child.kill();
        let _ = self.child.wait();
        ExitCode::SUCCESS
    }

    fn turn(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        let mut both =
            [PollFd::new(&self.monitor, PollFlags::IN), PollFd::new(&self.broker, PollFlags::IN)];
        poll(&mut both, Some(&LOOK))?;
        while let Some(packet) = take::<ToBroker>(&self.monitor, buffer)? {
            self.pass_down(packet)?;
        }
        while let Some(packet) = take::<FromBroker>(&self.broker, buffer)? {
            self.pass_up(packet.message)?;
        }
        self.let_go()
    }

    /// What is to be done now, by the file beside the program.
    fn wanted(&self, what: &str) -> bool {
        let wanted = fs::read_to_string(self.beside.join("attack")).unwrap_or_default();
        wanted.lines().any(|line| line == what)
    }

    fn pass_down(&mut self, Packet { message, descriptors }: Packet<ToBroker>) -> io::Result<()> {
        let descriptors: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
        let message = match message {
            ToBroker::Started { call, .. } if self.is_ours(call.0, "Started") => return Ok(()),
            ToBroker::Outcome { call, .. } if self.is_ours(call.0, "Outcome") => return Ok(()),
            ToBroker::Reattach { to, .. } if self.is_ours(to.0, "Reattach") => return Ok(()),
            ToBroker::Joined { channel, .. } if self.is_ours(channel.0, "Joined") => return Ok(()),
            ToBroker::Refused { call, refusal } if call.0 >= OURS => {
                self.is_ours(call.0, &format!("{refusal:?}"));
                return Ok(());
            }
            ToBroker::NotJoined { channel, refusal } if channel.0 >= OURS => {
                self.is_ours(channel.0, &format!("{refusal:?}"));
                return Ok(());
            }
            ToBroker::Joined { channel, mut joined } => {
                joined.clock = self.clock(joined.clock);
                ToBroker::Joined { channel, joined }
            }
            other => other,
        };
        let ended = match &message {
            ToBroker::Outcome { call, .. } => self.done.remove(call),
            _ => None,
        };
        give(&self.broker, &message, &descriptors)?;
        ended.map_or(Ok(()), |(channel, signed)| self.call("replayed-after", channel, signed))
    }

    /// Says what an answer to one of our own is, if it is one.
    fn is_ours(&mut self, number: u64, answer: &str) -> bool {
        let attack = self.attacks.get(&number);
        if let Some(attack) = attack {
            eprintln!("tampered: {attack}: {answer}");
        }
        attack.is_some()
    }

    /// The daemon's clock as the client is to see it.
    fn clock(&mut self, genuine: Signed) -> Signed {
        let earlier = self.clock.replace(genuine.clone());
        if self.wanted("clock-forged") {
            let read = genuine.read_unverified::<ClockStatement>().expect("a clock");
            let later = ClockStatement { now: Timestamp(read.now.0 + 3_600_000), ..read };
            return Signed::new(&later, &self.key).expect("a statement");
        }
        if self.wanted("clock-repeated") {
            return earlier.unwrap_or(genuine);
        }
        genuine
    }

    fn pass_up(&mut self, message: FromBroker) -> io::Result<()> {
        match &message {
            FromBroker::Join { channel, share, seat, holder, join } => {
                if self.wanted("joins") {
                    self.forge_joins(*share, *seat, *holder, join)?;
                }
                self.joins.push((*channel, *share, *seat, *holder, join.clone()));
            }
            FromBroker::Call { channel, call, signed, .. } => {
                let statement = signed.read_unverified::<CallStatement>().expect("a call");
                match name(&statement).as_str() {
                    "bait" => {
                        self.done.insert(*call, (*channel, signed.clone()));
                        give(&self.monitor, &message, &[])?;
                        return self.forge_calls(*channel, *call, signed, &statement);
                    }
                    "keep" => {
                        self.kept.push((statement.not_after, *channel, signed.clone()));
                        return Ok(());
                    }
                    "stray" => return self.send_astray(*channel, signed),
                    "junk" => self.talk_nonsense(*channel)?,
                    _ => {}
                }
            }
            _ => {}
        }
        give(&self.monitor, &message, &[])
    }

    fn number(&mut self, attack: &str) -> u64 {
        self.next += 1;
        self.attacks.insert(self.next, attack.to_owned());
        self.next
    }

    fn call(&mut self, attack: &str, channel: ChannelId, signed: Signed) -> io::Result<()> {
        let call = CallRef(self.number(attack));
        give(&self.monitor, &FromBroker::Call { channel, call, signed, terminal: None }, &[])
    }

    /// Before the real one is passed on: it must neither succeed nor lock out whoever really comes.
    fn forge_joins(
        &mut self,
        share: ShareId,
        seat: SeatId,
        genuine: [u8; 32],
        join: &Join,
    ) -> io::Result<()> {
        let own = self.key.verifying_key().to_bytes();
        let claim = join.redemption.as_ref().expect("a redemption");
        let claim = claim.read_unverified::<Redemption>().expect("a redemption");
        let signed = Signed::new(&Redemption { holder: own, ..claim }, &self.key);
        let other = ShareId::from_random([0x42; 8]);
        let forged = [
            ("join-own-key", share, seat, own, join.clone()),
            ("join-unsigned", share, seat, own, Join { redemption: None, ..join.clone() }),
            (
                "join-self-signed",
                share,
                seat,
                own,
                Join { redemption: signed.ok(), ..join.clone() },
            ),
            ("join-other-share", other, seat, genuine, join.clone()),
            ("join-other-seat", share, SeatId(seat.0 + 1), genuine, join.clone()),
            (
                "join-no-passport",
                share,
                seat,
                genuine,
                Join { passport: vec![0; 4096], ..join.clone() },
            ),
            (
                "join-other-version",
                share,
                seat,
                genuine,
                Join { version: VERSION + 1, ..join.clone() },
            ),
        ];
        for (attack, share, seat, holder, join) in forged {
            let channel = ChannelId(self.number(attack));
            let forged = FromBroker::Join { channel, share, seat, holder, join };
            give(&self.monitor, &forged, &[])?;
        }
        Ok(())
    }

    fn forge_calls(
        &mut self,
        channel: ChannelId,
        call: CallRef,
        signed: &Signed,
        statement: &CallStatement,
    ) -> io::Result<()> {
        let mut other = statement.clone();
        other.id = CallId([0x55; 16]);
        for value in other.arguments.0.values_mut() {
            *value = Value::text("forged").expect("a value");
        }
        let by_us = Signed::new(&other, &self.key).expect("a statement");
        self.call("own-signature", channel, by_us.clone())?;
        self.call("altered-argument", channel, altered(signed, b"bait", b"evil"))?;
        self.call("altered-id", channel, altered(signed, &statement.id.0, &[0x56; 16]))?;
        let later = Timestamp(statement.not_after.0 + 20_000);
        let (was, will) = (statement.not_after.0.to_be_bytes(), later.0.to_be_bytes());
        self.call("altered-time", channel, altered(signed, &was, &will))?;
        self.call("replayed", channel, signed.clone())?;
        let unknown = ChannelId(self.number("unknown-channel"));
        self.call("unknown-channel", unknown, signed.clone())?;
        let twice = FromBroker::Call { channel, call, signed: by_us.clone(), terminal: None };
        give(&self.monitor, &twice, &[])?;
        self.join_as_holder(&by_us)?;
        self.lie(statement.share)?;
        self.pass_descriptors(channel, &by_us)
    }

    /// A channel that claims the holder's key: the broker may say so, and it gives nothing.
    fn join_as_holder(&mut self, by_us: &Signed) -> io::Result<()> {
        let Some((_, share, seat, holder, join)) = self.joins.first().cloned() else {
            return Ok(());
        };
        let channel = ChannelId(self.number("join-claimed"));
        give(&self.monitor, &FromBroker::Join { channel, share, seat, holder, join }, &[])?;
        self.call("own-signature-on-claimed", channel, by_us.clone())
    }

    /// Reports of what never was.
    fn lie(&mut self, share: ShareId) -> io::Result<()> {
        let nothing = CallRef(OURS * 2);
        let lies = [
            FromBroker::Strangers { share, count: u64::MAX },
            FromBroker::Strangers { share, count: u64::MAX },
            FromBroker::Drained {
                call: nothing,
                stdout: u64::MAX,
                stderr: u64::MAX,
                redactions: u64::MAX,
                given: Some(wire::privsep::Given { bytes: u64::MAX, sha256: [0; 32] }),
            },
            FromBroker::Unfit { call: nothing, why: wire::privsep::Unfit::TooLong },
            FromBroker::Cancel { call: nothing },
            FromBroker::Overflow { call: nothing },
            FromBroker::ChannelGone { channel: ChannelId(OURS * 2) },
            FromBroker::Admitted { share, failure: Some("no".repeat(2000)) },
            FromBroker::Told { share, seat: None, told: wire::control::Told::Acknowledged },
            FromBroker::Relay { address: "nowhere:1".into(), down: Some("\x1b[2J".into()) },
        ];
        lies.iter().try_for_each(|lie| give(&self.monitor, lie, &[]))
    }

    /// Descriptors that nobody wants: the monitor's table must not fill with them.
    fn pass_descriptors(&mut self, channel: ChannelId, by_us: &Signed) -> io::Result<()> {
        let null = fs::File::open("/dev/null")?;
        for _ in 0..200 {
            let call = CallRef(self.number("with-descriptors"));
            let message = FromBroker::Call { channel, call, signed: by_us.clone(), terminal: None };
            give(&self.monitor, &message, &[null.as_fd(), null.as_fd()])?;
        }
        Ok(())
    }

    /// A genuine call, on the channels of every other seat.
    fn send_astray(&mut self, genuine: ChannelId, signed: &Signed) -> io::Result<()> {
        let own = self.joins.iter().find(|join| join.0 == genuine).map(|join| join.2);
        let others: Vec<_> =
            self.joins.iter().filter(|join| Some(join.2) != own).map(|join| join.0).collect();
        for channel in others {
            self.call("astray", channel, signed.clone())?;
        }
        Ok(())
    }

    /// Sends each kept call when it is too old, by the clock of this machine.
    fn let_go(&mut self) -> io::Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = now.saturating_sub(Duration::from_millis(500)).as_millis();
        let (old, young) = std::mem::take(&mut self.kept)
            .into_iter()
            .partition::<Vec<_>, _>(|kept| u128::from(kept.0.0) <= now);
        self.kept = young;
        for (_, channel, signed) in old {
            self.call("kept", channel, signed)?;
        }
        Ok(())
    }

    /// Once in the daemon's life: bytes that are no message.
    fn talk_nonsense(&mut self, channel: ChannelId) -> io::Result<()> {
        let mark = self.beside.join("marks/nonsense");
        if mark.exists() {
            return Ok(());
        }
        fs::write(mark, b"")?;
        let huge = FromBroker::Relay { address: "x".repeat(100_000), down: None };
        give(&self.monitor, &huge, &[])?;
        give(&self.monitor, &FromBroker::ChannelGone { channel }, &[])?;
        let mut junk = vec![0xa1; 1000];
        junk.extend(0..=255);
        wait_to_write(&self.monitor)?;
        privsep::send_packet(&self.monitor, &junk, &[])
    }
}

/// A copy with other bytes at the place of some, and the same signature.
fn altered(signed: &Signed, was: &[u8], will: &[u8]) -> Signed {
    #[derive(Serialize, Deserialize)]
    struct Open {
        b: serde_bytes::ByteBuf,
        s: serde_bytes::ByteBuf,
    }
    let encoded = to_canonical(signed).expect("it was decoded");
    let mut open: Open = from_canonical(&encoded, MAX_PACKET).expect("two fields");
    let at = open.b.windows(was.len()).position(|window| window == was).expect("it is in there");
    open.b[at..at + was.len()].copy_from_slice(will);
    from_canonical(&to_canonical(&open).expect("two fields"), MAX_PACKET).expect("two fields")
}

fn name(statement: &CallStatement) -> String {
    let named = statement.arguments.iter().find(|(name, _)| name.as_str() == "name");
    named.map(|(_, value)| value.to_string()).unwrap_or_default()
}

fn take<T>(from: &OwnedFd, buffer: &mut [u8]) -> io::Result<Option<Packet<T>>>
where
    T: Serialize + serde::de::DeserializeOwned,
{
    match privsep::receive(from, buffer) {
        Ok(Some(packet)) => Ok(Some(packet)),
        Ok(None) => Err(io::ErrorKind::UnexpectedEof.into()),
        Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(fault) => Err(fault),
    }
}

fn give<T: Serialize>(to: &OwnedFd, message: &T, with: &[BorrowedFd<'_>]) -> io::Result<()> {
    loop {
        match privsep::send(to, message, with) {
            Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => wait_to_write(to)?,
            done => return done,
        }
    }
}

fn wait_to_write(to: &OwnedFd) -> io::Result<()> {
    poll(&mut [PollFd::new(to, PollFlags::OUT)], None)?;
    Ok(())
}
