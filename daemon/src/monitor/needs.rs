//! What the verbs of an owner take to be called: what the daemon can see of it, it looks at; the rest is for the owner to
//! try, as who they are.

use std::collections::BTreeSet;
use std::path::Path;

use policy::{
    AccountName, AgentName, Confinement, Database, FileName, HttpTarget, Identity, NetworkAccess,
    Route, Run, SqlTarget, Verb, Via,
};
use wire::control::{Failure, Need, NeedView, Reply, VerbNeeds};

use super::Monitor;
use super::resolver::Person;
use super::start_call::NO_OTHERS;
use crate::clock::Instants;
use crate::config::{Mode, SSH, held_key};
use crate::run::{can_keep_files, can_keep_ports, may_leave};

impl Monitor {
    /// What the verbs take that the caller's agent holds.
    pub(super) fn needs(
        &self,
        person: &Person,
        agent: Option<&AgentName>,
        now: Instants,
    ) -> Result<Reply, Failure> {
        let subject = self.asking_as(person, agent, now)?;
        let surface = self.policy.surface(&subject);
        let scope = surface.scope();
        let held: BTreeSet<_> = scope.capabilities().iter().map(policy::Capability::verb).collect();
        let verbs = held.into_iter().filter_map(|name| self.policy.catalog().verb(name));
        let needs = |verb: &Verb| VerbNeeds { verb: verb.name.clone(), needs: self.needs_of(verb) };
        Ok(Reply::Needs(verbs.map(|verb| needs(verb)).collect()))
    }

    fn needs_of(&self, verb: &Verb) -> Vec<NeedView> {
        let mut needs = match &verb.run {
            Run::Exec(exec) => {
                let kept = kept(&exec.confinement).into_iter().chain(self.total(&exec.confinement));
                std::iter::once(self.program(exec.program())).chain(kept).collect()
            }
            Run::Ssh(ssh) => {
                let routes = ssh.routes().flat_map(|route| self.route(route));
                std::iter::once(self.program(SSH)).chain(routes).collect()
            }
            Run::Http(http) => self.service(&http.target),
            Run::Tcp(tcp) => {
                vec![self.reach(), port(tcp.target.host.as_str(), tcp.target.port)]
            }
            Run::Sql(sql) => self.database(&sql.target),
            Run::File(_) | Run::Note => Vec::new(),
        };
        if let Some(account) = verb.run.run_as() {
            // What another account may execute, only that account can try.
            for NeedView { need, .. } in &mut needs {
                if let Need::Program { path } = need {
                    *need = Need::Daemon { what: format!("program {path}") };
                }
            }
            needs.push(self.account_named(account));
        }
        // What another account may open, only that account can try.
        let roots = verb.roots().into_iter().filter(|_| verb.run.run_as().is_none());
        let roots = roots.map(|(path, is_written)| Need::Path { path, is_written });
        needs.extend(roots.map(|need| NeedView { need, fault: None }));
        needs
    }

    fn program(&self, path: &str) -> NeedView {
        let judged = self.judge.program(Path::new(path));
        let fault = judged.err().map(|fault| fault.to_string());
        NeedView { need: Need::Program { path: path.to_owned() }, fault }
    }

    fn account_named(&self, account: &AccountName) -> NeedView {
        let own = [&self.config.broker_user, &self.config.keys_user];
        let fault = match self.config.mode {
            Mode::Rootless => Some(NO_OTHERS.to_owned()),
            Mode::System if own.iter().any(|own| *own == account.as_str()) => {
                Some("it is the daemon's own".to_owned())
            }
            Mode::System => None,
        };
        NeedView { need: Need::Account { name: account.to_string() }, fault }
    }

    fn total(&self, confinement: &Confinement) -> Option<NeedView> {
        let fault = self.runners.can_limit(confinement.total).err().map(|fault| fault.to_string());
        let what = "controllers of cgroups for `limits.total`".to_owned();
        (!confinement.total.is_empty()).then(|| daemons(what, fault))
    }

    fn route(&self, route: &Route) -> Vec<NeedView> {
        // What lies behind another host only that host reaches.
        let nearest = route.jumps.first().unwrap_or(&route.target);
        let hops = route.jumps.iter().chain([&route.target]);
        let own = hops.clone().filter_map(|target| match &target.identity {
            Identity::Own(file) => Some(file.as_str()),
            Identity::Usual | Identity::Held(_) => None,
        });
        let own = own.map(|file| {
            let path = if file.starts_with('/') { file.to_owned() } else { format!("~/{file}") };
            NeedView { need: Need::Path { path, is_written: false }, fault: None }
        });
        let is_held = hops.clone().any(|target| matches!(target.identity, Identity::Held(_)));
        let account = is_held.then(|| {
            let fault = self.keys_user.is_none().then(|| {
                "`keys_user` names no account of its own, or this daemon is no root's".to_owned()
            });
            daemons("the account that holds keys".to_owned(), fault)
        });
        let held = hops.filter_map(|target| held_key(self.beside(), target)).map(|path| {
            let judged = self.judge.secret_file(&path);
            let what = format!("the key {}, held for owners", path.display());
            daemons(what, judged.err().map(|fault| fault.to_string()))
        });
        let nearest = port(nearest.host.as_str(), nearest.port);
        std::iter::once(nearest).chain(own).chain(account).chain(held).collect()
    }

    fn service(&self, target: &HttpTarget) -> Vec<NeedView> {
        let ca = target.ca.as_ref().map(|file| self.authorities(file));
        let credential = target.credential.as_ref().map(|credential| {
            let path = self.beside().join(credential.file.as_str());
            let fault = self.judge.secret_file(&path).err().map(|fault| fault.to_string());
            daemons(format!("the credential in {}", path.display()), fault)
        });
        let here = [self.reach(), port(&target.host, target.port)];
        here.into_iter().chain(ca).chain(credential).collect()
    }

    fn database(&self, target: &SqlTarget) -> Vec<NeedView> {
        let path = |path: &str| {
            let need = Need::Path { path: path.to_owned(), is_written: false };
            NeedView { need, fault: None }
        };
        let postgres = match &target.database {
            Database::Sqlite(file) => return vec![self.reach(), path(file)],
            Database::Postgres(postgres) => postgres,
        };
        let there = match &postgres.via {
            Via::Plain(host) | Via::Tls { host, .. } => port(host.as_str(), postgres.port),
            Via::Socket(directory) => path(&format!("{directory}/.s.PGSQL.{}", postgres.port)),
        };
        let password = postgres.password.as_ref().map(|file| {
            let path = self.beside().join(file.as_str());
            let fault = self.judge.secret_file(&path).err().map(|fault| fault.to_string());
            daemons(format!("the password in {}", path.display()), fault)
        });
        let ca = postgres.ca().map(|file| self.authorities(file));
        [self.reach(), there].into_iter().chain(ca).chain(password).collect()
    }

    fn authorities(&self, file: &FileName) -> NeedView {
        let path = self.beside().join(file.as_str());
        let fault = self.judge.file(&path).err().map(|fault| fault.to_string());
        daemons(format!("the authorities in {}", path.display()), fault)
    }

    fn reach(&self) -> NeedView {
        let missing = "it does not lie beside `openscoped`";
        let fault = (!self.runners.has_reach()).then(|| missing.to_owned());
        daemons("the program openscope-reach".to_owned(), fault)
    }

    /// Where the files lie that targets name.
    fn beside(&self) -> &Path {
        self.config_path.parent().unwrap_or(Path::new("/"))
    }
}

/// What the kernel, and the daemon, must be able to do for a verb that is contained.
fn kept(confinement: &Confinement) -> Vec<NeedView> {
    let lacks = |what: &str, is_there: bool, why: &str| {
        daemons(what.to_owned(), (!is_there).then(|| why.to_owned()))
    };
    let files = confinement.reach.is_some().then(|| {
        lacks(
            "Landlock for files",
            can_keep_files(),
            "this kernel has none: it came with Linux 6.2",
        )
    });
    let ports = confinement.network.has_ports().then(|| {
        lacks(
            "Landlock for ports",
            can_keep_ports(),
            "this kernel has none: it came with Linux 6.7",
        )
    });
    let own = (confinement.network == NetworkAccess::None).then(|| {
        let why = "root's daemon makes them, started with --isolate-networks";
        lacks("a network of the verb's own", may_leave(), why)
    });
    [files, ports, own].into_iter().flatten().collect()
}

fn port(host: &str, port: u16) -> NeedView {
    // A URL has an address of IPv6 in brackets.
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    NeedView { need: Need::Port { host, port }, fault: None }
}

fn daemons(what: String, fault: Option<String>) -> NeedView {
    NeedView { need: Need::Daemon { what }, fault }
}
