//! Terminals: keys up, the screen down, and a size that changes.

use std::io::Read as _;
use std::os::fd::{AsFd, OwnedFd};

use super::*;
use crate::clock::Instants;
use guest::Stream;
use policy::Input;
use rustix::io::ioctl_fionread;
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use verb::outcome;
use wire::frame::{Farewell, Frame, STDIN_AHEAD, Taken};
use wire::privsep::{CallRef, RedactBy};
use wire::terminal::{Terminal, WindowSize};

/// A verb before its terminal, and the stream of its holder.
struct Typing {
    guest: Guest,
    stream: Stream,
    call: CallRef,
    verb: std::fs::File,
}

fn size(rows: u16, columns: u16) -> WindowSize {
    WindowSize::new(rows, columns).unwrap()
}

/// A terminal whose modes are what this makes of the usual ones.
fn pair(modes_of: fn(&mut Termios)) -> (OwnedFd, OwnedFd) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let ours = openpt(flags).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let theirs = ioctl_tiocgptpeer(&ours, flags).unwrap();
    set(&theirs, modes_of);
    (ours, theirs)
}

fn set(theirs: impl AsFd, modes_of: fn(&mut Termios)) {
    let mut modes = tcgetattr(&theirs).unwrap();
    modes_of(&mut modes);
    tcsetattr(&theirs, OptionalActions::Now, &modes).unwrap();
}

impl Monitor {
    /// Starts the call that comes next, which has this terminal.
    fn start_terminal(&self, call: CallRef, (ours, theirs): (OwnedFd, OwnedFd)) -> std::fs::File {
        let input = Input::Terminal;
        let redact = vec![RedactBy::Default];
        let started = ToBroker::Started { call, output_max: 64 << 20, redact, input };
        self.say_with(&started, &[ours.as_fd()]);
        theirs.into()
    }
}

/// A verb that wants each key.
async fn typing(world: &mut World) -> Typing {
    typing_at(world, Termios::make_raw).await
}

async fn typing_at(world: &mut World, modes_of: fn(&mut Termios)) -> Typing {
    let guest = world.holder().await;
    let mut stream = Stream::open(&guest.connection).await;
    stream.say(&Frame::Terminal(Terminal::default())).await;
    stream.say(&Frame::Call(monitor::a_signed())).await;
    let call = world.monitor.called().await;
    let verb = world.monitor.start_terminal(call, pair(modes_of));
    assert_eq!(stream.next().await, Frame::Started);
    let wanted = Taken { bytes: 0, until: Some(STDIN_AHEAD as u64) };
    assert_eq!(stream.next().await, Frame::Taken(wanted));
    Typing { guest, stream, call, verb }
}

async fn give(stream: &mut Stream, keys: &[u8]) {
    stream.say(&Frame::Stdin(keys.to_vec().into())).await;
}

/// The next keys, as many as these.
async fn reads(verb: &std::fs::File, keys: &[u8]) {
    let mut verb = verb.try_clone().unwrap();
    let mut got = vec![0; keys.len()];
    let read = move || verb.read_exact(&mut got).map(|()| got);
    let got = soon("the keys", tokio::task::spawn_blocking(read)).await.unwrap().unwrap();
    assert_eq!(got, keys);
}

/// The next of standard output, at least so much.
async fn shown(stream: &mut Stream, wanted: &[u8]) {
    let mut got = Vec::new();
    while got.len() < wanted.len() {
        match stream.next().await {
            Frame::Stdout(bytes) => got.extend_from_slice(&bytes),
            Frame::Taken(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(got, wanted);
}

#[tokio::test]
async fn keys_go_up_the_screen_comes_down_and_both_end_with_the_verb() {
    let mut world = World::open().await;
    let Typing { mut stream, call, verb, guest: _guest } = typing(&mut world).await;
    give(&mut stream, b"a\x03\xff").await;
    reads(&verb, b"a\x03\xff").await;
    rustix::io::write(&verb, b"\x1b[2J$ ").unwrap();
    shown(&mut stream, b"\x1b[2J$ ").await;
    rustix::io::write(&verb, b"bye").unwrap();
    drop(verb);
    world.monitor.say(&ToBroker::Exited { call });
    assert_eq!(world.monitor.given().await.1.unwrap().bytes, 3);
    world.monitor.end(call);
    assert_eq!(stream.collect().await, (b"bye".to_vec(), vec![], outcome()));
}

#[tokio::test]
async fn a_verb_is_hung_up_once_its_call_is_over() {
    let mut world = World::open().await;
    let Typing { mut stream, call, verb, guest: _guest } = typing(&mut world).await;
    // Somebody else has it as well.
    world.monitor.say(&ToBroker::Exited { call });
    assert_eq!(world.monitor.drained().await.0, call);
    world.monitor.end(call);
    stream.collect().await;
    let mut verb = verb;
    let mut nothing = [0];
    let read = move || verb.read(&mut nothing);
    let read = soon("a hang-up", tokio::task::spawn_blocking(read)).await.unwrap();
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
}

#[tokio::test]
async fn a_size_is_set_at_any_time_also_after_the_last_key() {
    let mut world = World::open().await;
    let Typing { mut stream, call, verb, guest: _guest } = typing(&mut world).await;
    for (rows, columns) in [(1, 1), (50, 132), (1000, 1000)] {
        stream.say(&Frame::Resize(size(rows, columns))).await;
        give(&mut stream, b"k").await;
        reads(&verb, b"k").await;
        let now = tcgetwinsize(&verb).unwrap();
        assert_eq!((now.ws_row, now.ws_col), (rows, columns));
    }
    stream.say(&Frame::StdinEnd).await;
    // The key that says so, twice: the line is not empty.
    reads(&verb, b"\x04\x04").await;
    stream.say(&Frame::Resize(size(7, 7))).await;
    while tcgetwinsize(&verb).unwrap().ws_row != 7 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(verb);
    world.monitor.say(&ToBroker::Exited { call });
    world.monitor.drained().await;
    stream.say(&Frame::Resize(size(8, 8))).await;
    world.monitor.end(call);
    assert_eq!(stream.collect().await.2, outcome());
}

#[tokio::test]
async fn what_is_typed_ends_with_one_key_where_no_line_is_begun() {
    for (keys, wanted) in [(&b""[..], &b"\x04"[..]), (b"ls\r", b"ls\r\x04"), (b"ls", b"ls\x04\x04")]
    {
        let mut world = World::open().await;
        let Typing { mut stream, verb, guest: _guest, .. } = typing(&mut world).await;
        if !keys.is_empty() {
            give(&mut stream, keys).await;
        }
        stream.say(&Frame::StdinEnd).await;
        reads(&verb, wanted).await;
    }
}

#[tokio::test]
async fn keys_wait_until_whoever_hands_them_on_takes_each_as_it_is() {
    let mut world = World::open().await;
    let relayed = |modes: &mut Termios| modes.local_modes |= LocalModes::EXTPROC;
    let Typing { mut stream, verb, guest: _guest, call: _call } =
        typing_at(&mut world, relayed).await;
    give(&mut stream, b"ls\r\x03").await;
    // Sizes do not wait, and come after the keys.
    stream.say(&Frame::Resize(size(6, 7))).await;
    while tcgetwinsize(&verb).unwrap().ws_row != 6 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(ioctl_fionread(&verb), Ok(0));
    set(&verb, Termios::make_raw);
    reads(&verb, b"ls\r\x03").await;
    // Whatever its modes are later.
    set(&verb, |modes| modes.local_modes |= LocalModes::ICANON | LocalModes::EXTPROC);
    give(&mut stream, b"q").await;
    reads(&verb, b"q").await;
}

#[tokio::test]
async fn a_key_is_shown_within_the_time_that_a_line_may_be_held() {
    let mut world = World::open().await;
    let Typing { mut stream, verb, guest: _guest, call: _call } = typing(&mut world).await;
    for _ in 0..5 {
        let begun = Instants::now().boot;
        rustix::io::write(&verb, b"p").unwrap();
        shown(&mut stream, b"p").await;
        let took = Instants::now().boot.checked_sub(begun).unwrap();
        assert!(took < Duration::from_millis(500), "{took:?}");
    }
}

#[tokio::test]
async fn secrets_on_a_screen_are_masked() {
    let mut world = World::open().await;
    let Typing { mut stream, call, verb, guest: _guest } = typing(&mut world).await;
    rustix::io::write(
        &verb,
        b"\x1b[1mAWS_SECRET_ACCESS_KEY=wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab\r\n",
    )
    .unwrap();
    drop(verb);
    world.monitor.say(&ToBroker::Exited { call });
    world.monitor.drained().await;
    world.monitor.end(call);
    let shown = String::from_utf8(stream.collect().await.0).unwrap();
    assert!(!shown.contains("wJalrX"), "{shown}");
}

#[tokio::test]
async fn se7_a_holder_who_comes_back_sits_before_the_same_terminal() {
    let mut world = World::open().await;
    let Typing { guest, mut stream, call: from, verb } = typing(&mut world).await;
    give(&mut stream, b"one").await;
    reads(&verb, b"one").await;
    guest.connection.close(0u32.into(), b"");
    world.monitor.gone().await;
    let again = world.holder().await;
    let mut stream = Stream::open(&again.connection).await;
    stream.say(&Frame::Terminal(Terminal::default())).await;
    stream.say(&Frame::Call(monitor::a_signed())).await;
    let to = world.monitor.called().await;
    world.monitor.say(&ToBroker::Reattach { from, to });
    assert_eq!(stream.next().await, Frame::Started);
    let resumed = Taken { bytes: 3, until: Some(3 + STDIN_AHEAD as u64) };
    assert_eq!(stream.next().await, Frame::Taken(resumed));
    stream.say(&Frame::Resize(size(9, 99))).await;
    give(&mut stream, b"two").await;
    reads(&verb, b"two").await;
    assert_eq!(tcgetwinsize(&verb).unwrap().ws_col, 99);
    rustix::io::write(&verb, b"still here\n").unwrap();
    shown(&mut stream, b"still here\n").await;
}

#[tokio::test]
async fn where_a_call_is_made_is_said_once_and_before_it() {
    let mut world = World::open().await;
    let told = || Terminal { name: Some("vt100".to_owned().try_into().unwrap()), size: size(2, 3) };
    let guest = world.holder().await;
    let mut stream = Stream::open(&guest.connection).await;
    stream.say(&Frame::Terminal(told())).await;
    stream.say(&Frame::Call(monitor::a_signed())).await;
    let heard = world.monitor.hear(|message| match message {
        FromBroker::Call { terminal, .. } => Some(terminal.clone()),
        _ => None,
    });
    assert_eq!(heard.await, Some(told()));

    let mut stream = Stream::open(&guest.connection).await;
    stream.say(&Frame::Terminal(told())).await;
    stream.say(&Frame::Terminal(told())).await;
    assert_eq!(guest.farewell().await, Farewell::Protocol);
}

#[tokio::test]
async fn a_size_out_of_place_ends_the_channel() {
    let mut world = World::open().await;
    // Of a verb that has no terminal, with standard input and without.
    let guest = world.holder().await;
    let mut stream = Stream::open(&guest.connection).await;
    stream.say(&Frame::Call(monitor::a_signed())).await;
    let (_call, _verb, _stdin) = world.monitor.start_reader(policy::Content::Bytes, 1 << 20).await;
    stream.say(&Frame::Resize(size(2, 3))).await;
    assert_eq!(guest.farewell().await, Farewell::Protocol);

    let guest = world.holder().await;
    let mut stream = Stream::open(&guest.connection).await;
    stream.say(&Frame::Call(monitor::a_signed())).await;
    let (_call, _verb) = world.monitor.start(1 << 20).await;
    stream.say(&Frame::Resize(size(2, 3))).await;
    assert_eq!(guest.farewell().await, Farewell::Protocol);

    // Before it runs, and a terminal where keys belong.
    let guest = world.holder().await;
    let mut stream = Stream::open(&guest.connection).await;
    stream.say(&Frame::Call(monitor::a_signed())).await;
    world.monitor.called().await;
    stream.say(&Frame::Resize(size(2, 3))).await;
    assert_eq!(guest.farewell().await, Farewell::Protocol);

    let Typing { guest, mut stream, call: _call, verb: _verb } = typing(&mut world).await;
    stream.say(&Frame::Terminal(Terminal::default())).await;
    assert_eq!(guest.farewell().await, Farewell::Protocol);
}

/// What a terminal out of its bounds is, is for the frames to say: here it is what comes of it.
#[tokio::test]
async fn a_size_out_of_its_bounds_ends_the_channel() {
    let mut world = World::open().await;
    let Typing { guest, mut stream, verb, call: _call } = typing(&mut world).await;
    let mut bytes = Frame::Resize(size(2, 3)).encode().unwrap();
    let rows = bytes.iter().position(|byte| *byte == 2).unwrap();
    bytes[rows] = 0;
    stream.send.write_all(&bytes).await.unwrap();
    assert_eq!(guest.farewell().await, Farewell::Protocol);
    assert_ne!(tcgetwinsize(&verb).unwrap().ws_col, 3);
}

pub(super) async fn types_and_sees(world: &mut World) {
    let Typing { mut stream, verb, guest: _guest, call: _call } = typing(world).await;
    stream.say(&Frame::Resize(size(4, 5))).await;
    give(&mut stream, b"in").await;
    reads(&verb, b"in").await;
    assert_eq!(tcgetwinsize(&verb).unwrap().ws_col, 5);
    rustix::io::write(&verb, b"out\n").unwrap();
    shown(&mut stream, b"out\n").await;
}
