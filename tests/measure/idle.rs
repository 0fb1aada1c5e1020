//! What a seat costs the relay that is taken and does nothing.

use std::time::Duration;

use client::Session;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::task::JoinSet;
use tokio::time::sleep;
use wire::handle::Identity;

use crate::clients::{join, runtime};
use crate::figure::Figure;
use crate::reading::Reading;
use crate::resident;
use crate::scene::Scene;

const PER_SHARE: u32 = 8;
const SHARES: u32 = 125;
/// Joins at one time: as many as come together in life, and fewer than the relay lets wait.
const TOGETHER: usize = 16;
/// Between two tries of an owner who asks too fast.
const PACE: Duration = Duration::from_millis(100);
/// Until what the joins needed is given back, and keep-alives are all that goes on.
const SETTLE: Duration = Duration::from_secs(3);

pub fn measure(figure: &Figure) -> Vec<Reading> {
    allow_descriptors();
    let scene = Scene::with_limits(&format!("open_shares_per_owner = {}", SHARES + 1));
    let recipients = Recipients::known_to(&scene);
    let (relay, broker) = (scene.relay(), scene.pid("--as-broker"));
    let (relay_grown, broker_grown) = runtime().block_on(async {
        // The first share warms up code and allocator.
        let first = recipients.fill(&scene, 1).await;
        sleep(SETTLE).await;
        let before = (resident::now(relay), resident::now(broker));
        let rest = recipients.fill(&scene, SHARES).await;
        sleep(SETTLE).await;
        let up = first.iter().chain(&rest).filter(|session| session.view().is_up()).count();
        assert_eq!(up, first.len() + rest.len(), "every seat is taken and stays so");
        (resident::now(relay) - before.0, resident::now(broker) - before.1)
    });
    let seats = f64::from(SHARES * PER_SHARE);
    let spread = format!(
        "the relay grew by {:.1} MiB over {seats} seats; the broker by {:.1} KiB a seat",
        relay_grown / 1024.0,
        broker_grown / seats
    );
    let against =
        "growth of the relay's resident memory; every seat a leg, a flow and a channel".to_owned();
    vec![figure.read(relay_grown / seats, spread, against)]
}

/// As many as one share may have.
struct Recipients(Vec<(String, Identity)>);

impl Recipients {
    fn known_to(scene: &Scene) -> Self {
        let one = |number| {
            let (alias, key) = (format!("vendor-{number}"), Identity::generate());
            let added =
                scene.world.alice().run(&["contact", "add", &alias, &key.recipient().to_string()]);
            assert_eq!(added.status, 0, "{added:?}");
            (alias, key)
        };
        Self((0..PER_SHARE).map(one).collect())
    }

    /// Opens so many shares, and takes every seat.
    async fn fill(&self, scene: &Scene, mut shares: u32) -> Vec<Session> {
        let (mut handles, mut joining, mut sessions) = (Vec::new(), JoinSet::new(), Vec::new());
        loop {
            while joining.len() < TOGETHER {
                if handles.is_empty() && shares > 0 {
                    handles = self.open(scene).await;
                    shares -= 1;
                }
                let Some((handle, key)) = handles.pop() else { break };
                joining.spawn(async move { join(&handle, &[key]).await });
            }
            match joining.join_next().await {
                Some(session) => sessions.push(session.expect("it joins")),
                None => return sessions,
            }
        }
    }

    /// One share to all of them: each one's handle and key.
    async fn open(&self, scene: &Scene) -> Vec<(String, Identity)> {
        let mut arguments = vec!["share", "open", "--agent", "you", "--verb", "test.true"];
        for (alias, _) in &self.0 {
            arguments.extend(["--to", alias]);
        }
        let opened = loop {
            match scene.world.alice().json(&arguments) {
                Ok(opened) => break opened,
                // An owner may ask so often in a second.
                Err(said) if said.stderr.contains("too many requests") => sleep(PACE).await,
                Err(said) => panic!("{said:?}"),
            }
        };
        let handle =
            |place: usize| opened["recipients"][place]["handle"].as_str().map(str::to_owned);
        let keys = self.0.iter().enumerate();
        keys.map(|(place, (_, key))| (handle(place).expect("a handle"), key.clone())).collect()
    }
}

/// Every recipient here has a socket of its own.
fn allow_descriptors() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let wanted = Rlimit { current: maximum, maximum };
    setrlimit(Resource::Nofile, wanted).expect("raise the limit of open files");
}
