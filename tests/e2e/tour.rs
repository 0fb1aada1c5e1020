//! `openscope try`: the whole story, and nothing left of it.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use tests::installed::program;

/// Runs the tour without a terminal; what it told.
fn tour(command: &mut Command) -> String {
    let output = command.arg("try").stdin(Stdio::null()).output().expect("run openscope try");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let aside = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{}\n{told}\n{aside}", output.status);
    told + &aside
}

fn nothing_is_left(told: &str) {
    let home = told.split_whitespace().find(|word| word.contains("/openscope-try-"));
    let home = home.expect("the tour names its directory").trim_end_matches(['.', ',']);
    assert!(!fs::exists(home).expect("look for it"), "{home} is still there");
    for entry in fs::read_dir("/proc").expect("list processes").flatten() {
        for file in ["cmdline", "environ"] {
            let text = fs::read(entry.path().join(file)).unwrap_or_default();
            let text = String::from_utf8_lossy(&text).into_owned();
            assert!(!text.contains(home), "{} is left: {text}", entry.path().display());
        }
    }
}

fn tells_the_story(told: &str) {
    for part in [
        "disk.usage",
        "you asked GET for /hello/vendor",
        "may.csv: 28 bytes, SHA-256",
        "revoked",
        "that is enough",
        "records, in order and unchanged",
    ] {
        assert!(told.contains(part), "no `{part}` in\n{told}");
    }
}

#[test]
fn try_started_by_root_becomes_an_ordinary_account_and_leaves_nothing() {
    let told = tour(Command::new(program("openscope")).env_remove("SUDO_USER"));
    assert!(told.contains("nobody"), "{told}");
    tells_the_story(&told);
    nothing_is_left(&told);
}

#[test]
fn try_started_by_an_ordinary_user_needs_nothing_and_leaves_nothing() {
    let mut command = Command::new(program("openscope"));
    command.uid(65534).gid(65534).env_clear().env("PATH", "/usr/bin:/bin").current_dir("/");
    let told = tour(&mut command);
    tells_the_story(&told);
    nothing_is_left(&told);
}
