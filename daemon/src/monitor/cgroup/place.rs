//! Where in the file system this process's own cgroup is.

use std::fs;
use std::path::{Path, PathBuf};

use super::CgroupFault;
use super::controllers::OWN;

/// The directory of the cgroup that this process is in.
pub(super) fn own() -> Result<PathBuf, CgroupFault> {
    let mounts = read("/proc/self/mountinfo")?;
    let cgroups = read("/proc/self/cgroup")?;
    located(&mounts, &cgroups).ok_or(CgroupFault::NotMounted)
}

/// The cgroup that is this daemon's to arrange: its own, or the one above, where it has made room.
pub(super) fn home() -> Result<PathBuf, CgroupFault> {
    Ok(arranged(own()?))
}

fn arranged(mut own: PathBuf) -> PathBuf {
    if own.file_name().is_some_and(|name| name == OWN) {
        own.pop();
    }
    own
}

/// The directory of the whole hierarchy, as far as it is seen here.
pub(super) fn root() -> Result<PathBuf, CgroupFault> {
    let mounts = read("/proc/self/mountinfo")?;
    let found = mounts.lines().find_map(mount);
    found.map(|(_, at)| at).ok_or(CgroupFault::NotMounted)
}

fn read(path: &'static str) -> Result<String, CgroupFault> {
    fs::read_to_string(path).map_err(|fault| CgroupFault::Read(path, fault))
}

/// `0::/path` of `/proc/self/cgroup`, below the first cgroup v2 mount that shows it.
fn located(mounts: &str, cgroups: &str) -> Option<PathBuf> {
    let own = Path::new(cgroups.lines().find_map(|line| line.strip_prefix("0::"))?);
    mounts
        .lines()
        .filter_map(mount)
        .find_map(|(root, at)| Some(at.join(own.strip_prefix(root).ok()?)))
}

/// Root and place of a cgroup v2 mount: `id parent device root place options … - type source options`.
fn mount(line: &str) -> Option<(PathBuf, PathBuf)> {
    let (before, after) = line.split_once(" - ")?;
    let mut fields = before.split(' ').skip(3);
    let (root, at) = (fields.next()?, fields.next()?);
    (after.split(' ').next()? == "cgroup2").then(|| (unescaped(root), unescaped(at)))
}

/// mountinfo writes space, tab, newline and backslash as three octal digits.
fn unescaped(text: &str) -> PathBuf {
    let plain = text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n");
    PathBuf::from(plain.replace("\\134", "\\"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
        34 31 0:31 / /sys/fs/cgroup/cpuset rw shared:4 - cgroup cgroup rw,cpuset\n\
        41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n";
    const PURE: &str = "30 23 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw\n";

    fn place(mounts: &str, cgroups: &str) -> Option<String> {
        Some(located(mounts, cgroups)?.to_str().unwrap().trim_end_matches('/').to_owned())
    }

    #[test]
    fn calls_are_beside_the_daemon_where_it_has_made_room() {
        let service = "/sys/fs/cgroup/system.slice/openscoped.service";
        for own in [service.to_owned(), format!("{service}/openscope-daemon")] {
            assert_eq!(arranged(own.into()), Path::new(service));
        }
    }

    #[test]
    fn the_own_cgroup_is_found_on_pure_and_on_hybrid_hosts() {
        let service = "0::/system.slice/openscoped.service\n";
        assert_eq!(place(PURE, service).unwrap(), "/sys/fs/cgroup/system.slice/openscoped.service");
        let legacy_first = "4:memory:/a\n1:name=systemd:/\n0::/b\n";
        assert_eq!(place(HYBRID, legacy_first).unwrap(), "/sys/fs/cgroup/unified/b");
        assert_eq!(place(HYBRID, "0::/\n").unwrap(), "/sys/fs/cgroup/unified");
    }

    #[test]
    fn a_container_that_sees_a_part_of_the_tree_finds_itself_in_it() {
        let mounts = "30 23 0:26 /docker/1f /sys/fs/my\\040cgroup rw - cgroup2 cgroup2 rw\n";
        assert_eq!(place(mounts, "0::/docker/1f/x\n").unwrap(), "/sys/fs/my cgroup/x");
        assert_eq!(place(mounts, "0::/docker/2e\n"), None, "not shown by this mount");
    }

    #[test]
    fn no_cgroup_v2_is_none() {
        assert_eq!(place("31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n", "0::/\n"), None);
        assert_eq!(place(PURE, "4:memory:/a\n"), None);
        assert_eq!(place("", ""), None);
        assert_eq!(place("garbage - cgroup2", "0::/\n"), None);
    }
}
