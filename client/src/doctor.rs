//! `doctor`: what would fail between this machine and a share's daemon, and why.
//!
//! It takes no seat: whoever has a handle and looks at it has not used it.

mod daemon;
mod handle;
mod machine;
mod reach;

use serde_json::{Value, json};

use crate::cli::Options;
use crate::environment::Environment;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::finding::{Finding, Level};
use crate::seat::Seat;
use crate::start::{print, runtime, say};

/// Looks at all of it, and says what was found.
pub(crate) fn run(options: &Options, environment: &Environment) -> Result<Exit, Failure> {
    let mut findings = machine::look(options, environment);
    if options.passport.is_some() || environment.passport.is_some() {
        let looked = handle::look(options, environment)?;
        findings.extend(looked.findings);
        match looked.seat {
            Some(seat) => findings.extend(online(&seat, environment)?),
            None => findings.push(not_asked()),
        }
    }
    let failing = findings.iter().filter(|one| one.level == Level::Fails).count();
    if options.json {
        print(&document(&findings).to_string());
    } else {
        let lines: Vec<_> = findings.iter().map(Finding::to_string).collect();
        print(&lines.join("\n"));
        if !options.quiet {
            say(&format!("{} looked at, {failing} would fail", findings.len()));
        }
    }
    Ok(if failing == 0 { Exit::DONE } else { Exit::FAILED })
}

/// What is seen only from beyond this machine.
fn online(seat: &Seat, environment: &Environment) -> Result<Vec<Finding>, Failure> {
    let runtime = runtime()?;
    let findings = runtime.block_on(async {
        let reached = reach::look(seat).await;
        let mut findings = reached.findings;
        findings.extend(daemon::look(seat, environment, reached.leg).await);
        findings
    });
    // A resolver that does not answer is not waited for.
    runtime.shutdown_background();
    Ok(findings)
}

fn not_asked() -> Finding {
    let what = "relays, daemon and its clock were not asked: nothing is sent to anybody before the handle is found good and the fingerprint is confirmed";
    Finding::new(Level::Note, what, "do what is said above, and look again")
}

fn document(findings: &[Finding]) -> Value {
    json!({
        "schema": "openscope.client.doctor/1",
        "ok": findings.iter().all(|one| one.level != Level::Fails),
        "findings": findings.iter().map(Finding::json).collect::<Vec<_>>(),
    })
}
