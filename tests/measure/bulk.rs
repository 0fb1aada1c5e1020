//! Standard output through the relay, and the most that each process on the way holds meanwhile.

use std::process::Stdio;
use std::time::{Duration, Instant};

use tests::owner::Share;

use crate::figure::Figure;
use crate::reading::{Limit, Reading};
use crate::resident;
use crate::sample::Samples;
use crate::scene::Scene;

/// Of 64 KiB each: 512 MiB, eight times what any process may hold.
const BLOCKS: u32 = 8192;
const ROUNDS: usize = 4;
const BUDGET: Duration = Duration::from_secs(20);
/// What bounded memory means here.
const PEAK: Limit = Limit::AtMost(64.0);

pub fn measure(figure: &Figure) -> Vec<Reading> {
    let scene = Scene::new();
    let share = scene.open(&["test.bulk"]);
    let servers = [
        ("relay", scene.relay()),
        ("broker", scene.pid("--as-broker")),
        ("monitor", scene.pid("--as-monitor")),
    ];
    transfer(&scene, &share, BLOCKS / 16);
    for (_, pid) in servers {
        resident::forget_peak(pid);
    }
    let (mut rates, mut client, begun) = (Vec::new(), 0.0_f64, Instant::now());
    while rates.len() < ROUNDS && (rates.is_empty() || begun.elapsed() < BUDGET) {
        let (took, peak) = transfer(&scene, &share, BLOCKS);
        rates.push(f64::from(BLOCKS) / 16.0 / took.as_secs_f64());
        client = client.max(peak);
    }
    let rates: Samples = rates.into_iter().collect();
    let peaks = servers.map(|(name, pid)| (name, resident::peak(pid).expect("it still runs")));
    let mut readings = vec![figure.read(rates.median(), spread(&rates), against())];
    readings.extend([("client", client)].into_iter().chain(peaks).map(peak));
    readings
}

/// Runs the client until it has taken in all of it; how long that took, and its peak.
fn transfer(scene: &Scene, share: &Share, blocks: u32) -> (Duration, f64) {
    let argument = format!("blocks={blocks}");
    let mut command = scene.world.vendor().command(share, &["call", "test.bulk", &argument]);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let begun = Instant::now();
    let mut client = command.spawn().expect("start the client");
    let pid = client.id();
    let ((status, took), peak) = resident::peak_while(pid, || {
        let status = client.wait().expect("wait for the client");
        (status, begun.elapsed())
    });
    assert!(status.success(), "the client ended with {status}");
    (took, peak)
}

fn spread(rates: &Samples) -> String {
    format!(
        "{:.0} to {:.0} over {} transfers of {} MiB",
        rates.min(),
        rates.max(),
        rates.len(),
        BLOCKS / 16
    )
}

fn against() -> String {
    "dd by the owner → relay → the client's standard output, /dev/null; from process start to end"
        .to_owned()
}

fn peak((name, kib): (&str, f64)) -> Reading {
    Reading {
        figure: format!("bulk_peak_mib_{name}"),
        value: kib / 1024.0,
        unit: "MiB",
        against: "peak resident memory meanwhile".to_owned(),
        limit: PEAK,
        spread: String::new(),
    }
}
