//! The peer: an sshd of our own, with a key, a port and a configuration that nobody else uses.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::account::Account;
use tests::background::{Background, as_user};
use tests::world::must;

/// A running sshd that lets one user in by one key.
pub struct Sshd<'a> {
    _server: Background,
    home: PathBuf,
    port: u16,
    owner: &'a Account,
    recipient: &'a Account,
}

impl<'a> Sshd<'a> {
    /// Starts it: `recipient` may log in as `owner`.
    ///
    /// # Panics
    /// When there is no sshd.
    pub fn start(scratch: &Path, owner: &'a Account, recipient: &'a Account) -> Self {
        let home = scratch.join("ssh");
        fs::create_dir(&home).expect("make its directory");
        open_to_all(&home);
        let port = free_port();
        make_keys(&home, port, recipient);
        unlock(owner);
        // Where its unprivileged half lives; systems that start it have made this.
        fs::create_dir_all("/run/sshd").expect("make the directory that sshd asks for");
        fs::write(home.join("config"), configuration(&home, port, owner))
            .expect("write its configuration");
        let mut command = Command::new("/usr/sbin/sshd");
        command.arg("-D").arg("-e").arg("-f").arg(home.join("config"));
        let server = Background::start(command);
        server.stderr.line_with("listening");
        Self { _server: server, home, port, owner, recipient }
    }

    /// `ssh`, as the recipient, cold.
    pub fn client(&self, remote: &str) -> Command {
        let mut command = Command::new("ssh");
        as_user(&mut command, self.recipient);
        command
            .args(["-F", "none", "-p", &self.port.to_string(), "-i"])
            .arg(self.home.join("user"));
        for option in [
            "IdentitiesOnly=yes",
            "IdentityAgent=none",
            "BatchMode=yes",
            "GlobalKnownHostsFile=none",
        ] {
            command.args(["-o", option]);
        }
        command.arg("-o").arg(format!("UserKnownHostsFile={}", self.home.join("known").display()));
        command.arg(format!("{}@127.0.0.1", self.owner.name)).arg(remote);
        command
    }
}

fn configuration(home: &Path, port: u16, owner: &Account) -> String {
    let home = home.display();
    format!(
        "ListenAddress 127.0.0.1:{port}\nHostKey {home}/host\nAuthorizedKeysFile {home}/user.pub\n\
         PidFile none\nStrictModes no\nUsePAM no\nUseDNS no\nPrintMotd no\nPrintLastLog no\n\
         PasswordAuthentication no\nKbdInteractiveAuthentication no\nAllowUsers {}\n",
        owner.name
    )
}

fn make_keys(home: &Path, port: u16, recipient: &Account) {
    for name in ["host", "user"] {
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"]).arg(home.join(name));
        must(keygen);
    }
    let private = home.join("user");
    chown(&private, Some(recipient.uid), Some(recipient.gid)).expect("give the key away");
    let host = fs::read_to_string(home.join("host.pub")).expect("read the host key");
    let known = home.join("known");
    fs::write(&known, format!("[127.0.0.1]:{port} {host}")).expect("write the known host");
    for path in [home.join("user.pub"), known] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).expect("open it for all");
    }
}

/// Without PAM, sshd refuses accounts that `useradd` has left locked; no password is as good.
fn unlock(account: &Account) {
    let mut usermod = Command::new("usermod");
    usermod.args(["-p", "*", &account.name]);
    must(usermod);
}

/// A port that was free a moment ago: sshd cannot be asked for any.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind a port");
    listener.local_addr().expect("it has an address").port()
}

fn open_to_all(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("open it for all");
}
