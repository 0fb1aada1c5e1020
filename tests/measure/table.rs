//! The table for people.

use std::fmt::Write as _;

use serde_json::Value;

use crate::figure::Figure;
use crate::overseer::Run;

/// All figures, one below the other.
pub fn drawn(measured: &[(&Figure, Run)]) -> String {
    let mut table = String::new();
    for (figure, run) in measured {
        let took = run.took.as_secs_f64();
        for (place, row) in run.shown(figure).iter().enumerate() {
            let took = if place == 0 { format!("(in {took:.1} s)") } else { String::new() };
            line(&mut table, row, &took);
        }
    }
    table
}

fn line(table: &mut String, row: &Value, took: &str) {
    let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let value = row["value"].as_f64().map_or("not measured".to_owned(), |value| format!("{value}"));
    let verdict = if row["holds"] == true { "holds" } else { "MISSES" };
    let quantity = format!("{value} {}", text("unit"));
    let _ = writeln!(
        table,
        "{:<26} {quantity:>16}   limit {:<6} {verdict:<7} {took}\n    {}\n    {}",
        text("figure"),
        text("bound"),
        text("against"),
        text("spread"),
    );
}
