//! The floor: what it costs to start a program as another user and collect what it says, without us.

use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use tests::account::Account;

/// What it is called in a report.
pub const NAME: &str = "Command::new(\"/bin/true\").uid().gid().output()";

/// Runs it once; how long it took.
pub fn once(uid: u32, gid: u32) -> Duration {
    let begun = Instant::now();
    let output = Command::new("/bin/true").uid(uid).gid(gid).output().expect("run /bin/true");
    assert!(output.status.success());
    begun.elapsed()
}

/// Runs it from this many threads for so long; runs per second.
pub fn per_second(account: &Account, threads: u32, span: Duration) -> f64 {
    let (uid, gid) = (account.uid, account.gid);
    let begun = Instant::now();
    let work = || {
        let mut runs = 0;
        while begun.elapsed() < span {
            once(uid, gid);
            runs += 1;
        }
        runs
    };
    let runs: u32 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().expect("it does not panic")).sum()
    });
    f64::from(runs) / begun.elapsed().as_secs_f64()
}
