//! `openscope share kick`.

use policy::{Alias, ShareId};
use serde_json::json;
use wire::control::{Reply, Request};

use super::revoke;
use crate::cli::fault::Fault;
use crate::cli::output::{Format, Output};
use crate::cli::socket::Daemon;
use crate::exit::Exit;

pub(super) const EXAMPLES: &str = "\
Examples:
  openscope share kick osp_0123456789abcdef vendor-b
  openscope share kick osp_0123456789abcdef vendor-b --reason 'wrong colleague'
";

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Kick {
    /// Of which share: osp_…
    #[arg(value_name = "ID")]
    id: ShareId,
    /// Whose seat
    #[arg(value_name = "ALIAS")]
    alias: Alias,
    /// Shown to the recipient and kept in the record
    #[arg(long)]
    reason: Option<String>,
}

impl Kick {
    pub(super) fn run(self, daemon: &Daemon, out: &mut Output) -> Result<Exit, Fault> {
        let Self { id, alias, reason } = self;
        let reply = daemon.ask(&Request::Kick { share: id, alias: alias.clone(), reason })?;
        if let Reply::Revoked(ended) = &reply {
            // Nobody else was left in it.
            return revoke::told(ended, out);
        }
        let Reply::Kicked(ended) = reply else { return Err(Fault::unfitting()) };
        match out.format() {
            Format::Json => {
                let kicked = revoke::share_json(&ended);
                let schema = "openscope.share.kick/1";
                out.json(&json!({ "schema": schema, "to": alias, "kicked": kicked }))?;
            }
            Format::Text => {
                out.data(&format!("{alias} is out of {id}: {}", revoke::how(&ended)))?;
            }
        }
        revoke::verdict(std::slice::from_ref(&ended))
    }
}

#[cfg(test)]
mod tests {
    use wire::control::{RevokedShare, Told};

    use super::*;
    use crate::cli::output::tests::heard;
    use crate::cli::socket::tests::daemon;

    const ID: &str = "osp_0123456789abcdef";

    fn kick(format: Format, reply: fn(RevokedShare) -> Reply) -> (String, Request) {
        let (id, alive) = (ID.parse().unwrap(), Vec::new());
        let beyond = Vec::new();
        let ended = RevokedShare { id, told: Told::Acknowledged, ended_calls: 1, alive, beyond };
        let (daemon, asked, _home) = daemon(reply(ended));
        let (mut out, data, _) = heard(format, false);
        let (alias, reason) = ("vendor-b".parse().unwrap(), Some("done".to_owned()));
        assert_eq!(Kick { id, alias, reason }.run(&daemon, &mut out).unwrap(), Exit::Done);
        (data.text(), asked.join().unwrap())
    }

    #[test]
    fn a_kick_says_what_it_ended_and_whether_the_recipient_knows() {
        let (said, asked) = kick(Format::Text, Reply::Kicked);
        let how = "1 running call ended; the recipient has acknowledged it";
        assert_eq!(said, format!("vendor-b is out of {ID}: {how}\n"));
        let (share, alias) = (ID.parse().unwrap(), "vendor-b".parse().unwrap());
        assert_eq!(asked, Request::Kick { share, alias, reason: Some("done".to_owned()) });
        let (said, _) = kick(Format::Json, Reply::Kicked);
        assert!(said.contains("\"schema\":\"openscope.share.kick/1\""), "{said}");
        assert!(said.contains("\"to\":\"vendor-b\""), "{said}");
    }

    #[test]
    fn with_the_last_seat_the_share_is_over_and_that_is_said() {
        let (said, _) = kick(Format::Text, |ended| Reply::Revoked(vec![ended]));
        assert!(said.starts_with(&format!("{ID} revoked: ")), "{said}");
    }
}
