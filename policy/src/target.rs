//! Targets: the hosts that verbs reach, as root names them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::name::{TargetName, shown};

/// A host that is reached by ssh.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SshTarget {
    /// What verbs call it.
    pub name: TargetName,
    /// Where it is.
    pub host: Host,
    /// Its port.
    pub port: u16,
    /// The account there; the owner's own name where there is none.
    pub user: Option<Login>,
    /// The keys of which it must show one.
    pub host_keys: Vec<HostKey>,
    /// The target through which it is reached.
    pub jump: Option<TargetName>,
    /// What lets the owner in there.
    pub identity: Identity,
    /// How long to wait for it.
    pub connect_timeout: Duration,
}

/// What lets the owner in at a target.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Identity {
    /// The owner's own keys, where ssh looks for them.
    Usual,
    /// A key of the owner's own: a file beneath their home, or at an absolute path.
    Own(FileName),
    /// A key that the daemon holds for them and that they cannot read: a file beside the configuration, or at an
    /// absolute path.
    Held(FileName),
}

/// Why a text of a target is refused. `Display` continues "`text` ".
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{given}` is not {what}")]
pub struct TargetFault {
    given: String,
    what: &'static str,
}

/// A host's name or address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Host(String);

/// The name of an account on a target.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Login(String);

/// A path as configuration files hold it, without what any of them would read as something else.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FileName(String);

/// A public key as OpenSSH writes it, without its comment: the sort and the key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HostKey(String);

/// The sorts of keys that hosts have.
const SORTS: [&str; 7] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-rsa",
];

macro_rules! text {
    ($type:ident, $what:literal, $accepts:expr) => {
        impl $type {
            /// As text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = TargetFault;

            fn from_str(given: &str) -> Result<Self, TargetFault> {
                let accepted: fn(&str) -> Option<String> = $accepts;
                let fault = || TargetFault { given: shown(given), what: $what };
                accepted(given).map(Self).ok_or_else(fault)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }
    };
}

text!(Host, "a host: write its name or its address", |text| {
    let is_name = text.len() <= 253 && is_made_of(text, "._-");
    (is_name || text.parse::<IpAddr>().is_ok()).then(|| text.to_owned())
});
text!(Login, "an account's name: write letters, digits, `.`, `_` and `-`", |text| {
    (text.len() <= 64 && is_made_of(text, "._-")).then(|| text.to_owned())
});
text!(
    FileName,
    "a file's name: write letters, digits, `.`, `_`, `-` and `/`, and no `..`",
    |text| {
        let is_plain = is_made_of(text.trim_start_matches(['/', '.']), "._-/");
        (text.len() <= 1024 && is_plain && text.split('/').all(|part| part != ".."))
            .then(|| text.to_owned())
    }
);
text!(
    HostKey,
    "a host's public key: write the line that `ssh-keyscan` or the host's /etc/ssh/ssh_host_ed25519_key.pub gives, from its sort on",
    |text| {
        let mut words = text.split_ascii_whitespace();
        let (sort, key) = (words.next()?, words.next()?);
        let bytes = STANDARD.decode(key).ok()?;
        let (length, rest) = bytes.split_first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let is_said = rest.get(..length)? == sort.as_bytes() && rest.len() > length;
        (SORTS.contains(&sort) && is_said).then(|| format!("{sort} {key}"))
    }
);

/// Begins with a letter, a digit or `_`, and has besides only these marks.
fn is_made_of(text: &str, marks: &str) -> bool {
    let of_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.starts_with(of_word) && text.chars().all(|c| of_word(c) || marks.contains(c))
}

impl SshTarget {
    /// Where it is, as ssh's own URI says it.
    #[must_use]
    pub fn uri(&self) -> String {
        let user = self.user.as_ref().map_or(String::new(), |user| format!("{user}@"));
        let host = self.host.as_str();
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let port = if self.port == 22 { String::new() } else { format!(":{}", self.port) };
        format!("ssh://{user}{host}{port}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIJ6d1bqVYx3rlrOhCGpCLyqAvkRiJbC8B0cE4R8iYFsF";

    #[test]
    fn nothing_that_a_configuration_file_would_read_otherwise_is_taken() {
        for bad in ["", "-oProxyCommand=id", "a b", "a\nb", "a%h", "a\"", "é", "a*", "$(id)", "a/b"]
        {
            assert!(bad.parse::<Host>().is_err(), "{bad}");
            assert!(bad.parse::<Login>().is_err(), "{bad}");
        }
        for good in ["web-1", "10.0.0.1", "fe80::1", "web_1.example.org", "::1"] {
            assert!(good.parse::<Host>().is_ok(), "{good}");
        }
        for bad in ["", "../x", "a/../b", "a b", "~/x", "a%d", "/", "${HOME}/x", "a\\b"] {
            assert!(bad.parse::<FileName>().is_err(), "{bad}");
        }
        for good in [".ssh/id_ed25519", "/etc/openscope/keys/a", "keys/deploy-1"] {
            assert!(good.parse::<FileName>().is_ok(), "{good}");
        }
    }

    #[test]
    fn a_host_key_says_its_own_sort() {
        let good = format!("ssh-ed25519 {KEY} root@web-1");
        assert_eq!(good.parse::<HostKey>().unwrap().as_str(), format!("ssh-ed25519 {KEY}"));
        for bad in [
            "ssh-ed25519",
            "ssh-ed25519 AAAA",
            &format!("ssh-rsa {KEY}"),
            KEY,
            "ssh-dss AAAAB3NzaC1kc3M=",
        ] {
            assert!(bad.parse::<HostKey>().is_err(), "{bad}");
        }
    }
}
