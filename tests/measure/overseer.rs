//! Runs each figure in a process of its own: one that dies costs its row only.

use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{WaitOptions, set_child_subreaper, wait as reap};
use serde_json::Value;

use crate::figure::Figure;
use crate::reading::{Reading, unmeasured};

/// The argument by which a process measures one figure and prints its rows.
pub const ALONE: &str = "--alone";
/// No figure takes so long on a machine that is fit to measure on.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long what a figure leaves may take to be gone.
const GRACE: Duration = Duration::from_secs(10);

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
    readings.iter().map(Reading::row).collect()
}

/// Measures in another process.
pub fn measure(figure: &Figure) -> Run {
    let begun = Instant::now();
    // What it leaves running becomes ours, to be waited for.
    set_child_subreaper(Some(rustix::process::getpid())).expect("become a subreaper");
    let rows = in_child(figure);
    Run { rows, took: begun.elapsed() }
}

fn in_child(figure: &Figure) -> Result<Vec<Value>, String> {
    let own = std::env::current_exe().map_err(|fault| format!("find the own program: {fault}"))?;
    let mut command = Command::new(own);
    command.args([ALONE, figure.name]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|fault| format!("start a process: {fault}"))?;
    let said = wait(&mut child);
    await_janitor();
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

/// Waits until nothing of the figure's is left: the janitor of its world, ours since it ended, sees to it.
fn await_janitor() {
    let begun = Instant::now();
    while begun.elapsed() < GRACE {
        match reap(WaitOptions::NOHANG) {
            Ok(Some(_)) => {}
            Ok(None) => std::thread::sleep(Duration::from_millis(10)),
            Err(_no_child) => return,
        }
    }
}
