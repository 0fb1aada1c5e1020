//! Reads the whole configuration: all of it is good, or nothing of it counts.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use policy::{Identity, NetworkAccess, Policy, Run, Source, SqlTarget, SshTarget, Verb};
use relay::protocol::DeploymentToken;

use sha2::{Digest, Sha256};
use wire::privsep::RedactRules;

use super::written::{Written, WrittenRelay};
use super::{Config, ConfigFault, Kill, Mode, Places, RelayEntry, literals, parse};
use crate::monitor::contacts::Contacts;
use crate::run::{can_keep_files, can_keep_ports, may_leave};
use crate::strict::{Above, Judge};

/// The largest configuration file.
const MAX_FILE: u64 = 1024 * 1024;

/// The system's own ssh, which reaches targets.
pub(crate) const SSH: &str = "/usr/bin/ssh";

/// The largest token file.
const MAX_TOKEN: u64 = 8 * 1024;

/// Everything that was read, and is good.
#[derive(Debug)]
pub struct Loaded {
    /// `openscoped.toml`.
    pub config: Config,
    /// `targets.d`, `verbs.d` and `policy.d`.
    pub policy: Policy,
    /// The catalog's redaction rules; values of files are sealed.
    pub redact: RedactRules,
    /// `contacts.toml`.
    pub contacts: Contacts,
    /// The files, in the order that they were read.
    pub files: Vec<PathBuf>,
    /// SHA-256 over the files.
    pub digest: [u8; 32],
    /// What is not wrong, but will disappoint; a sentence each.
    pub warnings: Vec<String>,
}

/// Reads the configuration at `path` and what lies beside it.
///
/// Which account may run it is [`Mode::fits`]'s to say.
///
/// # Errors
/// Every fault that was found.
pub fn load(path: &Path, asked: Option<Mode>) -> Result<Loaded, Vec<ConfigFault>> {
    let mut reading = Reading::new(path);
    let config = reading.config(path, asked);
    let verbs = reading.catalog();
    let rules = reading.sources("policy.d");
    let policy = policy::load(&verbs, &rules).map_err(|faults| reading.faults(faults)).ok();
    let contacts = reading.contacts();
    let warnings = policy.as_ref().map(|policy| reading.programs(policy)).unwrap_or_default();
    if let (Some(config), Some(policy)) = (&config, &policy) {
        reading.held_keys(config.mode, policy);
        reading.service_files(policy);
    }
    let redact = policy.as_ref().and_then(|policy| reading.literals(policy));
    match (config, policy, redact, contacts) {
        (Some(config), Some(policy), Some(redact), Some(contacts)) if reading.faults.is_empty() => {
            let (digest, files) = (reading.digest.finalize().into(), reading.files);
            Ok(Loaded { config, policy, redact, contacts, files, digest, warnings })
        }
        _ => Err(reading.faults),
    }
}

/// Mode and state directory as the configuration says them, without looking at anything else.
pub(super) fn mode_and_state(
    path: &Path,
    asked: Option<Mode>,
) -> Result<(Mode, PathBuf), ConfigFault> {
    let text = judge().text(path, MAX_FILE)?;
    let written: Written = parse(&path.display().to_string(), &text)?;
    let mode = mode(path, &written, asked)?;
    Ok((mode, written.state.map_or_else(|| Places::of(mode).state, |state| state.0)))
}

/// A process that is not root cannot run in system mode, so for it a sticky directory will do.
pub(crate) fn judge() -> Judge {
    let above =
        if rustix::process::geteuid().is_root() { Above::Refuse } else { Above::AllowSticky };
    Judge::of_process(above)
}

struct Reading {
    judge: Judge,
    directory: PathBuf,
    files: Vec<PathBuf>,
    digest: Sha256,
    faults: Vec<ConfigFault>,
}

impl Reading {
    fn new(path: &Path) -> Self {
        Self {
            judge: judge(),
            directory: path.parent().unwrap_or(Path::new("/")).to_owned(),
            files: Vec::new(),
            digest: Sha256::new(),
            faults: Vec::new(),
        }
    }

    fn config(&mut self, path: &Path, asked: Option<Mode>) -> Option<Config> {
        let text = self.text(path)?;
        let written = self.kept(parse::<Written>(&self.shown(path), &text))?;
        let mode = mode(path, &written, asked);
        let mode = self.kept(mode)?;
        let places = Places::of(mode);
        let relays: Vec<_> = written.relay.into_iter().map(|relay| self.relay(relay)).collect();
        Some(Config {
            name: written.name,
            mode,
            state: written.state.map_or(places.state, |state| state.0),
            socket: written.socket.map_or(places.socket, |socket| socket.0),
            broker_user: written.broker_user.map_or_else(|| "openscope".into(), |user| user.0),
            keys_user: written.keys_user.map_or_else(|| "openscope-keys".into(), |user| user.0),
            admin_group: written.admin_group.map(|group| group.0),
            kill: written.kill.unwrap_or(match mode {
                Mode::System => Kill::Cgroup,
                Mode::Rootless => Kill::Subreaper,
            }),
            relays: relays.into_iter().collect::<Option<_>>()?,
            limits: written.limits.check(),
        })
    }

    fn relay(&mut self, written: WrittenRelay) -> Option<RelayEntry> {
        let path = self.directory.join(&written.token_file);
        let secret = self.judge.secret(&path, MAX_TOKEN);
        let secret = self.kept(secret.map_err(ConfigFault::from))?;
        let text = String::from_utf8_lossy(&secret);
        let token = text.trim().parse::<DeploymentToken>().map_err(|_| {
            let hint = "put the line there that `openscope-relay token mint` prints";
            ConfigFault::written(&path.display().to_string(), "is not a relay's token", Some(hint))
        });
        Some(RelayEntry { address: written.address, token: self.kept(token)? })
    }

    /// Verbs, and the targets that they reach, if there are any.
    fn catalog(&mut self) -> Vec<Source> {
        let targets = self.directory.join("targets.d").exists();
        let targets = if targets { self.sources("targets.d") } else { Vec::new() };
        let verbs = self.sources("verbs.d");
        targets.into_iter().chain(verbs).collect()
    }

    fn sources(&mut self, directory: &str) -> Vec<Source> {
        let names = self.judge.names(&self.directory.join(directory), "toml");
        let names = self.kept(names.map_err(ConfigFault::from)).unwrap_or_default();
        names
            .iter()
            .filter_map(|path| Some(Source { text: self.text(path)?, name: self.shown(path) }))
            .collect()
    }

    /// Root's contacts. There need not be any.
    fn contacts(&mut self) -> Option<Contacts> {
        let path = self.directory.join("contacts.toml");
        match self.judge.text(&path, MAX_FILE) {
            Err(fault) if fault.is_missing() && fault.path() == path => Some(Contacts::default()),
            Err(fault) => self.kept(Err(fault.into())),
            Ok(text) => {
                self.read(&path, &text);
                let contacts = Contacts::parse(&self.shown(&path), &text);
                self.kept(contacts)
            }
        }
    }

    /// Programs are judged now so that a bad one is known before somebody calls it. One that is not
    /// there may come: its verb is refused until then.
    fn programs(&mut self, policy: &Policy) -> Vec<String> {
        let mut warnings = Vec::new();
        for verb in policy.catalog().verbs() {
            let missing = verb.roots().into_iter().filter(|(path, _)| !Path::new(path).exists());
            warnings.extend(missing.map(|(path, _)| {
                format!("`{}` cannot be called: there is no `{path}`", verb.name)
            }));
            let program = match &verb.run {
                Run::Exec(exec) => exec.program(),
                Run::Ssh(_) => SSH,
                Run::Http(_) | Run::Tcp(_) | Run::File(_) | Run::Sql(_) | Run::Note => continue,
            };
            match self.judge.program(Path::new(program)) {
                Err(fault) if fault.is_missing() => warnings.push(format!(
                    "`{}` cannot be called: there is no `{}`",
                    verb.name,
                    fault.path().display()
                )),
                Err(fault) => {
                    let place = format!("the program of `{}`", verb.name);
                    self.faults.push(ConfigFault::written(&place, &fault.to_string(), None));
                }
                Ok(_) => {}
            }
        }
        let asks = |verb: &&Arc<Verb>| matches!(verb.run, Run::Http(_) | Run::Tcp(_) | Run::Sql(_));
        let beside = std::env::current_exe().map(|own| own.with_file_name("openscope-reach"));
        if !beside.is_ok_and(|program| program.exists()) {
            let asking = policy.catalog().verbs().filter(asks);
            warnings.extend(asking.map(|verb| {
                format!(
                    "`{}` cannot be called: there is no `openscope-reach` beside `openscoped`",
                    verb.name
                )
            }));
        }
        warnings.extend(without_network(policy).into_iter().filter(|_| !may_leave()));
        warnings.extend(without_landlock(policy));
        warnings
    }

    /// Keys that are held for owners are judged now as well, and one that is missing is a fault: nothing else can
    /// take its place.
    fn held_keys(&mut self, mode: Mode, policy: &Policy) {
        let held = policy.ssh_targets().filter_map(|target| held_key(&self.directory, target));
        for path in held.collect::<BTreeSet<PathBuf>>() {
            let judged = match mode {
                Mode::System => self.judge.secret_file(&path).map_err(ConfigFault::from),
                Mode::Rootless => Err(ConfigFault::written(
                    &path.display().to_string(),
                    "cannot be held: without root every file is its owner's to read",
                    Some("say `own` in place of `held`"),
                )),
            };
            self.kept(judged);
        }
    }

    /// Values that are secrets. They are no part of the digest, by which a short one could be guessed.
    fn literals(&mut self, policy: &Policy) -> Option<RedactRules> {
        let read = literals::read(&self.judge, &self.directory, policy);
        let (rules, files) = read.map_err(|faults| self.faults.extend(faults)).ok()?;
        self.files.extend(files);
        Some(rules)
    }

    /// So are the files with which services are asked.
    fn service_files(&mut self, policy: &Policy) {
        let of_http = policy.http_targets().map(|target| {
            (target.ca.as_ref(), target.credential.as_ref().map(|credential| &credential.file))
        });
        let servers = policy.sql_targets().filter_map(SqlTarget::postgres);
        let of_sql = servers.map(|server| (server.ca(), server.password.as_ref()));
        for (ca, secret) in of_http.chain(of_sql) {
            if let Some(ca) = ca {
                let judged = self.judge.file(&self.directory.join(ca.as_str()));
                self.kept(judged.map_err(ConfigFault::from));
            }
            if let Some(secret) = secret {
                let judged = self.judge.secret_file(&self.directory.join(secret.as_str()));
                self.kept(judged.map_err(ConfigFault::from));
            }
        }
    }

    fn text(&mut self, path: &Path) -> Option<String> {
        let text = self.judge.text(path, MAX_FILE);
        let text = self.kept(text.map_err(ConfigFault::from))?;
        self.read(path, &text);
        Some(text)
    }

    fn read(&mut self, path: &Path, text: &str) {
        self.files.push(path.to_owned());
        self.digest.update(Sha256::digest(text));
    }

    fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.directory).unwrap_or(path).display().to_string()
    }

    fn kept<T>(&mut self, result: Result<T, ConfigFault>) -> Option<T> {
        result.map_err(|fault| self.faults.push(fault)).ok()
    }

    fn faults(&mut self, faults: Vec<policy::TextFault>) {
        self.faults.extend(faults.into_iter().map(ConfigFault::from));
    }
}

/// What is to be said of verbs that this kernel cannot keep to their files or ports.
fn without_landlock(policy: &Policy) -> Vec<String> {
    let (files, ports) = (can_keep_files(), can_keep_ports());
    let lacks = |verb: &Arc<Verb>| {
        let Run::Exec(exec) = &verb.run else { return None };
        let confinement = &exec.confinement;
        let since = match () {
            () if confinement.reach.is_some() && !files => "6.2",
            () if confinement.network.has_ports() && !ports => "6.7",
            () => return None,
        };
        let name = &verb.name;
        Some(format!(
            "`{name}` cannot be called: what contains it takes Landlock as of Linux {since}"
        ))
    };
    policy.catalog().verbs().filter_map(lacks).collect()
}

/// What is to be said of verbs that are to have no network, by a daemon that cannot take it from them.
pub(super) fn without_network(policy: &Policy) -> Vec<String> {
    let wants = |verb: &&Arc<Verb>| match &verb.run {
        Run::Exec(exec) => exec.confinement.network == NetworkAccess::None,
        Run::Ssh(_) | Run::Http(_) | Run::Tcp(_) | Run::File(_) | Run::Sql(_) | Run::Note => false,
    };
    let warning = |verb: &Arc<Verb>| {
        format!(
            "`{}` cannot be called: `network = false` takes root's daemon, started with --isolate-networks",
            verb.name
        )
    };
    policy.catalog().verbs().filter(wants).map(warning).collect()
}

/// Where the key is that a target's identity says is held, if it does: beside the configuration, or where it says.
pub(crate) fn held_key(directory: &Path, target: &SshTarget) -> Option<PathBuf> {
    let Identity::Held(file) = &target.identity else { return None };
    Some(directory.join(file.as_str()))
}

fn mode(path: &Path, written: &Written, asked: Option<Mode>) -> Result<Mode, ConfigFault> {
    match (asked, written.mode) {
        (Some(asked), Some(mode)) if asked != mode => Err(ConfigFault::written(
            &path.display().to_string(),
            &format!("says `mode = \"{mode}\"`, and the daemon was started with `--{asked}`"),
            Some("leave out one of them"),
        )),
        (asked, mode) => Ok(asked.or(mode).unwrap_or(Mode::System)),
    }
}
