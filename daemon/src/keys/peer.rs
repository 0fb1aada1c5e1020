//! Who asks: by the kernel's word, not by theirs.

use std::fs;
use std::os::unix::net::UnixStream;

use rustix::net::sockopt::socket_peercred;

/// Who may ask.
pub(super) struct Allowed {
    pub(super) uid: u32,
    /// The end of the path of the cgroup that they must be in.
    pub(super) cgroup: Option<String>,
}

impl Allowed {
    /// Whether the peer is one of them.
    pub(super) fn admits(&self, stream: &UnixStream) -> bool {
        let Ok(peer) = socket_peercred(stream) else { return false };
        peer.uid.as_raw() == self.uid
            && self.cgroup.as_ref().is_none_or(|cgroup| {
                let path = format!("/proc/{}/cgroup", peer.pid.as_raw_pid());
                is_in(&fs::read_to_string(path).unwrap_or_default(), cgroup)
            })
    }
}

/// Whether what /proc says of a process puts it in the cgroup whose path ends so. Only the unified hierarchy counts.
fn is_in(told: &str, cgroup: &str) -> bool {
    let path = told.lines().find_map(|line| line.strip_prefix("0::"));
    path.and_then(|path| path.strip_suffix(cgroup)).is_some_and(|before| before.ends_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_in_a_cgroup_by_the_whole_of_its_last_names() {
        let told = "1:name=systemd:/x\n0::/sys/openscope-ab/call-12\n";
        assert!(is_in(told, "openscope-ab/call-12"));
        for other in ["openscope-ab/call-1", "call-13", "pe-ab/call-12", "x"] {
            assert!(!is_in(told, other), "{other}");
        }
        assert!(!is_in("", "openscope-ab/call-12"));
    }
}
