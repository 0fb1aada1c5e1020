//! An sshd of our own, with keys, a port and a configuration that nobody else uses.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::account::Account;
use crate::background::{Background, as_user};
use crate::installed::base;
use crate::world::must;

/// A running sshd that lets in one account by one key.
pub struct Sshd {
    server: Option<Background>,
    scratch: TempDir,
    port: u16,
    login: Account,
    /// Where programs are looked for before all else.
    programs: Option<PathBuf>,
    /// What else its configuration says.
    more: String,
}

impl Sshd {
    /// Starts it: whoever has its key logs in as `login`.
    ///
    /// # Panics
    /// When there is no sshd.
    pub fn start(login: &Account) -> Self {
        let scratch = TempDir::new_in(base()).expect("make its directory");
        open_to_all(scratch.path());
        make_key(scratch.path(), "host");
        make_key(scratch.path(), "user");
        unlock(login);
        // Where its unprivileged half lives; systems that start it have made this.
        fs::create_dir_all("/run/sshd").expect("make the directory that sshd asks for");
        let (server, programs, login) = (None, None, login.clone());
        let (port, more) = (free_port(), String::new());
        let mut sshd = Self { server, scratch, port, login, programs, more };
        sshd.serve();
        sshd
    }

    /// From here on its sessions find the programs of this directory first.
    pub fn prefer(&mut self, programs: &Path) {
        self.programs = Some(programs.to_owned());
        self.stop();
        self.serve();
    }

    /// From here on its sessions have no terminal.
    pub fn refuse_terminals(&mut self) {
        self.more = "PermitTTY no\n".to_owned();
        self.stop();
        self.serve();
    }

    /// Starts it, again, on its port.
    pub fn serve(&mut self) {
        fs::write(self.file("config"), self.configuration()).expect("write its configuration");
        let mut command = Command::new("/usr/sbin/sshd");
        command.arg("-D").arg("-e").arg("-f").arg(self.file("config"));
        let server = Background::start(command);
        server.stderr.line_with("listening");
        self.server = Some(server);
    }

    /// Ends it. Sessions that it has begun go on.
    pub fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.signal(rustix::process::Signal::KILL);
            server.wait();
        }
    }

    /// Ends the sessions that it has begun, as a host does that dies. It goes on.
    pub fn cut(&self) {
        let server = self.server.as_ref().expect("it runs").pid();
        let script = format!(
            "for one in $(pgrep -P {server}); do pkill -KILL -P $one; kill -KILL $one; done"
        );
        assert!(crate::account::run("sh", &["-c", &script]), "it has no session");
    }

    /// Shows another key from its next start on.
    pub fn change_host_key(&self) {
        for name in ["host", "host.pub"] {
            fs::remove_file(self.file(name)).expect("remove the host's key");
        }
        make_key(self.scratch.path(), "host");
    }

    /// How often somebody has logged in since it was started.
    pub fn logins(&self) -> usize {
        let said = self.server.as_ref().map(|server| server.stderr.text()).unwrap_or_default();
        said.matches("Accepted publickey").count()
    }

    /// The key that lets in, which is root's.
    pub fn key(&self) -> PathBuf {
        self.file("user")
    }

    /// The same key as a file of somebody's own.
    pub fn key_of(&self, account: &Account) -> PathBuf {
        let copy = self.file(&account.name);
        fs::copy(self.key(), &copy).expect("copy the key");
        chown(&copy, Some(account.uid), Some(account.gid)).expect("give it away");
        copy
    }

    /// How root writes it in targets.d, with more lines of the table.
    pub fn target(&self, name: &str, more: &str) -> String {
        format!(
            "[ssh.{name}]\nhost = \"127.0.0.1\"\nport = {}\nuser = \"{}\"\nhost_key = \"{}\"\n{more}\n",
            self.port,
            self.login.name,
            self.host_key()
        )
    }

    /// `ssh`, as somebody, cold, with no configuration but this.
    pub fn client(&self, account: &Account, options: &[&str], remote: &str) -> Command {
        let mut command = Command::new("ssh");
        as_user(&mut command, account);
        command.args(["-F", "none", "-p", &self.port.to_string(), "-i"]).arg(self.key_of(account));
        let known = self.file("known");
        fs::write(&known, format!("[127.0.0.1]:{} {}", self.port, self.host_key()))
            .expect("write the known host");
        open_to_all(&known);
        let known = format!("UserKnownHostsFile={}", known.display());
        for option in [
            "IdentitiesOnly=yes",
            "IdentityAgent=none",
            "BatchMode=yes",
            "GlobalKnownHostsFile=none",
            &known,
        ] {
            command.args(["-o", option]);
        }
        command.args(options).arg(format!("{}@127.0.0.1", self.login.name)).arg(remote);
        command
    }

    fn host_key(&self) -> String {
        let host = fs::read_to_string(self.file("host.pub")).expect("read the host key");
        host.trim().to_owned()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    fn configuration(&self) -> String {
        let home = self.scratch.path().display();
        let programs = self.programs.iter().map(|programs| {
            format!("SetEnv PATH={}:/usr/local/bin:/usr/bin:/bin\n", programs.display())
        });
        programs.collect::<String>()
            + &self.more
            + &format!(
                "ListenAddress 127.0.0.1:{}\nHostKey {home}/host\nAuthorizedKeysFile {home}/user.pub\n\
             PidFile none\nStrictModes no\nUsePAM no\nUseDNS no\nPrintMotd no\nPrintLastLog no\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nAllowUsers {}\n",
                self.port, self.login.name
            )
    }
}

fn make_key(home: &Path, name: &str) {
    let mut keygen = Command::new("ssh-keygen");
    keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"]).arg(home.join(name));
    must(keygen);
    open_to_all(&home.join(format!("{name}.pub")));
}

/// Without PAM, sshd refuses accounts that `useradd` has left locked; no password is as good.
fn unlock(account: &Account) {
    let mut usermod = Command::new("usermod");
    usermod.args(["-p", "*", &account.name]);
    must(usermod);
}

/// A port that was free a moment ago: sshd cannot be asked for any.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind a port");
    listener.local_addr().expect("it has an address").port()
}

pub(crate) fn open_to_all(path: &Path) {
    let mode = if path.is_dir() { 0o755 } else { 0o644 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("open it for all");
}
