//! What the broker cannot do any more once it parses a stranger's bytes.
//!
//! Two walls, each for what the other cannot see: Landlock takes the files, seccomp the system calls by which a process
//! becomes another program or reaches into one.

mod landlock;
mod seccomp;

/// How far the broker is confined.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Confinement {
    pub(super) landlock: bool,
    pub(super) seccomp: bool,
}

/// Confines this thread and all that it will start. What the kernel cannot do is logged, and reported to the monitor,
/// which says so in `status`: a machine without Landlock still has the other uid.
pub(super) fn confine() -> Confinement {
    let landlock = landlock::restrict().inspect_err(|fault| {
        tracing::warn!(%fault, "no Landlock: the broker can open files");
    });
    let seccomp = seccomp::restrict().inspect_err(|fault| {
        tracing::warn!(%fault, "no seccomp: the broker can run programs");
    });
    Confinement { landlock: landlock.is_ok(), seccomp: seccomp.is_ok() }
}
