//! The file as it is written, and what becomes of it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::key_file;
use super::quantity::{Quantity, QuantityFault};
use super::{Config, ConfigFault, Limits};
use crate::server::Identity;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    listen: SocketAddr,
    #[serde(default)]
    self_signed: bool,
    certificate: Option<PathBuf>,
    key: PathBuf,
    operators: Vec<PathBuf>,
    drain: Option<Quantity>,
    #[serde(default)]
    limits: WrittenLimits,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenLimits {
    legs: Option<u32>,
    legs_per_address: Option<u32>,
    handshakes: Option<u32>,
    handshakes_per_address: Option<u32>,
    hello_timeout: Option<Quantity>,
    waiting: Option<u32>,
    waiting_per_address: Option<u32>,
    wait: Option<Quantity>,
    legs_per_token: Option<u32>,
    flows_per_seat: Option<u32>,
    seat_bandwidth: Option<Quantity>,
    queue: Option<Quantity>,
    memory: Option<Quantity>,
    control_queue: Option<u32>,
    control_rate: Option<u32>,
}

/// Turns the text of the file at `path` into a checked configuration.
pub(super) fn read(path: &Path, text: &str) -> Result<Config, ConfigFault> {
    let written: Written = toml::from_str(text).map_err(|error| place(path, text, &error))?;
    let file = File { path };
    let operators = file.operators(&written)?;
    let drain = match &written.drain {
        Some(drain) => file.quantity("drain", drain.duration())?,
        None => Duration::from_secs(10),
    };
    let limits = file.limits(&written.limits)?;
    let identity = file.identity(&written)?;
    Ok(Config { listen: written.listen, identity, operators, drain, limits })
}

/// Where in the text the parser stopped.
fn place(path: &Path, text: &str, error: &toml::de::Error) -> ConfigFault {
    let at = error.span().map_or(0, |span| span.start);
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let message = error.message().trim().replace('\n', ", ");
    ConfigFault::Text { path: path.to_owned(), line, column, message }
}

/// The file that is being read, for faults and for the paths in it.
struct File<'a> {
    path: &'a Path,
}

impl File<'_> {
    fn fault(&self, key: &'static str, problem: impl Into<String>) -> ConfigFault {
        ConfigFault::Value { path: self.path.to_owned(), key, problem: problem.into() }
    }

    /// A relative path is relative to the file.
    fn beside(&self, path: &Path) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(path)
    }

    fn quantity<T>(
        &self,
        key: &'static str,
        read: Result<T, QuantityFault>,
    ) -> Result<T, ConfigFault> {
        read.map_err(|fault| self.fault(key, format!("is wrong: {fault}")))
    }

    fn operators(&self, written: &Written) -> Result<Vec<[u8; 32]>, ConfigFault> {
        if written.operators.is_empty() {
            let what = "is empty: name at least one public key file, from `openscope-relay keygen`";
            return Err(self.fault("operators", what));
        }
        let read = |path: &PathBuf| Ok(key_file::read_public(&self.beside(path))?);
        written.operators.iter().map(read).collect()
    }

    fn identity(&self, written: &Written) -> Result<Identity, ConfigFault> {
        let key = self.beside(&written.key);
        let identity = match (&written.certificate, written.self_signed) {
            (None, true) => Identity::self_signed(&*key_file::read_seed(&key)?),
            (Some(certificate), false) => {
                let certificate = self.beside(certificate);
                let chain = std::fs::read(&certificate)
                    .map_err(|source| ConfigFault::Read { path: certificate, source })?;
                Identity::from_pem(&chain, &key_file::read_secret(&key)?)
            }
            (Some(_), true) => {
                let what = "and `certificate` exclude each other: keep one of them";
                return Err(self.fault("self_signed", what));
            }
            (None, false) => {
                let what = "is missing: name a PEM file, or write `self_signed = true`";
                return Err(self.fault("certificate", what));
            }
        };
        identity.map_err(|source| ConfigFault::Identity { path: self.path.to_owned(), source })
    }

    fn limits(&self, written: &WrittenLimits) -> Result<Limits, ConfigFault> {
        let or = Limits::default();
        Ok(Limits {
            legs: self.count("limits.legs", written.legs, or.legs)?,
            legs_per_address: self.count(
                "limits.legs_per_address",
                written.legs_per_address,
                or.legs_per_address,
            )?,
            handshakes: self.count("limits.handshakes", written.handshakes, or.handshakes)?,
            handshakes_per_address: self.count(
                "limits.handshakes_per_address",
                written.handshakes_per_address,
                or.handshakes_per_address,
            )?,
            hello_timeout: self.time(
                "limits.hello_timeout",
                written.hello_timeout.as_ref(),
                or.hello_timeout,
            )?,
            // Without waiting guests a relay works, too: nought is allowed.
            waiting: written.waiting.unwrap_or(or.waiting),
            waiting_per_address: written.waiting_per_address.unwrap_or(or.waiting_per_address),
            wait: self.time("limits.wait", written.wait.as_ref(), or.wait)?,
            legs_per_token: self.count(
                "limits.legs_per_token",
                written.legs_per_token,
                or.legs_per_token,
            )?,
            flows_per_seat: self.count(
                "limits.flows_per_seat",
                written.flows_per_seat,
                or.flows_per_seat,
            )?,
            seat_bandwidth: self.size(
                "limits.seat_bandwidth",
                written.seat_bandwidth.as_ref(),
                or.seat_bandwidth,
            )?,
            queue: self.size("limits.queue", written.queue.as_ref(), or.queue)?,
            memory: self.size("limits.memory", written.memory.as_ref(), or.memory)?,
            control_queue: self.count(
                "limits.control_queue",
                written.control_queue,
                or.control_queue,
            )?,
            control_rate: self.count(
                "limits.control_rate",
                written.control_rate,
                or.control_rate,
            )?,
        })
    }

    fn count(&self, key: &'static str, written: Option<u32>, or: u32) -> Result<u32, ConfigFault> {
        match written {
            Some(0) => Err(self.fault(key, "must be at least 1")),
            Some(count) => Ok(count),
            None => Ok(or),
        }
    }

    fn time(
        &self,
        key: &'static str,
        written: Option<&Quantity>,
        or: Duration,
    ) -> Result<Duration, ConfigFault> {
        let Some(written) = written else { return Ok(or) };
        let time = self.quantity(key, written.duration())?;
        let range = Duration::from_millis(100)..=Duration::from_hours(1);
        let right = range.contains(&time);
        if right { Ok(time) } else { Err(self.fault(key, "must be between 100ms and 1h")) }
    }

    /// Nothing smaller than 16 KiB moves packets.
    fn size(
        &self,
        key: &'static str,
        written: Option<&Quantity>,
        or: u64,
    ) -> Result<u64, ConfigFault> {
        let Some(written) = written else { return Ok(or) };
        let size = self.quantity(key, written.size())?;
        if size >= 16 << 10 { Ok(size) } else { Err(self.fault(key, "must be at least 16KiB")) }
    }
}
