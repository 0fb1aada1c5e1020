//! `openscope contact`: the recipients that an owner can share with.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use clap::Subcommand;
use policy::Alias;
use serde_json::json;
use wire::control::{ContactView, Reply, Request};
use wire::handle::RecipientKey;

use super::HELP;
use super::fault::Fault;
use super::output::{Format, Output};
use super::shown;
use super::socket::Daemon;
use super::table::table;
use crate::exit::Exit;

/// An ssh-rsa key of 16,384 bits, with room for a comment.
const LONGEST_KEY_FILE: u64 = 8 * 1024;

const EXAMPLES: &str = "\
Examples:
  openscope contact add vendor-b @vendor.pub
  openscope contact add vendor-b age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p
  openscope contact add vendor-b ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA… someone@vendor --replace
";

#[derive(Debug, Subcommand)]
pub(super) enum Contact {
    /// Remember a recipient's public key under a name of yours
    #[command(help_template = HELP, before_help = EXAMPLES)]
    Add(Add),
    /// The recipients that you can name with `--to`
    #[command(help_template = HELP)]
    List,
    /// Forget a recipient of yours; what they run ends, and their seats are of no more use
    #[command(help_template = HELP)]
    Remove {
        /// Which
        alias: Alias,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct Add {
    /// The name that you give them
    alias: Alias,
    /// Their age or ssh public key, or @FILE that holds it
    #[arg(required = true, num_args = 1.., value_name = "KEY|@FILE")]
    key: Vec<String>,
    /// Replace the key that you have for this name; compare fingerprints with them first
    #[arg(long)]
    replace: bool,
}

impl Contact {
    pub(super) fn run(self, daemon: &Daemon, out: &mut Output) -> Result<Exit, Fault> {
        match self {
            Self::Add(add) => add.run(daemon, out),
            Self::List => list(daemon, out),
            Self::Remove { alias } => {
                done(daemon, &Request::ContactRemove { alias: own(&alias)? }, out)
            }
        }
    }
}

impl Add {
    fn run(self, daemon: &Daemon, out: &mut Output) -> Result<Exit, Fault> {
        let key = key(&self.key.join(" "))?;
        let question = Request::ContactAdd {
            alias: own(&self.alias)?,
            key: key.to_string(),
            replace: self.replace,
        };
        done(daemon, &question, out)
    }
}

/// An owner's alias is sent without its `own/`.
fn own(alias: &Alias) -> Result<Alias, Fault> {
    let bare = alias.as_str().strip_prefix("own/").unwrap_or(alias.as_str());
    bare.parse().map_err(|fault: policy::NameFault| Fault::usage(fault.to_string()))
}

fn key(given: &str) -> Result<RecipientKey, Fault> {
    let text = match given.strip_prefix('@') {
        Some(path) => from_file(Path::new(path))?,
        None => given.to_owned(),
    };
    // A private key must not reach the daemon, its log or another screen because of a mistaken file name.
    if text.contains("AGE-SECRET-KEY") || text.contains("PRIVATE KEY") {
        return Err(Fault::usage("that is a private key")
            .hint("give the public one: age1… or ssh-ed25519 …"));
    }
    let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    let parsed = line.unwrap_or_default().parse::<RecipientKey>();
    parsed.map_err(|fault| Fault::usage(shown::lines(&fault.to_string())))
}

fn from_file(path: &Path) -> Result<String, Fault> {
    let mut text = String::new();
    let read =
        File::open(path).and_then(|file| file.take(LONGEST_KEY_FILE + 1).read_to_string(&mut text));
    let length = read
        .map_err(|error| Fault::usage(format!("`{}` cannot be read: {error}", path.display())))?;
    if u64::try_from(length).is_ok_and(|length| length > LONGEST_KEY_FILE) {
        let message = format!("`{}` is longer than any public key", path.display());
        return Err(Fault::usage(message));
    }
    Ok(text)
}

fn done(daemon: &Daemon, question: &Request, out: &mut Output) -> Result<Exit, Fault> {
    let Reply::Done(sentence) = daemon.ask(question)? else { return Err(Fault::unfitting()) };
    match out.format() {
        Format::Json => out.json(&json!({ "schema": "openscope.done/1", "message": sentence }))?,
        Format::Text => out.data(&shown::lines(&sentence))?,
    }
    Ok(Exit::Done)
}

fn list(daemon: &Daemon, out: &mut Output) -> Result<Exit, Fault> {
    let Reply::Contacts(contacts) = daemon.ask(&Request::ContactList)? else {
        return Err(Fault::unfitting());
    };
    if out.format() == Format::Json {
        let contacts: Vec<_> = contacts.iter().map(contact_json).collect();
        out.json(&json!({ "schema": "openscope.contact.list/1", "contacts": contacts }))?;
    } else if contacts.is_empty() {
        out.aside("no contacts: add one with `openscope contact add ALIAS KEY`");
    } else {
        let rows: Vec<_> = contacts.iter().map(row).collect();
        out.data(&table(["ALIAS", "FINGERPRINT", "KEY"], &rows))?;
    }
    Ok(Exit::Done)
}

fn contact_json(contact: &ContactView) -> serde_json::Value {
    json!({
        "alias": contact.alias.to_string(),
        "fingerprint": contact.fingerprint,
        "key": contact.key,
    })
}

fn row(contact: &ContactView) -> [String; 3] {
    [contact.alias.to_string(), shown::line(&contact.fingerprint), shown::line(&contact.key)]
}

#[cfg(test)]
mod tests {
    use super::super::output::tests::heard;
    use super::super::socket::tests::daemon;
    use super::*;

    const KEY: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

    fn file(text: &str) -> (String, tempfile::NamedTempFile) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        (format!("@{}", file.path().display()), file)
    }

    #[test]
    fn a_key_is_given_or_read_from_a_file_past_its_comments() {
        assert_eq!(key(KEY).unwrap().to_string(), KEY);
        let (name, _file) = file(&format!("# vendor's\n\n{KEY}\n"));
        assert_eq!(key(&name).unwrap().to_string(), KEY);
    }

    #[test]
    fn a_private_key_is_not_sent_anywhere() {
        let (name, _file) = file(&format!("# public key: {KEY}\nAGE-SECRET-KEY-1QQQ\n"));
        for private in [name.as_str(), "AGE-SECRET-KEY-1QQQ", "-----BEGIN OPENSSH PRIVATE KEY-----"]
        {
            let fault = key(private).unwrap_err();
            assert!(
                fault.message().contains("private key") && !fault.message().contains("QQQ"),
                "{fault:?}"
            );
        }
    }

    #[test]
    fn what_is_no_key_or_no_file_is_refused_before_anything_is_sent() {
        for bad in ["", "age1nonsense", "@/nonexistent/key"] {
            assert_eq!(key(bad).unwrap_err().exit(), Exit::Usage, "{bad}");
        }
    }

    #[test]
    fn a_key_file_has_at_most_8_kib() {
        let padded = |length: usize| format!("{KEY}\n#{}", "x".repeat(length - KEY.len() - 2));
        for (length, fits) in [(8191, true), (8192, true), (8193, false)] {
            let (name, _file) = file(&padded(length));
            assert_eq!(key(&name).is_ok(), fits, "{length}");
        }
    }

    #[test]
    fn an_alias_is_sent_without_its_own_prefix() {
        assert_eq!(own(&"own/vendor".parse().unwrap()).unwrap().as_str(), "vendor");
        assert_eq!(own(&"vendor".parse().unwrap()).unwrap().as_str(), "vendor");
    }

    #[test]
    fn contacts_are_listed_with_the_fingerprint_that_a_person_compares() {
        let contact = ContactView {
            alias: "own/vendor".parse().unwrap(),
            fingerprint: "SHA256:abc".to_owned(),
            key: KEY.to_owned(),
        };
        let (daemon, asked, _home) = daemon(Reply::Contacts(vec![contact]));
        let (mut out, data, _) = heard(Format::Text, false);
        list(&daemon, &mut out).unwrap();
        asked.join().unwrap();
        assert!(
            data.text().contains(&format!("own/vendor  SHA256:abc   {KEY}")),
            "{}",
            data.text()
        );
    }
}
