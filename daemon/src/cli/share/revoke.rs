//! `openscope share revoke`.

use std::io::{self, BufRead as _, IsTerminal as _};

use policy::{Alias, ShareId};
use serde_json::{Value, json};
use wire::control::{Reply, Request, RevokedShare, Told, Which};

use crate::cli::fault::Fault;
use crate::cli::output::{Format, Output};
use crate::cli::shown;
use crate::cli::socket::Daemon;
use crate::exit::Exit;

pub(super) const EXAMPLES: &str = "\
Examples:
  openscope share revoke osp_0123456789abcdef
  openscope share revoke --to vendor-b --reason 'wrong vendor' --yes
  openscope share revoke --all --yes
";

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("which").required(true))]
pub(in crate::cli) struct Revoke {
    /// This share: osp_…
    #[arg(value_name = "ID", group = "which")]
    id: Option<ShareId>,
    /// All of your shares
    #[arg(long, group = "which")]
    all: bool,
    /// Every share of yours that has a seat for this contact
    #[arg(long, value_name = "ALIAS", group = "which")]
    to: Option<Alias>,
    /// Shown to the recipient and kept in the record
    #[arg(long)]
    reason: Option<String>,
    /// Do not ask before ending several shares
    #[arg(long, short)]
    yes: bool,
}

impl Revoke {
    pub(super) fn run(self, daemon: &Daemon, out: &mut Output) -> Result<Exit, Fault> {
        let which = self.which()?;
        if !self.yes && !confirmed(&which, daemon, out)? {
            return Err(Fault::failed("nothing was revoked").hint("answer `y`, or give `--yes`"));
        }
        let question = Request::Revoke { which, reason: self.reason };
        let Reply::Revoked(ended) = daemon.ask(&question)? else { return Err(Fault::unfitting()) };
        told(&ended, out)
    }

    fn which(&self) -> Result<Which, Fault> {
        match (self.id, self.all, &self.to) {
            (Some(id), _, _) => Ok(Which::Share(id)),
            (None, true, _) => Ok(Which::All),
            (None, false, Some(alias)) => Ok(Which::To(alias.clone())),
            (None, false, None) => {
                Err(Fault::usage("say which: a share's ID, `--to ALIAS` or `--all`"))
            }
        }
    }
}

/// One share is what its ID says; several are asked about.
fn confirmed(which: &Which, daemon: &Daemon, out: &mut Output) -> Result<bool, Fault> {
    let wanted = |seats: &[wire::control::SeatView]| match which {
        Which::To(alias) => seats.iter().any(|seat| seat.alias.as_ref() == Some(alias)),
        Which::All | Which::Share(_) => true,
    };
    if matches!(which, Which::Share(_)) {
        return Ok(true);
    }
    if !io::stdin().is_terminal() {
        return Err(Fault::usage("this may end several shares")
            .hint("give `--yes` where nobody can be asked"));
    }
    let Reply::Shares(shares) = daemon.ask(&Request::List { all: false })? else {
        return Err(Fault::unfitting());
    };
    let ids: Vec<_> =
        shares.iter().filter(|s| wanted(&s.seats)).map(|s| s.id.to_string()).collect();
    if ids.is_empty() {
        return Ok(true);
    }
    out.once(&format!("This ends {}. Go on? [y/N]", ids.join(", ")));
    let mut answer = String::new();
    // An answer that cannot be read is a no.
    let _ = io::stdin().lock().read_line(&mut answer);
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Says how it went.
pub(super) fn told(ended: &[RevokedShare], out: &mut Output) -> Result<Exit, Fault> {
    report(ended, out)?;
    verdict(ended)
}

fn report(ended: &[RevokedShare], out: &mut Output) -> Result<(), Fault> {
    if out.format() == Format::Json {
        let shares: Vec<_> = ended.iter().map(share_json).collect();
        return out.json(&json!({ "schema": "openscope.share.revoke/1", "revoked": shares }));
    }
    if ended.is_empty() {
        out.aside("no live shares to revoke");
    }
    ended.iter().try_for_each(|share| out.data(&text(share)))
}

pub(super) fn share_json(share: &RevokedShare) -> Value {
    json!({
        "id": share.id.to_string(),
        "told": told_name(share.told),
        "ended_calls": share.ended_calls,
        "alive": share.alive,
        "beyond": share.beyond,
    })
}

fn told_name(told: Told) -> &'static str {
    match told {
        Told::Acknowledged => "acknowledged",
        Told::TimedOut => "timed_out",
        Told::NoChannel => "no_channel",
    }
}

fn text(share: &RevokedShare) -> String {
    format!("{} revoked: {}", share.id, how(share))
}

/// Which calls it ended, and whether the recipient knows.
pub(super) fn how(share: &RevokedShare) -> String {
    let told = match share.told {
        Told::Acknowledged => "the recipient has acknowledged it",
        Told::TimedOut => "the recipient was told and had not acknowledged it after 300 ms",
        Told::NoChannel => "no recipient was connected",
    };
    let calls = match share.ended_calls {
        0 => "no call was running".to_owned(),
        1 => "1 running call ended".to_owned(),
        many => format!("{many} running calls ended"),
    };
    let beyond = share.beyond.iter().map(|what| {
        format!("\n   = goes on where nothing of here can end it: {}", shown::line(what))
    });
    format!("{calls}; {told}{}", beyond.collect::<String>())
}

/// A process that lives on is a revocation that failed.
pub(super) fn verdict(ended: &[RevokedShare]) -> Result<Exit, Fault> {
    let alive: Vec<_> = ended.iter().flat_map(|s| &s.alive).map(|name| shown::line(name)).collect();
    if alive.is_empty() {
        return Ok(Exit::Done);
    }
    let message = format!(
        "the shares are over, but these processes could not be ended: {}",
        alive.join(", ")
    );
    Err(Fault::failed(message).hint("no new call starts; end these processes by hand, as root"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::tests::heard;
    use crate::cli::socket::tests::daemon;

    const ID: &str = "osp_0123456789abcdef";

    fn ended(alive: &[&str]) -> RevokedShare {
        RevokedShare {
            beyond: Vec::new(),
            id: ID.parse().unwrap(),
            told: Told::Acknowledged,
            ended_calls: 1,
            alive: alive.iter().map(ToString::to_string).collect(),
        }
    }

    fn revoke() -> Revoke {
        Revoke { id: Some(ID.parse().unwrap()), all: false, to: None, reason: None, yes: false }
    }

    #[test]
    fn a_revocation_says_what_it_ended_and_whether_the_recipient_knows() {
        let (daemon, asked, _home) = daemon(Reply::Revoked(vec![ended(&[])]));
        let (mut out, data, _) = heard(Format::Text, false);
        let revoke = Revoke { reason: Some("done".to_owned()), ..revoke() };
        assert_eq!(revoke.run(&daemon, &mut out).unwrap(), Exit::Done);
        assert_eq!(
            data.text(),
            format!("{ID} revoked: 1 running call ended; the recipient has acknowledged it\n")
        );
        let expected = Request::Revoke {
            which: Which::Share(ID.parse().unwrap()),
            reason: Some("done".to_owned()),
        };
        assert_eq!(asked.join().unwrap(), expected);
    }

    #[test]
    fn p06_a_process_that_lives_on_is_a_failure_that_names_it() {
        let (daemon, asked, _home) = daemon(Reply::Revoked(vec![ended(&["4711 (tail\u{1b}[2J)"])]));
        let (mut out, data, _) = heard(Format::Json, false);
        let fault = revoke().run(&daemon, &mut out).unwrap_err();
        asked.join().unwrap();
        assert_eq!(fault.exit(), Exit::Failed);
        assert!(fault.message().contains("4711 (tail\\u{1b}[2J)"), "{fault:?}");
        assert!(data.text().contains("4711"), "{}", data.text());
    }

    #[test]
    fn all_with_yes_asks_nobody() {
        let (daemon, asked, _home) = daemon(Reply::Revoked(Vec::new()));
        let (mut out, data, aside) = heard(Format::Text, false);
        let revoke = Revoke { id: None, all: true, yes: true, ..revoke() };
        assert_eq!(revoke.run(&daemon, &mut out).unwrap(), Exit::Done);
        assert_eq!(
            (data.text().as_str(), aside.text().as_str()),
            ("", "no live shares to revoke\n")
        );
        assert_eq!(asked.join().unwrap(), Request::Revoke { which: Which::All, reason: None });
    }
}
