//! Whom a local address answers: programs of this machine that mean it, and no web page that was led here.

use std::net::{IpAddr, SocketAddr};

use ::http::header::{HOST, ORIGIN};
use ::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};

/// The names that the address has.
pub(crate) struct Gate {
    names: Vec<String>,
}

impl Gate {
    pub(crate) fn at(here: SocketAddr) -> Self {
        let host = match here.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        let with_port = |name: &str| format!("{name}:{}", here.port());
        let mut names = vec![with_port(&host), with_port("localhost")];
        if here.port() == 80 {
            names.extend([host, "localhost".to_owned()]);
        }
        Self { names }
    }

    /// Why a request is not for this address, or not from where it should be.
    pub(crate) fn refuses(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Option<(StatusCode, &'static str)> {
        if uri.authority().is_some() || uri.scheme().is_some() {
            return Some((StatusCode::BAD_REQUEST, "this is no proxy: ask for a path"));
        }
        let one = |name| {
            let mut all = headers.get_all(name).iter();
            let first = all.next().map(|value| value.to_str().unwrap_or_default());
            (first, all.next().is_some())
        };
        let foreign = (StatusCode::FORBIDDEN, "a page of another site asks for this");
        // First: MCP wants just this status for a foreign origin, also where the host is another.
        match one(ORIGIN) {
            (None, _) => {}
            (Some(origin), false)
                if origin.strip_prefix("http://").is_some_and(|name| self.is_here(name)) => {}
            (Some(_), _) => return Some(foreign),
        }
        match one(HOST) {
            (Some(host), false) if self.is_here(host) => {}
            _ => {
                let told = "the name that was asked for is not this address";
                return Some((StatusCode::MISDIRECTED_REQUEST, told));
            }
        }
        let said = |name| headers.get(name).map(HeaderValue::as_bytes);
        // A link that somebody follows is theirs to follow.
        let followed = said("sec-fetch-mode") == Some(b"navigate")
            && said("sec-fetch-dest") == Some(b"document")
            && method == Method::GET;
        match said("sec-fetch-site") {
            Some(b"cross-site" | b"same-site") if !followed => Some(foreign),
            Some(_) | None => None,
        }
    }

    fn is_here(&self, name: &str) -> bool {
        self.names.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(uri: &str, fields: &[(&'static str, &str)]) -> Option<u16> {
        let gate = Gate::at("127.0.0.1:8080".parse().unwrap());
        let fields = fields
            .iter()
            .map(|(name, value)| (::http::HeaderName::from_static(name), value.parse().unwrap()));
        let headers = fields.fold(HeaderMap::new(), |mut headers, (name, value)| {
            headers.append(name, value);
            headers
        });
        let refused = gate.refuses(&Method::GET, &uri.parse().unwrap(), &headers);
        refused.map(|(status, _)| status.as_u16())
    }

    #[test]
    fn only_its_own_names_are_answered() {
        for host in ["127.0.0.1:8080", "localhost:8080", "LocalHost:8080"] {
            assert_eq!(refused("/", &[("host", host)]), None, "{host}");
        }
        for host in
            ["evil.example", "127.0.0.1", "127.0.0.1:81", "localhost:8080.evil", "", "[::1]:8080"]
        {
            assert_eq!(refused("/", &[("host", host)]), Some(421), "{host}");
        }
        assert_eq!(refused("/", &[]), Some(421));
        let twice = [("host", "127.0.0.1:8080"), ("host", "127.0.0.1:8080")];
        assert_eq!(refused("/", &twice), Some(421));
        assert_eq!(refused("http://127.0.0.1:8080/", &[("host", "127.0.0.1:8080")]), Some(400));
    }

    #[test]
    fn no_page_of_another_site_is_answered() {
        let with = |name, value| refused("/", &[("host", "127.0.0.1:8080"), (name, value)]);
        assert_eq!(with("origin", "http://127.0.0.1:8080"), None);
        for origin in
            ["http://evil.example", "null", "https://127.0.0.1:8080", "http://127.0.0.1:81", ""]
        {
            assert_eq!(with("origin", origin), Some(403), "{origin}");
        }
        let rebound = [("host", "evil.example:8080"), ("origin", "http://evil.example:8080")];
        assert_eq!(refused("/", &rebound), Some(403));
        assert_eq!(with("sec-fetch-site", "same-origin"), None);
        assert_eq!(with("sec-fetch-site", "none"), None);
        assert_eq!(with("sec-fetch-site", "cross-site"), Some(403));
        assert_eq!(with("sec-fetch-site", "same-site"), Some(403));
        let led = |dest| {
            let fields = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")];
            let host = [("host", "127.0.0.1:8080"), ("sec-fetch-dest", dest)];
            refused("/", &[&fields[..], &host].concat())
        };
        assert_eq!((led("document"), led("iframe")), (None, Some(403)));
    }
}
