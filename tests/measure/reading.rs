//! What was measured, and how it is written down.

use std::fmt;

use serde_json::{Value, json};

use crate::figure::Figure;
use crate::overseer::Run;

/// What a figure has to be.
#[derive(Clone, Copy, Debug)]
pub enum Limit {
    AtMost(f64),
    AtLeast(f64),
    Below(f64),
}

/// One figure as it was measured.
pub struct Reading {
    pub figure: String,
    pub value: f64,
    pub unit: &'static str,
    /// What it is compared with, with what that measured.
    pub against: String,
    pub limit: Limit,
    /// How far the samples lie apart, and what else a reader wants to know.
    pub spread: String,
}

/// The keys that are published, in this order.
const PUBLISHED: [&str; 6] = ["figure", "value", "unit", "against", "limit", "holds"];

impl Limit {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(limit) => value <= limit,
            Self::AtLeast(limit) => value >= limit,
            Self::Below(limit) => value < limit,
        }
    }

    fn number(self) -> f64 {
        let (Self::AtMost(limit) | Self::AtLeast(limit) | Self::Below(limit)) = self;
        limit
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(limit) => write!(f, "≤ {limit}"),
            Self::AtLeast(limit) => write!(f, "≥ {limit}"),
            Self::Below(limit) => write!(f, "< {limit}"),
        }
    }
}

impl Reading {
    /// All that is known of it.
    pub fn row(&self) -> Value {
        json!({
            "figure": self.figure,
            "value": (self.value * 1000.0).round() / 1000.0,
            "unit": self.unit,
            "against": self.against,
            "limit": self.limit.number(),
            "holds": self.limit.holds(self.value),
            "bound": self.limit.to_string(),
            "spread": self.spread,
        })
    }
}

/// The row of a figure that could not be measured: its value is not known, so it does not hold.
pub fn unmeasured(figure: &Figure, why: &str) -> Value {
    json!({
        "figure": figure.name,
        "value": null,
        "unit": figure.unit,
        "against": why,
        "limit": figure.limit.number(),
        "holds": false,
        "bound": figure.limit.to_string(),
        "spread": "",
    })
}

/// The rows as one JSON array.
pub fn published(measured: &[(&Figure, Run)]) -> String {
    let rows = measured.iter().flat_map(|(figure, run)| run.shown(figure));
    let objects: Vec<String> = rows.map(|row| object(&row)).collect();
    format!("[\n  {}\n]", objects.join(",\n  "))
}

/// One row with its published keys in their order, which `serde_json`'s own map would sort.
fn object(row: &Value) -> String {
    let pairs = PUBLISHED.map(|key| format!("{}: {}", json!(key), row[key]));
    format!("{{{}}}", pairs.join(", "))
}
