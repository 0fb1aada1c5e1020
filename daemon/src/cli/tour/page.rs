//! A web service for the tour to ask: one page, on a port of this machine that the kernel picks.

use std::convert::Infallible;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Serves as long as the tasks live; on which port.
pub(super) async fn serve(tasks: &mut JoinSet<()>) -> std::io::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    tasks.spawn(attend(listener));
    Ok(port)
}

async fn attend(listener: TcpListener) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let page = service_fn(|request| async move { Ok::<_, Infallible>(answer(&request)) });
        connections.spawn(async move {
            // Whoever hangs up early has had enough.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), page).await;
        });
    }
}

fn answer(request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let asked = format!("you asked {} for {}\n", request.method(), request.uri());
    Response::new(Full::from(format!(
        "hello from a service that only this machine reaches: {asked}"
    )))
}
