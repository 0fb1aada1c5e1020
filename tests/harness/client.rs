//! A recipient at the command line.

use std::path::PathBuf;
use std::process::Command;

use crate::account::Account;
use crate::background::{Background, as_user};
use crate::installed::program;
use crate::owner::{Said, Share};
use crate::world::{World, must};

/// Somebody who runs `openscope-reflect-client`, with a home and a key of their own.
pub struct Vendor<'w> {
    world: &'w World,
    account: &'w Account,
}

impl<'w> Vendor<'w> {
    pub fn new(world: &'w World, account: &'w Account) -> Self {
        let vendor = Self { world, account };
        if !vendor.identity().exists() {
            let mut keygen = vendor.bare();
            keygen.args(["keygen", "--out"]).arg(vendor.identity());
            must(keygen);
        }
        vendor
    }

    /// Where this world keeps the recipient's things.
    pub fn home(&self) -> PathBuf {
        let name =
            if self.account.name == self.world.accounts.vendor.name { "vendor" } else { "mallory" };
        self.world.home.join(name)
    }

    fn identity(&self) -> PathBuf {
        self.home().join("identity.txt")
    }

    /// The recipient's identity file.
    pub fn identity_text(&self) -> String {
        std::fs::read_to_string(self.identity()).expect("read the identity file")
    }

    /// The recipient's public key.
    pub fn public_key(&self) -> String {
        let text = self.identity_text();
        let line = text.lines().find_map(|line| line.split("public key: ").nth(1));
        line.expect("the file names its public key").trim().to_owned()
    }

    /// `openscope-reflect-client`, without arguments.
    pub fn bare(&self) -> Command {
        let mut command = Command::new(program("openscope-reflect-client"));
        as_user(&mut command, self.account);
        let home = self.home();
        command.env("HOME", &home).env("XDG_CONFIG_HOME", home.join("config"));
        command.env("XDG_STATE_HOME", home.join("state")).env("XDG_RUNTIME_DIR", &home);
        command
    }

    /// The client with this share's handle, pin and key.
    pub fn command(&self, share: &Share, arguments: &[&str]) -> Command {
        let mut command = self.bare();
        command.args(["--passport", &share.handle, "--fingerprint", &share.fingerprint]);
        match &share.second {
            None => drop(command.arg("--identity").arg(self.identity())),
            Some(second) => {
                let file = self.home().join("second.txt");
                std::fs::write(&file, second).expect("write the second value");
                std::os::unix::fs::chown(&file, Some(self.account.uid), None)
                    .expect("give it away");
                command.arg("--secret-file").arg(file);
            }
        }
        command.args(arguments);
        command
    }

    /// Runs the client to its end.
    pub fn run(&self, share: &Share, arguments: &[&str]) -> Said {
        self.command(share, arguments).output().expect("run the client").into()
    }

    /// Runs `call …` to its end.
    pub fn call(&self, share: &Share, call: &[&str]) -> Said {
        let arguments: Vec<&str> = std::iter::once("call").chain(call.iter().copied()).collect();
        self.run(share, &arguments)
    }

    /// Starts `call …` and leaves it running.
    pub fn start(&self, share: &Share, call: &[&str]) -> Background {
        let arguments: Vec<&str> = std::iter::once("call").chain(call.iter().copied()).collect();
        Background::start(self.command(share, &arguments))
    }
}
