//! A `PostgreSQL` server of our own, with data, a port and roles that nobody else uses.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::background::Background;
use crate::installed::base;
use crate::wait;
use crate::world::must;

/// Who is let in how: the superuser at the socket, roles by the way that they are named for, all others by their
/// password.
const ACCESS: &str = "\
local   all postgres trust
local   all all      peer
hostssl all secured  127.0.0.1/32 scram-sha-256
host    all secured  127.0.0.1/32 reject
host    all trusted  127.0.0.1/32 trust
host    all shown    127.0.0.1/32 password
host    all hashed   127.0.0.1/32 md5
host    all all      127.0.0.1/32 scram-sha-256
";

/// What is in it.
const DATA: &str = "
create table orders (id int primary key, state text not null, total numeric(10,2), placed timestamptz, paid bool, more jsonb);
insert into orders values
  (1, 'open',   12.50, '2026-11-20 10:00:00+00', true,  '{\"a\": [1, 2.50]}'),
  (2, 'closed', 0.10,  null, false, null),
  (3, 'open',   99999999.99, '2026-11-21 11:00:00+00', null, '\"text\"');
create sequence numbers;
create function wipe() returns int language sql as 'delete from orders returning 1';
create procedure wiped() language sql as 'delete from orders';
create role reader   login password 'pw-of-reader-31415';
create role writer   login password 'pw-of-writer-31415';
create role secured  login password 'pw-of-secured-31415';
create role trusted  login password 'pw-of-trusted-31415';
create role shown    login password 'pw-of-shown-31415';
create role almighty login superuser password 'pw-of-almighty-31415';
set password_encryption = 'md5';
create role hashed login password 'pw-of-hashed-31415';
grant select on orders to reader, secured, trusted, shown, hashed;
grant all on all tables in schema public to writer;
grant all on all sequences in schema public to writer;
grant create on schema public to writer;
";

/// A running server.
pub struct Postgres {
    server: Option<Background>,
    scratch: TempDir,
    pub port: u16,
}

impl Postgres {
    /// Starts it, with the tables and the roles above.
    ///
    /// # Panics
    /// When there is none.
    pub fn start() -> Self {
        let scratch = TempDir::new_in(base()).expect("make its directory");
        crate::sshd::open_to_all(scratch.path());
        let mut copy = Command::new("cp");
        copy.arg("-a").arg(prepared()).arg(scratch.path().join("data"));
        must(copy);
        let mut server = Self { server: None, scratch, port: crate::sshd::free_port() };
        let (uid, gid) = ids();
        fs::create_dir(server.socket()).expect("make a directory");
        chown(server.socket(), Some(uid), Some(gid)).expect("give it away");
        server.certify();
        server.serve();
        server.tell(DATA);
        server
    }

    /// Starts it, again, on its port.
    pub fn serve(&mut self) {
        let mut command = Command::new(programs().join("postgres"));
        as_postgres(&mut command);
        let here = self.scratch.path();
        command.arg("-D").arg(here.join("data"));
        for setting in [
            format!("port={}", self.port),
            format!("unix_socket_directories={}", self.socket().display()),
            "listen_addresses=127.0.0.1".to_owned(),
            "fsync=off".to_owned(),
            "ssl=on".to_owned(),
        ] {
            command.arg("-c").arg(setting);
        }
        let server = Background::start(command);
        server.stderr.line_with("database system is ready to accept connections");
        self.server = Some(server);
    }

    /// Ends it, and every session with it.
    pub fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.signal(rustix::process::Signal::INT);
            server.wait();
        }
    }

    /// The superuser's own words; what is answered, a row on each line.
    ///
    /// # Panics
    /// When it does not like them.
    pub fn tell(&self, sql: &str) -> String {
        self.tell_in("postgres", sql)
    }

    /// The same in another database.
    ///
    /// # Panics
    /// When it does not like them.
    pub fn tell_in(&self, database: &str, sql: &str) -> String {
        let mut command = Command::new("psql");
        as_postgres(&mut command);
        command.arg("-h").arg(self.socket()).arg("-p").arg(self.port.to_string());
        command.args([
            "-U",
            "postgres",
            "-d",
            database,
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            sql,
        ]);
        must(command)
    }

    /// How many statements with this in them it carries out now.
    pub fn runs(&self, part: &str) -> usize {
        let sql =
            "select query from pg_stat_activity where state = 'active' and pid <> pg_backend_pid()";
        self.tell(sql).lines().filter(|query| query.contains(part)).count()
    }

    /// Waits until it carries out a statement with this in it.
    pub fn wait_for(&self, part: &str) {
        wait::until("the server is at it", || (self.runs(part) > 0).then_some(()));
    }

    /// The authority that vouches for it, as PEM.
    pub fn ca(&self) -> String {
        fs::read_to_string(self.scratch.path().join("data/server.crt")).expect("read it")
    }

    /// What it has said so far.
    pub fn log(&self) -> String {
        self.server.as_ref().map(|server| server.stderr.text()).unwrap_or_default()
    }

    /// The directory of its socket.
    pub fn socket(&self) -> PathBuf {
        self.scratch.path().join("socket")
    }

    fn certify(&self) {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("make one");
        for (name, text) in
            [("server.crt", made.cert.pem()), ("server.key", made.signing_key.serialize_pem())]
        {
            let file = self.scratch.path().join("data").join(name);
            fs::write(&file, text).expect("write it");
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("set its mode");
            let (uid, gid) = ids();
            chown(&file, Some(uid), Some(gid)).expect("give it away");
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Empty data, made once.
fn prepared() -> &'static Path {
    static PREPARED: OnceLock<PathBuf> = OnceLock::new();
    PREPARED.get_or_init(|| {
        let place = base().join("postgres");
        fs::create_dir_all(&place).expect("make its directory");
        let (uid, gid) = ids();
        chown(&place, Some(uid), Some(gid)).expect("give it away");
        let data = place.join("data");
        let mut command = Command::new(programs().join("initdb"));
        as_postgres(&mut command);
        command.args(["--no-sync", "--encoding=UTF8", "--no-locale", "--username=postgres", "-D"]);
        must({
            command.arg(&data);
            command
        });
        fs::write(data.join("pg_hba.conf"), ACCESS).expect("write who is let in");
        data
    })
}

/// Where Debian has them, of the newest version that is there.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("there is a PostgreSQL server");
    let all = versions.filter_map(|entry| Some(entry.ok()?.path().join("bin")));
    let newest = all.filter(|place| place.join("postgres").exists()).max();
    newest.expect("there is a PostgreSQL server")
}

fn ids() -> (u32, u32) {
    let of = |which| {
        let mut command = Command::new("id");
        command.args([which, "postgres"]);
        must(command).trim().parse().expect("a number")
    };
    (of("-u"), of("-g"))
}

/// It does not run as root.
fn as_postgres(command: &mut Command) {
    let (uid, gid) = ids();
    command.uid(uid).gid(gid).current_dir("/");
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LC_ALL", "C.UTF-8");
}
