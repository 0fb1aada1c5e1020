//! The machine that is measured on, and whether it can be.

use std::fs;

use tests::installed::{PROGRAMS, built};

/// Whether everything is there to begin with.
pub fn ready() -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Err("run it as root: it makes users, as a server has them".to_owned());
    }
    let missing: Vec<&str> =
        PROGRAMS.into_iter().filter(|name| !built().join(name).exists()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let profile = if cfg!(debug_assertions) { "" } else { " --release" };
    Err(format!(
        "{} not in {}: run `cargo build{profile} --workspace --bins` first",
        missing.join(", "),
        built().display()
    ))
}

/// One line on the machine: what it is, and what else it is doing.
pub fn described() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let model = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!(
        "{cores} cores ({}), Linux {}, load {} at the start{}",
        model.trim_start_matches(['\t', ':', ' ']),
        kernel.trim(),
        load.split(' ').next().unwrap_or_default(),
        if cfg!(debug_assertions) { "; NOT a release build" } else { "" },
    )
}
