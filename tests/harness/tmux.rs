//! A terminal with a screen, as a person has one: tmux, with what it shows.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::account::Account;
use crate::background::as_user;
use crate::wait::PATIENCE;

/// One window of a server of its own.
pub struct Tmux {
    socket: PathBuf,
    account: Account,
}

impl Tmux {
    /// Starts a command in a window of this size.
    pub fn start(socket: PathBuf, account: &Account, size: (u16, u16), command: &Command) -> Self {
        let tmux = Self { socket, account: account.clone() };
        let (columns, rows) = (size.0.to_string(), size.1.to_string());
        let mut start = tmux.tmux(&["new-session", "-d", "-x", &columns, "-y", &rows, "--"]);
        let variables = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
        start.arg("env").args(variables.map(|(name, value)| {
            [name.to_os_string(), value.to_os_string()].join(std::ffi::OsStr::new("="))
        }));
        start.arg(command.get_program()).args(command.get_args());
        done(start);
        done(tmux.tmux(&["set-option", "-g", "remain-on-exit", "on"]));
        tmux
    }

    fn tmux(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("tmux");
        as_user(&mut command, &self.account);
        command.env("TERM", "xterm-256color").env("LC_ALL", "C.UTF-8");
        command.args(["-f", "/dev/null", "-S"]).arg(&self.socket).args(arguments);
        command
    }

    /// Types keys, by the names that tmux has for them.
    pub fn keys(&self, keys: &[&str]) {
        done(self.tmux(&[&["send-keys"][..], keys].concat()));
    }

    /// Types a text, and Enter.
    pub fn line(&self, text: &str) {
        done(self.tmux(&["send-keys", "-l", text]));
        self.keys(&["Enter"]);
    }

    /// What is on the screen.
    pub fn screen(&self) -> String {
        let shown = done(self.tmux(&["capture-pane", "-p"]));
        String::from_utf8_lossy(&shown.stdout).into_owned()
    }

    /// Waits until the screen is as it should be.
    pub fn sees(&self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        let begun = Instant::now();
        loop {
            let screen = self.screen();
            if is_so(&screen) {
                return screen;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "waited too long for {what}, and not for\n{screen}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for a text.
    pub fn shows(&self, text: &str) -> String {
        self.sees(text, |screen| screen.contains(text))
    }

    pub fn resizes(&self, columns: u16, rows: u16) {
        let (columns, rows) = (columns.to_string(), rows.to_string());
        done(self.tmux(&["resize-window", "-x", &columns, "-y", &rows]));
    }

    /// How the command ended.
    pub fn status(&self) -> i32 {
        let begun = Instant::now();
        loop {
            let said = done(self.tmux(&["list-panes", "-F", "#{pane_dead} #{pane_dead_status}"]));
            let said = String::from_utf8_lossy(&said.stdout).into_owned();
            if let Some(status) = said.trim().strip_prefix("1 ").and_then(|text| text.parse().ok())
            {
                return status;
            }
            let screen = self.screen();
            assert!(begun.elapsed() < PATIENCE, "waited too long for its end: {said}\n{screen}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let _gone_already = self.tmux(&["kill-server"]).output();
    }
}

fn done(mut command: Command) -> Output {
    let output = command.output().expect("run tmux");
    assert!(output.status.success(), "{command:?}: {output:?}");
    output
}
