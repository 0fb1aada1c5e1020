//! From a local program's request to the arguments of a call, and the header fields that go with it.

use std::fmt::Write as _;

use ::http::header::{CONNECTION, HOST};
use ::http::{HeaderMap, Method, StatusCode};
use policy::{Arguments, MenuEntry, PATH_PLAIN, Value, is_path, is_query};

/// A header is not longer.
const LONGEST: usize = 32 * 1024;

/// What belongs to the connection with the local program.
const OF_CONNECTION: [&str; 8] = [
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What is told to whoever asked for what cannot be.
pub(super) type Denied = (StatusCode, &'static str);

/// A request, as it is called.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) arguments: Arguments,
    pub(super) head: Vec<u8>,
    /// For whoever looks on.
    pub(super) line: String,
}

impl Asked {
    /// The bytes that it takes to keep it.
    pub(super) fn weight(&self) -> usize {
        self.head.len() + 2 * self.line.len()
    }
}

/// The call that a request is.
///
/// # Errors
/// What is told to whoever asked for what cannot be.
pub(super) fn asked(
    entry: &MenuEntry,
    method: &Method,
    (path, query): (&str, Option<&str>),
    headers: &HeaderMap,
) -> Result<Asked, Denied> {
    let two_ways = (StatusCode::BAD_REQUEST, "this path can be read in more than one way");
    let path = path_of(path).ok_or(two_ways)?;
    let query = spelled(query.unwrap_or_default(), b"!$&'()*+,;=:@/?[]", b"");
    let query = query.filter(|query| is_query(query)).ok_or(two_ways)?;
    let too_long = (StatusCode::URI_TOO_LONG, "the path, or the query, is too long");
    let pairs = [("method", method.as_str()), ("path", &path), ("query", &query)];
    let mut arguments = Arguments::default();
    for (name, text) in pairs {
        let Ok(name) = name.parse() else { continue };
        // What goes without saying is not said.
        let value = Value::text(text).map_err(|_| too_long)?;
        let declared = entry.parameters.get(&name);
        // A page asks for much that nobody shared: what the daemon would refuse in any case does not trip the share.
        if declared.is_some_and(|one| !one.accepts.iter().any(|limit| limit.permits(&value))) {
            return Err((StatusCode::FORBIDDEN, "the share does not permit this"));
        }
        if declared.is_none_or(|one| one.default.as_ref() != Some(&value)) {
            arguments.0.insert(name, value);
        }
    }
    let head = head(headers).ok_or((
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        "the header fields are too large together",
    ))?;
    let mark = if query.is_empty() { "" } else { "?" };
    Ok(Asked { arguments, head, line: format!("{method} {path}{mark}{query}") })
}

/// A path in its one spelling, if it has one.
fn path_of(text: &str) -> Option<String> {
    let plain = [PATH_PLAIN, b"/;"].concat();
    spelled(text, &plain, PATH_PLAIN).filter(|path| is_path(path))
}

/// The text as URLs spell it: a letter that is escaped is the letter, and so are those of `alike`; digits of escapes are
/// capitals, and what cannot stand there is escaped. Nothing that changes what is meant.
fn spelled(text: &str, plain: &[u8], alike: &[u8]) -> Option<String> {
    let mut spelled = String::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let (byte, escaped) = match byte {
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let (high, low) = (digit(bytes.next()?)?, digit(bytes.next()?)?);
                (u8::try_from(high * 16 + low).ok()?, true)
            }
            byte => (byte, false),
        };
        let is_letter = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        // A dot that somebody took the trouble to escape is no dot to be trusted.
        if escaped && byte == b'.' {
            return None;
        }
        if is_letter || alike.contains(&byte) || !escaped && plain.contains(&byte) {
            spelled.push(char::from(byte));
        } else {
            let _infallible = write!(spelled, "%{byte:02X}");
        }
    }
    Some(spelled)
}

/// The fields that are not the connection's own, as HTTP/1.1 writes them.
fn head(headers: &HeaderMap) -> Option<Vec<u8>> {
    let named: Vec<String> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let mut head = Vec::new();
    for (name, value) in headers {
        let own = *name == CONNECTION || *name == HOST || OF_CONNECTION.contains(&name.as_str());
        if own || named.iter().any(|known| known == name.as_str()) {
            continue;
        }
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    (head.len() <= LONGEST).then_some(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Option<String> {
        path_of(text)
    }

    #[test]
    fn a_path_is_brought_to_its_one_spelling_or_refused() {
        assert_eq!(path("/a%7Eb").as_deref(), Some("/a~b"));
        assert_eq!(path("/%c3%a9").as_deref(), Some("/%C3%A9"));
        assert_eq!(path("/a{b}").as_deref(), Some("/a%7Bb%7D"));
        assert_eq!(path("/a%20b").as_deref(), Some("/a%20b"));
        assert_eq!(path("/%40a%3ab").as_deref(), Some("/@a:b"));
        for bad in [
            "/..", "/a/../b", "/%2e%2e/", "/.%2E/", "/a%2fb", "/a%5cb", "//a", "/a//b", "*",
            "/a%00", "/..;/", "/a;v=1", "/a%3Bv", "/%252e/", "/a%", "/a%4", "/a\\b",
        ] {
            assert_eq!(path(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_the_connections_own_does_not_go_along() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "x"),
            ("connection", "close, X-Own"),
            ("x-own", "1"),
            ("te", "trailers"),
            ("accept", "*/*"),
            ("transfer-encoding", "chunked"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        assert_eq!(head(&headers).unwrap(), b"accept: */*\r\n\r\n");
        headers.insert("x", "y".repeat(LONGEST).parse().unwrap());
        assert_eq!(head(&headers), None);
    }
}
