//! `openscoped --check-config` and `--leg-key`: what can be said without a running daemon.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Arguments, ConfigFault, Loaded, load};
use crate::monitor::identity::Identity;

/// Reads everything and reports; whether it is good.
#[must_use]
pub fn check(arguments: &Arguments) -> (String, bool) {
    match load(&arguments.path(), arguments.mode()) {
        Ok(loaded) => (good(&loaded), true),
        Err(faults) => (bad(&faults), false),
    }
}

fn good(loaded: &Loaded) -> String {
    let read = loaded.files.iter().map(|file| format!("read {}", file.display()));
    let warnings = loaded.warnings.iter().map(|warning| format!("warning: {warning}"));
    let summary = format!(
        "OK: daemon `{}`, {} mode, {} relay(s), {} verb(s), {} contact(s)",
        loaded.config.name,
        loaded.config.mode,
        loaded.config.relays.len(),
        loaded.policy.catalog().verbs().count(),
        loaded.contacts.len(),
    );
    lines(read.chain(warnings).chain([summary]))
}

fn bad(faults: &[ConfigFault]) -> String {
    let s = if faults.len() == 1 { "" } else { "s" };
    let summary = format!("{} fault{s}; nothing was changed", faults.len());
    lines(faults.iter().map(|fault| format!("error: {fault}")).chain([summary]))
}

fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

/// The public half of this daemon's leg key, as `openscope-relay token mint --leg-key` takes it. The
/// keys are made if there are none yet.
///
/// # Errors
/// A configuration or a state directory that cannot be used.
pub fn leg_key(arguments: &Arguments) -> Result<String, ConfigFault> {
    let state = super::load::state(&arguments.path(), arguments.mode())?;
    let identity = Identity::load_or_create(&state, &super::load::judge());
    let identity = identity.map_err(|fault| {
        ConfigFault::written(&state.display().to_string(), &fault.to_string(), None)
    })?;
    let leg = relay::leg::LegKey::from_seed(*identity.leg_seed());
    Ok(URL_SAFE_NO_PAD.encode(leg.public()))
}
