//! What an administrator would set up: a relay, its token for the daemon, the daemon.

use std::path::Path;
use std::rc::Rc;

use serde_json::Value;
use tokio::process::Command;
use wire::control::{Reply, Request, StatusView};

use super::home::{CONFIG, STATE};
use super::siblings::{Program, Siblings};
use super::stage::{Stage, Who, clean};
use crate::cli::fault::Fault;
use crate::cli::socket::Daemon;

/// Starts the relay, the daemon and a small service, and waits until the daemon has reached the relay.
pub(super) async fn raise(stage: &mut Stage<'_>) -> Result<(), Fault> {
    for service in ["web", "db"] {
        serve(stage, service)?;
    }
    let port = stage.serve_page().await?;
    stage.home.write(&format!("{CONFIG}/targets.d/tour.toml"), &target(port))?;
    let address = relay(stage).await?;
    token(stage, &address).await?;
    daemon(stage).await?;
    stage.run(Who::Owner, &["status"], 0).await?;
    stage.run(Who::Owner, &["capabilities"], 0).await.map(drop)
}

/// The page, as root or the owner would name it for verbs to ask.
pub(super) fn target(port: u16) -> String {
    format!("[http.page]\nurl = \"http://127.0.0.1:{port}/\"\npaths = [\"/hello/*\"]\n")
}

/// A service with its supervisor, so that there is something to restart and a log to follow.
fn serve(stage: &mut Stage<'_>, service: &str) -> Result<(), Fault> {
    let mut command = clean("/bin/sh".as_ref());
    command.arg(stage.home.at("bin/supervise.sh")).arg(stage.home.path()).arg(service);
    stage.stay(service, command)
}

/// Starts the relay on a port that the kernel picks; its address, with the pin of its certificate.
async fn relay(stage: &mut Stage<'_>) -> Result<String, Fault> {
    stage.run(Who::Operator, &["keygen"], 0).await?;
    stage.home.write("relay/relay.toml", RELAY)?;
    let relay = |siblings: &Siblings| Rc::clone(&siblings.relay);
    let arguments = ["--config", "relay.toml", "--log-format", "json"];
    let command = background(stage, relay, Who::Operator, &arguments)?;
    stage.stay("openscope-relay", command)?;
    let log = stage.log_of("openscope-relay");
    let address = stage.until("the relay's address", || address(&log)).await?;
    stage.tale.output(&format!("listens as {address}"))?;
    stage.tale.say("")?;
    Ok(address)
}

const RELAY: &str = r#"listen = "127.0.0.1:0"
self_signed = true
key = "relay.key"
operators = ["operator.pub"]
"#;

/// What the relay's log says about where it listens.
fn address(log: &Path) -> Option<String> {
    let log = std::fs::read_to_string(log).ok()?;
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.into_iter().find_map(|line| {
        let said = |name| line.get("fields")?.get(name)?.as_str();
        Some(format!("{}#{}", said("listen")?, said("pin")?))
    })
}

/// The relay's operator lets this daemon in: a token, bound to the key of the daemon's leg.
async fn token(stage: &mut Stage<'_>, address: &str) -> Result<(), Fault> {
    let config = format!(
        "name = \"tour\"\nkill = \"subreaper\"\n\n[[relay]]\naddress = \"{address}\"\ntoken_file = \"{}\"\n",
        stage.home.at(CONFIG).join("relay.token").display()
    );
    stage.home.write(&format!("{CONFIG}/openscoped.toml"), &config)?;
    let daemon = |siblings: &Siblings| Rc::clone(&siblings.daemon);
    let ask = ["--rootless", "--leg-key"];
    let key = stage.run_other(daemon, Who::Owner, &ask).await?;
    let mint =
        ["token", "mint", "--operator-key", "operator.key", "--leg-key", key.trim(), "--ttl", "1d"];
    let token = stage.run(Who::Operator, &mint, 0).await?;
    stage.home.write(&format!("{CONFIG}/relay.token"), &token)
}

async fn daemon(stage: &mut Stage<'_>) -> Result<(), Fault> {
    let daemon = |siblings: &Siblings| Rc::clone(&siblings.daemon);
    let mut command = background(stage, daemon, Who::Owner, &["--rootless"])?;
    let siblings = Rc::clone(&stage.siblings);
    command.arg("--runner-fd").arg(siblings.runner.number().to_string());
    command.arg("--reach-fd").arg(siblings.reach.number().to_string());
    let inherited = (siblings.runner.inherited()?, siblings.reach.inherited()?);
    let started = stage.stay("openscoped", command);
    drop(inherited);
    started?;
    stage.tale.say("")?;
    let socket = stage.home.at(STATE).join("openscope.sock");
    stage.until("the daemon's way to the relay", || reached(&Daemon::on(&socket))).await
}

/// Whether the daemon answers and has a leg to its relay.
fn reached(daemon: &Daemon) -> Option<()> {
    match daemon.ask(&Request::Status) {
        Ok(Reply::Status(status)) if is_up(&status) => Some(()),
        _ => None,
    }
}

fn is_up(status: &StatusView) -> bool {
    status.relays.iter().any(|relay| relay.up)
}

/// Shows a command that stays, and makes it ready.
fn background(
    stage: &mut Stage<'_>,
    which: impl FnOnce(&Siblings) -> Rc<Program>,
    who: Who,
    arguments: &[&str],
) -> Result<Command, Fault> {
    let program = which(&stage.siblings);
    let mut command = stage.command(&program, who);
    command.args(arguments);
    stage.tale.command(who.name(), &format!("{} {} &", program.name, arguments.join(" ")))?;
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_relays_address_is_read_from_its_log() {
        let log = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(address(log.path()), None);
        let said = r#"{"level":"INFO","fields":{"message":"the relay serves","listen":"127.0.0.1:7","pin":"SHA256:x"}}"#;
        std::fs::write(log.path(), format!("not json\n{said}\n")).unwrap();
        assert_eq!(address(log.path()).as_deref(), Some("127.0.0.1:7#SHA256:x"));
    }
}
