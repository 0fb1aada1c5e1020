//! Measures what the product promises of its speed and size, with the real programs, against their peers.
//!
//! Each figure is measured in a process of its own, in a world of its own, so that none of them weighs on the next.

mod agent;
mod bulk;
mod clients;
mod cold;
mod decision;
mod far;
mod figure;
mod files;
mod idle;
mod machine;
mod nine;
mod note;
mod overseer;
mod rate;
mod reading;
mod redaction;
mod resident;
mod revoke;
mod ruled;
mod sample;
mod scene;
mod shared;
mod spawn;
mod table;
mod warm;
mod web;

use std::process::ExitCode;

use figure::{ALL, Figure};
use overseer::ALONE;
use serde_json::Value;

const USAGE: &str = "measure [--json] [FIGURE…]
  starts the programs that lie beside it, as root; prints a table, or one JSON array";

enum Asked {
    Help,
    Alone(Figure),
    Report { json: bool, figures: Vec<Figure> },
}

fn main() -> ExitCode {
    match ask(std::env::args().skip(1)) {
        Ok(Asked::Help) => {
            println!("{USAGE}\nfigures: {}", names());
            ExitCode::SUCCESS
        }
        Ok(Asked::Alone(figure)) => {
            println!("{}", Value::Array(overseer::alone(&figure)));
            ExitCode::SUCCESS
        }
        Ok(Asked::Report { json, figures }) => report(json, &figures),
        Err(fault) => refuse(&fault),
    }
}

fn ask(arguments: impl Iterator<Item = String>) -> Result<Asked, String> {
    let (mut json, mut alone, mut figures) = (false, false, Vec::new());
    for argument in arguments {
        match argument.as_str() {
            "--help" | "-h" => return Ok(Asked::Help),
            "--json" => json = true,
            ALONE => alone = true,
            name => figures.push(figure::named(name).ok_or_else(|| unknown(name))?),
        }
    }
    match (alone, figures.as_slice()) {
        (true, [figure]) => Ok(Asked::Alone(*figure)),
        (true, _) => Err(format!("{ALONE} takes one figure")),
        (false, []) => Ok(Asked::Report { json, figures: ALL.to_vec() }),
        (false, _) => Ok(Asked::Report { json, figures }),
    }
}

fn unknown(name: &str) -> String {
    format!("there is no figure `{name}`; there are {}", names())
}

fn names() -> String {
    ALL.map(|figure| figure.name).join(", ")
}

/// Measures and prints; the status says whether all could be measured, never whether they hold.
fn report(json: bool, figures: &[Figure]) -> ExitCode {
    if let Err(fault) = machine::ready() {
        return refuse(&fault);
    }
    if !json {
        println!("{}", machine::described());
    }
    let measured: Vec<_> =
        figures.iter().map(|figure| (figure, overseer::measure(figure))).collect();
    if json {
        println!("{}", reading::published(&measured));
    } else {
        print!("{}", table::drawn(&measured));
    }
    let all = measured.iter().all(|(_, run)| run.rows.is_ok());
    if all { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn refuse(fault: &str) -> ExitCode {
    eprintln!("measure: {fault}");
    ExitCode::from(2)
}
