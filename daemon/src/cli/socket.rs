//! The way to the daemon: its owner socket, and who is behind it.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::FalseyValueParser;
use rustix::net::sockopt::socket_peercred;
use rustix::process::geteuid;
use wire::control::{Reply, Request, read, write};

use super::fault::Fault;
use crate::config::Places;
use crate::exit::Exit;

/// The daemon answers within 5 s whatever it is asked; a revocation may wait longer for processes to die.
const PATIENCE: Duration = Duration::from_secs(30);

/// Which daemon is meant.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Chosen {
    /// The owner socket [default: /run/openscope/openscope.sock]
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "OPENSCOPE_SOCKET",
        hide_env_values = true
    )]
    socket: Option<PathBuf>,
    /// Your own daemon (`openscoped --rootless`), under the XDG directories, instead of the system's
    #[arg(long, global = true, env = "OPENSCOPE_ROOTLESS", hide_env_values = true, value_parser = FalseyValueParser::new())]
    rootless: bool,
}

impl Chosen {
    /// Where the chosen daemon keeps its things.
    pub(super) fn places(&self) -> Places {
        if self.rootless { Places::rootless() } else { Places::system() }
    }

    fn path(&self) -> PathBuf {
        self.socket.clone().unwrap_or_else(|| self.places().socket)
    }
}

/// A daemon that can be asked.
#[derive(Debug)]
pub(super) struct Daemon {
    socket: PathBuf,
    patience: Duration,
}

impl Daemon {
    pub(super) fn at(chosen: &Chosen) -> Self {
        Self::on(&chosen.path())
    }

    pub(super) fn on(socket: &Path) -> Self {
        Self { socket: socket.to_owned(), patience: PATIENCE }
    }

    /// The daemon's answer; its no is a fault.
    pub(super) fn ask(&self, question: &Request) -> Result<Reply, Fault> {
        self.ask_and_wait(question, |_| {})
    }

    /// The same, where the answer may depend on other people: `pending` hears that it does.
    pub(super) fn ask_and_wait(
        &self,
        question: &Request,
        pending: impl FnMut(&Reply),
    ) -> Result<Reply, Fault> {
        let mut stream =
            UnixStream::connect(&self.socket).map_err(|error| self.unreachable(&error))?;
        self.judge(&stream)?;
        let reply = self.exchange(&mut stream, question, pending);
        let reply = reply.map_err(|error| self.lost(&error))?;
        if let Reply::Failed(failure) = reply { Err(failure.into()) } else { Ok(reply) }
    }

    fn exchange(
        &self,
        stream: &mut UnixStream,
        question: &Request,
        mut pending: impl FnMut(&Reply),
    ) -> io::Result<Reply> {
        stream.set_read_timeout(Some(self.patience))?;
        stream.set_write_timeout(Some(self.patience))?;
        write(stream, question)?;
        loop {
            let word = read(stream)?;
            if !matches!(word, Reply::Pending(_)) {
                return Ok(word);
            }
            pending(&word);
            // People take their time; the daemon refuses for them when it is over.
            stream.set_read_timeout(None)?;
        }
    }

    /// Another user's program on this path would learn what is asked, and could answer what it likes.
    fn judge(&self, stream: &UnixStream) -> Result<(), Fault> {
        let behind = socket_peercred(stream).map_err(|error| self.unreachable(&error.into()))?.uid;
        if behind.is_root() || behind == geteuid() {
            return Ok(());
        }
        let path = self.socket.display();
        let message = format!(
            "behind `{path}` is a program of user {behind}, not the daemon or one of yours"
        );
        Err(Fault::new(Exit::Gone, message).hint("give the daemon's own socket with `--socket`"))
    }

    fn unreachable(&self, error: &io::Error) -> Fault {
        let (path, kind) = (self.socket.display(), error.kind());
        let message = if kind == io::ErrorKind::NotFound {
            format!("no daemon: there is no socket `{path}`")
        } else if kind == io::ErrorKind::ConnectionRefused {
            format!("no daemon: nobody answers on the socket `{path}`")
        } else if kind == io::ErrorKind::PermissionDenied {
            return Fault::new(Exit::Gone, format!("you may not use the socket `{path}`"))
                .hint(format!("look at its mode and directories with `namei -l {path}`"));
        } else {
            format!("the socket `{path}` cannot be used: {error}")
        };
        Fault::new(Exit::Gone, message).hint(START)
    }

    fn lost(&self, error: &io::Error) -> Fault {
        let (path, kind) = (self.socket.display(), error.kind());
        let message = if TIMED_OUT.contains(&kind) {
            let waited = self.patience.as_secs();
            format!("the daemon at `{path}` did not answer within {waited} s")
        } else if HUNG_UP.contains(&kind) {
            format!("the daemon at `{path}` hung up before it answered")
        } else if kind == io::ErrorKind::InvalidData {
            return Fault::unfitting();
        } else {
            format!("the daemon at `{path}` could not be asked: {error}")
        };
        Fault::new(Exit::Gone, message)
            .hint("whether it was done is not known: look with `openscope share list`")
    }
}

const TIMED_OUT: [io::ErrorKind; 2] = [io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut];
const HUNG_UP: [io::ErrorKind; 3] =
    [io::ErrorKind::UnexpectedEof, io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionReset];

const START: &str = "\
`systemctl start openscoped` starts the system's
`openscoped --rootless` starts one of your own; reach it with `--rootless` or OPENSCOPE_ROOTLESS=1
`openscope try` shows all of it at work, without any configuration";

#[cfg(test)]
pub(super) mod tests {
    use std::os::unix::net::UnixListener;
    use std::thread::JoinHandle;

    use super::*;

    /// A daemon that has one answer, and tells what it was asked.
    pub(in crate::cli) fn daemon(
        answer: Reply,
    ) -> (Daemon, JoinHandle<Request>, tempfile::TempDir) {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("owner.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let asked = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let question = read(&mut stream).unwrap();
            write(&mut stream, &answer).unwrap();
            question
        });
        (Daemon::on(&path), asked, home)
    }

    #[test]
    fn a_daemon_that_is_not_there_is_named_with_the_way_to_start_it() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("none.sock");
        let fault = Daemon::on(&path).ask(&Request::Status).unwrap_err();
        assert_eq!(fault.exit(), Exit::Gone);
        assert!(fault.message().contains(path.to_str().unwrap()), "{fault:?}");
        assert!(fault.hints().any(|hint| hint.contains("openscoped --rootless")));
    }

    #[test]
    fn a_socket_that_nobody_listens_on_is_told_from_one_that_is_missing() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("dead.sock");
        drop(UnixListener::bind(&path).unwrap());
        let fault = Daemon::on(&path).ask(&Request::Status).unwrap_err();
        assert!(fault.message().contains("nobody answers"), "{fault:?}");
    }

    #[test]
    fn a_daemon_that_hangs_up_leaves_no_doubt_that_nothing_is_known() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("owner.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let server =
            std::thread::spawn(move || drop(read::<Request>(&mut listener.accept().unwrap().0)));
        let fault = Daemon::on(&path).ask(&Request::Status).unwrap_err();
        server.join().unwrap();
        assert!(fault.message().contains("hung up"), "{fault:?}");
    }

    #[test]
    fn a_daemon_that_does_not_answer_is_not_waited_for_for_ever() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("owner.sock");
        let _silent = UnixListener::bind(&path).unwrap();
        let daemon = Daemon { socket: path, patience: Duration::from_millis(20) };
        let fault = daemon.ask(&Request::Status).unwrap_err();
        assert_eq!(fault.exit(), Exit::Gone);
        assert!(fault.message().contains("did not answer"), "{fault:?}");
    }

    #[test]
    fn the_systems_daemon_is_meant_unless_another_is_chosen() {
        assert_eq!(Chosen::default().path(), Path::new("/run/openscope/openscope.sock"));
        let chosen = Chosen { socket: Some("/tmp/x".into()), rootless: true };
        assert_eq!(chosen.path(), Path::new("/tmp/x"));
    }
}
