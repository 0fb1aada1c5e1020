//! What cgroups can keep all processes of a call to, together: memory, their number, and processor time.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::Path;

use policy::TotalLimits;

use super::place;

/// The cgroup within the daemon's own that the daemon's processes are in: the kernel lets none be beside cgroups that
/// have controllers.
pub(super) const OWN: &str = "openscope-daemon";

/// What the limits of a call in total take of the kernel.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Controller {
    Memory,
    Pids,
    Cpu,
}

impl Controller {
    const ALL: [Self; 3] = [Self::Memory, Self::Pids, Self::Cpu];

    fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Cpu => "cpu",
        }
    }
}

impl fmt::Display for Controller {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// Those that limits take.
pub(crate) fn wanted(total: TotalLimits) -> impl Iterator<Item = Controller> {
    let TotalLimits { memory, processes, cpu } = total;
    let said = [memory, processes, cpu];
    Controller::ALL.into_iter().zip(said).filter_map(|(controller, said)| said.map(|_| controller))
}

/// Those that this machine could give to a daemon's cgroup. What this daemon has may be less.
pub(crate) fn offered() -> BTreeSet<Controller> {
    place::root().map(|root| listed(&root.join("cgroup.controllers"))).unwrap_or_default()
}

/// Makes room for controllers: where this process is alone in its cgroup, and that has some, it moves into one below,
/// with all that it will start. Where not, all stays as it is, and no call has limits in total.
pub(crate) fn make_room() {
    let Ok(own) = place::own() else { return };
    if own.file_name().is_some_and(|name| name == OWN)
        || listed(&own.join("cgroup.controllers")).is_empty()
        || !is_alone(&own)
    {
        return;
    }
    let below = own.join(OWN);
    let made = fs::create_dir(&below);
    let is_there = made.is_ok() || below.is_dir();
    // One that cannot stays where it is: calls are held together there as well.
    let _ = is_there.then(|| fs::write(below.join("cgroup.procs"), "0"));
}

fn is_alone(own: &Path) -> bool {
    let there = fs::read_to_string(own.join("cgroup.procs")).unwrap_or_default();
    there.trim() == std::process::id().to_string()
}

/// Whether what is in this cgroup would keep those below it from having controllers, or be kept from its own: all but the
/// root of all must be empty. The kernel refuses this of `memory` only; with the others it makes of it what no process can be
/// put into.
pub(super) fn is_inner(cgroup: &Path) -> bool {
    let processes = fs::read_to_string(cgroup.join("cgroup.procs"));
    !cgroup.join("cgroup.type").exists() || processes.is_ok_and(|text| text.trim().is_empty())
}

/// Has the cgroups below this one given what it has itself; what they are given.
pub(super) fn hand_down(cgroup: &Path) -> BTreeSet<Controller> {
    let given = cgroup.join("cgroup.subtree_control");
    for controller in listed(&cgroup.join("cgroup.controllers")) {
        // What counts is read below.
        let _ = fs::write(&given, format!("+{controller}"));
    }
    listed(&given)
}

fn listed(file: &Path) -> BTreeSet<Controller> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let names: BTreeSet<&str> = text.split_ascii_whitespace().collect();
    Controller::ALL.into_iter().filter(|controller| names.contains(controller.name())).collect()
}

/// The files of a cgroup that keep its processes to these limits, and what is written to them.
pub(super) fn settings(total: TotalLimits) -> Vec<(&'static str, String)> {
    /// In microseconds, as long as the kernel's own.
    const PERIOD: u64 = 100_000;
    let TotalLimits { memory, processes, cpu } = total;
    let memory = memory.map(|bytes| {
        // All of it ends together: half a program is of no use, and its end would be told as its own.
        let alone = [("memory.swap.max", "0".to_owned()), ("memory.oom.group", "1".to_owned())];
        [("memory.max", bytes.to_string())].into_iter().chain(alone)
    });
    let processes = processes.map(|most| ("pids.max", most.to_string()));
    let cpu = cpu.map(|percent| {
        let quota = percent.saturating_mul(PERIOD / 100);
        ("cpu.max", format!("{quota} {PERIOD}"))
    });
    memory.into_iter().flatten().chain(processes).chain(cpu).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_said_as_the_kernel_takes_them() {
        let total = TotalLimits { memory: Some(64 << 20), processes: Some(8), cpu: Some(150) };
        let wanted = [
            ("memory.max", "67108864"),
            ("memory.swap.max", "0"),
            ("memory.oom.group", "1"),
            ("pids.max", "8"),
            ("cpu.max", "150000 100000"),
        ];
        assert_eq!(settings(total), wanted.map(|(file, text)| (file, text.to_owned())));
        assert_eq!(settings(TotalLimits::default()), []);
        let one = TotalLimits { processes: Some(1), ..TotalLimits::default() };
        assert_eq!(super::wanted(one).collect::<Vec<_>>(), [Controller::Pids]);
    }

    #[test]
    fn only_the_controllers_that_limits_take_are_counted() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("cgroup.controllers");
        assert_eq!(listed(&file), BTreeSet::new());
        fs::write(&file, "cpuset cpu io memory hugetlb\n").unwrap();
        assert_eq!(listed(&file), BTreeSet::from([Controller::Memory, Controller::Cpu]));
    }

    #[test]
    fn a_process_among_others_stays_where_it_is() {
        let before = place::own().unwrap();
        make_room();
        assert_eq!(place::own().unwrap(), before, "the tests' own process is not alone");
    }
}
