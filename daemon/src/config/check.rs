//! `openscoped --check-config` and `--leg-key`: what can be said without a running daemon.

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nix::unistd::User;
use policy::{Identity, Run, SshTarget, Verb};

use super::load::{mode_and_state, without_network};
use super::{Arguments, ConfigFault, Kill, Loaded, Mode, judge, load};
use crate::monitor::cgroup::{offered, wanted};
use crate::monitor::identity;

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
            loaded.warnings.extend(without_keys_user(&loaded));
            let verbs = loaded.policy.catalog().verbs();
            let verbs = verbs.flat_map(|verb| [unlimited(&loaded, verb), nobodys(&loaded, verb)]);
            let unkept: Vec<String> = verbs.flatten().collect();
            loaded.warnings.extend(unkept);
            (good(&loaded), true)
        }
        Err(faults) => (bad(&faults), false),
    }
}

/// What is to be said where keys are held for owners, and there is no account to hold them. A daemon that runs finds out
/// when it starts: it looks up no names after that.
fn without_keys_user(loaded: &Loaded) -> Option<String> {
    let held = |target: &&Arc<SshTarget>| matches!(target.identity, Identity::Held(_));
    let target = loaded.policy.ssh_targets().find(held)?;
    let (name, broker) = (&loaded.config.keys_user, &loaded.config.broker_user);
    let user = User::from_name(name).ok().flatten();
    let fits = user.is_some_and(|user| !user.uid.is_root() && name != broker);
    (!fits).then(|| {
        format!(
            "what goes to `{}` cannot be called: its key is held, and `keys_user = \"{name}\"` is no account of its own\n   = run `useradd --system --no-create-home --shell /usr/sbin/nologin {name}`",
            target.name
        )
    })
}

/// What is to be said of a verb that no daemon here can keep to its limits in total. One that could be given the controllers
/// may still lack them: it says so itself, in its status.
fn unlimited(loaded: &Loaded, verb: &Verb) -> Option<String> {
    let Run::Exec(exec) = &verb.run else { return None };
    let offered = match loaded.config.kill {
        Kill::Cgroup => offered(),
        Kill::Subreaper => BTreeSet::new(),
    };
    let missing =
        wanted(exec.confinement.total).find(|controller| !offered.contains(controller))?;
    Some(format!(
        "`{}` cannot be called: `limits.total` takes the cgroup controller `{missing}`, which {}",
        verb.name,
        match loaded.config.kill {
            Kill::Cgroup => "this machine does not have in cgroup v2",
            Kill::Subreaper => "calls do not have where `kill` is \"subreaper\"",
        }
    ))
}

/// What is to be said of a verb that runs as an account that is not there, or is one of the daemon's own.
fn nobodys(loaded: &Loaded, verb: &Verb) -> Option<String> {
    let account = verb.run.run_as()?;
    let config = &loaded.config;
    let why = match User::from_name(account.as_str()) {
        _ if config.mode == Mode::Rootless => "which takes root's daemon".to_owned(),
        Err(fault) => format!("which cannot be looked up: {fault}"),
        Ok(None) => format!(
            "which is no account of this machine\n   = run `useradd --system --no-create-home --shell /usr/sbin/nologin {account}`"
        ),
        Ok(Some(user)) if user.uid.is_root() => "which is root".to_owned(),
        Ok(Some(user)) if [&config.broker_user, &config.keys_user].contains(&&user.name) => {
            "which is the daemon's own account".to_owned()
        }
        Ok(Some(_)) => return None,
    };
    Some(format!("`{}` cannot be called: it says `run_as = \"{account}\"`, {why}", verb.name))
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
    let identity = identity::Identity::load_or_create(&state, &judge());
    let identity = identity.map_err(|wrong| fault(wrong.to_string()))?;
    let leg = relay::leg::LegKey::from_seed(*identity.leg_seed());
    Ok(URL_SAFE_NO_PAD.encode(leg.public()))
}
