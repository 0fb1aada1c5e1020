//! `openscope doctor`: what would fail, before somebody calls it.

use std::collections::BTreeMap;
use std::io;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use policy::AgentName;
use rustix::fs::{Access, access};
use serde_json::{Value, json};
use wire::control::{Need, NeedView, Reply, Request, StatusView, VerbNeeds};

use super::fault::Fault;
use super::output::{Format, Output};
use super::shown;
use super::socket::Daemon;
use super::table::table;
use crate::exit::Exit;

/// How long somebody who listens may take to let us in.
const PATIENCE: Duration = Duration::from_secs(3);
/// As many are knocked at at one time.
const AT_ONCE: usize = 32;

pub(super) const EXAMPLES: &str = "\
Looks, as you, at all that your verbs take: programs that can be executed, directories and files, hosts and
services that answer, and what only the daemon can see of them. Nothing is run, and nothing is said to a service.

Examples:
  openscope doctor
  openscope doctor --agent you --json

Exit status: 0 where nothing would fail, 1 where something would.
";

#[derive(Debug, clap::Args)]
pub(super) struct Doctor {
    /// Which of your agents [default: your own name]
    #[arg(long)]
    agent: Option<AgentName>,
}

/// One thing that was looked at.
struct Finding {
    /// Which verbs take it; none where all do.
    verbs: Vec<String>,
    what: String,
    fault: Option<Wrong>,
}

struct Wrong {
    why: String,
    advice: &'static str,
}

impl Doctor {
    pub(super) fn run(self, daemon: &Daemon, out: &mut Output) -> Result<Exit, Fault> {
        let Reply::Status(status) = daemon.ask(&Request::Status)? else {
            return Err(Fault::unfitting());
        };
        let Reply::Needs(verbs) = daemon.ask(&Request::Needs { agent: self.agent })? else {
            return Err(Fault::unfitting());
        };
        let findings: Vec<Finding> =
            of_daemon(&status).into_iter().chain(of_verbs(&verbs)).collect();
        let wrong = findings.iter().filter(|one| one.fault.is_some()).count();
        match out.format() {
            Format::Json => out.json(&document(&findings))?,
            Format::Text => {
                let rows: Vec<_> = findings.iter().map(row).collect();
                out.data(&table(["STATE", "WHAT", "TAKEN BY"], &rows))?;
                for one in &findings {
                    if let Some(Wrong { why, advice }) = &one.fault {
                        out.data(&format!("\n{}: {}\n   = {advice}", one.what, shown::line(why)))?;
                    }
                }
                out.aside(&format!("{} looked at, {wrong} would fail", findings.len()));
            }
        }
        Ok(if wrong == 0 { Exit::Done } else { Exit::Failed })
    }
}

fn row(one: &Finding) -> [String; 3] {
    let state = if one.fault.is_some() { "FAILS" } else { "ok" };
    let verbs = if one.verbs.is_empty() { "all".to_owned() } else { one.verbs.join(", ") };
    [state.to_owned(), shown::line(&one.what), shown::line(&verbs)]
}

fn document(findings: &[Finding]) -> Value {
    let finding = |one: &Finding| {
        json!({
            "what": one.what,
            "verbs": one.verbs,
            "ok": one.fault.is_none(),
            "why": one.fault.as_ref().map(|wrong| &wrong.why),
            "advice": one.fault.as_ref().map(|wrong| wrong.advice),
        })
    };
    json!({
        "schema": "openscope.doctor/1",
        "ok": findings.iter().all(|one| one.fault.is_none()),
        "findings": findings.iter().map(finding).collect::<Vec<_>>(),
    })
}

fn of_daemon(status: &StatusView) -> Vec<Finding> {
    let relays = status.relays.iter().map(|relay| {
        let why = relay.why.clone().unwrap_or_else(|| "it does not answer".to_owned());
        let advice = "see whether this network lets UDP through to it, and whether it runs";
        let fault = (!relay.up).then_some(Wrong { why, advice });
        Finding { verbs: Vec::new(), what: format!("relay {}", relay.address), fault }
    });
    // What verbs take is looked at one by one, and only those that are the caller's.
    let general = status.warnings.iter().filter(|warning| !warning.contains("cannot be called"));
    let warnings = general.map(|warning| {
        let advice = "`openscoped --check-config` says it with its place";
        let fault = Some(Wrong { why: warning.clone(), advice });
        Finding { verbs: Vec::new(), what: "the daemon".to_owned(), fault }
    });
    relays.chain(warnings).collect()
}

/// Each thing once, however many verbs take it.
fn of_verbs(verbs: &[VerbNeeds]) -> Vec<Finding> {
    let mut all: BTreeMap<&Need, (Option<&String>, Vec<String>)> = BTreeMap::new();
    for VerbNeeds { verb, needs } in verbs {
        for NeedView { need, fault } in needs {
            let (known, takers) = all.entry(need).or_default();
            *known = known.or(fault.as_ref());
            takers.push(verb.to_string());
        }
    }
    let all: Vec<_> = all.into_iter().collect();
    let looked = all.chunks(AT_ONCE).flat_map(|some| {
        std::thread::scope(|threads| {
            let looks = some.iter().map(|(need, (known, _))| {
                threads.spawn(move || match known {
                    Some(fault) => Some(Wrong { why: (*fault).clone(), advice: advice(need) }),
                    None => look(need),
                })
            });
            let looks: Vec<_> = looks.collect();
            looks
                .into_iter()
                .map(|look| look.join().unwrap_or_else(|_| Some(gave_up())))
                .collect::<Vec<_>>()
        })
    });
    let looked: Vec<Option<Wrong>> = looked.collect();
    let finding = |((need, (_, mut verbs)), fault): ((&Need, (_, Vec<String>)), _)| {
        verbs.dedup();
        Finding { verbs, what: words(need), fault }
    };
    all.into_iter().zip(looked).map(finding).collect()
}

fn gave_up() -> Wrong {
    Wrong { why: "it was not looked at to the end".to_owned(), advice: "try again" }
}

fn words(need: &Need) -> String {
    match need {
        Need::Program { path } => format!("program {path}"),
        Need::Path { path, is_written: false } => format!("path {path}"),
        Need::Path { path, is_written: true } => format!("path {path}, to put files in"),
        Need::Port { host, port } => format!("port {port} of {host}"),
        Need::Account { name } => format!("account {name}, as which verbs run"),
        Need::Daemon { what } => what.clone(),
    }
}

fn advice(need: &Need) -> &'static str {
    match need {
        Need::Program { .. } => {
            "install it, or mend its owner and mode: root's, and writable by nobody else"
        }
        Need::Path { .. } => "make it, or let this account in",
        Need::Port { .. } => "start what listens there, or see what stands between",
        Need::Account { .. } => "ask whoever administers this machine to make one that is not root",
        Need::Daemon { .. } => "ask whoever administers this machine",
    }
}

/// As ssh has it: the home that the system says.
fn at_home(rest: &str) -> Option<String> {
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok()??;
    Some(format!("{}{rest}", user.dir.display()))
}

/// As who we are: the owner, as whom verbs run.
fn look(need: &Need) -> Option<Wrong> {
    let looked = match need {
        Need::Program { path } => access(path, Access::EXEC_OK).map_err(io::Error::from),
        Need::Path { path, is_written } => {
            let own = path.strip_prefix('~').and_then(at_home);
            let path = own.as_ref().unwrap_or(path);
            let written =
                if *is_written { Access::WRITE_OK | Access::EXEC_OK } else { Access::empty() };
            access(path, Access::READ_OK | written).map_err(io::Error::from)
        }
        Need::Port { host, port } => knock(host, *port),
        Need::Account { name } => account(name),
        Need::Daemon { .. } => Ok(()),
    };
    looked.err().map(|fault| Wrong { why: fault.to_string(), advice: advice(need) })
}

fn account(name: &str) -> io::Result<()> {
    match nix::unistd::User::from_name(name)? {
        None => Err(io::Error::other("there is no such account")),
        Some(user) if user.uid.is_root() => Err(io::Error::other("it is root")),
        Some(_) => Ok(()),
    }
}

/// Whether somebody lets us in; they are told nothing.
fn knock(host: &str, port: u16) -> io::Result<()> {
    let mut last = io::Error::other("the name has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(_) => return Ok(()),
            Err(fault) => last = fault,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_several_verbs_take_is_looked_at_once() {
        let need =
            |path: &str| NeedView { need: Need::Program { path: path.to_owned() }, fault: None };
        let verb = |name: &str, needs| VerbNeeds { verb: name.parse().unwrap(), needs };
        let found = of_verbs(&[
            verb("a.one", vec![need("/bin/true"), need("/bin/missing")]),
            verb("a.two", vec![need("/bin/true")]),
        ]);
        let told: Vec<_> = found
            .iter()
            .map(|one| (one.what.as_str(), one.verbs.len(), one.fault.is_none()))
            .collect();
        assert_eq!(told, [("program /bin/missing", 1, false), ("program /bin/true", 2, true)]);
    }

    #[test]
    fn a_port_is_found_open_or_closed_and_a_fault_of_the_daemon_s_is_not_looked_at_again() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        knock("127.0.0.1", port).unwrap();
        drop(listener);
        assert!(knock("127.0.0.1", port).is_err());
        let need = Need::Program { path: "/bin/true".to_owned() };
        let needs = vec![NeedView { need, fault: Some("anybody may write to it".to_owned()) }];
        let found = of_verbs(&[VerbNeeds { verb: "a.b".parse().unwrap(), needs }]);
        assert_eq!(found[0].fault.as_ref().unwrap().why, "anybody may write to it");
    }
}
