//! The monitor: root, one thread, no network. It alone holds policy, passports, leases and the audit log.

pub mod audit;
mod cgroup;
pub mod contacts;
mod identity;
mod leases;
mod spawn;
