//! What an HTTP service answers, on its way to whoever asked.

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, LOCATION};
use http::{HeaderName, HeaderValue, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::pipe;

use super::order::{Finish, HttpService};

/// As curl ends with `--fail`: the service says that it cannot.
const REFUSED: u8 = 22;

/// Passes the body on; a status that is no success goes to standard error.
pub(super) async fn body(
    response: Response<Incoming>,
    mut stdout: pipe::Sender,
    mut stderr: pipe::Sender,
) -> Finish {
    let status = response.status();
    let is_success = status.is_success();
    if !is_success {
        let said = format!("the service answered {status}\n");
        let _ = stderr.write_all(said.as_bytes()).await;
    }
    match pass(response.into_body(), &mut stdout).await {
        Some(finish) => finish,
        None if is_success => Finish::Exited(0),
        None => Finish::Exited(REFUSED),
    }
}

/// Passes all of it on, as HTTP/1.1 writes it, but for how long the body is: it ends with the output.
pub(super) async fn whole(
    service: &HttpService,
    response: Response<Incoming>,
    is_masked: bool,
    mut stdout: pipe::Sender,
) -> Finish {
    // A mark is not as long as what it stands for.
    let of_body =
        |name: &HeaderName| (*name == CONTENT_LENGTH || *name == CONTENT_ENCODING) && !is_masked;
    let head = head(service, &response, of_body);
    if stdout.write_all(&head).await.is_err() {
        return Finish::Stopped;
    }
    pass(response.into_body(), &mut stdout).await.unwrap_or(Finish::Exited(0))
}

/// How an answer begins, as HTTP/1.1 writes it, with the fields that the profile lets through, and these.
pub(super) fn head<B>(
    service: &HttpService,
    response: &Response<B>,
    is_wanted: impl Fn(&HeaderName) -> bool,
) -> Vec<u8> {
    let status = response.status();
    let reason = status.canonical_reason().unwrap_or_default();
    let mut head = format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).into_bytes();
    for (name, value) in response.headers() {
        if !(is_wanted(name) || service.response_headers.contains(name.as_str())) {
            continue;
        }
        let value = if *name == LOCATION { here(service, value) } else { value.clone() };
        write(&mut head, name, &value);
    }
    head.extend_from_slice(b"\r\n");
    head
}

fn write(head: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    head.extend_from_slice(name.as_str().as_bytes());
    head.extend_from_slice(b": ");
    head.extend_from_slice(value.as_bytes());
    head.extend_from_slice(b"\r\n");
}

/// A way back to the service, as whoever asked must take it: without its name, which means nothing to them.
fn here(service: &HttpService, location: &HeaderValue) -> HeaderValue {
    let scheme = if service.is_tls { "https" } else { "http" };
    let shorter = location.to_str().ok().and_then(|text| {
        let names = [&service.authority, &service.host_header];
        let beneath = names.into_iter().find_map(|name| {
            let rest = text.strip_prefix(&format!("{scheme}://{name}"))?;
            (rest.is_empty() || rest.starts_with('/')).then_some(rest)
        });
        let path = beneath.or_else(|| Some(text).filter(|text| text.starts_with('/')))?;
        let beneath = path.strip_prefix(&service.base);
        let path = beneath.filter(|rest| rest.is_empty() || rest.starts_with('/')).unwrap_or(path);
        // Two slashes would begin another host's name.
        let path = Some(path).filter(|path| !path.starts_with("//"))?;
        HeaderValue::from_str(if path.is_empty() { "/" } else { path }).ok()
    });
    shorter.unwrap_or_else(|| location.clone())
}

/// Passes a body on. Some when it did not come to its end.
async fn pass(mut body: Incoming, stdout: &mut pipe::Sender) -> Option<Finish> {
    while let Some(frame) = body.frame().await {
        let frame = match frame {
            Ok(frame) => frame,
            Err(fault) => return Some(Finish::Lost(format!("the answer broke off: {fault}"))),
        };
        if let Ok(data) = frame.into_data()
            && stdout.write_all(&data).await.is_err()
        {
            return Some(Finish::Stopped);
        }
    }
    None
}
