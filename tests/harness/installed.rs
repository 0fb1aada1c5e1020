//! The binaries under test, copied to where root's strict checks accept them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// All binaries of the project.
pub const PROGRAMS: [&str; 6] = [
    "openscope",
    "openscoped",
    "openscope-run",
    "openscope-reach",
    "openscope-relay",
    "openscope-reflect-client",
];

/// Where everything of this test process lies: root-owned all the way up, unlike `/tmp`.
pub fn base() -> &'static Path {
    static BASE: OnceLock<PathBuf> = OnceLock::new();
    BASE.get_or_init(|| {
        let base = PathBuf::from(format!("/var/lib/osptest-{}", std::process::id()));
        fs::create_dir_all(&base).expect("make the base directory (the tests run as root)");
        base
    })
}

/// The path of an installed program.
pub fn program(name: &str) -> PathBuf {
    static BIN: OnceLock<PathBuf> = OnceLock::new();
    BIN.get_or_init(install).join(name)
}

/// Where cargo has put the programs.
pub fn built() -> PathBuf {
    let own = std::env::current_exe().expect("know the own path");
    let directory = own.parent().expect("lie in a directory");
    let is_deps = directory.file_name().is_some_and(|name| name == "deps");
    if is_deps {
        directory.parent().expect("lie in a target directory").into()
    } else {
        directory.into()
    }
}

/// A directory that has the tests' own age plugin, for a `PATH`.
pub fn plugins() -> &'static Path {
    static PLUGINS: OnceLock<PathBuf> = OnceLock::new();
    PLUGINS.get_or_init(|| {
        let directory = base().join("plugins");
        fs::create_dir_all(&directory).expect("make the directory for plugins");
        install_one("age-plugin-osptest", &directory);
        directory
    })
}

fn install() -> PathBuf {
    let bin = base().join("bin");
    fs::create_dir_all(&bin).expect("make the directory for the programs");
    PROGRAMS.iter().for_each(|name| install_one(name, &bin));
    bin
}

fn install_one(name: &str, directory: &Path) {
    let from = built().join(name);
    assert!(from.exists(), "{} is missing: run `cargo build --workspace --bins`", from.display());
    let to = directory.join(name);
    fs::copy(&from, &to).expect("copy a program");
    fs::set_permissions(&to, fs::Permissions::from_mode(0o755)).expect("make it executable");
}
