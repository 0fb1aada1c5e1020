//! A WebSocket: a request that becomes a connection once the service agrees.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use hyper_util::rt::TokioIo;
use policy::HttpRequest;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::pipe;

use super::Asker;
use crate::reach::answer;
use crate::reach::connection::{Silence, exchange};
use crate::reach::order::Finish;

/// What a service adds to the caller's key to show that it knows what a WebSocket is (RFC 6455, 1.3).
const KNOWS: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// The one version that there is.
const VERSION: &[u8] = b"13";
/// How long a service may be silent that was told that the caller is gone.
const ALONE: Duration = Duration::from_secs(2);

/// What of the caller's header fields agrees upon the connection.
const ASKED: [HeaderName; 4] =
    [SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_EXTENSIONS];
/// What of the service's does.
const ANSWERED: [HeaderName; 3] =
    [SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_EXTENSIONS];

impl Asker {
    /// Asks for a WebSocket. With one, its bytes follow the head of the answer, both ways; else the answer is passed on as
    /// any.
    pub(super) async fn open_socket(
        &self,
        request: HttpRequest,
        fields: &HeaderMap,
        (mut stdout, stdin): (pipe::Sender, Option<pipe::Receiver>),
    ) -> Finish {
        let Some(accept) = accept(fields) else {
            return Finish::Lost("the caller's header fields ask for no WebSocket".to_owned());
        };
        let request = HttpRequest { method: Method::GET.to_string(), ..request };
        let mut request = match self.request(request, fields, false, (None, &Arc::default())) {
            Ok(request) => request,
            Err(fault) => return Finish::Lost(format!("this makes no request: {fault}")),
        };
        ask_for_one(request.headers_mut(), fields);
        let mut response = match self.client.request(request).await {
            Ok(response) => response,
            Err(fault) => return Finish::Lost(self.why(&fault)),
        };
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return answer::whole(&self.service, response, false, stdout).await;
        }
        if !agrees(&response, &accept) {
            return Finish::Lost("it changes protocols, but not to a WebSocket".to_owned());
        }
        let connection = match hyper::upgrade::on(&mut response).await {
            Ok(connection) => TokioIo::new(connection),
            Err(fault) => return Finish::Lost(self.why(&fault)),
        };
        let head = answer::head(&self.service, &response, |name| ANSWERED.contains(name));
        if stdout.write_all(&head).await.is_err() {
            return Finish::Stopped;
        }
        let silence = Silence { idle: self.service.idle, alone: Some(ALONE) };
        exchange(tokio::io::split(connection), (stdout, stdin), silence).await
    }
}

/// What the service must answer to these fields; nothing where they ask for no WebSocket.
fn accept(fields: &HeaderMap) -> Option<String> {
    let one = |name: HeaderName| {
        let mut all = fields.get_all(name).iter();
        all.next().filter(|_| all.next().is_none()).map(HeaderValue::as_bytes)
    };
    let key = one(SEC_WEBSOCKET_KEY)?;
    let is_key = BASE64_STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 16);
    let asks = is_key && one(SEC_WEBSOCKET_VERSION) == Some(VERSION);
    let whole = digest(&SHA1_FOR_LEGACY_USE_ONLY, &[key, KNOWS].concat());
    asks.then(|| BASE64_STANDARD.encode(whole))
}

fn ask_for_one(headers: &mut HeaderMap, fields: &HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    for name in ASKED {
        headers.remove(&name);
        for value in fields.get_all(&name) {
            headers.append(&name, value.clone());
        }
    }
}

fn agrees<B>(response: &Response<B>, accept: &str) -> bool {
    let said = |name| response.headers().get(name).map(HeaderValue::as_bytes);
    said(UPGRADE).is_some_and(|to| to.eq_ignore_ascii_case(b"websocket"))
        && said(SEC_WEBSOCKET_ACCEPT) == Some(accept.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key and the answer of RFC 6455, 1.3.
    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

    fn fields(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).fold(
            HeaderMap::new(),
            |mut fields, (name, value)| {
                fields.append(name, value);
                fields
            },
        )
    }

    #[test]
    fn only_a_request_that_can_be_answered_is_one() {
        let asks = |pairs: &[(HeaderName, &str)]| accept(&fields(pairs));
        let (key, version) = ((SEC_WEBSOCKET_KEY, KEY), (SEC_WEBSOCKET_VERSION, "13"));
        assert_eq!(asks(&[key.clone(), version.clone()]).as_deref(), Some(ACCEPT));
        for none in [
            vec![key.clone()],
            vec![version.clone()],
            vec![key.clone(), (SEC_WEBSOCKET_VERSION, "8")],
            vec![key.clone(), key, version.clone()],
            vec![(SEC_WEBSOCKET_KEY, "AAAA"), version.clone()],
            vec![(SEC_WEBSOCKET_KEY, "?"), version],
        ] {
            assert_eq!(asks(&none), None, "{none:?}");
        }
    }

    #[test]
    fn a_service_must_show_that_it_means_this_connection() {
        let says = |to: &str, accept: &str| {
            let answer = Response::builder().header(UPGRADE, to);
            let answer = answer.header(SEC_WEBSOCKET_ACCEPT, accept).body(()).unwrap();
            agrees(&answer, ACCEPT)
        };
        assert!(says("WebSocket", ACCEPT));
        assert!(!says("h2c", ACCEPT) && !says("websocket", "other") && !says("websocket", ""));
        assert!(!agrees(&Response::new(()), ACCEPT));
    }

    #[test]
    fn the_callers_fields_that_agree_upon_it_go_along_once() {
        let theirs = fields(&[
            (SEC_WEBSOCKET_KEY, KEY),
            (SEC_WEBSOCKET_PROTOCOL, "a"),
            (SEC_WEBSOCKET_PROTOCOL, "b"),
            (UPGRADE, "h2c"),
        ]);
        let mut headers = fields(&[(SEC_WEBSOCKET_KEY, KEY)]);
        ask_for_one(&mut headers, &theirs);
        assert_eq!(headers.get_all(SEC_WEBSOCKET_KEY).iter().count(), 1);
        assert_eq!(headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().count(), 2);
        assert_eq!(
            (&headers[UPGRADE], &headers[CONNECTION]),
            (&"websocket".parse().unwrap(), &"Upgrade".parse().unwrap())
        );
    }
}
