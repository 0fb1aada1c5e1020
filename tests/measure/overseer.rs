//! Runs each figure in a process of its own, and cleans up behind it: a panic ends a process without its destructors.

use std::fs;
use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, set_child_subreaper, wait as reap};
use serde_json::Value;
use tests::installed::base;
use tests::world::descendants;

use crate::figure::Figure;
use crate::reading::{Reading, unmeasured};

/// The argument by which a process measures one figure and prints its rows.
pub const ALONE: &str = "--alone";
/// No figure takes so long on a machine that is fit to measure on.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long what a figure leaves running has to end by itself.
const GRACE: Duration = Duration::from_secs(5);

/// What came of one figure.
pub struct Run {
    pub rows: Result<Vec<Value>, String>,
    pub took: Duration,
}

impl Run {
    /// Its rows, or the one that says that there are none.
    pub fn shown(&self, figure: &Figure) -> Vec<Value> {
        match &self.rows {
            Ok(rows) => rows.clone(),
            Err(why) => vec![unmeasured(figure, why)],
        }
    }
}

/// Measures here and now.
pub fn alone(figure: &Figure) -> Vec<Value> {
    let readings = (figure.measure)(figure);
    let _ = fs::remove_dir_all(base());
    readings.iter().map(Reading::row).collect()
}

/// Measures in another process.
pub fn measure(figure: &Figure) -> Run {
    let begun = Instant::now();
    // What it leaves running becomes ours, to be ended.
    set_child_subreaper(Some(rustix::process::getpid())).expect("become a subreaper");
    let rows = in_child(figure);
    Run { rows, took: begun.elapsed() }
}

fn in_child(figure: &Figure) -> Result<Vec<Value>, String> {
    let own = std::env::current_exe().map_err(|fault| format!("find the own program: {fault}"))?;
    let mut command = Command::new(own);
    command.args([ALONE, figure.name]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|fault| format!("start a process: {fault}"))?;
    let pid = child.id();
    let said = wait(&mut child);
    end_strays();
    remove_leavings(pid);
    let rows = serde_json::from_str(&said?).map_err(|fault| format!("read its rows: {fault}"))?;
    Ok(rows)
}

/// What the process printed, if it ended well and in time.
fn wait(child: &mut Child) -> Result<String, String> {
    let begun = Instant::now();
    let status = loop {
        match child.try_wait().map_err(|fault| format!("wait for it: {fault}"))? {
            Some(status) => break status,
            None if begun.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(20)),
            None => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("not measured: not done after {} s", PATIENCE.as_secs()));
            }
        }
    };
    let mut said = String::new();
    let mut output = child.stdout.take().ok_or("it has no output")?;
    output.read_to_string(&mut said).map_err(|fault| format!("read its rows: {fault}"))?;
    if status.success() {
        Ok(said)
    } else {
        Err(format!("not measured: ended with {status}, see above"))
    }
}

fn end_strays() {
    let begun = Instant::now();
    let own = std::process::id();
    signal_all(&descendants(own), Signal::TERM);
    while !descendants(own).is_empty() && begun.elapsed() < 2 * GRACE {
        while let Ok(Some(_)) = reap(WaitOptions::NOHANG) {}
        if begun.elapsed() > GRACE {
            signal_all(&descendants(own), Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn signal_all(pids: &[u32], signal: Signal) {
    for pid in pids.iter().filter_map(|pid| Pid::from_raw(pid.cast_signed())) {
        let _ = kill_process(pid, signal);
    }
}

/// Removes the files and users of a figure that has not done so itself.
fn remove_leavings(pid: u32) {
    let _ = fs::remove_dir_all(format!("/var/lib/osptest-{pid}"));
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let names = accounts.lines().filter_map(|line| line.split(':').next());
    for name in names.filter(|name| is_of(name, pid)) {
        let _ = Command::new("userdel").args(["-r", name]).stderr(Stdio::null()).status();
    }
}

/// Whether the user was made by the process `pid`: `osptest-`, a role of two letters, the pid.
fn is_of(name: &str, pid: u32) -> bool {
    name.strip_prefix("osptest-").and_then(|rest| rest.get(2..)) == Some(&pid.to_string())
}
