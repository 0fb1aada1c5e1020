//! Paths: absolute and normalised, compared by components.
//!
//! What a path leads to is for whoever opens it: beneath its root, past no symlink.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::name::shown;
use crate::value::{Text, ValueFault};

/// Takes an absolute path without empty, `.` or `..` components and without control characters.
pub(crate) fn check(text: &str) -> Result<(), ValueFault> {
    let fault = |what| Err(ValueFault::NotPath(shown(text), what));
    let Some(components) = text.strip_prefix('/') else {
        return fault("it does not begin with `/`");
    };
    if text.contains(char::is_control) {
        return fault("it has a control character");
    }
    if components.is_empty() {
        return Ok(());
    }
    for component in components.split('/') {
        match component {
            "" => return fault("it has an empty component, or ends in `/`"),
            "." | ".." => return fault("it has a component `.` or `..`"),
            _ => {}
        }
    }
    Ok(())
}

/// A directory, or a file, that paths lie beneath. `Display` ends in `/`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Root(Text);

impl Root {
    /// The path itself, without a `/` at its end.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.0
    }

    /// What is left of a path beneath this root, without a leading `/`: empty for the root itself,
    /// `None` for what is no normalised path or lies elsewhere.
    #[must_use]
    pub fn rest<'a>(&self, path: &'a str) -> Option<&'a str> {
        check(path).ok()?;
        let beneath = path.strip_prefix(self.trunk())?;
        if beneath.is_empty() { Some(beneath) } else { beneath.strip_prefix('/') }
    }

    /// Whether the path is the root or lies beneath it, by components.
    #[must_use]
    pub fn holds(&self, path: &str) -> bool {
        self.rest(path).is_some()
    }

    /// The path as others continue it: nothing for `/`.
    pub(crate) fn trunk(&self) -> &str {
        self.0.strip_suffix('/').unwrap_or(&self.0)
    }
}

impl FromStr for Root {
    type Err = ValueFault;

    fn from_str(text: &str) -> Result<Self, ValueFault> {
        let shorter = text.strip_suffix('/').filter(|path| !path.is_empty() && *path != "/");
        let path = shorter.unwrap_or(text);
        check(path)?;
        Text::new(path).map(Self)
    }
}

impl TryFrom<String> for Root {
    type Error = ValueFault;

    fn try_from(text: String) -> Result<Self, ValueFault> {
        text.parse()
    }
}

impl From<Root> for String {
    fn from(root: Root) -> Self {
        root.0.into()
    }
}

impl fmt::Display for Root {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/", self.trunk())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_absolute_and_normalised() {
        for good in ["/", "/a", "/var/log/x y.log", "/a/...", "/é", "/a/-b"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in ["", "a", "./a", "//", "/a/", "/a//b", "/.", "/..", "/a/../b", "/a/./b", "/a\n"]
        {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_root_holds_by_components() {
        let root: Root = "/var/log".parse().unwrap();
        assert_eq!(root.rest("/var/log"), Some(""));
        assert_eq!(root.rest("/var/log/a/b"), Some("a/b"));
        for outside in ["/var/logs", "/var/log.1", "/var", "/", "/var/log/", "/var/log/../x", "x"] {
            assert!(!root.holds(outside), "{outside}");
        }
        let all: Root = "/".parse().unwrap();
        assert_eq!((all.rest("/"), all.rest("/a/b")), (Some(""), Some("a/b")));
        assert!(!all.holds("a"));
    }

    #[test]
    fn a_root_may_be_written_with_a_slash_at_its_end() {
        assert_eq!("/var/log/".parse::<Root>(), "/var/log".parse());
        assert_eq!("/var/log".parse::<Root>().unwrap().to_string(), "/var/log/");
        assert_eq!("/".parse::<Root>().unwrap().to_string(), "/");
        for bad in ["", "var", "/var//", "/..", "//"] {
            assert!(bad.parse::<Root>().is_err(), "{bad}");
        }
    }
}
