//! The one place where this program reads its environment.

use std::env::var_os;
use std::ffi::OsString;
use std::path::PathBuf;

/// By what programs are told of proxies.
const PROXIES: [&str; 6] =
    ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"];

/// Where a handle may be given.
pub(crate) const HANDLE_VARIABLE: &str = "OPENSCOPE_PASSPORT";

/// What the environment says, read once.
#[derive(Clone, Default)]
pub(crate) struct Environment {
    /// `$XDG_CONFIG_HOME/openscope`, or the usual place of it.
    pub(crate) config: Option<PathBuf>,
    /// `$XDG_STATE_HOME/openscope`, or the usual place of it.
    pub(crate) state: Option<PathBuf>,
    /// `$XDG_RUNTIME_DIR/openscope`; there is no usual place of it.
    pub(crate) runtime: Option<PathBuf>,
    /// The home directory.
    pub(crate) home: Option<PathBuf>,
    /// `OPENSCOPE_PASSPORT`.
    pub(crate) passport: Option<OsString>,
    /// `TERM`.
    pub(crate) terminal: Option<String>,
    /// `RUST_LOG`.
    pub(crate) log: Option<String>,
    /// The variables that name proxies, of those that are set. What they say may be a password.
    pub(crate) proxies: Vec<&'static str>,
}

impl Environment {
    /// The environment of this process.
    pub(crate) fn read() -> Self {
        let home = directory("HOME");
        let under = |name, usual: &str| {
            let base = directory(name).or_else(|| Some(home.as_ref()?.join(usual)));
            base.map(|base| base.join("openscope"))
        };
        Self {
            config: under("XDG_CONFIG_HOME", ".config"),
            state: under("XDG_STATE_HOME", ".local/state"),
            runtime: directory("XDG_RUNTIME_DIR").map(|base| base.join("openscope")),
            passport: var_os(HANDLE_VARIABLE).filter(|text| !text.is_empty()),
            terminal: var_os("TERM").and_then(|text| text.into_string().ok()),
            log: var_os("RUST_LOG").and_then(|text| text.into_string().ok()),
            proxies: PROXIES.into_iter().filter(|name| is_set(name)).collect(),
            home,
        }
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Environment")
            .field("config", &self.config)
            .field("state", &self.state)
            .field("runtime", &self.runtime)
            .field("home", &self.home)
            .finish_non_exhaustive()
    }
}

/// A directory that the environment names; a relative one is no place to keep keys.
fn directory(name: &str) -> Option<PathBuf> {
    var_os(name).map(PathBuf::from).filter(|path| path.is_absolute())
}

fn is_set(name: &str) -> bool {
    var_os(name).is_some_and(|text| !text.is_empty())
}
