//! What a command and the holder of a channel say to each other: a kind, a length, and CBOR or bytes as they are.

use std::io;
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use policy::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use wire::cbor::{from_canonical, to_canonical};
use wire::frame::{HEADER, MAX_CONTROL, MAX_DATA, ShareEnd, Update};

use crate::failure::Failure;

/// The version of these words. A holder of another one is not used.
pub(super) const VERSION: u8 = 1;
/// An [`Update`] of the daemon's, and what is said beside it.
const MAX_CBOR: usize = MAX_CONTROL + 4096;

const ASK: u8 = 0x01;
const JOINING: u8 = 0x02;
const STANDING: u8 = 0x03;
const FAILED: u8 = 0x04;
const BYTES: u8 = 0x05;
const FINISHED: u8 = 0x06;
const BROKEN: u8 = 0x07;
const LOST: u8 = 0x08;

/// One word.
#[derive(Clone, Debug)]
pub(crate) enum Word {
    /// Command: what the connection is for; first, and all of it that is framed.
    Ask(Ask),
    /// Holder: the seat is being taken.
    Joining,
    /// Holder: how it stands; again at each change.
    Standing(Box<Told>),
    /// Holder: the seat was not given; last.
    Failed(Failure),
    /// Holder: what came on the stream.
    Bytes(Bytes),
    /// Holder: the daemon has ended the stream; last.
    Finished,
    /// Holder: the daemon has broken the stream off; last.
    Broken,
    /// Holder: the channel is gone; last.
    Lost,
}

/// What a command comes for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ask {
    pub(super) version: u8,
    pub(super) want: Want,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Want {
    /// To be told how it stands, for as long as the connection lasts.
    Watch {
        /// How long the holder is to stay from now on when nobody uses it.
        stay_ms: Option<u64>,
    },
    /// A stream of the channel: what follows goes there as it is, and its end breaks the stream off.
    Stream,
    /// That the holder takes nobody else, and goes when the last has gone.
    Leave,
}

impl Want {
    pub(super) fn watch(stay: Option<Duration>) -> Self {
        let stay_ms = stay.map(|stay| u64::try_from(stay.as_millis()).unwrap_or(u64::MAX));
        Self::Watch { stay_ms }
    }
}

/// A session as its holder sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Told {
    pub(crate) link: ToldLink,
    /// The daemon's clock.
    pub(crate) now: Timestamp,
    /// With a passport only where it is another than the handle's.
    pub(crate) standing: Update,
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum ToldLink {
    /// On the how-manieth channel.
    Up(u64),
    Down,
    Ended(ShareEnd),
    /// The daemon cannot be reached, or does not give the seat again; in words.
    Gone(String),
    Replaced,
    Closed,
}

impl Word {
    /// As it travels.
    pub(super) fn encode(&self) -> io::Result<Vec<u8>> {
        let (kind, payload) = match self {
            Self::Ask(ask) => (ASK, cbor(ask)?),
            Self::Standing(told) => (STANDING, cbor(told)?),
            Self::Failed(failure) => (FAILED, cbor(failure)?),
            Self::Bytes(bytes) => (BYTES, bytes.to_vec()),
            Self::Joining => (JOINING, Vec::new()),
            Self::Finished => (FINISHED, Vec::new()),
            Self::Broken => (BROKEN, Vec::new()),
            Self::Lost => (LOST, Vec::new()),
        };
        let mut word = head(kind, payload.len())?.to_vec();
        word.extend_from_slice(&payload);
        Ok(word)
    }

    fn decode(kind: u8, payload: Bytes) -> io::Result<Self> {
        Ok(match kind {
            ASK => Self::Ask(of_cbor(&payload)?),
            STANDING => Self::Standing(of_cbor(&payload)?),
            FAILED => Self::Failed(of_cbor(&payload)?),
            BYTES => Self::Bytes(payload),
            JOINING => Self::Joining,
            FINISHED => Self::Finished,
            BROKEN => Self::Broken,
            LOST => Self::Lost,
            _ => return Err(io::ErrorKind::InvalidData.into()),
        })
    }
}

/// What comes before a payload.
pub(super) fn head(kind: u8, length: usize) -> io::Result<[u8; HEADER]> {
    let announced = u32::try_from(length).ok().filter(|_| length <= limit(kind));
    let [a, b, c, d] = announced.ok_or(io::ErrorKind::InvalidData)?.to_be_bytes();
    Ok([kind, a, b, c, d])
}

/// What comes before bytes that are written from where they lie.
pub(super) fn head_of_bytes(length: usize) -> io::Result<[u8; HEADER]> {
    head(BYTES, length)
}

fn limit(kind: u8) -> usize {
    match kind {
        ASK | STANDING | FAILED => MAX_CBOR,
        BYTES => MAX_DATA + HEADER,
        _ => 0,
    }
}

fn cbor<T: Serialize>(message: &T) -> io::Result<Vec<u8>> {
    to_canonical(message).map_err(|fault| io::Error::new(io::ErrorKind::InvalidData, fault))
}

fn of_cbor<T: Serialize + DeserializeOwned>(payload: &[u8]) -> io::Result<T> {
    let message = from_canonical(payload, MAX_CBOR);
    message.map_err(|fault| io::Error::new(io::ErrorKind::InvalidData, fault))
}

/// Reads the words of one connection. Never holds more than one word and what came with it.
#[derive(Debug)]
pub(crate) struct Words<R> {
    from: R,
    buffer: BytesMut,
}

impl<R: AsyncRead + Unpin> Words<R> {
    pub(crate) fn new(from: R) -> Self {
        Self { from, buffer: BytesMut::new() }
    }

    /// The next word. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> io::Result<Word> {
        loop {
            if let Some(word) = self.take()? {
                return Ok(word);
            }
            if self.from.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// What is read from, and what was read of what follows the last word.
    pub(super) fn into_rest(self) -> (R, BytesMut) {
        (self.from, self.buffer)
    }

    fn take(&mut self) -> io::Result<Option<Word>> {
        let Some((&[kind, a, b, c, d], rest)) = self.buffer.split_first_chunk() else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        if length > limit(kind) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if rest.len() < length {
            return Ok(None);
        }
        self.buffer.advance(HEADER);
        Word::decode(kind, self.buffer.split_to(length).freeze()).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    fn told() -> Told {
        let standing =
            Update { deadline: Timestamp(9), passport: None, menu: Vec::new(), notes: 0 };
        Told { link: ToldLink::Up(3), now: Timestamp(7), standing }
    }

    async fn read(bytes: &[u8]) -> io::Result<Word> {
        Words::new(bytes).next().await
    }

    #[tokio::test]
    async fn each_word_comes_as_it_was_said() {
        let failure = Failure::new(Exit::GONE, "unreachable", "no way").hint("try again");
        let ask = Ask { version: VERSION, want: Want::watch(Some(Duration::from_secs(2))) };
        let words = [
            Word::Ask(ask),
            Word::Joining,
            Word::Standing(Box::new(told())),
            Word::Failed(failure),
            Word::Bytes(Bytes::from_static(b"raw")),
            Word::Finished,
            Word::Broken,
            Word::Lost,
        ];
        for word in words {
            let came = read(&word.encode().unwrap()).await.unwrap();
            assert_eq!(format!("{came:?}"), format!("{word:?}"));
        }
    }

    #[tokio::test]
    async fn every_end_of_a_session_can_be_told() {
        let links = [
            ToldLink::Down,
            ToldLink::Ended(ShareEnd::Revoked { reason: Some("done".to_owned()) }),
            ToldLink::Gone("no way".to_owned()),
            ToldLink::Replaced,
            ToldLink::Closed,
        ];
        for link in links {
            let word = Word::Standing(Box::new(Told { link: link.clone(), ..told() }));
            let came = read(&word.encode().unwrap()).await.unwrap();
            assert!(matches!(came, Word::Standing(told) if told.link == link));
        }
    }

    #[tokio::test]
    async fn what_is_too_long_unknown_or_cut_is_no_word() {
        for bad in [
            &[BYTES, 0, 1, 0, 6][..],
            &[FINISHED, 0, 0, 0, 1, 0],
            &[9, 0, 0, 0, 0],
            &[0, 0, 0, 0, 0],
            &[ASK, 0, 0, 0, 1, 0xff],
        ] {
            assert_eq!(read(bad).await.unwrap_err().kind(), io::ErrorKind::InvalidData, "{bad:?}");
        }
        let whole = Word::Bytes(Bytes::from_static(b"raw")).encode().unwrap();
        for cut in 0..whole.len() {
            let fault = read(&whole[..cut]).await.unwrap_err();
            assert_eq!(fault.kind(), io::ErrorKind::UnexpectedEof, "{cut}");
        }
    }

    #[test]
    fn bytes_are_as_long_as_the_channels_pieces_and_no_longer() {
        assert!(head_of_bytes(MAX_DATA + HEADER).is_ok());
        assert!(head_of_bytes(MAX_DATA + HEADER + 1).is_err());
    }
}
