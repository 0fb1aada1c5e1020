//! Operations' log: to stderr, `RUST_LOG` decides how much.

use std::io::stderr;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// Sends this process's log to stderr. The service manager stamps the time.
pub(crate) fn to_stderr() {
    let filter =
        EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env_lossy();
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr);
    subscriber.without_time().with_ansi(false).with_target(false).init();
}
