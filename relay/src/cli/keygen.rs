//! `openscope-relay keygen`.

use std::error::Error;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use zeroize::Zeroizing;

use super::{Output, print};
use crate::config::KeyFileFault;
use crate::config::key_file::{pem, public_to_text, write_new};
use crate::protocol::OperatorKey;
use crate::server::Identity;

/// Makes `operator.key`, `operator.pub` and `relay.key`. Existing files are never overwritten.
#[derive(Args)]
pub(super) struct Keygen {
    /// The directory to write to; it is made if it is not there.
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
}

impl Keygen {
    pub(super) fn run(&self, output: Output) -> Result<(), Box<dyn Error>> {
        let (operator_key, relay_key) = (self.out.join("operator.key"), self.out.join("relay.key"));
        let operator_public = self.out.join("operator.pub");
        for path in [&operator_key, &operator_public, &relay_key] {
            absent(path)?;
        }
        std::fs::create_dir_all(&self.out)
            .map_err(|fault| format!("cannot make `{}`: {fault}", self.out.display()))?;
        let (operator, relay) = (seed()?, seed()?);
        write_new(&operator_key, &pem(&operator), 0o600)?;
        write_new(&relay_key, &pem(&relay), 0o600)?;
        let pin = Identity::self_signed(&relay)?.pin();
        let public = public_to_text(&OperatorKey::from_seed(operator).public());
        write_new(&operator_public, &format!("{public}\n"), 0o644)?;
        let text = format!(
            "operator  {public}\n          {} (secret: mints tokens; the relay does not need it)\n          \
             {} (public: `operators` in the relay's configuration)\n\
             relay     {pin}\n          {} (secret: `key` in the relay's configuration, with `self_signed = true`)\n\n\
             Legs reach the relay as `HOST:PORT#{pin}`.",
            operator_key.display(),
            operator_public.display(),
            relay_key.display()
        );
        let json = json!({
            "version": 1, "operator": public, "pin": pin.to_string(),
            "operator_key": operator_key, "operator_public": operator_public, "relay_key": relay_key,
        });
        print(output, &text, &json)
    }
}

/// All are looked at before the first is written: half a set of keys is worse than none.
fn absent(path: &Path) -> Result<(), KeyFileFault> {
    if path.symlink_metadata().is_ok() {
        Err(KeyFileFault::Exists(path.to_owned()))
    } else {
        Ok(())
    }
}

fn seed() -> Result<Zeroizing<[u8; 32]>, Box<dyn Error>> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut_slice())
        .map_err(|e| format!("the system gives no randomness: {e}"))?;
    Ok(seed)
}
