//! A warm call of a verb on another host against `ssh`: the same program, the same sshd, the same account there, and a
//! connection that both keep, or that both make each time.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tests::account::Accounts;
use tests::sshd::Sshd;
use tests::wait;

use crate::clients::{call, join, runtime};
use crate::figure::Figure;
use crate::reading::Reading;
use crate::sample::{Duel, Samples};
use crate::scene::Scene;

const ROUNDS: usize = 15;
const PER_ROUND: usize = 20;
const BUDGET: Duration = Duration::from_secs(25);

/// The verb does what `ssh` is told to, under the shell that watches it there.
const VERB: &str = r#"
[verb."far.tail"]
summary = "Last lines of a log"
effect  = "read"
run     = { ssh = { target = "web", argv = ["tail", "-n", "3", "--", "@HOME@/log/web"] } }
"#;

/// What both do with a connection.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Connection {
    /// One is kept from call to call.
    Kept,
    /// One is made for each: what a key is held for is not left where its owner's processes could use it.
    New,
}

/// With a key of the owner's.
pub fn measure(figure: &Figure) -> Vec<Reading> {
    compare(figure, Connection::Kept)
}

/// With a key that is held for the owner; the peer's is its own.
pub fn held(figure: &Figure) -> Vec<Reading> {
    compare(figure, Connection::New)
}

fn compare(figure: &Figure, connection: Connection) -> Vec<Reading> {
    let accounts = Accounts::shared();
    let sshd = Sshd::start(&accounts.bob);
    let is_kept = connection == Connection::Kept;
    let identity = match connection {
        Connection::Kept => format!("own = \"{}\"", sshd.key_of(&accounts.alice).display()),
        Connection::New => format!("held = \"{}\"", sshd.key().display()),
    };
    let scene = Scene::with(|setup| {
        setup.targets = sshd.target("web", &format!("identity = {{ {identity} }}"));
        setup.verbs += VERB;
        setup.policy = setup
            .policy
            .replace("\"test.true\" = {}", "\"test.true\" = {}, \"far.tail\" = {}")
            .replace("[\"log.*\"", "[\"far.*\", \"log.*\"");
    });
    let share = scene.open(&["far.tail"]);
    let home = scene.world.home.clone();
    let control = format!("ControlPath={}", home.join("alice/kept").display());
    let control = if is_kept { &control } else { "ControlPath=none" };
    let remote = format!("tail -n 3 -- {}", home.join("log/web").display());
    let peer = |options: &[&str]| {
        sshd.client(&accounts.alice, &[&["-o", control], options].concat(), &remote)
    };
    if is_kept {
        let mut master = peer(&["-f", "-o", "ControlMaster=yes", "-o", "ControlPersist=yes"]);
        assert!(master.stdin(Stdio::null()).status().expect("run ssh").success());
    }
    let duel = runtime().block_on(async {
        let session = join(&share.handle, scene.identities()).await;
        call(&session, "far.tail").await;
        if is_kept {
            let kept = home.join("run/openscope.d/shares").join(&share.id).join("to-web");
            wait::until("a connection is kept", || kept.exists().then_some(()));
        }
        let (mut duel, begun) = (Duel::default(), Instant::now());
        while duel.rounds() < ROUNDS && begun.elapsed() < BUDGET {
            let mut ours = Vec::with_capacity(PER_ROUND);
            for _ in 0..PER_ROUND {
                let begun = Instant::now();
                call(&session, "far.tail").await;
                ours.push(begun.elapsed());
            }
            let theirs: Samples = (0..PER_ROUND).map(|_| timed(peer(&[]))).collect();
            duel.round(ours.into_iter().collect(), theirs);
        }
        session.close().await;
        duel
    });
    if is_kept {
        assert!(peer(&["-O", "exit"]).output().expect("run ssh").status.success());
    }
    vec![figure.read(duel.ratio(), spread(&duel), against(&duel, connection))]
}

fn timed(mut command: Command) -> Duration {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let begun = Instant::now();
    let output = command.output().expect("run ssh");
    let took = begun.elapsed();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    took
}

fn spread(duel: &Duel) -> String {
    let (ours, ratios) = (duel.ours(), duel.ratios());
    format!(
        "call p50 {:.2} ms, p90 {:.2} over {}; ratio {:.2} to {:.2} over {} rounds",
        ours.median(),
        ours.percentile(90),
        ours.len(),
        ratios.min(),
        ratios.max(),
        ratios.len()
    )
}

fn against(duel: &Duel, connection: Connection) -> String {
    let theirs = duel.theirs();
    let how = match connection {
        Connection::Kept => "ssh with a ControlMaster",
        Connection::New => "ssh that connects each time",
    };
    format!("{how}, tail: p50 {:.2} ms, p90 {:.2}", theirs.median(), theirs.percentile(90))
}
