//! What breaks: processes that die, disks that fill, clocks that jump.

mod clock;
mod disk;
mod kill;
mod names;
mod power;
mod stuck;
