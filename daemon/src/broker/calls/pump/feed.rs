//! What the holder gives a running call, and what they hear of it.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use bytes::Bytes;
use policy::Stdin;
use wire::frame::{Frame, MAX_DATA, Taken};
use wire::privsep::{FromBroker, Unfit};
use wire::terminal::WindowSize;

use super::super::holder::{Floor, Holder};
use super::super::input::Input;
use super::super::output::Output;
use super::super::{Streams, line};
use super::{Pump, Stage};
use crate::redact::Rules;

impl Pump {
    /// Takes what the verb reads and writes.
    pub(super) fn attach(
        &mut self,
        streams: Streams,
        output_max: u64,
        rules: Option<&Arc<Rules>>,
    ) -> io::Result<Output> {
        match streams {
            Streams::Pipes { stdout, stderr, stdin } => {
                self.listen(stdin);
                Output::new(stdout, stderr, output_max, rules)
            }
            Streams::Terminal(terminal) => {
                let (reader, writer) = line::terminal(terminal)?;
                self.input = Some(Input::typed(writer));
                Ok(Output::of_terminal(reader, output_max, rules))
            }
        }
    }

    /// From here on the holder may give something, if the verb takes it.
    fn listen(&mut self, stdin: Option<(OwnedFd, Stdin)>) {
        self.input = stdin.and_then(|(write_end, stdin)| {
            let input = Input::new(write_end, stdin);
            input.inspect_err(|fault| tracing::error!(%fault, "a call cannot be given input")).ok()
        });
    }

    /// What the holder may say now. What they gave before they heard of the end is no offence.
    pub(super) fn floor(&self) -> Floor {
        match &self.input {
            None => Floor::Closed,
            Some(_) => Floor::Open,
        }
    }

    pub(super) fn take(&mut self, piece: &Bytes) {
        match self.input.as_mut().map(|input| input.take(piece)) {
            Some(Ok(unfit)) => self.refuse(unfit),
            Some(Err(_)) | None => self.holder.iter().for_each(Holder::expel),
        }
    }

    pub(super) fn end_input(&mut self) {
        let unfit = self.input.as_mut().and_then(Input::end);
        self.refuse(unfit);
        self.drained_if_empty();
    }

    /// What has no terminal has no size.
    pub(super) fn resize(&mut self, size: WindowSize) {
        if let Some(Err(_)) | None = self.input.as_ref().map(|input| input.resize(size)) {
            self.holder.iter().for_each(Holder::expel);
        }
    }

    /// Nobody is left to read it.
    pub(super) fn stop_giving(&mut self) {
        self.input.iter_mut().for_each(Input::close);
    }

    /// Once for all that was read since: a holder who does not listen costs one such frame and no more.
    pub(super) fn tell_taken(&mut self) {
        let Some(input) = self.input.as_ref().filter(|_| self.stage < Stage::Closing) else {
            return;
        };
        let taken = input.taken();
        let news = self.told.is_none_or(|told| is_news(told, taken));
        if news && self.outgoing.is_empty() && self.holder.is_some() {
            self.told = Some(taken);
            self.outgoing.push(Frame::Taken(taken).encode().unwrap_or_default());
        }
    }

    /// That it runs, and from where on input is wanted: the first words on each of its streams.
    pub(super) fn started(&mut self) -> Bytes {
        self.told = self.input.as_ref().map(Input::taken);
        let frames = std::iter::once(Frame::Started).chain(self.told.map(Frame::Taken));
        frames.flat_map(|frame| frame.encode().unwrap_or_default()).collect()
    }

    pub(super) fn say_unfit(&self) {
        if let Some(why) = self.unfit {
            self.broker.monitor.say(&FromBroker::Unfit { call: self.call, why });
        }
    }

    fn refuse(&mut self, unfit: Option<Unfit>) {
        if unfit.is_some() {
            self.unfit = unfit;
            self.say_unfit();
        }
    }
}

/// Whether the holder, who has this word, needs another: one for each frame that the verb has read is enough.
fn is_news(told: Taken, now: Taken) -> bool {
    match (told.until, now.until) {
        (Some(told), Some(now)) => {
            now.saturating_sub(told) >= u64::try_from(MAX_DATA).unwrap_or(u64::MAX)
        }
        (told, now) => told != now,
    }
}
