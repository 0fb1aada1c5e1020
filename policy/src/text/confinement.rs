//! What `exec` says of how its program is contained.

use std::ops::RangeInclusive;

use super::document::{Node, Table};
use super::verbs::one_word;
use super::{TextFault, network, units};
use crate::confinement::{Confinement, ProcessLimits, Reach, SystemCalls, TotalLimits};
use crate::path::Root;

/// The keys of `exec` that are read here.
pub(super) const FIELDS: [&str; 4] = ["limits", "read", "write", "system_calls"];

/// The most paths of one list: all of them are opened before each call.
const MOST_PATHS: usize = 32;

/// What one limit may be.
struct Bound {
    key: &'static str,
    range: RangeInclusive<u64>,
    said: &'static str,
}

/// With less, hardly any program finds room for its libraries.
const MEMORY: Bound = Bound { key: "memory", range: 16 << 20..=1 << 40, said: "16MiB to 1024GiB" };
/// As many as Linux can count.
const PROCESSES: Bound = Bound { key: "processes", range: 1..=4_194_304, said: "1 to 4194304" };
/// With less, a shell cannot open its script; more than that, the kernel does not give by default.
const OPEN_FILES: Bound = Bound { key: "open_files", range: 16..=1_048_576, said: "16 to 1048576" };
const FILE_SIZE: Bound = Bound { key: "file_size", range: 1..=1 << 40, said: "1B to 1024GiB" };
/// No share lives that long; but many processors work at once.
const CPU: Bound = Bound { key: "cpu", range: 1..=86_400, said: "1s to 24h" };
/// A thousand processors are more than one machine has.
const SHARE: Bound = Bound { key: "cpu", range: 1..=100_000, said: "1% to 100000%" };

pub(super) fn read(exec: Table<'_>, usual: SystemCalls) -> Result<Confinement, TextFault> {
    let system_calls = exec.get("system_calls").map(system_calls).transpose()?;
    let (limits, total) = exec.get("limits").map(limits).transpose()?.unwrap_or_default();
    Ok(Confinement {
        limits,
        total,
        reach: reach(exec)?,
        system_calls: system_calls.unwrap_or(usual),
        network: network::read(exec)?,
    })
}

fn limits(node: Node<'_>) -> Result<(ProcessLimits, TotalLimits), TextFault> {
    let table = node.table()?;
    let each = [MEMORY.key, PROCESSES.key, OPEN_FILES.key, FILE_SIZE.key, CPU.key];
    table.only(&[&each[..], &["total"]].concat())?;
    let limits = ProcessLimits {
        memory: MEMORY.of(table, units::size)?,
        processes: PROCESSES.of(table, count)?,
        open_files: OPEN_FILES.of(table, count)?,
        file_size: FILE_SIZE.of(table, units::size)?,
        cpu: CPU.of(table, seconds)?,
    };
    Ok((limits, table.get("total").map(total).transpose()?.unwrap_or_default()))
}

fn total(node: Node<'_>) -> Result<TotalLimits, TextFault> {
    let table = node.table()?;
    table.only(&[MEMORY.key, PROCESSES.key, SHARE.key])?;
    let total = TotalLimits {
        memory: MEMORY.of(table, units::size)?,
        processes: PROCESSES.of(table, count)?,
        cpu: SHARE.of(table, units::percent)?,
    };
    if total.is_empty() {
        return Err(node.place.fault("`total` bounds nothing: say `memory`, `processes` or `cpu`"));
    }
    Ok(total)
}

impl Bound {
    fn of<'t>(
        &self,
        table: Table<'t>,
        read: fn(Node<'t>) -> Result<u64, TextFault>,
    ) -> Result<Option<u64>, TextFault> {
        let Some(node) = table.get(self.key) else { return Ok(None) };
        let value = read(node)?;
        if self.range.contains(&value) {
            return Ok(Some(value));
        }
        Err(node.place.fault(format!("`{}` is {}", self.key, self.said)))
    }
}

/// What is below zero is as little as zero, which no bound takes.
fn count(node: Node<'_>) -> Result<u64, TextFault> {
    Ok(u64::try_from(node.integer()?).unwrap_or_default())
}

fn seconds(node: Node<'_>) -> Result<u64, TextFault> {
    let time = units::duration(node)?;
    if time.subsec_nanos() != 0 {
        return Err(node.place.fault("`cpu` is counted in whole seconds: write 20s, 5m or 1h"));
    }
    Ok(time.as_secs())
}

/// Either list is enough to confine; the other is empty then.
fn reach(exec: Table<'_>) -> Result<Option<Reach>, TextFault> {
    let lists = (exec.get("read"), exec.get("write"));
    if let (None, None) = lists {
        return Ok(None);
    }
    let roots = |list: Option<Node<'_>>| list.map_or_else(|| Ok(Vec::new()), paths);
    Ok(Some(Reach { read: roots(lists.0)?, write: roots(lists.1)? }))
}

fn paths(node: Node<'_>) -> Result<Vec<Root>, TextFault> {
    let items = node.array()?;
    if items.len() > MOST_PATHS {
        return Err(node.place.fault(format!("at most {MOST_PATHS} paths can be named here")));
    }
    items.into_iter().map(Node::parsed).collect()
}

fn system_calls(node: Node<'_>) -> Result<SystemCalls, TextFault> {
    match node.string()? {
        "read" => Ok(SystemCalls::Read),
        "all" => Ok(SystemCalls::All),
        other => Err(one_word(node, "set of system calls", other, &["read", "all"])),
    }
}
