//! The figures, and what each has to be.

use crate::reading::{Limit, Reading};
use crate::{
    agent, bulk, cold, decision, far, files, idle, nine, note, rate, redaction, revoke, shared,
    warm, web,
};

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
pub const ALL: [Figure; 26] = [
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
        name: "shared_call_vs_warm",
        unit: "ratio",
        limit: Limit::AtMost(3.0),
        measure: shared::measure,
    },
    Figure {
        name: "mcp_call_vs_warm",
        unit: "ratio",
        limit: Limit::AtMost(1.3),
        measure: agent::measure,
    },
    Figure { name: "note_ms", unit: "ms", limit: Limit::AtMost(1.0), measure: note::measure },
    Figure {
        name: "file_9mib_put_ms",
        unit: "ms",
        limit: Limit::AtMost(100.0),
        measure: nine::measure,
    },
    Figure {
        name: "ssh_verb_vs_controlmaster",
        unit: "ratio",
        limit: Limit::AtMost(1.3),
        measure: far::measure,
    },
    Figure {
        name: "ssh_held_verb_vs_ssh",
        unit: "ratio",
        limit: Limit::AtMost(1.3),
        measure: far::held,
    },
    Figure {
        name: "bulk_mib_s",
        unit: "MiB/s",
        limit: Limit::AtLeast(150.0),
        measure: bulk::measure,
    },
    Figure {
        name: "http_req_s",
        unit: "req/s",
        limit: Limit::AtLeast(1500.0),
        measure: web::measure,
    },
    Figure {
        name: "file_get_mib_s",
        unit: "MiB/s",
        limit: Limit::AtLeast(150.0),
        measure: files::measure,
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
    Figure {
        name: "authorize_cached_us",
        unit: "us",
        limit: Limit::AtMost(20.0),
        measure: decision::cached,
    },
    Figure {
        name: "authorize_uncached_us",
        unit: "us",
        limit: Limit::AtMost(350.0),
        measure: decision::uncached,
    },
    Figure {
        name: "authorize_chain8_us",
        unit: "us",
        limit: Limit::AtMost(1000.0),
        measure: decision::chain8,
    },
    Figure {
        name: "authorize_100k_rules_us",
        unit: "us",
        limit: Limit::AtMost(100.0),
        measure: decision::among_many,
    },
    Figure {
        name: "load_100k_rules_s",
        unit: "s",
        limit: Limit::AtMost(2.0),
        measure: decision::load_many,
    },
    Figure {
        name: "passport_bytes",
        unit: "bytes",
        limit: Limit::AtMost(700.0),
        measure: decision::passport_bytes,
    },
    Figure {
        name: "narrow_bytes",
        unit: "bytes",
        limit: Limit::AtMost(450.0),
        measure: decision::narrow_bytes,
    },
    Figure {
        name: "hand_on_bytes",
        unit: "bytes",
        limit: Limit::AtMost(620.0),
        measure: decision::hand_on_bytes,
    },
    Figure {
        name: "redact_mb_s",
        unit: "MB/s",
        limit: Limit::AtLeast(400.0),
        measure: redaction::speed,
    },
    Figure {
        name: "redact_own_mb_s",
        unit: "MB/s",
        limit: Limit::AtLeast(200.0),
        measure: redaction::own_speed,
    },
    Figure {
        name: "redact_recall",
        unit: "ratio",
        limit: Limit::AtLeast(0.99),
        measure: redaction::recall,
    },
    Figure {
        name: "redact_overmask",
        unit: "ratio",
        limit: Limit::AtMost(0.001),
        measure: redaction::overmask,
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
