//! Who asks: by the kernel's word, not by theirs.

use std::fs;
use std::io;
use std::os::unix::net::UnixStream;

use rustix::net::sockopt::socket_peercred;

/// Who may ask.
pub(super) struct Allowed {
    pub(super) uid: u32,
    /// The path of the cgroup that they must be in, as /proc tells it here.
    pub(super) cgroup: Option<String>,
}

impl Allowed {
    /// Whether the peer is one of them.
    pub(super) fn admits(&self, stream: &UnixStream) -> bool {
        let Ok(peer) = socket_peercred(stream) else { return false };
        peer.uid.as_raw() == self.uid
            && self.cgroup.as_ref().is_none_or(|cgroup| {
                let path = format!("/proc/{}/cgroup", peer.pid.as_raw_pid());
                unified(&fs::read_to_string(path).unwrap_or_default()) == Some(cgroup.as_str())
            })
    }
}

/// The path of the cgroup of this name beside our own: both are of this daemon. Only the whole path tells: whoever has a
/// part of the tree may call theirs as they like.
pub(super) fn beside(leaf: &str) -> io::Result<String> {
    sibling(&fs::read_to_string("/proc/self/cgroup")?, leaf)
        .ok_or_else(|| io::Error::other("this process is in no cgroup of the daemon's"))
}

fn sibling(told: &str, leaf: &str) -> Option<String> {
    let (above, _own) = unified(told)?.rsplit_once('/').filter(|(above, _)| !above.is_empty())?;
    (!leaf.is_empty() && !leaf.contains('/')).then(|| format!("{above}/{leaf}"))
}

/// The path in the unified hierarchy; the others do not count.
fn unified(told: &str) -> Option<&str> {
    told.lines().find_map(|line| line.strip_prefix("0::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_known_by_the_whole_path_of_its_cgroup() {
        let own = "1:name=systemd:/x\n0::/sys/openscope-ab/call-13\n";
        let beside = sibling(own, "call-12").unwrap();
        assert_eq!(beside, "/sys/openscope-ab/call-12");
        let is_it = |told: &str| unified(told) == Some(beside.as_str());
        assert!(is_it("1:name=systemd:/x\n0::/sys/openscope-ab/call-12\n"));
        for other in [
            "/sys/openscope-ab/call-1",
            "/sys/openscope-ab/call-12/below",
            "/user/u1000/openscope-ab/call-12",
            "/user/sys/openscope-ab/call-12",
            "/",
        ] {
            assert!(!is_it(&format!("0::{other}\n")), "{other}");
        }
        assert!(!is_it(""));
        for (own, leaf) in
            [(own, ""), (own, "a/b"), ("0::/\n", "call-1"), ("0::/x\n", "call-1"), ("", "call-1")]
        {
            assert_eq!(sibling(own, leaf), None, "{own:?} {leaf:?}");
        }
    }
}
