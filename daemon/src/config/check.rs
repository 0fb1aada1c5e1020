//! `openscoped --check-config` and `--leg-key`: what can be said without a running daemon.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::load::{mode_and_state, without_network};
use super::{Arguments, ConfigFault, Loaded, judge, load};
use crate::monitor::identity::Identity;

/// Reads everything and reports; whether it is good.
#[must_use]
pub fn check(arguments: &Arguments) -> (String, bool) {
    match load(&arguments.path(), arguments.mode()) {
        Ok(mut loaded) => {
            // Whoever looks may have what the daemon will not.
            let network = without_network(&loaded.policy).into_iter();
            let unsaid = network.filter(|_| !arguments.isolate_networks);
            let unsaid: Vec<_> = unsaid.filter(|said| !loaded.warnings.contains(said)).collect();
            loaded.warnings.extend(unsaid);
            (good(&loaded), true)
        }
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
    let (mode, state) = mode_and_state(&arguments.path(), arguments.mode())?;
    let fault = |what: String| ConfigFault::written(&state.display().to_string(), &what, None);
    // Keys made by another account than the daemon's would be refused by the daemon.
    mode.fits(rustix::process::geteuid().as_raw()).map_err(|wrong| fault(wrong.to_string()))?;
    let identity = Identity::load_or_create(&state, &judge());
    let identity = identity.map_err(|wrong| fault(wrong.to_string()))?;
    let leg = relay::leg::LegKey::from_seed(*identity.leg_seed());
    Ok(URL_SAFE_NO_PAD.encode(leg.public()))
}
