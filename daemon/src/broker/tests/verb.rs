//! A verb that the test plays: its ends of its pipes.

use std::os::fd::{AsFd, OwnedFd};

use policy::{Content, Input, Stdin};
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe::{Receiver, Sender};
use wire::frame::Frame;
use wire::privsep::{CallRef, Given, RedactBy, ToBroker};

use super::monitor::{Monitor, a_signed};
use super::soon;

pub(super) struct Verb {
    pub(super) stdout: Sender,
    pub(super) stderr: Sender,
}

impl Monitor {
    /// Starts the call that comes next.
    pub(super) async fn start(&mut self, output_max: u64) -> (CallRef, Verb) {
        let call = self.called().await;
        (call, self.start_call(call, output_max))
    }

    pub(super) fn start_call(&self, call: CallRef, output_max: u64) -> Verb {
        self.start_call_by(call, output_max, vec![RedactBy::Default])
    }

    /// Starts the call, whose output is looked through by these rules.
    pub(super) fn start_call_by(
        &self,
        call: CallRef,
        output_max: u64,
        redact: Vec<RedactBy>,
    ) -> Verb {
        let (stdout, stdout_end) = pipe();
        let (stderr, stderr_end) = pipe();
        let input = Input::Nothing;
        let started = ToBroker::Started { call, output_max, redact, input };
        self.say_with(&started, &[stdout.as_fd(), stderr.as_fd()]);
        let sender = |end| Sender::from_owned_fd(end).unwrap();
        Verb { stdout: sender(stdout_end), stderr: sender(stderr_end) }
    }

    /// Starts the call that comes next, which takes standard input.
    pub(super) async fn start_reader(
        &mut self,
        content: Content,
        max: u64,
    ) -> (CallRef, Verb, Receiver) {
        let call = self.called().await;
        let (stdout, stdout_end) = pipe();
        let (stderr, stderr_end) = pipe();
        let (stdin_end, stdin) = pipe();
        let input = Input::Stdin(Stdin { content, max });
        let started = ToBroker::Started { call, output_max: 64 << 20, redact: Vec::new(), input };
        self.say_with(&started, &[stdout.as_fd(), stderr.as_fd(), stdin.as_fd()]);
        let sender = |end| Sender::from_owned_fd(end).unwrap();
        let verb = Verb { stdout: sender(stdout_end), stderr: sender(stderr_end) };
        (call, verb, Receiver::from_owned_fd(stdin_end).unwrap())
    }

    /// The call's processes are gone; what the broker says that it was given.
    pub(super) async fn exit_reader(&mut self, call: CallRef, verb: Verb) -> Given {
        drop(verb);
        self.say(&ToBroker::Exited { call });
        let (of, given) = self.given().await;
        assert_eq!(of, call);
        given.expect("it takes standard input")
    }

    /// The call's processes are gone; what the broker says it has passed on.
    pub(super) async fn exit(&mut self, call: CallRef, verb: Verb) -> (u64, u64) {
        drop(verb);
        self.say(&ToBroker::Exited { call });
        let (of, stdout, stderr) = self.drained().await;
        assert_eq!(of, call);
        (stdout, stderr)
    }

    pub(super) fn end(&self, call: CallRef) {
        self.say(&ToBroker::Outcome { call, outcome: a_signed() });
    }
}

impl Verb {
    pub(super) async fn write(&mut self, bytes: &[u8]) {
        soon("room in the pipe", self.stdout.write_all(bytes)).await.unwrap();
    }
}

/// The last word of every call here.
pub(super) fn outcome() -> Frame {
    Frame::Outcome(a_signed())
}

fn pipe() -> (OwnedFd, OwnedFd) {
    pipe_with(PipeFlags::CLOEXEC).unwrap()
}
