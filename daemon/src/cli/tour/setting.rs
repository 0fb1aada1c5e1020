//! What an administrator would set up: a relay, its token for the daemon, the daemon.

use std::process::Stdio;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{ChildStdout, Command};
use tokio::time::timeout;
use wire::control::{Reply, Request, StatusView};

use super::stage::{Stage, Who, clean};
use crate::cli::fault::Fault;
use crate::cli::socket::Daemon;

/// How long the relay may take to say where it listens.
const RELAY: Duration = Duration::from_secs(10);

/// Starts the relay, the daemon and a small service, and waits until the daemon has reached the relay.
pub(super) async fn raise(stage: &mut Stage<'_>) -> Result<(), Fault> {
    for service in ["web", "db"] {
        serve(stage, service)?;
    }
    let address = relay(stage).await?;
    token(stage, &address).await?;
    daemon(stage).await?;
    stage.run(Who::Owner, &["status"], 0).await?;
    stage.run(Who::Owner, &["capabilities"], 0).await.map(drop)
}

/// A service with its supervisor, so that there is something to restart and a log to follow.
fn serve(stage: &mut Stage<'_>, service: &str) -> Result<(), Fault> {
    let mut command = clean("/bin/sh".as_ref());
    command.arg(stage.home.at("bin/supervise.sh")).arg(stage.home.path()).arg(service);
    stage.stay(service, command, Stdio::null()).map(drop)
}

/// Starts the relay on a port that the kernel picks; its address, with the pin of its certificate.
async fn relay(stage: &mut Stage<'_>) -> Result<String, Fault> {
    stage.run_other(|siblings| &siblings.relay, &["keygen", "--out", "relay"]).await?;
    let operator = stage.home.at("owner/relay/operator.pub");
    let operator = std::fs::read_to_string(&operator).unwrap_or_default();
    let config = format!("listen = \"127.0.0.1:0\"\noperators = [\"{}\"]\n", operator.trim());
    stage.home.write("owner/relay.toml", &config)?;
    let command = background(stage, "openscope-relay", &["--config", "relay.toml"])?;
    let child = stage.stay("openscope-relay", command, Stdio::piped())?;
    let stdout = child.stdout.take().map(BufReader::new);
    let address = said(stdout).await?;
    stage.tale.output(&address)?;
    stage.tale.say("")?;
    Ok(address)
}

/// The first line that the relay says.
async fn said(stdout: Option<BufReader<ChildStdout>>) -> Result<String, Fault> {
    let mut line = String::new();
    if let Some(mut stdout) = stdout {
        // What it did not say, or not in time, is an empty line.
        let _ = timeout(RELAY, stdout.read_line(&mut line)).await;
    }
    match line.trim() {
        "" => Err(Fault::failed("the relay did not say where it listens")),
        address => Ok(address.to_owned()),
    }
}

/// The relay's operator lets this daemon in: a token, bound to the key of the daemon's leg.
async fn token(stage: &mut Stage<'_>, address: &str) -> Result<(), Fault> {
    let home = stage.home.path().display().to_string();
    let config = format!(
        "name = \"tour\"\nmode = \"rootless\"\nstate = \"{home}/state\"\nsocket = \"{home}/run/openscope.sock\"\n\n\
         [[relay]]\naddress = \"{address}\"\ntoken_file = \"{home}/config/relay.token\"\n"
    );
    stage.home.write("config/openscoped.toml", &config)?;
    let config = format!("{home}/config/openscoped.toml");
    let key =
        stage.run_other(|siblings| &siblings.daemon, &["--config", &config, "--leg-key"]).await?;
    let mint = [
        "token",
        "mint",
        "--operator-key",
        "relay/operator.key",
        "--leg-key",
        key.trim(),
        "--ttl",
        "1h",
    ];
    let token = stage.run_other(|siblings| &siblings.relay, &mint).await?;
    stage.home.write("config/relay.token", &token)
}

async fn daemon(stage: &mut Stage<'_>) -> Result<(), Fault> {
    let config = stage.home.at("config/openscoped.toml").display().to_string();
    let mut command = background(stage, "openscoped", &["--rootless", "--config", &config])?;
    let siblings = Rc::clone(&stage.siblings);
    command.arg("--runner-fd").arg(siblings.runner.number().to_string());
    let inherited = siblings.runner.inherited()?;
    let started = stage.stay("openscoped", command, Stdio::null()).map(drop);
    drop(inherited);
    started?;
    stage.tale.say("")?;
    let socket = stage.home.at("run/openscope.sock");
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
fn background(stage: &mut Stage<'_>, name: &str, arguments: &[&str]) -> Result<Command, Fault> {
    let siblings = &stage.siblings;
    let program =
        [&siblings.relay, &siblings.daemon].into_iter().find(|program| program.name == name);
    let program = program.ok_or_else(|| Fault::failed(format!("`{name}` is no sibling")))?;
    let mut command = stage.command(program, Who::Owner);
    command.args(arguments);
    stage.tale.command(Who::Owner.name(), &format!("{name} {} &", arguments.join(" ")))?;
    Ok(command)
}
