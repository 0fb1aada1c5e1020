//! A request to an HTTP service.

mod socket;

use std::convert::Infallible;
use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, HOST, ORIGIN};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use policy::{HttpRequest, WEBSOCKET};
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::net::unix::pipe;
use tokio::time::timeout;
use tower_service::Service as _;

use super::answer;
use super::credential::Credential;
use super::order::{Finish, HttpService, Probed};
use super::service::Attached;
use super::tls;

/// Connections that wait for the next request.
const IDLE_MAX: usize = 32;
/// How long they do.
const IDLE: Duration = Duration::from_secs(30);
/// A caller's header has not more fields.
const FIELDS_MAX: usize = 100;
const PIECE: usize = 64 * 1024;

type Outgoing = UnsyncBoxBody<Bytes, io::Error>;

/// Asks one service.
pub(super) struct Asker {
    pub(super) service: HttpService,
    credential: Option<Credential>,
    connector: HttpsConnector<HttpConnector>,
    client: Client<HttpsConnector<HttpConnector>, Outgoing>,
}

impl Asker {
    pub(super) fn new(service: HttpService, files: Vec<OwnedFd>) -> io::Result<Self> {
        let mut files = files.into_iter();
        let missing = || io::Error::other("a file of the service did not come along");
        let ca = service.has_ca.then(|| files.next().ok_or_else(missing)).transpose()?;
        let credential = match &service.credential {
            Some((name, before)) => {
                Some(Credential::read(name, before, files.next().ok_or_else(missing)?)?)
            }
            None => None,
        };
        let connector = connector(&service, ca)?;
        let client = client(connector.clone());
        Ok(Self { service, credential, connector, client })
    }

    /// Whether the service shows that it is what it says, where nothing may be asked of it yet.
    pub(super) async fn greet(&self, patience: Duration) -> Probed {
        let uri = Uri::builder().scheme("https").authority(self.service.authority.as_str());
        let Ok(uri) = uri.path_and_query("/").build() else {
            return Probed::Away("its address makes no request".to_owned());
        };
        let mut connector = self.connector.clone();
        let greeted = async {
            poll_fn(|cx| connector.poll_ready(cx)).await?;
            connector.call(uri).await
        };
        match timeout(patience, greeted).await {
            Ok(Ok(_)) => Probed::There,
            Ok(Err(fault)) => Probed::Away(self.why(&*fault)),
            Err(_) => Probed::Away(format!("it says nothing for {} s", patience.as_secs())),
        }
    }

    /// What the service says to this, in one line: more of it is not read.
    pub(super) async fn probe(&self, request: HttpRequest, patience: Duration) -> Probed {
        let Ok(request) = self.request(request, &HeaderMap::new(), true, (None, &Arc::default()))
        else {
            return Probed::Away("its address makes no request".to_owned());
        };
        match timeout(patience, self.client.request(request)).await {
            Ok(Ok(response)) if is_error(response.status()) => {
                Probed::Unwell(format!("it answers {}", response.status()))
            }
            Ok(Ok(_)) => Probed::There,
            Ok(Err(fault)) => Probed::Away(self.why(&fault)),
            Err(_) => Probed::Unwell(format!("it says nothing for {} s", patience.as_secs())),
        }
    }

    /// Asks, and passes the answer on.
    pub(super) async fn ask(
        &self,
        request: HttpRequest,
        head: &[u8],
        is_masked: bool,
        attached: Attached,
    ) -> Finish {
        let Attached { stdout, stderr, stdin } = attached;
        let is_reflected = request.is_reflected;
        let Some(fields) = fields(head) else {
            return Finish::Lost("the caller's header fields cannot be read".to_owned());
        };
        if is_reflected && request.method == WEBSOCKET {
            return self.open_socket(request, &fields, (stdout, stdin)).await;
        }
        let over = Over(Arc::default());
        let request = match self.request(request, &fields, is_masked, (stdin, &over.0)) {
            Ok(request) => request,
            Err(fault) => return Finish::Lost(format!("this makes no request: {fault}")),
        };
        let response = match self.client.request(request).await {
            Ok(response) => response,
            Err(fault) => return Finish::Lost(self.why(&fault)),
        };
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Finish::Lost("it changes protocols, which nobody asked for".to_owned());
        }
        if is_masked && is_encoded(&response) {
            let why = "it answered in an encoding in which no secret can be found";
            return Finish::Lost(why.to_owned());
        }
        if is_reflected {
            answer::whole(&self.service, response, is_masked, stdout).await
        } else {
            answer::body(response, stdout, stderr).await
        }
    }

    fn request(
        &self,
        request: HttpRequest,
        fields: &HeaderMap,
        is_masked: bool,
        (stdin, is_over): (Option<pipe::Receiver>, &Arc<AtomicBool>),
    ) -> Result<Request<Outgoing>, http::Error> {
        let scheme = if self.service.is_tls { "https" } else { "http" };
        let uri = Uri::builder()
            .scheme(scheme)
            .authority(self.service.authority.as_str())
            .path_and_query(request.path)
            .build()?;
        let method = Method::from_bytes(request.method.as_bytes())?;
        let takes_body = stdin.is_some();
        let body = match stdin {
            Some(stdin) => Outgoing::new(Given { stdin, is_over: Arc::clone(is_over) }),
            None => Outgoing::new(Full::from(request.body).map_err(never)),
        };
        let mut built = Request::builder().method(method).uri(uri).body(body)?;
        let headers = built.headers_mut();
        for (name, value) in fields {
            if self.passes(name, is_masked, request.is_reflected) {
                headers.append(name, value.clone());
            }
        }
        for (name, value) in request.headers {
            headers.insert(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
        }
        // A length without a body behind it would make the next request on the connection that body.
        if !takes_body || headers.get_all(CONTENT_LENGTH).iter().count() > 1 {
            headers.remove(CONTENT_LENGTH);
        }
        self.own(headers, is_masked, scheme)?;
        Ok(built)
    }

    /// What a request has whoever asks.
    fn own(
        &self,
        headers: &mut HeaderMap,
        is_masked: bool,
        scheme: &str,
    ) -> Result<(), http::Error> {
        let host = &self.service.host_header;
        if headers.contains_key(ORIGIN) {
            headers.insert(ORIGIN, HeaderValue::try_from(format!("{scheme}://{host}"))?);
        }
        headers.insert(HOST, HeaderValue::try_from(host)?);
        if is_masked {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        if let Some(credential) = &self.credential {
            headers.insert(credential.name.clone(), credential.value.clone());
        }
        Ok(())
    }

    fn passes(&self, name: &HeaderName, is_masked: bool, is_reflected: bool) -> bool {
        let of_body = *name == CONTENT_LENGTH || *name == ACCEPT_ENCODING && !is_masked;
        let is_range = matches!(name.as_str(), "range" | "if-range");
        is_reflected && of_body
            || self.service.request_headers.contains(name.as_str()) && !(is_masked && is_range)
    }

    fn why(&self, fault: &dyn Error) -> String {
        let mut why = format!("{} did not answer: {fault}", self.service.authority);
        let mut cause = fault.source();
        while let Some(next) = cause {
            why.push_str(": ");
            why.push_str(&next.to_string());
            cause = next.source();
        }
        why
    }
}

/// Not every service that does what it is asked knows what a HEAD is.
fn is_error(status: StatusCode) -> bool {
    let unknown = matches!(status, StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED);
    (status.is_client_error() || status.is_server_error()) && !unknown
}

fn never(never: Infallible) -> io::Error {
    match never {}
}

fn connector(
    service: &HttpService,
    ca: Option<OwnedFd>,
) -> io::Result<HttpsConnector<HttpConnector>> {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(service.connect_timeout));
    let config = if service.is_tls { tls::config(ca)? } else { tls::none()? };
    Ok(HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_or_http()
        .enable_http1()
        .wrap_connector(connector))
}

fn client(
    connector: HttpsConnector<HttpConnector>,
) -> Client<HttpsConnector<HttpConnector>, Outgoing> {
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(IDLE_MAX)
        .build(connector)
}

/// The caller's header fields. They come as HTTP/1.1 writes them, with the empty line at their end.
fn fields(head: &[u8]) -> Option<HeaderMap> {
    if head.is_empty() {
        return Some(HeaderMap::new());
    }
    let mut parsed = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let httparse::Status::Complete((end, found)) =
        httparse::parse_headers(head, &mut parsed).ok()?
    else {
        return None;
    };
    let read = |field: &httparse::Header<'_>| {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        Some((name, HeaderValue::from_bytes(field.value).ok()?))
    };
    let mut fields = HeaderMap::new();
    for field in found {
        let (name, value) = read(field)?;
        fields.append(name, value);
    }
    (end == head.len()).then_some(fields)
}

fn is_encoded(response: &Response<Incoming>) -> bool {
    let said = response.headers().get(http::header::CONTENT_ENCODING);
    said.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// Says, when it is dropped, that an errand is over: whatever ends then has not come to its end.
struct Over(Arc<AtomicBool>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The caller's body, as it comes.
struct Given {
    stdin: pipe::Receiver,
    is_over: Arc<AtomicBool>,
}

impl Body for Given {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let mut piece = vec![0; PIECE];
        let mut read = ReadBuf::new(&mut piece);
        match Pin::new(&mut self.stdin).poll_read(cx, &mut read) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(fault)) => Poll::Ready(Some(Err(fault))),
            Poll::Ready(Ok(())) => {
                let length = read.filled().len();
                if length == 0 && self.is_over.load(Ordering::Relaxed) {
                    let fault = io::Error::other("the caller is gone before the end of the body");
                    return Poll::Ready(Some(Err(fault)));
                }
                piece.truncate(length);
                Poll::Ready((length > 0).then(|| Ok(Frame::data(piece.into()))))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn asker() -> Asker {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let service = HttpService {
            is_tls: false,
            host: "127.0.0.1".to_owned(),
            port: 1,
            authority: "127.0.0.1:1".to_owned(),
            host_header: "app.internal".to_owned(),
            base: "/api".to_owned(),
            request_headers: names(&["user-agent", "range"]),
            response_headers: BTreeSet::new(),
            credential: None,
            has_ca: false,
            connect_timeout: Duration::from_secs(1),
            idle: Duration::from_secs(1),
        };
        Asker::new(service, Vec::new()).unwrap()
    }

    fn request(head: &[u8], stdin: Option<pipe::Receiver>, is_masked: bool) -> HeaderMap {
        let asked = HttpRequest {
            method: "GET".to_owned(),
            path: "/api/x".to_owned(),
            headers: BTreeMap::new(),
            body: Vec::new(),
            is_reflected: true,
        };
        let given = (stdin, &Arc::default());
        let built = asker().request(asked, &fields(head).unwrap(), is_masked, given).unwrap();
        built.headers().clone()
    }

    #[tokio::test]
    async fn a_length_without_a_body_is_never_asked_with() {
        let head = b"content-length: 30\r\nuser-agent: DELETE /admin HTTP/1.1\r\n\r\n";
        assert!(!request(head, None, false).contains_key(CONTENT_LENGTH));
        let stdin = || pipe::pipe().unwrap().1;
        assert_eq!(request(head, Some(stdin()), false)[CONTENT_LENGTH], "30");
        let twice = b"content-length: 3\r\ncontent-length: 4\r\n\r\n";
        assert!(!request(twice, Some(stdin()), false).contains_key(CONTENT_LENGTH));
    }

    #[tokio::test]
    async fn only_what_is_listed_goes_along_and_the_name_is_the_services_own() {
        let head = b"host: evil\r\nupgrade: websocket\r\nconnection: upgrade\r\nx-other: 1\r\norigin: http://127.0.0.1:8080\r\ntransfer-encoding: chunked\r\nrange: bytes=1-\r\naccept-encoding: gzip\r\n\r\n";
        let headers = request(head, None, false);
        let names: BTreeSet<&str> = headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, BTreeSet::from(["accept-encoding", "host", "range"]));
        assert_eq!(headers[HOST], "app.internal");
        let masked = request(head, None, true);
        assert_eq!(masked[ACCEPT_ENCODING], "identity");
        assert!(!masked.contains_key("range"));
    }

    #[test]
    fn what_is_no_header_is_refused() {
        for bad in [&b"a"[..], b"a: b", b"a: b\r\n\r\nrest", b"a\0: b\r\n\r\n", b": b\r\n\r\n"] {
            assert!(fields(bad).is_none(), "{bad:?}");
        }
        assert!(fields(b"").unwrap().is_empty() && fields(b"\r\n").unwrap().is_empty());
    }
}
