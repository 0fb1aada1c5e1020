//! What the tour runs: programs that stay, and commands that end; all of them gone when it is over.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::rc::Rc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::home::Home;
use super::page;
use super::siblings::{Program, Siblings};
use super::tale::Tale;
use crate::cli::fault::Fault;
use crate::cli::shown;
use crate::exit::Exit;

/// No command of the tour takes longer, unless something is wrong.
const COMMAND: Duration = Duration::from_secs(15);
/// What stays is asked to end, and killed after this.
const FAREWELL: Duration = Duration::from_secs(5);
/// Between two looks at whether something is there yet.
const LOOK: Duration = Duration::from_millis(20);

/// Programs, places and words of the tour.
pub(super) struct Stage<'o> {
    pub(super) home: Home,
    pub(super) siblings: Rc<Siblings>,
    pub(super) tale: Tale<'o>,
    staying: Vec<Staying>,
    /// What the tour serves itself.
    serving: JoinSet<()>,
}

/// A program that runs until the tour is over, in a process group of its own so that Ctrl+C is not for it.
struct Staying {
    name: String,
    child: Child,
    group: Option<Pid>,
}

/// What became of the tour.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    /// It was told to its end.
    Told,
    /// Something did not go as it should: the logs may say why.
    Failed,
    /// A person has had enough of it.
    Left,
}

impl Outcome {
    pub(super) fn of(told: &Result<(), Fault>) -> Self {
        match told {
            Ok(()) => Self::Told,
            Err(fault) if fault.exit() == Exit::Failed => Self::Failed,
            Err(_) => Self::Left,
        }
    }
}

/// Who types a command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Who {
    Owner,
    Vendor,
    Operator,
}

impl Who {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Vendor => "vendor",
            Self::Operator => "relay",
        }
    }
}

/// A command that runs.
pub(super) struct Running {
    who: Who,
    line: String,
    child: Child,
    output: BufReader<pipe::Receiver>,
    heard: String,
    deadline: Instant,
}

impl<'o> Stage<'o> {
    pub(super) fn new(home: Home, siblings: Siblings, tale: Tale<'o>) -> Self {
        let (staying, serving) = (Vec::new(), JoinSet::new());
        Self { home, siblings: Rc::new(siblings), tale, staying, serving }
    }

    /// Serves a page until the tour is over; on which port.
    pub(super) async fn serve_page(&mut self) -> Result<u16, Fault> {
        let served = page::serve(&mut self.serving).await;
        served.map_err(|error| Fault::failed(format!("no page can be served: {error}")))
    }

    /// Starts a program that stays. What it says goes to a log.
    pub(super) fn stay(&mut self, name: &str, mut command: Command) -> Result<(), Fault> {
        let log = File::create(self.log_of(name)).map_err(|error| unstartable(name, &error))?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).process_group(0);
        let child = command.spawn().map_err(|error| unstartable(name, &error))?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        self.staying.push(Staying { name: name.to_owned(), child, group });
        Ok(())
    }

    /// A command of `program` in the home of `who`, with an environment of the tour's and nothing else.
    pub(super) fn command(&self, program: &Program, who: Who) -> Command {
        let mut command = clean(&program.path());
        command.arg0(program.name);
        let own = self.home.at(who.name());
        command.current_dir(&own).env("HOME", &own);
        if who == Who::Owner {
            command.env("OPENSCOPE_ROOTLESS", "1");
        }
        command
    }

    /// Shows a command of ours, runs it to its end, shows what it says; it must end as expected.
    pub(super) async fn run(
        &mut self,
        who: Who,
        arguments: &[&str],
        expected: i32,
    ) -> Result<String, Fault> {
        let mut running = self.start(who, arguments)?;
        self.finish(&mut running, expected).await
    }

    /// Shows a command and starts it.
    pub(super) fn start(&mut self, who: Who, arguments: &[&str]) -> Result<Running, Fault> {
        let program = Rc::clone(match who {
            Who::Owner => &self.siblings.owner,
            Who::Vendor => &self.siblings.client,
            Who::Operator => &self.siblings.relay,
        });
        self.launch(&program, who, arguments)
    }

    /// As `run`, for a program that is not the one which `who` usually types.
    pub(super) async fn run_other(
        &mut self,
        which: impl FnOnce(&Siblings) -> Rc<Program>,
        who: Who,
        arguments: &[&str],
    ) -> Result<String, Fault> {
        let program = which(&self.siblings);
        let mut running = self.launch(&program, who, arguments)?;
        self.finish(&mut running, 0).await
    }

    fn launch(
        &mut self,
        program: &Program,
        who: Who,
        arguments: &[&str],
    ) -> Result<Running, Fault> {
        let line = typed(program.name, arguments);
        let mut command = self.command(program, who);
        self.tale.command(who.name(), &line)?;
        let started = spawn(command.args(arguments));
        let (output, child) = started.map_err(|error| unstartable(&line, &error))?;
        let deadline = Instant::now() + COMMAND;
        Ok(Running { who, line, child, output, heard: String::new(), deadline })
    }

    /// Shows lines of a running command until there are `count`.
    pub(super) async fn lines(&mut self, running: &mut Running, count: usize) -> Result<(), Fault> {
        for _ in 0..count {
            if !self.line(running).await? {
                return Err(Fault::failed(format!("`{}` ended too early", running.line)));
            }
        }
        Ok(())
    }

    /// Shows the rest, and says how the command ended.
    pub(super) async fn finish(
        &mut self,
        running: &mut Running,
        expected: i32,
    ) -> Result<String, Fault> {
        while self.line(running).await? {}
        let status = timeout_at(running.deadline, running.child.wait()).await;
        let status = status.map_err(|_| too_long(&running.line))?;
        let exit = code(status.map_err(|error| unstartable(&running.line, &error))?);
        self.tale.ended(running.who.name(), &running.line, exit, &running.heard)?;
        if exit != expected {
            let message =
                format!("`{}` ended with {exit}, which this tour did not expect", running.line);
            return Err(Fault::failed(message));
        }
        Ok(std::mem::take(&mut running.heard))
    }

    /// Shows a line; false at the end.
    async fn line(&mut self, running: &mut Running) -> Result<bool, Fault> {
        let mut bytes = Vec::new();
        let read = timeout_at(running.deadline, running.output.read_until(b'\n', &mut bytes)).await;
        match read.map_err(|_| too_long(&running.line))? {
            Ok(0) => Ok(false),
            Ok(_) => {
                let text = String::from_utf8_lossy(&bytes);
                running.heard.push_str(&text);
                self.tale.output(text.trim_end())?;
                Ok(true)
            }
            Err(error) => {
                Err(Fault::failed(format!("`{}` cannot be heard: {error}", running.line)))
            }
        }
    }

    /// Waits until `there` says something, as long as everything that stays does stay.
    pub(super) async fn until<T>(
        &mut self,
        what: &str,
        there: impl Fn() -> Option<T>,
    ) -> Result<T, Fault> {
        let deadline = Instant::now() + COMMAND;
        loop {
            if let Some(found) = there() {
                return Ok(found);
            }
            if let Some(fallen) = self.fallen() {
                return Err(Fault::failed(format!("`{fallen}` ended by itself")));
            }
            if Instant::now() > deadline {
                return Err(Fault::failed(format!(
                    "{what} did not come within {} s",
                    COMMAND.as_secs()
                )));
            }
            sleep(LOOK).await;
        }
    }

    fn fallen(&mut self) -> Option<String> {
        let ended = |staying: &mut Staying| matches!(staying.child.try_wait(), Ok(Some(_)));
        self.staying.iter_mut().find_map(|staying| ended(staying).then(|| staying.name.clone()))
    }

    /// Ends everything, in the reverse order of its start, and removes the home.
    pub(super) async fn clear(mut self, outcome: Outcome) -> Result<(), Fault> {
        if outcome == Outcome::Failed {
            self.tell_logs();
        }
        while let Some(staying) = self.staying.pop() {
            staying.end().await;
        }
        let removed = self.home.remove();
        let closed = self.tale.close(outcome == Outcome::Told);
        let home = self.home.path().display();
        removed
            .map_err(|error| Fault::failed(format!("`{home}` could not be removed: {error}")))?;
        closed
    }

    fn tell_logs(&mut self) {
        for staying in &self.staying {
            let log = std::fs::read(self.log_of(&staying.name)).unwrap_or_default();
            let log = String::from_utf8_lossy(&log);
            let lines: Vec<_> = log.lines().rev().take(20).collect();
            let lines: Vec<_> = lines.into_iter().rev().collect();
            if !lines.is_empty() {
                self.tale.aside(&format!(
                    "--- the last that {} said:\n{}",
                    staying.name,
                    lines.join("\n")
                ));
            }
        }
    }

    pub(super) fn log_of(&self, name: &str) -> PathBuf {
        self.home.at(&format!("log/{name}.err"))
    }
}

impl Staying {
    async fn end(mut self) {
        self.signal(Signal::TERM);
        if timeout(FAREWELL, self.child.wait()).await.is_err() {
            self.signal(Signal::KILL);
            // It is dead, or the machine is beyond our help.
            let _ = timeout(FAREWELL, self.child.wait()).await;
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // Nothing is left of the group: that is what was wanted.
            let _ = kill_process_group(group, signal);
        }
    }
}

/// A command without anything of our own environment: no proxy, no key agent, no home.
pub(super) fn clean(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().kill_on_drop(true);
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin").env("LANG", "C.UTF-8");
    command
}

/// Starts a command with both of its outputs in one pipe, so that their order is as on a terminal.
fn spawn(command: &mut Command) -> io::Result<(BufReader<pipe::Receiver>, Child)> {
    let (reader, writer) = io::pipe()?;
    let both = writer.try_clone()?;
    let child = command.stdin(Stdio::null()).stdout(writer).stderr(both).spawn()?;
    // The command holds the pipe's ends as long as it lives, and would keep the pipe from ending.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    Ok((BufReader::new(pipe::Receiver::from_owned_fd(OwnedFd::from(reader))?), child))
}

/// As a shell says it: 128 and the signal's number.
fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// The command line as a person would type it.
fn typed(program: &str, arguments: &[&str]) -> String {
    let words: Vec<_> =
        std::iter::once(program).chain(arguments.iter().copied()).map(shown::word).collect();
    words.join(" ")
}

fn too_long(line: &str) -> Fault {
    Fault::failed(format!("`{line}` did not end within {} s", COMMAND.as_secs()))
}

fn unstartable(name: &str, error: &io::Error) -> Fault {
    Fault::failed(format!("`{name}` could not be run: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_command_can_be_typed_again() {
        let line =
            typed("openscope", &["share", "revoke", "--reason", "it's over", "", "lines<=20"]);
        assert_eq!(line, r"openscope share revoke --reason 'it'\''s over' '' 'lines<=20'");
    }
}
