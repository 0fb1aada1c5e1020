//! From the output of a call to an answer for the local program.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use ::http::{HeaderName, HeaderValue, Response, StatusCode};
use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame};
use tokio::sync::mpsc;

/// The head of an answer is not longer.
const LONGEST: usize = 64 * 1024;
const FIELDS_MAX: usize = 128;

/// A body that comes piece by piece; an error cuts it off, so that it does not look whole.
pub(super) struct Pieces(pub(super) mpsc::Receiver<io::Result<Bytes>>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

/// The head of an answer, until all of it is there.
#[derive(Default)]
pub(super) struct Head(BytesMut);

/// Why an answer is none.
#[derive(Debug)]
pub(super) struct NoAnswer;

impl Head {
    /// Takes a piece of output. Some once the head is whole: the answer without its body, and what there is of that.
    pub(super) fn take(&mut self, piece: &[u8]) -> Result<Option<(Response<()>, Bytes)>, NoAnswer> {
        self.0.extend_from_slice(piece);
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut parsed = httparse::Response::new(&mut fields);
        let (length, response) = match parsed.parse(&self.0) {
            Ok(httparse::Status::Complete(length)) => (length, response(&parsed)?),
            Ok(httparse::Status::Partial) if self.0.len() < LONGEST => return Ok(None),
            Ok(httparse::Status::Partial) | Err(_) => return Err(NoAnswer),
        };
        let rest = self.0.split_off(length).freeze();
        Ok(Some((response, rest)))
    }
}

fn response(parsed: &httparse::Response<'_, '_>) -> Result<Response<()>, NoAnswer> {
    let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or(NoAnswer)?;
    let mut response = Response::new(());
    *response.status_mut() = status;
    for field in parsed.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| NoAnswer)?;
        let value = HeaderValue::from_bytes(field.value).map_err(|_| NoAnswer)?;
        response.headers_mut().append(name, value);
    }
    Ok(response)
}
