//! One connection: messages there and back.

use std::io;

use bytes::BytesMut;
use fallible_iterator::FallibleIterator as _;
use postgres_protocol::message::backend::{ErrorFields, Header, Message};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::dial::Stream;
use crate::reach::sql::fault::{Fault, plain};

/// A row, or anything else that is said, is not longer.
const LONGEST: usize = 16 << 20;

/// A connection to a server.
pub(super) struct Connection {
    stream: Box<dyn Stream>,
    heard: BytesMut,
    /// What is to be said next.
    pub(super) words: BytesMut,
    /// What ends a statement: the number of its process, and a secret.
    pub(super) key: Option<(i32, i32)>,
    /// What the server says of the role.
    pub(super) is_superuser: Option<bool>,
    /// Answers to what was said that are still to come.
    owed: usize,
}

impl Connection {
    pub(super) fn new(stream: Box<dyn Stream>) -> Self {
        let (heard, words) = (BytesMut::new(), BytesMut::new());
        Self { stream, heard, words, key: None, is_superuser: None, owed: 0 }
    }

    /// Says it. The server will be ready again so many times.
    pub(super) async fn say(&mut self, owed: usize) -> Result<(), Fault> {
        self.owed += owed;
        let said = self.stream.write_all(&self.words).await;
        self.words.clear();
        said.map_err(|fault| Fault::lost("the connection broke", &fault))?;
        self.stream.flush().await.map_err(|fault| Fault::lost("the connection broke", &fault))
    }

    /// Whether more has been heard than was asked for yet.
    pub(super) fn has_heard(&self) -> bool {
        length(&self.heard).is_ok_and(|whole| whole.is_some_and(|whole| whole <= self.heard.len()))
    }

    /// What the server says next, without what it only mentions. What it complains of is a fault.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the protocol has messages that do not belong here"
    )]
    pub(super) async fn hear(&mut self) -> Result<Message, Fault> {
        loop {
            match self.next().await? {
                Message::ParameterStatus(status) => {
                    if status.name().is_ok_and(|name| name == "is_superuser") {
                        self.is_superuser = Some(status.value().is_ok_and(|value| value != "off"));
                    }
                }
                Message::NoticeResponse(_) | Message::NotificationResponse(_) => {}
                Message::ErrorResponse(error) => return Err(complaint(error.fields())),
                Message::ReadyForQuery(ready) => {
                    self.owed = self.owed.saturating_sub(1);
                    return Ok(Message::ReadyForQuery(ready));
                }
                other => return Ok(other),
            }
        }
    }

    async fn next(&mut self) -> Result<Message, Fault> {
        loop {
            let wanted = length(&self.heard)?.unwrap_or(5);
            if wanted > LONGEST {
                let most = LONGEST >> 20;
                return Err(Fault::Lost(format!("a row is longer than the {most} MiB allowed")));
            }
            if wanted <= self.heard.len()
                && let Some(message) = Message::parse(&mut self.heard)
                    .map_err(|fault| Fault::lost("the server is not understood", &fault))?
            {
                return Ok(message);
            }
            match self.stream.read_buf(&mut self.heard).await {
                Ok(0) => return Err(Fault::Lost("the server hung up".to_owned())),
                Ok(_) => {}
                Err(fault) => return Err(Fault::lost("the connection broke", &fault)),
            }
        }
    }

    /// Listens until the server is ready for something new, whatever it says.
    ///
    /// # Errors
    /// The first thing that it complained of.
    pub(super) async fn ready(&mut self) -> Result<(), Fault> {
        let mut first = Ok(());
        while self.owed > 0 {
            match self.hear().await {
                Ok(_) => {}
                Err(fault @ Fault::Refused(_)) => first = first.and(Err(fault)),
                Err(fault) => return Err(fault),
            }
        }
        first
    }

    /// The server has ended what it did.
    pub(super) async fn settled(&mut self) -> Result<(), Fault> {
        self.ready().await
    }

    /// Asks, on another connection, that what is done on this one be ended.
    pub(super) async fn cancel_through(&self, stream: &mut Box<dyn Stream>) -> Result<(), Fault> {
        let Some((process, secret)) = self.key else { return Ok(()) };
        let mut words = BytesMut::new();
        frontend::cancel_request(process, secret, &mut words);
        let asked = async {
            stream.write_all(&words).await?;
            stream.flush().await?;
            // It says nothing, and hangs up once it has passed that on.
            let mut nothing = [0];
            let _ = stream.read(&mut nothing).await;
            Ok(())
        };
        asked.await.map_err(|fault: io::Error| Fault::lost("nothing ended it", &fault))
    }
}

/// How long the message is that has begun to come, if that is known yet.
fn length(heard: &[u8]) -> Result<Option<usize>, Fault> {
    let header = Header::parse(heard);
    let header = header.map_err(|fault| Fault::lost("the server is not understood", &fault))?;
    Ok(header.and_then(|header| usize::try_from(header.len()).ok()?.checked_add(1)))
}

/// What the server complains of; where it says that it goes, it is lost.
fn complaint(mut fields: ErrorFields<'_>) -> Fault {
    let (mut is_end, mut code, mut lines) = (false, String::new(), [const { String::new() }; 3]);
    while let Ok(Some(field)) = fields.next() {
        let said = plain(&String::from_utf8_lossy(field.value_bytes()));
        let [message, detail, hint] = &mut lines;
        match field.type_() {
            b'S' | b'V' => is_end |= matches!(said.as_str(), "FATAL" | "PANIC"),
            b'C' => code = said,
            b'M' => *message = said,
            b'D' => *detail = format!("\ndetail: {said}"),
            b'H' => *hint = format!("\nhint: {said}"),
            _ => {}
        }
    }
    let [message, detail, hint] = lines;
    if is_end {
        return Fault::Lost(format!("{message} ({code})"));
    }
    Fault::Refused(format!("{message} ({code}){detail}{hint}"))
}
