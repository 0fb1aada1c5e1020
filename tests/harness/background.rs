//! A process that runs beside the test, with what it says at hand; killed when it is dropped.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::account::Account;
use crate::wait::PATIENCE;

/// Makes `command` run as `account`, and nobody else.
pub fn as_user(command: &mut Command, account: &Account) {
    command.uid(account.uid).gid(account.gid);
    command.env_clear().env("HOME", account.home()).env("USER", &account.name);
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin").current_dir("/");
}

/// What a process has said so far on one stream.
#[derive(Clone, Default)]
pub struct Heard(Arc<Stream>);

#[derive(Default)]
struct Stream(Mutex<(Vec<u8>, bool)>, Condvar);

impl Heard {
    pub(crate) fn listen(&self, from: impl Read + Send + 'static) {
        let heard = self.clone();
        std::thread::spawn(move || {
            let mut from = BufReader::new(from);
            loop {
                let piece = from.fill_buf().map(<[u8]>::to_vec).unwrap_or_default();
                from.consume(piece.len());
                let mut said = heard.0.0.lock().expect("no listener dies");
                said.0.extend_from_slice(&piece);
                said.1 = piece.is_empty();
                heard.0.1.notify_all();
                if said.1 {
                    return;
                }
            }
        });
    }

    /// All of it so far.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    /// All of it so far, as it came.
    pub fn bytes(&self) -> Vec<u8> {
        self.0.0.lock().expect("no listener dies").0.clone()
    }

    /// Waits for a line that contains `part`; the line.
    ///
    /// # Panics
    /// When the stream ends without, or it takes too long.
    pub fn line_with(&self, part: &str) -> String {
        let begun = Instant::now();
        let mut said = self.0.0.lock().expect("no listener dies");
        loop {
            let text = String::from_utf8_lossy(&said.0).into_owned();
            let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
            if let Some(line) = whole.lines().find(|line| line.contains(part)) {
                return line.to_owned();
            }
            assert!(!said.1, "no `{part}` in what was said:\n{text}");
            assert!(begun.elapsed() < PATIENCE, "waited too long for `{part}`:\n{text}");
            said = self
                .0
                .1
                .wait_timeout(said, Duration::from_millis(100))
                .expect("no listener dies")
                .0;
        }
    }

    /// Waits until the stream is at its end.
    pub fn to_end(&self) -> Vec<u8> {
        let begun = Instant::now();
        let mut said = self.0.0.lock().expect("no listener dies");
        while !said.1 {
            assert!(begun.elapsed() < PATIENCE, "waited too long for the end of a stream");
            said = self
                .0
                .1
                .wait_timeout(said, Duration::from_millis(100))
                .expect("no listener dies")
                .0;
        }
        said.0.clone()
    }
}

/// A running process.
pub struct Background {
    child: Child,
    name: String,
    pub stdout: Heard,
    pub stderr: Heard,
    stdin: Option<ChildStdin>,
}

impl Background {
    /// Starts `command` with its streams at hand.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(mut command: Command) -> Self {
        let name = format!("{command:?}");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|fault| panic!("start {name}: {fault}"));
        let (stdout, stderr) = (Heard::default(), Heard::default());
        stdout.listen(child.stdout.take().expect("it is piped"));
        stderr.listen(child.stderr.take().expect("it is piped"));
        let stdin = child.stdin.take();
        Self { child, name, stdout, stderr, stdin }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Writes to its standard input.
    pub fn say(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().expect("its input is open");
        stdin.write_all(text.as_bytes()).and_then(|()| stdin.flush()).expect("it listens");
    }

    /// Closes its standard input.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.pid().cast_signed()).expect("a pid");
        rustix::process::kill_process(pid, signal).expect("it is there");
    }

    /// Whether it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it is ours")
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When that takes too long.
    pub fn wait(&mut self) -> ExitStatus {
        let name = self.name.clone();
        crate::wait::until(&format!("{name} ends"), || self.ended())
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
