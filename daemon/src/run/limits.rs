//! What each process of the verb may use.

use policy::ProcessLimits;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Hard and soft alike, so that a program ends where it would go beyond, and cannot raise them.
pub(super) fn set(limits: ProcessLimits) -> rustix::io::Result<()> {
    let ProcessLimits { memory, processes, open_files, file_size, cpu } = limits;
    at_most(Resource::Nproc, processes)?;
    at_most(Resource::Nofile, open_files)?;
    at_most(Resource::Fsize, file_size)?;
    at_most(Resource::Cpu, cpu)?;
    at_most(Resource::As, memory)
}

/// An upper bound: one that is lower already stays.
fn at_most(resource: Resource, bound: Option<u64>) -> rustix::io::Result<()> {
    let Some(bound) = bound else { return Ok(()) };
    let allowed = getrlimit(resource).maximum.unwrap_or(u64::MAX);
    setrlimit(resource, exactly(bound.min(allowed)))
}

pub(super) fn exactly(value: u64) -> Rlimit {
    Rlimit { current: Some(value), maximum: Some(value) }
}
