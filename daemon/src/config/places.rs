//! Where things are when the configuration does not say.

use std::env;
use std::path::PathBuf;

use super::Mode;

/// The paths that a mode uses by default.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Places {
    /// `openscoped.toml`.
    pub config: PathBuf,
    /// The state directory.
    pub state: PathBuf,
    /// The owner socket.
    pub socket: PathBuf,
}

impl Places {
    /// The paths of `mode`. Reads the environment in rootless mode.
    #[must_use]
    pub fn of(mode: Mode) -> Self {
        match mode {
            Mode::System => Self::system(),
            Mode::Rootless => Self::rootless(),
        }
    }

    /// The paths of the daemon that root runs.
    #[must_use]
    pub fn system() -> Self {
        Self {
            config: "/etc/openscope/openscoped.toml".into(),
            state: "/var/lib/openscope".into(),
            socket: "/run/openscope/openscope.sock".into(),
        }
    }

    /// The paths of the calling user's own daemon, by the XDG base directories.
    #[must_use]
    pub fn rootless() -> Self {
        Self::within(directory)
    }

    fn within(directory: impl Fn(&str) -> Option<PathBuf>) -> Self {
        let home = directory("HOME").unwrap_or_else(|| "/".into());
        let base = |key: &str, below: &str| directory(key).unwrap_or_else(|| home.join(below));
        let state = base("XDG_STATE_HOME", ".local/state").join("openscope");
        // Without a runtime directory (no login session) the socket lies with the state, which is
        // the user's alone as well.
        let runtime = directory("XDG_RUNTIME_DIR").unwrap_or_else(|| state.clone());
        Self {
            config: base("XDG_CONFIG_HOME", ".config").join("openscope/openscoped.toml"),
            socket: runtime.join("openscope.sock"),
            state,
        }
    }
}

/// As the XDG specification asks, what is not an absolute path counts as not set.
fn directory(key: &str) -> Option<PathBuf> {
    env::var_os(key).map(PathBuf::from).filter(|path| path.is_absolute())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_places_follow_their_directories() {
        let places = Places::within(|key| Some(PathBuf::from(format!("/u/{key}"))));
        assert_eq!(places.config, PathBuf::from("/u/XDG_CONFIG_HOME/openscope/openscoped.toml"));
        assert_eq!(places.state, PathBuf::from("/u/XDG_STATE_HOME/openscope"));
        assert_eq!(places.socket, PathBuf::from("/u/XDG_RUNTIME_DIR/openscope.sock"));
    }

    #[test]
    fn without_them_they_lie_in_the_home_directory() {
        let places = Places::within(|key| (key == "HOME").then(|| "/home/a".into()));
        assert_eq!(places.config, PathBuf::from("/home/a/.config/openscope/openscoped.toml"));
        assert_eq!(places.state, PathBuf::from("/home/a/.local/state/openscope"));
        assert_eq!(places.socket, PathBuf::from("/home/a/.local/state/openscope/openscope.sock"));
    }
}
