//! A file of 9 MiB, handed over and fetched: each a process from its start to its end.

use std::time::{Duration, Instant};

use crate::cold::timed;
use crate::figure::Figure;
use crate::reading::{Limit, Reading};
use crate::sample::Samples;
use crate::scene::Scene;

const LENGTH: usize = 9 << 20;
const TIMES: usize = 20;
const BUDGET: Duration = Duration::from_secs(20);

const VERBS: &str = r#"
[verb."files.get"]
summary = "Fetches a file"
effect  = "read"
run     = { file = { get = "{path}" } }
output  = { max = "64MiB", redact = [] }
[verb."files.get".params]
path = { type = "path", subtree = "@HOME@/drop", required = true }

[verb."files.put"]
summary = "Takes a file in"
effect  = "write"
run     = { file = { put = "{path}", max = "64MiB", overwrite = true } }
[verb."files.put".params]
path = { type = "path", subtree = "@HOME@/drop", required = true }
"#;

pub fn measure(figure: &Figure) -> Vec<Reading> {
    let scene = Scene::with(|setup| {
        setup.verbs += VERBS;
        let held = "\"test.true\" = {}, \"files.get\" = {}, \"files.put\" = {}";
        setup.policy = setup
            .policy
            .replace("\"test.true\" = {}", held)
            .replace("[\"log.*\"", "[\"files.*\", \"log.*\"");
    });
    let share = scene.open(&["files.get", "files.put"]);
    let vendor = scene.world.vendor();
    let bytes: Vec<u8> =
        (0..LENGTH).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let file = vendor.home().join("nine");
    std::fs::write(&file, bytes).expect("write the file");
    let (file, there) = (file.display().to_string(), scene.world.drop_file("nine"));
    let path = format!("path={}", there.display());
    let put = || timed(vendor.command(&share, &["put", "files.put", &file, &path]));
    let get = || timed(vendor.command(&share, &["get", "files.get", &path, "--output", "-"]));
    put();
    get();
    let (mut puts, mut gets, begun) = (Vec::new(), Vec::new(), Instant::now());
    while puts.len() < TIMES && begun.elapsed() < BUDGET {
        puts.push(put());
        gets.push(get());
    }
    let (puts, gets) = (Samples::from_iter(puts), Samples::from_iter(gets));
    let read = |name: &str, what: &Samples| Reading {
        figure: name.to_owned(),
        value: what.median(),
        unit: "ms",
        against: "from process start to end, SHA-256 compared".to_owned(),
        limit: Limit::AtMost(100.0),
        spread: format!("{:.0} to {:.0} over {}", what.min(), what.max(), what.len()),
    };
    vec![read(figure.name, &puts), read("file_9mib_get_ms", &gets)]
}
