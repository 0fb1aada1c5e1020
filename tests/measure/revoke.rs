//! From the start of `share revoke` to its end, with a call running: by then its processes are dead.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use client::{Call, Event, Session};
use tests::world::must;
use tokio::task::spawn_blocking;

use crate::clients::{join, runtime, script};
use crate::figure::Figure;
use crate::reading::Reading;
use crate::sample::Samples;
use crate::scene::Scene;

const TRIES: usize = 200;
const BUDGET: Duration = Duration::from_secs(45);
/// Tells its pid, and deafens itself to all that can be ignored.
const STUBBORN: &str = "trap '' TERM HUP INT\necho $$\nexec sleep 600\n";

pub fn measure(figure: &Figure) -> Vec<Reading> {
    let scene = Scene::new();
    scene.world.script("stubborn", STUBBORN);
    let took: Samples = runtime().block_on(async {
        let begun = Instant::now();
        let mut took = Vec::with_capacity(TRIES);
        while took.len() < TRIES && begun.elapsed() < BUDGET {
            took.push(one(&scene).await);
        }
        took.into_iter().collect()
    });
    let spread = format!(
        "p50 {:.1} ms, p90 {:.1}, longest {:.1} over {} tries",
        took.median(),
        took.percentile(90),
        took.max(),
        took.len()
    );
    let against =
        "`openscope share revoke` from process start to end; then nothing of the call is alive"
            .to_owned();
    vec![figure.read(took.percentile(99), spread, against)]
}

async fn one(scene: &Scene) -> Duration {
    let share = scene.open(&["test.sh:name=stubborn"]);
    let session = join(&share.handle, scene.identities()).await;
    let (call, process) = running(&session).await;
    let revoke = scene.world.alice().command(&["share", "revoke", &share.id]);
    let took = spawn_blocking(move || timed(revoke)).await.expect("it revokes");
    assert!(!process.is_alive(), "what ran is dead when revoke returns");
    drop(call);
    took
}

fn timed(revoke: Command) -> Duration {
    let begun = Instant::now();
    must(revoke);
    begun.elapsed()
}

/// A process of a call's.
struct Process(String);

impl Process {
    fn is_alive(&self) -> bool {
        fs::exists(format!("/proc/{}", self.0)).unwrap_or(true)
    }
}

/// Starts the call, and waits until it says which process it is.
async fn running(session: &Session) -> (Call, Process) {
    let (verb, arguments) = script("stubborn");
    let mut call = session.call(verb, arguments).expect("make a call");
    let mut said = Vec::new();
    while !said.ends_with(b"\n") {
        match call.next().await.expect("the call goes on") {
            Event::Stdout(bytes) => said.extend_from_slice(&bytes),
            Event::Started => {}
            other => panic!("{other:?} before it said its pid"),
        }
    }
    let process = Process(String::from_utf8_lossy(&said).trim().to_owned());
    assert!(process.is_alive(), "it runs");
    (call, process)
}
