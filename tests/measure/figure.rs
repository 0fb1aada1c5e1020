//! The figures, and what each has to be.

use crate::reading::{Limit, Reading};
use crate::{bulk, cold, idle, rate, revoke, warm};

/// One figure.
#[derive(Clone, Copy)]
pub struct Figure {
    pub name: &'static str,
    pub unit: &'static str,
    pub limit: Limit,
    /// Measures it: the figure itself first, and what belongs to it.
    pub measure: fn(&Figure) -> Vec<Reading>,
}

/// All of them, in the order in which they are measured.
pub const ALL: [Figure; 6] = [
    Figure {
        name: "warm_call_vs_spawn",
        unit: "ratio",
        limit: Limit::AtMost(1.6),
        measure: warm::measure,
    },
    Figure {
        name: "calls_per_s_64",
        unit: "ratio",
        limit: Limit::AtLeast(0.4),
        measure: rate::measure,
    },
    Figure {
        name: "cold_call_vs_ssh",
        unit: "ratio",
        limit: Limit::AtMost(0.1),
        measure: cold::measure,
    },
    Figure {
        name: "bulk_mib_s",
        unit: "MiB/s",
        limit: Limit::AtLeast(150.0),
        measure: bulk::measure,
    },
    Figure {
        name: "relay_kib_per_idle_seat",
        unit: "KiB",
        limit: Limit::AtMost(64.0),
        measure: idle::measure,
    },
    Figure {
        name: "revoke_p99_ms",
        unit: "ms",
        limit: Limit::Below(100.0),
        measure: revoke::measure,
    },
];

/// The figure of this name.
pub fn named(name: &str) -> Option<Figure> {
    ALL.into_iter().find(|figure| figure.name == name)
}

impl Figure {
    /// What was measured of it.
    pub fn read(&self, value: f64, spread: String, against: String) -> Reading {
        let Self { name, unit, limit, .. } = *self;
        Reading { figure: name.to_owned(), value, unit, against, limit, spread }
    }
}
