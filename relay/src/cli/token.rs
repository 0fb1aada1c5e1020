//! `openscope-relay token`.

use std::error::Error;
use std::io::Read;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::json;

use super::{Output, print};
use crate::config::Quantity;
use crate::config::key_file::{public_from_text, public_to_text, read_public, read_seed};
use crate::protocol::token::{self, DeploymentToken, OperatorKey, Terms};
use crate::server::clock;

/// A token that is due in a century is a mistake in the unit.
const TTL_MAX_DAYS: u64 = 3650;

#[derive(Subcommand)]
pub(super) enum Token {
    /// Make a token for one daemon.
    Mint(Mint),
    /// Show what a token says.
    Inspect(Inspect),
}

#[derive(Args)]
pub(super) struct Mint {
    /// The operator's secret key, from `keygen`.
    #[arg(long, value_name = "FILE")]
    operator_key: PathBuf,
    /// The public leg key of the daemon (`openscoped --leg-key` prints it): 43 characters.
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    leg_key: String,
    /// How many seats the daemon may have registered at a time.
    #[arg(long, value_name = "N", default_value_t = 256)]
    shares: u32,
    /// Bytes per second for all its flows together, as in `64MiB`.
    #[arg(long, value_name = "SIZE", default_value = "512MiB")]
    bandwidth: String,
    /// How long the token is good, as in `90d`.
    #[arg(long, value_name = "TIME", default_value = "90d")]
    ttl: String,
}

#[derive(Args)]
pub(super) struct Inspect {
    /// The token; `@FILE` reads a file, `-` standard input.
    token: String,
    /// The public key file of the operator who should have signed it.
    #[arg(long, value_name = "FILE", default_value = "operator.pub")]
    operator: PathBuf,
}

impl Token {
    pub(super) fn run(&self, output: Output) -> Result<(), Box<dyn Error>> {
        match self {
            Self::Mint(mint) => mint.run(output),
            Self::Inspect(inspect) => inspect.run(output),
        }
    }
}

impl Mint {
    fn run(&self, output: Output) -> Result<(), Box<dyn Error>> {
        let key = OperatorKey::from_seed(read_seed(&self.operator_key)?);
        let terms = self.terms(clock::wall())?;
        let token = token::mint(&key, &terms)?;
        let json = json!({ "version": 1, "token": token.to_string(), "terms": describe(&terms)? });
        print(output, &token.to_string(), &json)
    }

    fn terms(&self, now: u64) -> Result<Terms, Box<dyn Error>> {
        let leg_key = public_from_text(&self.leg_key).ok_or_else(|| {
            format!("`{}` is not a leg key: 43 base64url characters are expected", self.leg_key)
        })?;
        if self.shares == 0 {
            return Err("`--shares` must be at least 1".into());
        }
        let bandwidth = Quantity(self.bandwidth.clone()).size()?;
        if bandwidth == 0 {
            return Err("`--bandwidth` must be more than nothing".into());
        }
        let ttl = Quantity(self.ttl.clone()).duration()?;
        let days = ttl.as_secs() / 86_400;
        if ttl.is_zero() || days > TTL_MAX_DAYS {
            return Err(format!("`--ttl` must be between 1ms and {TTL_MAX_DAYS}d").into());
        }
        let ttl = u64::try_from(ttl.as_millis())?;
        Ok(Terms { leg_key, shares: self.shares, bandwidth, not_after: now.saturating_add(ttl) })
    }
}

impl Inspect {
    fn run(&self, output: Output) -> Result<(), Box<dyn Error>> {
        let token: DeploymentToken = self.text()?.parse()?;
        let terms = token::verify(&token, &[read_public(&self.operator)?])?;
        let expired = clock::wall() >= terms.not_after;
        let text = format!(
            "leg key    {}\nshares     {}\nbandwidth  {} bytes/s\nnot after  {}{}",
            public_to_text(&terms.leg_key),
            terms.shares,
            terms.bandwidth,
            date(terms.not_after)?,
            if expired { " (expired)" } else { "" },
        );
        let json = json!({ "version": 1, "terms": describe(&terms)?, "expired": expired });
        print(output, &text, &json)
    }

    fn text(&self) -> Result<String, Box<dyn Error>> {
        if self.token == "-" {
            let mut text = String::new();
            std::io::stdin().take(8192).read_to_string(&mut text)?;
            return Ok(text);
        }
        match self.token.strip_prefix('@') {
            Some(path) => {
                Ok(std::fs::read_to_string(path)
                    .map_err(|e| format!("cannot read `{path}`: {e}"))?)
            }
            None => Ok(self.token.clone()),
        }
    }
}

fn describe(terms: &Terms) -> Result<serde_json::Value, Box<dyn Error>> {
    Ok(json!({
        "leg_key": public_to_text(&terms.leg_key), "shares": terms.shares,
        "bandwidth": terms.bandwidth, "not_after": date(terms.not_after)?,
    }))
}

/// RFC 3339.
fn date(millis: u64) -> Result<String, Box<dyn Error>> {
    Ok(Timestamp::from_millisecond(i64::try_from(millis)?)?.to_string())
}
