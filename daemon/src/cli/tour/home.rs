//! The temporary home of the tour: configuration, keys, state and a small service, gone when it ends.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::account::Account;
use crate::cli::fault::Fault;

/// A Unix socket's path has at most 107 characters, and the daemon's in here has 67 after this.
const LONGEST_PARENT: usize = 40;

/// Where a rootless daemon looks for its configuration, and keeps its state.
pub(super) const CONFIG: &str = "owner/.config/openscope";
pub(super) const STATE: &str = "owner/.local/state/openscope";
const VERBS: &str = "owner/.config/openscope/verbs.d";
const POLICIES: &str = "owner/.config/openscope/policy.d";
const TARGETS: &str = "owner/.config/openscope/targets.d";

/// Logs that a fresh machine may have; the first that the tour's account can read is shown.
const LOGS: [&str; 7] = [
    "/var/log/syslog",
    "/var/log/messages",
    "/var/log/dpkg.log",
    "/var/log/apt/history.log",
    "/var/log/pacman.log",
    "/var/log/dnf.log",
    "/var/log/bootstrap.log",
];

/// A directory of mode 0700 with all that the tour needs.
#[derive(Debug)]
pub(super) struct Home {
    path: PathBuf,
    log: PathBuf,
}

impl Home {
    pub(super) fn make(account: &Account) -> Result<Self, Fault> {
        let path = directory(&parent(account)).map_err(|error| {
            Fault::failed(format!("no temporary home can be made: {error}"))
                .hint("set TMPDIR to a directory of yours")
        })?;
        let home = Self { log: readable_log(&path), path };
        home.fill().map_err(|error| home.unwritable(&error))?;
        Ok(home)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn at(&self, below: &str) -> PathBuf {
        self.path.join(below)
    }

    pub(super) fn write(&self, below: &str, text: &str) -> Result<(), Fault> {
        self.put(below, text).map_err(|error| self.unwritable(&error))
    }

    pub(super) fn remove(&self) -> io::Result<()> {
        fs::remove_dir_all(&self.path)
    }

    fn fill(&self) -> io::Result<()> {
        for below in ["vendor", "relay", VERBS, POLICIES, TARGETS, "run", "log", "bin"] {
            DirBuilder::new().recursive(true).mode(0o700).create(self.at(below))?;
        }
        for (below, text) in SCRIPTS {
            self.put(below, text)?;
        }
        for service in ["web", "db"] {
            self.put(&format!("log/{service}.log"), "")?;
        }
        self.put("owner/may.csv", "day,orders\n1,118\n2,97\n3,131\n")?;
        self.put(&format!("{VERBS}/tour.toml"), &self.verbs())?;
        self.put(&format!("{POLICIES}/tour.toml"), POLICY)
    }

    fn put(&self, below: &str, text: &str) -> io::Result<()> {
        let path = self.at(below);
        fs::write(&path, text)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))
    }

    fn verbs(&self) -> String {
        let home = self.path.display();
        let [tail, df, uptime, sh] = ["tail", "df", "uptime", "sh"].map(program);
        let log = self.log.display();
        format!(
            r#"[verb."log.tail"]
summary = "Last lines of {log}"
effect = "read"
run = {{ exec = {{ argv = ["{tail}", "-n", "{{lines}}", "--", "{log}"] }} }}
[verb."log.tail".params]
lines = {{ type = "int", min = 1, max = 100, default = 10 }}

[verb."log.follow"]
summary = "What a service writes, as it writes it"
effect = "read"
timeout = "5m"
run = {{ exec = {{ argv = ["{tail}", "-n", "2", "-F", "--", "{home}/log/{{service}}.log"] }} }}
[verb."log.follow".params]
service = {{ type = "string", one_of = ["web", "db"], required = true }}

[verb."service.restart"]
summary = "Restart a service"
effect = "write"
timeout = "20s"
run = {{ exec = {{ argv = ["{sh}", "{home}/bin/restart.sh", "{home}", "{{service}}"] }} }}
[verb."service.restart".params]
service = {{ type = "string", one_of = ["web", "db"], required = true }}

[verb."disk.usage"]
summary = "How full the root file system is"
effect = "read"
run = {{ exec = {{ argv = ["{df}", "-h", "/"] }} }}

[verb."host.uptime"]
summary = "How long this machine is up"
effect = "read"
run = {{ exec = {{ argv = ["{uptime}"] }} }}

[verb."page.ask"]
summary = "Ask a web service of this machine"
effect = "read"
run = {{ http = {{ target = "page", path = "/hello/{{name}}" }} }}
[verb."page.ask".params]
name = {{ type = "string", required = true }}

[verb."report.get"]
summary = "Fetch the report"
effect = "read"
run = {{ file = {{ get = "{home}/owner/may.csv" }} }}
"#
        )
    }

    fn unwritable(&self, error: &io::Error) -> Fault {
        Fault::failed(format!("`{}` cannot be written: {error}", self.path.display()))
    }
}

const POLICY: &str = r#"[[allow]]
user = "*"
verbs = ["log.*", "service.restart", "disk.usage", "host.uptime", "page.ask", "report.get"]

[[delegate]]
user = "*"
verbs = ["log.*", "service.restart", "disk.usage", "page.ask", "report.get"]
to = ["own/*"]
max_ttl = "30m"
"#;

const SCRIPTS: [(&str, &str); 3] = [
    (
        "bin/service.sh",
        r#"# service.sh NAME: a small service. It says what it does in its log.
n=0
echo "$(date +%T) $1[$$] started"
while sleep 0.3; do
  n=$((n + 1))
  echo "$(date +%T) $1[$$] request $n answered in $((n * 7 % 40 + 3)) ms"
done
"#,
    ),
    (
        "bin/supervise.sh",
        r#"# supervise.sh HOME NAME: starts the service again when it ends, as runit or systemd would.
while :; do
  sh "$1/bin/service.sh" "$2" >>"$1/log/$2.log" 2>&1 &
  echo "$!" >"$1/run/$2.new" && mv "$1/run/$2.new" "$1/run/$2.pid"
  wait
done
"#,
    ),
    (
        "bin/restart.sh",
        r#"# restart.sh HOME NAME: ends the service and waits until its supervisor has started it again.
old=$(cat "$1/run/$2.pid") || exit
kill "$old" || exit
for wait in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  new=$(cat "$1/run/$2.pid")
  [ "$new" != "$old" ] && echo "$2 restarted: pid $old ended, pid $new runs" && exit
  sleep 0.1
done
echo "$2 did not come back" >&2
exit 1
"#,
    ),
];

/// Where temporary things go. What root's environment says is not for the account that root became, and a path
/// that would have to be quoted somewhere is not worth it.
fn parent(account: &Account) -> PathBuf {
    let plain = |path: &PathBuf| {
        let text = path.as_os_str().as_encoded_bytes();
        path.is_absolute()
            && text.len() <= LONGEST_PARENT
            && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(byte))
    };
    let wanted = matches!(account, Account::Own).then(std::env::temp_dir).filter(plain);
    wanted.unwrap_or_else(|| PathBuf::from("/tmp"))
}

fn directory(parent: &Path) -> io::Result<PathBuf> {
    let mut random = [0; 4];
    getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
    let path = parent.join(format!("openscope-try-{:08x}", u32::from_be_bytes(random)));
    // Fails where something is there already: nobody can have put a directory of theirs in our way.
    DirBuilder::new().mode(0o700).create(&path)?;
    path.canonicalize()
}

fn readable_log(home: &Path) -> PathBuf {
    LOGS.iter()
        .map(Path::new)
        .find(|log| is_readable(log))
        .unwrap_or(&home.join("log/web.log"))
        .to_owned()
}

fn is_readable(log: &Path) -> bool {
    File::open(log)
        .is_ok_and(|file| file.metadata().is_ok_and(|log| log.is_file() && log.len() > 0))
}

/// Where a program of the system lies.
fn program(name: &str) -> String {
    let places = ["/usr/bin", "/bin", "/usr/local/bin"].map(|place| format!("{place}/{name}"));
    let [usual, ..] = &places;
    places.iter().find(|path| Path::new(path).exists()).unwrap_or(usual).clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p12_a_home_is_its_owners_alone_and_goes_without_trace() {
        let home = Home::make(&Account::Own).unwrap();
        let mode = fs::metadata(home.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        home.remove().unwrap();
        assert!(!home.path().exists());
    }

    #[test]
    fn the_tours_verbs_and_policy_are_well_formed() {
        let home = Home::make(&Account::Own).unwrap();
        let source = |name: &str, text: &str| policy::Source {
            name: name.to_owned(),
            text: text.to_owned(),
        };
        let catalog = [
            source("verbs", &home.verbs()),
            source("targets", &super::super::setting::target(8080)),
        ];
        let loaded = policy::load(&catalog, &[source("policy", POLICY)]);
        home.remove().unwrap();
        assert!(loaded.is_ok(), "{:?}", loaded.err());
    }

    #[test]
    fn each_shown_program_is_one_that_exists_here() {
        for name in ["tail", "df", "sh"] {
            assert!(Path::new(&program(name)).exists(), "{name}");
        }
    }
}
