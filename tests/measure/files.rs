//! A file fetched through the relay, its SHA-256 taken at both ends.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::chown;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::figure::Figure;
use crate::reading::Reading;
use crate::sample::Samples;
use crate::scene::Scene;

const MIB: u32 = 512;
const ROUNDS: usize = 4;
const BUDGET: Duration = Duration::from_secs(20);

const VERB: &str = r#"
[verb."files.get"]
summary = "A file"
effect  = "read"
run     = { file = { get = "{path}" } }
output  = { max = "4GiB", redact = [] }
[verb."files.get".params]
path = { type = "path", subtree = "@HOME@/drop", required = true }
"#;

pub fn measure(figure: &Figure) -> Vec<Reading> {
    let scene = Scene::with(|setup| {
        setup.verbs += VERB;
        setup.policy = setup
            .policy
            .replace("\"test.true\" = {}", "\"test.true\" = {}, \"files.get\" = {}")
            .replace("[\"log.*\"", "[\"files.*\", \"log.*\"");
    });
    let path = scene.world.drop_file("large");
    let mut file = File::create(&path).expect("make a file");
    let piece: Vec<u8> = (0..1_u32 << 20).map(|at| (at % 251).to_le_bytes()[0]).collect();
    (0..MIB).for_each(|_| file.write_all(&piece).expect("write to it"));
    chown(&path, Some(scene.world.accounts.alice.uid), None).expect("give it away");
    let share = scene.open(&["files.get"]);
    let argument = format!("path={}", path.display());
    let fetch = || {
        let words = ["get", "files.get", &argument, "--output", "-", "--quiet"];
        let mut command = scene.world.vendor().command(&share, &words);
        let begun = Instant::now();
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
        assert!(status.expect("run the client").success(), "it was not fetched whole");
        f64::from(MIB) / begun.elapsed().as_secs_f64()
    };
    let (mut rates, begun) = (vec![fetch()], Instant::now());
    while rates.len() < ROUNDS && begun.elapsed() < BUDGET {
        rates.push(fetch());
    }
    let rates: Samples = rates.into_iter().collect();
    let spread =
        format!("{:.0} to {:.0} over {} of {MIB} MiB", rates.min(), rates.max(), rates.len());
    let against = "from process start to end, SHA-256 compared, to /dev/null".to_owned();
    vec![figure.read(rates.median(), spread, against)]
}
