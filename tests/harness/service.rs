//! A service for verbs to restart: a program under runit's `runsv`, alice's.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::PathBuf;
use std::process::Command;

use crate::background::{Background, as_user};
use crate::wait::until;
use crate::world::World;

/// A service that is up. It goes down with its supervisor when this is dropped.
pub struct Service {
    directory: PathBuf,
    supervisor: Background,
}

impl Service {
    /// Brings up the service that `service.restart service=…` means in this world.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start(world: &World, name: &str) -> Self {
        let directory = world.home.join("service").join(name);
        fs::create_dir_all(&directory).expect("make the service's directory");
        let run = directory.join("run");
        fs::write(&run, "#!/bin/sh\nexec sleep 1000\n").expect("write its program");
        fs::set_permissions(&run, fs::Permissions::from_mode(0o755)).expect("set its mode");
        let alice = &world.accounts.alice;
        chown(&directory, Some(alice.uid), Some(alice.gid)).expect("give it away");
        let mut command = Command::new("runsv");
        as_user(&mut command, alice);
        command.arg(&directory);
        let service = Self { supervisor: Background::start(command), directory };
        until("the service is up", || service.pid());
        service
    }

    /// The pid of the service's program, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        let text = fs::read_to_string(self.directory.join("supervise/pid")).ok()?;
        text.trim().parse().ok()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = Command::new("sv").arg("exit").arg(&self.directory).output();
        self.supervisor.wait();
    }
}
