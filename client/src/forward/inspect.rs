//! What is told of requests, and what is kept of them so that one can be asked again.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde_json::{Value, json};

use super::head::Asked;
use super::port::Carried;
use crate::neutral::one_line;
use crate::start::{print, say};

/// Requests that are kept.
pub(super) const REQUESTS_MAX: usize = 100;
/// A body that is longer is not.
pub(super) const BODY_MAX: usize = 64 * 1024;
/// Bytes of all that is kept: the oldest go first.
const ALL_MAX: usize = 4 << 20;
/// The most characters of a line about a request.
const LINE_MAX: usize = 200;

/// How requests are told of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Style {
    /// Not at all.
    Silent,
    /// A line each, on standard error.
    Lines,
    /// A JSON value each, on standard output.
    Json,
}

/// What tells of requests.
pub(super) struct Inspect {
    style: Style,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last: u64,
    requests: VecDeque<(u64, Asked, Kept)>,
}

/// What is kept of a request's body.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Kept {
    /// All of it.
    Whole(Bytes),
    /// Nothing: it is longer than [`BODY_MAX`].
    TooLong,
    /// Nothing: not all of it came.
    Unfinished,
    /// There is none: it was a WebSocket.
    Socket,
}

/// One request, as it is told of.
pub(super) struct Told<'t> {
    pub(super) number: u64,
    pub(super) line: &'t str,
    pub(super) status: u16,
    pub(super) ms: u128,
}

impl Inspect {
    pub(super) fn new(style: Style) -> Self {
        Self { style, state: Mutex::default() }
    }

    pub(super) fn style(&self) -> Style {
        self.style
    }

    /// The next request's number.
    pub(super) fn number(&self) -> u64 {
        let mut state = self.state();
        state.last += 1;
        state.last
    }

    /// Keeps a request for whoever asks again; its body comes later, if there is one.
    pub(super) fn keep(&self, number: u64, asked: &Asked, kept: Kept) {
        if self.style != Style::Silent {
            self.state().keep(number, asked.clone(), kept);
        }
    }

    /// The body of a request is whole, or is not kept.
    pub(super) fn has_body(&self, number: u64, kept: Kept) {
        if self.style != Style::Silent {
            self.state().has_body(number, kept);
        }
    }

    /// A request that is still kept.
    pub(super) fn find(&self, number: u64) -> Option<(Asked, Kept)> {
        let state = self.state();
        let found = state.requests.iter().find(|(known, ..)| *known == number);
        found.map(|(_, asked, kept)| (asked.clone(), kept.clone()))
    }

    /// Tells of a request, once its answer begins.
    pub(super) fn tell(&self, told: &Told<'_>) {
        match self.style {
            Style::Silent => {}
            Style::Lines => say(&told.text()),
            Style::Json => print(&told.json().to_string()),
        }
    }

    /// Tells of the end of a connection.
    pub(super) fn tell_end(&self, number: u64, carried: &Carried) {
        let Carried { up, down, why, .. } = carried;
        let ms = carried.took().as_millis();
        match self.style {
            Style::Silent => {}
            Style::Lines => {
                let why = why.as_ref().map_or(String::new(), |why| format!(": {why}"));
                let told = format!("#{number} ended after {ms} ms, {up} B up, {down} B down{why}");
                say(&one_line(&told, LINE_MAX * 2));
            }
            Style::Json => {
                let why = why.as_ref().map(|why| one_line(why, LINE_MAX));
                print(
                    &json!({
                        "schema": super::SCHEMA, "event": "ended", "number": number,
                        "ms": ms, "up": up, "down": down, "error": why,
                    })
                    .to_string(),
                );
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Told<'_> {
    pub(super) fn text(&self) -> String {
        let Self { number, line, status, ms } = self;
        format!("#{number} {} {status} {ms} ms", one_line(line, LINE_MAX))
    }

    pub(super) fn json(&self) -> Value {
        let Self { number, line, status, ms } = self;
        json!({
            "schema": super::SCHEMA, "event": "request", "number": number,
            "line": one_line(line, LINE_MAX), "status": status, "ms": ms, "replay_of": null,
        })
    }
}

impl State {
    fn keep(&mut self, number: u64, asked: Asked, kept: Kept) {
        self.requests.push_back((number, asked, kept));
        self.bound();
    }

    fn has_body(&mut self, number: u64, kept: Kept) {
        let found = self.requests.iter_mut().find(|(known, ..)| *known == number);
        if let Some((_, _, before)) = found {
            *before = kept;
        }
        self.bound();
    }

    fn bound(&mut self) {
        while self.requests.len() > REQUESTS_MAX || self.weight() > ALL_MAX {
            self.requests.pop_front();
        }
    }

    fn weight(&self) -> usize {
        self.requests.iter().map(|(_, asked, kept)| asked.weight() + kept.weight()).sum()
    }
}

impl Kept {
    /// Before anything has come of it.
    pub(super) fn at_first(method: &::http::Method) -> Self {
        match method.as_str() {
            "GET" | "HEAD" => Self::Whole(Bytes::new()),
            policy::WEBSOCKET => Self::Socket,
            _ => Self::Unfinished,
        }
    }

    fn weight(&self) -> usize {
        match self {
            Self::Whole(body) => body.len(),
            Self::TooLong | Self::Unfinished | Self::Socket => 0,
        }
    }
}

/// A body that is copied as it goes by.
#[derive(Debug, Default)]
pub(super) struct Copied {
    bytes: Vec<u8>,
    is_too_long: bool,
}

impl Copied {
    /// Takes the next piece; an empty one is the end. Some once it is known what is kept.
    pub(super) fn take(&mut self, piece: &Bytes) -> Option<Kept> {
        if self.is_too_long {
            return None;
        }
        if piece.is_empty() {
            return Some(Kept::Whole(std::mem::take(&mut self.bytes).into()));
        }
        if self.bytes.len() + piece.len() > BODY_MAX {
            *self = Self { bytes: Vec::new(), is_too_long: true };
            return Some(Kept::TooLong);
        }
        self.bytes.extend_from_slice(piece);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy::Arguments;

    fn asked(head: usize) -> Asked {
        Asked { arguments: Arguments::default(), head: vec![b'x'; head], line: String::new() }
    }

    fn kept(inspect: &Inspect) -> Vec<u64> {
        inspect.state().requests.iter().map(|(number, ..)| *number).collect()
    }

    #[test]
    fn only_the_last_requests_are_kept() {
        let inspect = Inspect::new(Style::Lines);
        for number in 1..=103 {
            assert_eq!(inspect.number(), number);
            inspect.keep(number, &asked(1), Kept::Unfinished);
        }
        assert_eq!(kept(&inspect), (4..=103).collect::<Vec<_>>());
        assert!(inspect.find(3).is_none() && inspect.find(4).is_some());
    }

    #[test]
    fn what_is_kept_is_bounded_in_total() {
        let inspect = Inspect::new(Style::Lines);
        for number in 1..=70 {
            inspect.keep(number, &asked(0), Kept::Unfinished);
            inspect.has_body(number, Kept::Whole(vec![0; BODY_MAX].into()));
        }
        assert_eq!(kept(&inspect), (7..=70).collect::<Vec<_>>());
        let silent = Inspect::new(Style::Silent);
        silent.keep(1, &asked(0), Kept::Unfinished);
        assert_eq!(kept(&silent), Vec::<u64>::new());
    }

    #[test]
    fn a_body_is_kept_whole_or_not_at_all() {
        let piece = |length: usize| Bytes::from(vec![b'x'; length]);
        let mut fits = Copied::default();
        assert_eq!(fits.take(&piece(BODY_MAX - 1)), None);
        assert_eq!(fits.take(&piece(1)), None);
        assert_eq!(fits.take(&piece(0)), Some(Kept::Whole(piece(BODY_MAX))));
        let mut over = Copied::default();
        assert_eq!(over.take(&piece(BODY_MAX)), None);
        assert_eq!(over.take(&piece(1)), Some(Kept::TooLong));
        assert_eq!(over.take(&piece(0)), None);
        assert_eq!(Copied::default().take(&piece(0)), Some(Kept::Whole(Bytes::new())));
    }

    #[test]
    fn a_line_about_a_request_moves_no_cursor() {
        let told = Told { number: 7, line: "GET /a\u{1b}[2J\n?b", status: 200, ms: 14 };
        assert_eq!(told.text(), "#7 GET /a ?b 200 14 ms");
    }
}
