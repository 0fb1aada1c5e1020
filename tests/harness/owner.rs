//! An owner at the command line.

use std::process::{Command, Output};

use serde_json::Value;

use crate::account::Account;
use crate::background::as_user;
use crate::client::Vendor;
use crate::installed::program;
use crate::world::World;

/// Somebody who runs `openscope`.
pub struct Owner<'w> {
    world: &'w World,
    account: Option<&'w Account>,
}

/// A share that was opened, and what was given away.
#[derive(Clone, Debug)]
pub struct Share {
    pub id: String,
    pub handle: String,
    pub second: Option<String>,
    pub fingerprint: String,
    pub words: String,
    pub deadline: String,
}

/// What a command ended with.
#[derive(Clone, Debug)]
pub struct Said {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl<'w> Owner<'w> {
    pub fn new(world: &'w World, account: &'w Account) -> Self {
        Self { world, account: Some(account) }
    }

    pub fn root(world: &'w World) -> Self {
        Self { world, account: None }
    }

    /// `openscope …`, not yet started.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program("openscope"));
        command.args(arguments);
        match self.account {
            Some(account) => as_user(&mut command, account),
            None => drop(command.env_clear().env("PATH", "/usr/bin:/bin").current_dir("/")),
        }
        command.env("OPENSCOPE_SOCKET", self.world.socket());
        command
    }

    /// Runs `openscope …` to its end.
    pub fn run(&self, arguments: &[&str]) -> Said {
        self.command(arguments).output().expect("run openscope").into()
    }

    /// Runs `openscope … --json`; what it printed.
    pub fn json(&self, arguments: &[&str]) -> Result<Value, Said> {
        let with_json: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        let said = self.run(&with_json);
        match serde_json::from_str(&said.stdout) {
            Ok(value) if said.status == 0 => Ok(value),
            _ => Err(said),
        }
    }

    /// Remembers a recipient's key.
    pub fn add_contact(&self, alias: &str, vendor: &Vendor<'_>) {
        let said = self.run(&["contact", "add", alias, &vendor.public_key()]);
        assert_eq!(said.status, 0, "{said:?}");
    }

    /// `share open --agent you` with these verbs, not checked.
    pub fn try_open(&self, verbs: &[&str], more: &[&str]) -> Result<Share, Said> {
        self.try_open_all(verbs, more).map(|seats| seats.into_iter().next().expect("a seat"))
    }

    /// The same, each seat of it.
    pub fn try_open_all(&self, verbs: &[&str], more: &[&str]) -> Result<Vec<Share>, Said> {
        let mut arguments = vec!["share", "open", "--agent", "you"];
        for verb in verbs {
            arguments.extend(["--verb", verb]);
        }
        arguments.extend(more);
        let opened = self.json(&arguments)?;
        let seats = opened["recipients"].as_array().into_iter().flatten();
        Ok(seats.map(|seat| Share::from_json(&opened, seat)).collect())
    }

    /// Opens a share to the contact `vendor-b`.
    pub fn open(&self, verbs: &[&str]) -> Share {
        self.try_open(verbs, &["--to", "vendor-b"]).unwrap_or_else(|said| panic!("{said:?}"))
    }

    /// Revokes a share.
    pub fn revoke(&self, share: &Share) -> Said {
        self.run(&["share", "revoke", &share.id])
    }

    /// `share show --json`.
    pub fn show(&self, share: &Share) -> Value {
        self.json(&["share", "show", &share.id]).unwrap_or_else(|said| panic!("{said:?}"))
    }
}

impl Share {
    fn from_json(opened: &Value, seat: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let words = opened["words"].as_array().into_iter().flatten().map(text);
        Self {
            id: text(&opened["share"]["id"]),
            handle: text(&seat["handle"]),
            second: seat["second"].as_str().map(str::to_owned),
            fingerprint: text(&opened["fingerprint"]),
            words: words.collect::<Vec<_>>().join(" "),
            deadline: text(&opened["share"]["deadline"]),
        }
    }
}
