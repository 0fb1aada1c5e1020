//! How much memory a process holds.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What the process holds now, in KiB.
pub fn now(pid: u32) -> f64 {
    field(pid, "VmRSS:").unwrap_or_else(|| panic!("process {pid} has gone"))
}

/// The most that it has held since [`forget_peak`], in KiB; `None` when it has gone.
pub fn peak(pid: u32) -> Option<f64> {
    field(pid, "VmHWM:")
}

/// Lets the peak begin anew.
pub fn forget_peak(pid: u32) {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").expect("reset a peak");
}

/// The peak of a process that ends while `meanwhile` waits for it.
pub fn peak_while<T>(pid: u32, meanwhile: impl FnOnce() -> T) -> (T, f64) {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut highest: f64 = 0.0;
            while !is_over.load(Ordering::Relaxed) {
                highest = highest.max(peak(pid).unwrap_or_default());
                std::thread::sleep(Duration::from_millis(10));
            }
            highest
        });
        let result = meanwhile();
        is_over.store(true, Ordering::Relaxed);
        (result, watch.join().expect("the watch does not panic"))
    })
}

fn field(pid: u32, name: &str) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let rest = status.lines().find_map(|line| line.strip_prefix(name))?;
    rest.trim().trim_end_matches(" kB").parse().ok()
}
