//! A request that is asked again: a new call, decided and on record like the first, whose answer is shown here.

use std::sync::Arc;
use std::time::Duration;

use ::http::response::Parts;
use http_body_util::{BodyExt as _, Either};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::Server;
use super::carried::Sent;
use super::head::Asked;
use super::http::Answer;
use super::inspect::{BODY_MAX, Kept, REQUESTS_MAX, Style, Told};
use crate::neutral::{Neutral, one_line};
use crate::start::{print, say};

/// Replays at one time.
pub(super) const REPLAYS_MAX: usize = 4;
/// What of a body is shown.
const SHOWN_MAX: usize = 4 * 1024;
const LINES_MAX: usize = 20;
/// A body that goes on is not waited for: so much of it is taken, for so long.
const TAKEN_MAX: usize = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(10);
/// The most characters of a header field.
const FIELD_MAX: usize = 300;

/// What came of a replay.
struct Replayed<'r> {
    told: Told<'r>,
    of: u64,
    fields: Vec<(String, String)>,
    /// What the body begins with.
    body: String,
    is_whole: bool,
    /// Whether the answer is ours, and not the service's.
    is_refused: bool,
}

impl Server {
    /// Asks for a request again.
    pub(super) fn replay(self: &Arc<Self>, number: u64, places: &Arc<Semaphore>) {
        let Ok(place) = Arc::clone(places).try_acquire_owned() else {
            return say(&format!(
                "#{number} is not asked again: {REPLAYS_MAX} replays are under way"
            ));
        };
        let (asked, body) = match self.inspect.find(number) {
            Some((asked, Kept::Whole(body))) => (asked, body),
            Some((_, not_kept)) => {
                return say(&format!("#{number} cannot be asked again: {}", why_not(&not_kept)));
            }
            None => {
                let kept = format!("the last {REQUESTS_MAX} requests are, up to 4 MiB in total");
                return say(&format!("#{number} is not kept: {kept}"));
            }
        };
        let server = Arc::clone(self);
        self.tasks.spawn(async move {
            server.ask_again(number, asked, body).await;
            drop(place);
        });
    }

    async fn ask_again(self: &Arc<Self>, of: u64, asked: Asked, body: bytes::Bytes) {
        let begun = Instant::now();
        let number = self.inspect.number();
        let line = asked.line.clone();
        self.inspect.keep(number, &asked, Kept::Whole(body.clone()));
        let sent = Sent { body: Either::Right(body.into()), upgrade: None, number };
        let answer = self.call(asked, sent).await;
        let ms = begun.elapsed().as_millis();
        let told = Told { number, line: &line, status: answer.status().as_u16(), ms };
        let replayed = Replayed::read(told, of, answer).await;
        match self.inspect.style() {
            Style::Json => print(&replayed.json().to_string()),
            Style::Lines | Style::Silent => say(&replayed.text()),
        }
    }
}

fn why_not(kept: &Kept) -> String {
    match kept {
        Kept::TooLong => format!("its body is longer than {} KiB and was not kept", BODY_MAX >> 10),
        Kept::Unfinished => "its body did not come to its end".to_owned(),
        Kept::Socket => "it was a WebSocket".to_owned(),
        Kept::Whole(_) => "nothing is wrong with it".to_owned(),
    }
}

impl<'r> Replayed<'r> {
    async fn read(told: Told<'r>, of: u64, answer: Answer) -> Self {
        let (parts, mut body) = answer.into_parts();
        let is_refused = matches!(body, Either::Right(_));
        let (mut shown, mut taken, mut is_whole) = (Vec::new(), 0, false);
        let until = Instant::now() + PATIENCE;
        while taken < TAKEN_MAX {
            match timeout_at(until, body.frame()).await {
                Ok(Some(Ok(frame))) => {
                    let data = frame.into_data().unwrap_or_default();
                    taken += data.len();
                    let room = SHOWN_MAX.saturating_sub(shown.len());
                    shown.extend(data.iter().take(room));
                }
                Ok(None) => {
                    is_whole = taken == shown.len();
                    break;
                }
                Ok(Some(Err(_))) | Err(_) => break,
            }
        }
        let text = Neutral::default().text(&shown);
        let lines: Vec<&str> = text.lines().take(LINES_MAX).collect();
        is_whole &= text.lines().count() == lines.len();
        Self { told, of, fields: fields(&parts), body: lines.join("\n"), is_whole, is_refused }
    }

    fn text(&self) -> String {
        let Self { told, of, fields, body, is_whole, is_refused } = self;
        let mut text = format!("{} (#{of} again)", told.text());
        if *is_refused {
            return format!("{text}: refused: {}", one_line(body, FIELD_MAX));
        }
        let fields = fields.iter().map(|(name, value)| format!("{name}: {value}"));
        let body = body.lines().map(str::to_owned);
        let rest = (!is_whole).then(|| "… and more".to_owned());
        for line in fields.chain([String::new()]).chain(body).chain(rest) {
            text.push_str("\n    ");
            text.push_str(&line);
        }
        text
    }

    fn json(&self) -> Value {
        let Self { told, of, fields, body, is_whole, is_refused } = self;
        let mut json = told.json();
        if let Some(json) = json.as_object_mut() {
            json.insert("replay_of".to_owned(), json!(of));
            json.insert("refused".to_owned(), json!(is_refused));
            json.insert("fields".to_owned(), json!(fields));
            json.insert("body".to_owned(), json!(body));
            json.insert("is_whole".to_owned(), json!(is_whole));
        }
        json
    }
}

fn fields(parts: &Parts) -> Vec<(String, String)> {
    let shown = |value: &[u8]| one_line(&String::from_utf8_lossy(value), FIELD_MAX);
    let fields = parts.headers.iter();
    fields.map(|(name, value)| (name.to_string(), shown(value.as_bytes()))).collect()
}
