//! `openscope share list`.

use serde_json::json;
use wire::control::{Reply, Request, ShareView};

use super::view;
use crate::cli::fault::Fault;
use crate::cli::output::{Format, Output};
use crate::cli::socket::Daemon;
use crate::cli::table::table;
use crate::cli::{shown, when};
use crate::exit::Exit;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct List {
    /// Everybody's shares (admins)
    #[arg(long)]
    all: bool,
}

impl List {
    pub(super) fn run(&self, daemon: &Daemon, out: &mut Output) -> Result<Exit, Fault> {
        let Reply::Shares(shares) = daemon.ask(&Request::List { all: self.all })? else {
            return Err(Fault::unfitting());
        };
        if out.format() == Format::Json {
            let shares: Vec<_> = shares.iter().map(view::json).collect();
            out.json(&json!({ "schema": "openscope.share.list/1", "shares": shares }))?;
        } else if shares.is_empty() {
            out.aside("no live shares");
        } else {
            out.data(&self.text(&shares))?;
            shares.iter().filter_map(view::warning).for_each(|warning| out.once(&warning));
        }
        Ok(Exit::Done)
    }

    fn text(&self, shares: &[ShareView]) -> String {
        if self.all {
            let rows: Vec<_> = shares.iter().map(|share| with_owner(share, row(share))).collect();
            table(["ID", "OWNER", "ENDS", "TO", "CALLS", "RUNNING", "MAY"], &rows)
        } else {
            let rows: Vec<_> = shares.iter().map(row).collect();
            table(["ID", "ENDS", "TO", "CALLS", "RUNNING", "MAY"], &rows)
        }
    }
}

fn row(share: &ShareView) -> [String; 6] {
    [
        share.id.to_string(),
        when::ahead(share.deadline, share.now),
        view::recipients(share),
        share.calls.to_string(),
        share.running.len().to_string(),
        view::verbs(share).iter().map(|verb| shown::line(verb)).collect::<Vec<_>>().join(" "),
    ]
}

fn with_owner(share: &ShareView, row: [String; 6]) -> [String; 7] {
    let [id, rest @ ..] = row;
    let owner = format!("{}/{}", shown::line(&share.user), share.agent);
    let [ends, to, calls, running, may] = rest;
    [id, owner, ends, to, calls, running, may]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::tests::heard;
    use crate::cli::socket::tests::daemon;

    fn listed(all: bool, shares: Vec<ShareView>, format: Format) -> (String, String, Request) {
        let (daemon, asked, _home) = daemon(Reply::Shares(shares));
        let (mut out, data, aside) = heard(format, false);
        assert_eq!(List { all }.run(&daemon, &mut out).unwrap(), Exit::Done);
        (data.text(), aside.text(), asked.join().unwrap())
    }

    #[test]
    fn nothing_to_list_is_said_beside_the_data() {
        let (data, aside, asked) = listed(false, Vec::new(), Format::Text);
        assert_eq!((data.as_str(), aside.as_str()), ("", "no live shares\n"));
        assert_eq!(asked, Request::List { all: false });
    }

    #[test]
    fn a_share_is_a_line_under_aligned_headings() {
        let (data, _, _) = listed(false, vec![view::tests::share()], Format::Text);
        let expected = "\
ID                    ENDS       TO        CALLS  RUNNING  MAY
osp_0123456789abcdef  in 12 min  vendor-b  3      0        ssh.tail_logs:service=web
";
        assert_eq!(data, expected);
    }

    #[test]
    fn everybodys_shares_name_their_owners() {
        let (data, _, asked) = listed(true, vec![view::tests::share()], Format::Text);
        assert!(data.contains("alice/you"), "{data}");
        assert_eq!(asked, Request::List { all: true });
    }

    #[test]
    fn the_document_has_a_versioned_schema_also_when_it_is_empty() {
        let (data, _, _) = listed(false, Vec::new(), Format::Json);
        assert_eq!(data, "{\"schema\":\"openscope.share.list/1\",\"shares\":[]}\n");
    }
}
