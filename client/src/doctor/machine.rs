//! What is to be seen on this machine without a handle.

use std::io;
use std::path::Path;

use rustix::fs::{Access, access};

use crate::cli::Options;
use crate::environment::Environment;
use crate::failure::chain;
use crate::finding::{Finding, Level};
use crate::key_list::HOW_TO_MAKE_ONE;
use crate::known_daemons::KnownDaemons;
use crate::own_keys::{Kept, NamedBy, OwnKey, State, own_keys};
use crate::protection::{Protection, as_word};

pub(super) fn look(options: &Options, environment: &Environment) -> Vec<Finding> {
    let mut findings = vec![version()];
    let (config, state) = (environment.config.as_deref(), environment.state.as_deref());
    findings.push(place(("configuration", "XDG_CONFIG_HOME"), config));
    findings.push(place(("state", "XDG_STATE_HOME"), state));
    findings.extend(environment.config.as_deref().and_then(known_daemons));
    findings.extend(keys(options, environment));
    findings.push(proxies(&environment.proxies));
    findings
}

fn version() -> Finding {
    let (own, session) = (env!("CARGO_PKG_VERSION"), wire::frame::VERSION);
    Finding::ok(format!(
        "openscope-reflect-client {own}, for handles that begin with `osp1_`, and version {session} of what is said to daemons"
    ))
}

/// A directory in which files are kept, or are going to be.
fn place((name, variable): (&str, &str), path: Option<&Path>) -> Finding {
    let Some(path) = path else {
        let what =
            format!("there is no {name} directory: neither {variable} nor HOME names a place");
        return Finding::new(Level::Fails, what, "set HOME");
    };
    let shown = path.display();
    let what = format!("{name} directory {shown}");
    match Protection::of_place(path) {
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => to_be_made(&what, path),
        Err(fault) => Finding::new(
            Level::Fails,
            format!("{what}: {fault}"),
            "make it one that you can read and write",
        ),
        Ok(protection) => match (written(path), protection.remedy(path)) {
            (Err(fault), _) => Finding::new(
                Level::Fails,
                format!("{what} cannot be written to: {fault}"),
                format!("make it yours, as in `chmod u=rwx {}`", as_word(path)),
            ),
            (Ok(()), Some(remedy)) => {
                Finding::new(Level::Warning, format!("{what}: {protection}"), remedy)
            }
            (Ok(()), None) => Finding::ok(format!("{what}: nobody else writes to it")),
        },
    }
}

/// It is made when it is needed first, if what is above it lets us.
fn to_be_made(what: &str, path: &Path) -> Finding {
    let above = path.ancestors().skip(1).find(|above| above.exists()).unwrap_or(Path::new("/"));
    match written(above) {
        Ok(()) => Finding::ok(format!("{what}: not there yet, made when it is needed")),
        Err(fault) => Finding::new(
            Level::Fails,
            format!("{what} is not there, and `{}` cannot be written to: {fault}", above.display()),
            "make it, or set HOME to a directory of yours",
        ),
    }
}

fn written(path: &Path) -> io::Result<()> {
    Ok(access(path, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK)?)
}

/// Nothing is said of a file that is not there: no daemon was confirmed yet.
fn known_daemons(config: &Path) -> Option<Finding> {
    let known = KnownDaemons::within(config);
    let shown = known.path().display().to_string();
    let protection = match Protection::of_place(known.path()) {
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return None,
        protection => protection.ok()?,
    };
    Some(match (known.all(), protection.remedy(known.path())) {
        (Err(fault), _) => {
            Finding::new(Level::Fails, chain(&fault), "mend the file; it is not taken for empty")
        }
        (Ok(_), Some(remedy)) => {
            let what = format!("{shown}, which says whom you trust: {protection}");
            Finding::new(Level::Warning, what, remedy)
        }
        (Ok(all), None) => Finding::ok(format!("{shown}: {} daemons confirmed", all.len())),
    })
}

fn keys(options: &Options, environment: &Environment) -> Vec<Finding> {
    let own = own_keys(options, environment);
    if own.is_empty() && options.secret_file.is_none() {
        let what = "there is no key of yours here: only bearer handles can be opened";
        return vec![Finding::new(Level::Warning, what, HOW_TO_MAKE_ONE)];
    }
    own.iter().map(key).collect()
}

fn key(key: &OwnKey) -> Finding {
    let what = format!("key {}, {}", key.path.display(), key.named_by);
    let exposed = key.protection.and_then(|one| Some((one, one.remedy(&key.path)?)));
    match (&key.state, exposed) {
        (State::Unusable(why), _) => unusable(key, &format!("{what}: {why}")),
        (State::Usable { .. } | State::Locked, Some((protection, remedy))) => {
            let remedy = format!("{remedy}; others may have read it: better make another");
            Finding::new(Level::Warning, format!("{what}: {protection}"), remedy)
        }
        (State::Usable { kept, .. }, None) => kept_by_programs(key, kept, &what),
        (State::Locked, None) => Finding::new(
            Level::Note,
            format!("{what}: yours alone, and opens with its passphrase only"),
            "run this program at a terminal, which it is asked for at; for scripts and agents, share with a key of their own",
        ),
    }
}

/// A key whose file is yours alone: what is missing may be the program that keeps it.
fn kept_by_programs(key: &OwnKey, kept: &[Kept], what: &str) -> Finding {
    if let Some(missing) = kept.iter().find(|kept| !kept.is_installed) {
        let level = match key.named_by {
            NamedBy::Usual => Level::Warning,
            NamedBy::Identity | NamedBy::SecretFile => Level::Fails,
        };
        let program = &missing.program;
        let what = format!("{what}: opens through `{program}`, which no directory of PATH has");
        return Finding::new(level, what, "install it, or name another key with `--identity FILE`");
    }
    match kept.first() {
        None => Finding::ok(format!("{what}: usable, and yours alone")),
        Some(kept) => Finding::ok(format!("{what}: opens through `{}`", kept.program)),
    }
}

/// What was named is needed; what is only looked for may be something else.
fn unusable(key: &OwnKey, what: &str) -> Finding {
    match key.named_by {
        NamedBy::Usual => Finding::new(Level::Warning, what, HOW_TO_MAKE_ONE),
        NamedBy::Identity | NamedBy::SecretFile => {
            Finding::new(Level::Fails, what, "name a file that holds a secret key")
        }
    }
}

fn proxies(set: &[&str]) -> Finding {
    if set.is_empty() {
        return Finding::ok("no variable of the environment names a proxy");
    }
    let what = format!(
        "{} set: not used, as relays are reached by QUIC over UDP, which goes through no such proxy",
        set.join(", ")
    );
    let remedy = "where only the proxy leads out of this network, ask whoever runs that to let UDP through to the relay";
    Finding::new(Level::Note, what, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_directory_is_as_it_should_be_open_to_others_or_not_there() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("openscope");
        let level = |path: Option<&Path>| place(("state", "XDG_STATE_HOME"), path).level;
        assert_eq!(level(None), Level::Fails);
        assert_eq!(level(Some(&path)), Level::Ok, "it can be made");
        fs::create_dir(&path).unwrap();
        for (bits, wanted) in [
            (0o700, Level::Ok),
            (0o755, Level::Ok),
            (0o770, Level::Warning),
            (0o707, Level::Warning),
        ] {
            mode(&path, bits);
            assert_eq!(level(Some(&path)), wanted, "{bits:o}");
        }
    }

    #[test]
    fn proxies_are_named_and_what_they_say_is_not() {
        assert_eq!(proxies(&[]).level, Level::Ok);
        let said = proxies(&["HTTPS_PROXY", "NO_PROXY"]).to_string();
        assert!(said.starts_with("note     HTTPS_PROXY, NO_PROXY set: not used"), "{said}");
    }

    #[test]
    fn a_file_of_known_daemons_that_is_damaged_fails_and_one_that_others_write_is_a_warning() {
        let home = tempfile::tempdir().unwrap();
        assert!(known_daemons(home.path()).is_none());
        let path = home.path().join("known_daemons");
        fs::write(&path, "web-1\n").unwrap();
        mode(&path, 0o600);
        assert_eq!(known_daemons(home.path()).unwrap().level, Level::Fails);
        fs::write(&path, "# none yet\n").unwrap();
        assert_eq!(known_daemons(home.path()).unwrap().level, Level::Ok);
        mode(&path, 0o666);
        assert_eq!(known_daemons(home.path()).unwrap().level, Level::Warning);
    }
}
