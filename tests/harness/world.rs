//! One relay, one daemon in system mode with keeper, monitor and broker, an owner and a recipient.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use tempfile::TempDir;

use crate::account::{Account, Accounts};
use crate::background::{Background, as_user};
use crate::client::Vendor;
use crate::installed::{base, program};
use crate::owner::Owner;
use crate::wait;

/// What a world is made of; change it before [`Setup::start`].
pub struct Setup {
    pub targets: String,
    pub verbs: String,
    pub policy: String,
    pub limits: String,
    pub contacts: String,
    /// Files of root's beside the configuration that nobody else reads: name and content.
    pub secrets: Vec<(String, String)>,
    /// `LD_PRELOAD` and the like, for the daemon.
    pub environment: Vec<(String, String)>,
    /// What is started as `openscoped`.
    pub program: PathBuf,
    /// The daemon is Alice's own, and no root's.
    pub is_rootless: bool,
}

/// A world that runs.
pub struct World {
    pub accounts: Arc<Accounts>,
    pub home: PathBuf,
    pub relay: Option<Background>,
    pub daemon: Option<Background>,
    relay_address: String,
    environment: Vec<(String, String)>,
    program: PathBuf,
    is_rootless: bool,
    scratch: TempDir,
}

/// The catalog that most stories need.
const VERBS: &str = r#"
[verb."log.tail"]
summary = "Last lines of a log"
effect  = "read"
run     = { exec = { argv = ["/usr/bin/tail", "-n", "{lines}", "--", "@HOME@/log/{service}"] } }
[verb."log.tail".params]
service = { type = "string", one_of = ["web", "db", "vault"], required = true }
lines   = { type = "int", min = 1, max = 500, default = 3 }

[verb."log.follow"]
summary = "A log as it is written"
effect  = "read"
run     = { exec = { argv = ["/usr/bin/tail", "-n", "{lines}", "-F", "--", "@HOME@/log/{service}"] } }
timeout = "30m"
[verb."log.follow".params]
service = { type = "string", one_of = ["web", "db", "vault"], required = true }
lines   = { type = "int", min = 0, max = 500, default = 3 }

[verb."service.restart"]
summary = "Restarts a service"
effect  = "write"
run     = { exec = { argv = ["/usr/bin/sv", "restart", "@HOME@/service/{service}"] } }
[verb."service.restart".params]
service = { type = "string", one_of = ["web", "db"], required = true }

[verb."test.echo"]
summary = "Says one argument back, byte for byte"
effect  = "read"
run     = { exec = { argv = ["/usr/bin/printf", "%s", "{text}"] } }
[verb."test.echo".params]
text = { type = "string", required = true }

[verb."test.sh"]
summary = "Runs one of the test's own scripts"
effect  = "read"
run     = { exec = { argv = ["/bin/sh", "@HOME@/script/{name}"] } }
timeout = "30m"
[verb."test.sh".params]
name = { type = "string", pattern = "[a-z0-9-]+", required = true }

[verb."test.true"]
summary = "Does nothing, well"
effect  = "read"
run     = { exec = { argv = ["/bin/true"] } }

[verb."test.write"]
summary = "Changes something"
effect  = "write"
run     = { exec = { argv = ["/usr/bin/touch", "--", "@HOME@/drop/{name}"] } }
[verb."test.write".params]
name = { type = "string", pattern = "[a-z0-9-]+", required = true }

[verb."test.append"]
summary = "Leaves one line each time that it runs"
effect  = "write"
run     = { exec = { argv = ["/bin/sh", "@HOME@/script/append", "{name}"] } }
[verb."test.append".params]
name = { type = "string", pattern = "[a-z0-9-]+", required = true }
"#;

const POLICY: &str = r#"
[[agent]]
name = "you"
user = "@ALICE@"
[[allow]]
user = "@ALICE@"
agent = "you"
verbs = { "log.tail" = { service = ["web", "db"] }, "log.follow" = { service = ["web", "db"] }, "service.restart" = { service = ["web"] }, "test.echo" = {}, "test.sh" = {}, "test.true" = {}, "test.write" = {}, "test.append" = {} }
[[deny]]
user  = "*"
verbs = { "log.tail" = { service = ["vault"] } }
[[delegate]]
agent   = "you"
verbs   = ["log.*", "service.*", "test.*"]
to      = ["vendor-*", "own/vendor-*"]
max_ttl = "30m"
redelegate = 7
bearer  = true
"#;

impl Default for Setup {
    fn default() -> Self {
        Self {
            targets: String::new(),
            verbs: VERBS.to_owned(),
            policy: POLICY.to_owned(),
            limits: String::new(),
            contacts: String::new(),
            secrets: Vec::new(),
            environment: Vec::new(),
            program: program("openscoped"),
            is_rootless: false,
        }
    }
}

impl Setup {
    /// Starts the world, and waits until its daemon has its relay.
    pub fn start(self) -> World {
        let accounts = Accounts::shared();
        let scratch = TempDir::new_in(base()).expect("make the world's directory");
        let home = scratch.path().to_owned();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o755)).expect("open it for all");
        let mut world = World {
            accounts,
            home,
            relay: None,
            daemon: None,
            relay_address: String::new(),
            environment: self.environment.clone(),
            program: self.program.clone(),
            is_rootless: self.is_rootless,
            scratch,
        };
        world.lay_out();
        world.make_relay();
        world.start_relay();
        world.configure(&self);
        world.make_token();
        world.start_daemon();
        world
    }
}

impl World {
    /// The world that most stories need.
    pub fn start() -> Self {
        Setup::default().start()
    }

    pub fn alice(&self) -> Owner<'_> {
        Owner::new(self, &self.accounts.alice)
    }

    pub fn bob(&self) -> Owner<'_> {
        Owner::new(self, &self.accounts.bob)
    }

    /// Root, at the owner's command line.
    pub fn root(&self) -> Owner<'_> {
        Owner::root(self)
    }

    /// The recipient: another user, with a key of their own.
    pub fn vendor(&self) -> Vendor<'_> {
        Vendor::new(self, &self.accounts.vendor)
    }

    /// Somebody else with a key of their own.
    pub fn mallory(&self) -> Vendor<'_> {
        Vendor::new(self, &self.accounts.mallory)
    }

    pub fn socket(&self) -> PathBuf {
        self.home.join("run/openscope.sock")
    }

    pub fn etc(&self) -> PathBuf {
        self.home.join("etc")
    }

    pub fn state(&self) -> PathBuf {
        self.home.join("state")
    }

    /// Text with this world's names filled in.
    pub fn fill(&self, text: &str) -> String {
        text.replace("@HOME@", &self.home.display().to_string())
            .replace("@ALICE@", &self.accounts.alice.name)
            .replace("@BOB@", &self.accounts.bob.name)
    }

    /// A script that `test.sh name=…` runs.
    pub fn script(&self, name: &str, text: &str) {
        fs::write(self.home.join("script").join(name), self.fill(text)).expect("write a script");
    }

    /// A file that a verb has made, or would have.
    pub fn drop_file(&self, name: &str) -> PathBuf {
        self.home.join("drop").join(name)
    }

    /// The names for which `test.append` has run, in order.
    pub fn ran(&self) -> Vec<String> {
        let text = fs::read_to_string(self.drop_file("ran")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn lay_out(&self) {
        let make = |name: &str, mode: u32, owner: Option<&Account>| {
            let path = self.home.join(name);
            fs::create_dir_all(&path).expect("make a directory");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set its mode");
            if let Some(account) = owner {
                chown(&path, Some(account.uid), Some(account.gid)).expect("give it away");
            }
        };
        let Accounts { alice, vendor, mallory, relay, .. } = &*self.accounts;
        let daemon = self.is_rootless.then_some(alice);
        make("etc", 0o755, daemon);
        make("etc/targets.d", 0o755, daemon);
        make("etc/verbs.d", 0o755, daemon);
        make("etc/policy.d", 0o755, daemon);
        make("state", 0o700, daemon);
        make("run", 0o755, daemon);
        make("log", 0o755, None);
        make("script", 0o755, None);
        make("drop", 0o755, Some(alice));
        make("relay", 0o700, Some(relay));
        make("alice", 0o700, Some(alice));
        make("vendor", 0o700, Some(vendor));
        make("mallory", 0o700, Some(mallory));
        make("bob", 0o700, Some(&self.accounts.bob));
        self.script("append", "echo \"$1\" >> @HOME@/drop/ran\n");
        for service in ["web", "db", "vault"] {
            let lines: String = (1..=9).map(|line| format!("{service} line {line}\n")).collect();
            fs::write(self.home.join("log").join(service), lines).expect("write a log");
        }
    }

    fn make_relay(&self) {
        let directory = self.home.join("relay");
        let mut keygen = Command::new(program("openscope-relay"));
        keygen.args(["keygen", "--out"]).arg(&directory);
        as_user(&mut keygen, &self.accounts.relay);
        must(keygen);
        self.write_relay_config("127.0.0.1:0");
    }

    fn write_relay_config(&self, listen: &str) {
        let config = format!(
            "listen = \"{listen}\"\nself_signed = true\nkey = \"relay.key\"\noperators = [\"operator.pub\"]\ndrain = \"2s\"\n"
        );
        let path = self.home.join("relay/openscope-relay.toml");
        fs::write(&path, config).expect("write the relay's configuration");
        let relay = &self.accounts.relay;
        chown(&path, Some(relay.uid), Some(relay.gid)).expect("give it to the relay");
    }

    /// Starts the relay; after the first time on the port that it had.
    pub fn start_relay(&mut self) {
        let mut command = Command::new(program("openscope-relay"));
        command.arg("--config").arg(self.home.join("relay/openscope-relay.toml"));
        as_user(&mut command, &self.accounts.relay);
        command.env("RUST_LOG", "off,relay=debug");
        let relay = Background::start(command);
        let said = relay.stderr.line_with("the relay serves");
        let field = |name: &str| {
            let value = said.split_whitespace().find_map(|word| word.strip_prefix(name));
            value.unwrap_or_else(|| panic!("no {name} in `{said}`")).to_owned()
        };
        self.relay_address = format!("{}#{}", field("listen="), field("pin="));
        let listen = self.relay_address.split('#').next().unwrap_or_default().to_owned();
        self.write_relay_config(&listen);
        self.relay = Some(relay);
    }

    /// The relay's address with its pin.
    pub fn relay_address(&self) -> &str {
        &self.relay_address
    }

    /// Puts another address into the daemon's configuration: a proxy before the relay, say.
    pub fn set_relay_address(&mut self, address: &str) {
        let path = self.etc().join("openscoped.toml");
        let text = fs::read_to_string(&path).expect("read the configuration");
        fs::write(&path, text.replace(&self.relay_address, address)).expect("write it");
        self.relay_address = address.to_owned();
    }

    fn configure(&self, setup: &Setup) {
        let mode = if self.is_rootless {
            "mode = \"rootless\"\nkill = \"subreaper\"".to_owned()
        } else {
            let Accounts { broker, keys, .. } = &*self.accounts;
            format!(
                "mode = \"system\"\nbroker_user = \"{}\"\nkeys_user = \"{}\"\nkill = \"cgroup\"",
                broker.name, keys.name
            )
        };
        let config = format!(
            "name = \"web-1\"\n{mode}\nstate = \"{state}\"\nsocket = \"{socket}\"\n\n[[relay]]\naddress = \"{relay}\"\ntoken_file = \"relay.token\"\n\n[limits]\n{limits}\n",
            state = self.state().display(),
            socket = self.socket().display(),
            relay = self.relay_address,
            limits = setup.limits,
        );
        self.write("openscoped.toml", &config, 0o644);
        self.write("targets.d/test.toml", &self.fill(&setup.targets), 0o644);
        for (name, secret) in &setup.secrets {
            self.write(name, secret, 0o600);
        }
        self.write("verbs.d/test.toml", &self.fill(&setup.verbs), 0o644);
        self.write("policy.d/test.toml", &self.fill(&setup.policy), 0o644);
        self.write("contacts.toml", &setup.contacts, 0o644);
        self.write("relay.token", "", 0o600);
    }

    /// A file of the daemon's configuration, with the owner that it takes.
    fn write(&self, name: &str, text: &str, mode: u32) {
        let path = self.etc().join(name);
        write(&path, text, mode);
        if self.is_rootless {
            let Account { uid, gid, .. } = self.accounts.alice;
            chown(&path, Some(uid), Some(gid)).expect("give it away");
        }
    }

    fn make_token(&self) {
        let mut ask = self.daemon_program();
        ask.arg("--leg-key");
        let leg_key = must(ask);
        let mut mint = Command::new(program("openscope-relay"));
        mint.args(["token", "mint", "--operator-key"]).arg(self.home.join("relay/operator.key"));
        mint.args(["--leg-key", leg_key.trim(), "--shares", "5000"]);
        as_user(&mut mint, &self.accounts.relay);
        self.write("relay.token", &must(mint), 0o600);
    }

    /// The command that starts the daemon.
    pub fn daemon_command(&self) -> Command {
        let mut command = self.daemon_program();
        if !self.is_rootless {
            command.arg("--isolate-networks");
        }
        command.env("RUST_LOG", "info").envs(self.environment.iter().cloned());
        command
    }

    fn daemon_program(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--config").arg(self.etc().join("openscoped.toml"));
        if self.is_rootless {
            command.arg("--rootless");
            as_user(&mut command, &self.accounts.alice);
        } else {
            command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").current_dir("/");
        }
        command
    }

    /// Starts the daemon and waits until its relay is up.
    pub fn start_daemon(&mut self) {
        self.daemon = Some(Background::start(self.daemon_command()));
        self.await_relay();
    }

    /// Waits until the daemon's leg is up.
    pub fn await_relay(&mut self) {
        wait::until("the daemon's leg is up", || {
            if let Some(status) = self.daemon.as_mut().expect("it was started").ended() {
                let daemon = self.daemon.as_ref().expect("it was started");
                panic!("openscoped ended with {status}:\n{}", daemon.stderr.text());
            }
            let asked = if self.is_rootless { self.alice() } else { self.root() };
            let status = asked.json(&["status"]).ok()?;
            status["relays"][0]["up"].as_bool().filter(|up| *up)
        });
    }

    /// Stops the daemon as a service manager would.
    pub fn stop_daemon(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            if daemon.ended().is_none() {
                daemon.signal(rustix::process::Signal::TERM);
            }
            daemon.wait();
        }
    }

    /// Kills the monitor as a fault would, and waits until another serves.
    pub fn kill_monitor(&self) {
        let monitor = self.process("--as-monitor").expect("it runs");
        let pid = rustix::process::Pid::from_raw(monitor.cast_signed()).expect("a pid");
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it is there");
        wait::until("another monitor serves", || {
            self.process("--as-monitor").filter(|pid| *pid != monitor)?;
            let status = self.root().json(&["status"]).ok()?;
            status["relays"][0]["up"].as_bool().filter(|up| *up)
        });
    }

    /// The pids of the keeper's descendants, by what they were started as.
    pub fn process(&self, role: &str) -> Option<u32> {
        let keeper = self.daemon.as_ref()?.pid();
        descendants(keeper).into_iter().find(|pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(role)
        })
    }

    /// The audit log's events, in order.
    pub fn audit(&self) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(self.state().join("audit.log")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The events of one type.
    pub fn events(&self, kind: &str) -> Vec<serde_json::Value> {
        let of_kind = |record: serde_json::Value| {
            let event = record["event"].clone();
            (event["type"] == kind).then_some(event)
        };
        self.audit().into_iter().filter_map(of_kind).collect()
    }

    /// How each call ended, once all that began have: a call's end is recorded after its processes are dead and its output
    /// has drained, and nobody who revokes waits for the latter.
    ///
    /// # Panics
    /// When one does not end in the time that things may take.
    pub fn ends(&self) -> Vec<serde_json::Value> {
        wait::until("the end of each call is on record", || {
            let ended = self.events("call_ended");
            let is_all = !ended.is_empty() && ended.len() >= self.events("call_started").len();
            is_all.then_some(ended)
        })
    }

    /// How the last call ended.
    ///
    /// # Panics
    /// As above.
    pub fn last_end(&self) -> serde_json::Value {
        self.ends().pop().expect("there is one")
    }

    /// A directory that only this world uses.
    pub fn scratch(&self) -> &Path {
        self.scratch.path()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for (name, process) in [("daemon", &self.daemon), ("relay", &self.relay)] {
                if let Some(process) = process {
                    eprintln!("--- {name} said:\n{}", process.stderr.text());
                }
            }
        }
        self.stop_daemon();
    }
}

/// All processes below `root`.
pub fn descendants(root: u32) -> Vec<u32> {
    let children = |pid: u32| -> Vec<u32> {
        let path = format!("/proc/{pid}/task/{pid}/children");
        let text = fs::read_to_string(path).unwrap_or_default();
        text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
    };
    let mut found = children(root);
    let mut next = 0;
    while let Some(&pid) = found.get(next) {
        found.extend(children(pid));
        next += 1;
    }
    found
}

/// Runs a command that has to succeed; what it printed.
pub fn must(mut command: Command) -> String {
    let output = command.output().unwrap_or_else(|fault| panic!("run {command:?}: {fault}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} ended with {}:\n{said}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn write(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).expect("write a file");
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set its mode");
}
