//! The story itself, from an empty directory to a verified record.

use policy::ShareId;

use super::account::Account;
use super::setting;
use super::stage::{Stage, Who};
use crate::cli::fault::Fault;

const SCOPE: [&str; 6] = [
    "disk.usage",
    "log.tail:lines<=20",
    "log.follow:service=web",
    "service.restart:service=web",
    "page.ask:name=vendor",
    "report.get",
];

/// A share of the tour, as its recipient knows it.
pub(super) struct Opened {
    id: String,
    fingerprint: String,
}

impl Opened {
    /// What the recipient gives the client with every command.
    pub(super) fn passport(&self) -> [&str; 4] {
        ["--passport", "@handle", "--fingerprint", &self.fingerprint]
    }
}

/// Tells all of it. Each command is really run; one that ends otherwise than it should ends the tour.
pub(super) async fn tell(stage: &mut Stage<'_>, account: &Account) -> Result<(), Fault> {
    introduce(stage, account)?;
    stage.tale.chapter("1  A relay, and a daemon that dials out to it").await?;
    setting::raise(stage).await?;
    stage.tale.chapter("2  The recipient has a key, the owner has a name for it").await?;
    befriend(stage).await?;
    stage
        .tale
        .chapter("3  The owner shares six verbs, four of them pinned, for five minutes")
        .await?;
    let share = open(stage, "5m").await?;
    stage
        .tale
        .chapter("4  The vendor sees these verbs and calls them; they run here, as you")
        .await?;
    call(stage, &share).await?;
    stage.tale.chapter("5  Not only programs: a web service is asked, and a file fetched").await?;
    reach(stage, &share).await?;
    stage.tale.chapter("6  Everything else is refused").await?;
    be_refused(stage, &share).await?;
    stage
        .tale
        .chapter("7  The vendor follows a log; the owner revokes in the middle of it")
        .await?;
    revoke(stage, &share).await?;
    stage.tale.chapter("8  All of it is on record, and the record proves itself").await?;
    verify(stage).await
}

fn introduce(stage: &mut Stage<'_>, account: &Account) -> Result<(), Fault> {
    if let Account::Became(name) = account {
        stage.tale.say(&format!("Started by root: from here on everything runs as `{name}`."))?;
    }
    let home = stage.home.path().display().to_string();
    stage.tale.say(&format!(
        "OpenScope, all on this machine. What you see is typed and answered now, by the real programs.\n\
         Everything lies in {home} and goes when this ends. Ctrl+C ends it at any time.\n"
    ))
}

async fn befriend(stage: &mut Stage<'_>) -> Result<(), Fault> {
    let said = stage.run(Who::Vendor, &["keygen"], 0).await?;
    let key = word(&said, "age1")?;
    stage.run(Who::Owner, &["contact", "add", "vendor", &key], 0).await.map(drop)
}

/// Opens a share, and lets the vendor have the handle.
pub(super) async fn open(stage: &mut Stage<'_>, ttl: &str) -> Result<Opened, Fault> {
    let mut arguments = vec!["share", "open"];
    for verb in SCOPE {
        arguments.extend(["--verb", verb]);
    }
    arguments.extend(["--to", "vendor", "--ttl", ttl]);
    let said = stage.run(Who::Owner, &arguments, 0).await?;
    stage.home.write("vendor/handle", &word(&said, "osp1_")?)?;
    stage
        .tale
        .say("The message goes to the vendor, who keeps the handle in a file named `handle`.\n")?;
    Ok(Opened { id: share_id(&said)?, fingerprint: word(&said, "SHA256:")? })
}

async fn call(stage: &mut Stage<'_>, share: &Opened) -> Result<(), Fault> {
    vendor(stage, share, &["list"], 0).await?;
    vendor(stage, share, &["call", "disk.usage"], 0).await?;
    vendor(stage, share, &["call", "log.tail", "lines=4"], 0).await?;
    vendor(stage, share, &["call", "service.restart", "service=web"], 0).await
}

async fn reach(stage: &mut Stage<'_>, share: &Opened) -> Result<(), Fault> {
    vendor(stage, share, &["call", "page.ask", "name=vendor"], 0).await?;
    vendor(stage, share, &["get", "report.get", "--output", "may.csv"], 0).await
}

async fn be_refused(stage: &mut Stage<'_>, share: &Opened) -> Result<(), Fault> {
    stage.tale.say("A verb that the owner holds and has not shared, and one that does not exist: the same answer.")?;
    vendor(stage, share, &["call", "--unlisted", "host.uptime"], REFUSED).await?;
    vendor(stage, share, &["call", "--unlisted", "host.shell"], REFUSED).await?;
    stage.tale.say("A value outside its pin:")?;
    vendor(stage, share, &["call", "service.restart", "service=db"], REFUSED).await?;
    vendor(stage, share, &["call", "log.tail", "lines=100"], REFUSED).await
}

async fn revoke(stage: &mut Stage<'_>, share: &Opened) -> Result<(), Fault> {
    let arguments = [&share.passport()[..], &["call", "log.follow", "service=web"]].concat();
    let mut follow = stage.start(Who::Vendor, &arguments)?;
    stage.lines(&mut follow, 4).await?;
    stage.tale.say("\nIt would go on. Meanwhile:\n")?;
    stage.run(Who::Owner, &["share", "revoke", &share.id, "--reason", "that is enough"], 0).await?;
    stage.tale.say("The rest of what the vendor's call said:")?;
    stage.finish(&mut follow, GONE).await?;
    stage.run(Who::Owner, &["share", "list"], 0).await.map(drop)
}

async fn verify(stage: &mut Stage<'_>) -> Result<(), Fault> {
    stage.run(Who::Owner, &["audit", "tail", "-n", "6"], 0).await?;
    stage.run(Who::Owner, &["audit", "verify"], 0).await.map(drop)
}

const REFUSED: i32 = 126;
const GONE: i32 = 255;

async fn vendor(
    stage: &mut Stage<'_>,
    share: &Opened,
    arguments: &[&str],
    expected: i32,
) -> Result<(), Fault> {
    let arguments = [&share.passport()[..], arguments].concat();
    stage.run(Who::Vendor, &arguments, expected).await.map(drop)
}

/// The first word that begins so.
fn word(said: &str, start: &str) -> Result<String, Fault> {
    let found = said.split_whitespace().find(|word| word.starts_with(start));
    found
        .map(str::to_owned)
        .ok_or_else(|| Fault::failed(format!("nothing that begins with `{start}` was said")))
}

fn share_id(said: &str) -> Result<String, Fault> {
    let found = said.split_whitespace().find(|word| word.parse::<ShareId>().is_ok());
    found.map(str::to_owned).ok_or_else(|| Fault::failed("no share's id was said"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_command_said_is_read_as_a_person_would_read_it() {
        let said =
            "osp_0123456789abcdef is open:\n\nclient --passport osp1_abc --fingerprint SHA256:x\n";
        assert_eq!(share_id(said).unwrap(), "osp_0123456789abcdef");
        assert_eq!(word(said, "osp1_").unwrap(), "osp1_abc");
        assert_eq!(word(said, "SHA256:").unwrap(), "SHA256:x");
        assert!(word(said, "age1").is_err());
    }
}
