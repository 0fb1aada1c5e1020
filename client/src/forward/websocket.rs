//! WebSockets of local programs: each is one call, whose bytes follow the head of its answer.

use ::http::header::{
    CONNECTION, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
};
use ::http::request::Parts;
use ::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use policy::{MenuEntry, Value, WEBSOCKET};

use super::head::Denied;
use super::http::Answer;
use super::port::{Carried, cancelled, carry as carry_bytes};
use crate::call::Call;

/// The one version that there is.
const VERSION: &str = "13";

/// What a call says for a method.
pub(super) fn method() -> Method {
    Method::from_bytes(WEBSOCKET.as_bytes()).unwrap_or_default()
}

/// Whether a request is to become a WebSocket.
pub(super) fn is_asked_for(parts: &Parts) -> bool {
    lists(&parts.headers, UPGRADE, "websocket")
}

/// Why a request for one cannot have it.
pub(super) fn refuses(parts: &Parts, entry: &MenuEntry) -> Option<Denied> {
    let fields = &parts.headers;
    let one = |name: HeaderName| {
        let mut all = fields.get_all(name).iter();
        all.next().filter(|_| all.next().is_none()).and_then(|value| value.to_str().ok())
    };
    let is_whole = parts.method == Method::GET
        && lists(fields, CONNECTION, "upgrade")
        && !fields.contains_key(TRANSFER_ENCODING)
        && one(SEC_WEBSOCKET_KEY).is_some();
    if !is_whole {
        return Some((StatusCode::BAD_REQUEST, "this asks for a WebSocket, but not as one does"));
    }
    if one(SEC_WEBSOCKET_VERSION) != Some(VERSION) {
        return Some((StatusCode::BAD_REQUEST, "only version 13 of WebSockets is spoken here"));
    }
    let granted = Value::text(WEBSOCKET).is_ok_and(|socket| {
        let method = entry.parameters.iter().find(|(name, _)| name.as_str() == "method");
        method.is_some_and(|(_, one)| one.accepts.iter().any(|limit| limit.permits(&socket)))
    });
    (!granted).then_some((StatusCode::FORBIDDEN, "the share does not permit WebSockets"))
}

fn lists(fields: &HeaderMap, name: HeaderName, wanted: &str) -> bool {
    let values = fields.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    let mut tokens = values.flat_map(|value| value.split(','));
    tokens.any(|token| token.trim().eq_ignore_ascii_case(wanted))
}

/// Whether the service agrees to one.
pub(super) fn is_one(response: &Response<()>) -> bool {
    response.status() == StatusCode::SWITCHING_PROTOCOLS
}

/// What the local program is answered then.
pub(super) fn answer(response: Response<()>) -> Answer {
    let mut answer = response.map(|()| Either::Right(Full::default()));
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    answer.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
    answer
}

/// Carries what is said in one, of which the service has said this already.
pub(super) async fn carry(mut call: Call, upgrade: OnUpgrade, said: Bytes) -> Carried {
    match upgrade.await {
        Ok(connection) => {
            let halves = tokio::io::split(TokioIo::new(connection));
            carry_bytes(&mut call, halves, said).await
        }
        // The local program has gone before it was told.
        Err(_) => cancelled(&mut call).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::http::Request;

    fn parts(fields: &[(&str, &str)]) -> Parts {
        let request = Request::builder().uri("/x");
        let request =
            fields.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_websocket_is_asked_for_by_its_name_alone() {
        for to in ["websocket", "WebSocket", "h2c, websocket"] {
            assert!(is_asked_for(&parts(&[("upgrade", to)])), "{to}");
        }
        for other in [&[("upgrade", "h2c")][..], &[("connection", "upgrade")], &[]] {
            assert!(!is_asked_for(&parts(other)), "{other:?}");
        }
        assert_eq!(method().as_str(), WEBSOCKET);
    }

    #[test]
    fn half_a_handshake_is_turned_away_and_a_whole_one_where_it_is_not_granted() {
        let whole = [
            ("upgrade", "websocket"),
            ("connection", "keep-alive, Upgrade"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-version", "13"),
        ];
        let entry = crate::arguments::tests::entry();
        let refused = |fields: &[(&str, &str)]| {
            refuses(&parts(fields), &entry).map(|(status, _)| status.as_u16())
        };
        assert_eq!(refused(&whole), Some(403));
        for left_out in 1..4 {
            let fields = [&whole[..left_out], &whole[left_out + 1..]].concat();
            assert_eq!(refused(&fields), Some(400), "{left_out}");
        }
        let twice = [&whole[..], &whole[2..3]].concat();
        assert_eq!(refused(&twice), Some(400));
    }
}
