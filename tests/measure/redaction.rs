//! Masking secrets: how fast, how many of them, and how much that is none.

use std::sync::Arc;
use std::time::Instant;

use daemon::redact::{Known, Redactor, Rules, Seal};
use tests::corpus::{leaks, lookalikes};
use wire::privsep::{RedactBy, RedactForm, RedactRules, RedactSetRules};

use crate::figure::Figure;
use crate::reading::Reading;
use crate::sample::Samples;

/// As much as one read of a pipe gives.
const PIECE: usize = 64 * 1024;
const SIZE: usize = 32 << 20;
const ROUNDS: usize = 7;
/// As many as a machine's services have passwords.
const VALUES: usize = 32;

fn rules() -> Arc<Rules> {
    Arc::new(Rules::built_in().expect("the rules"))
}

/// Beside them those of a catalog: a form, and the values of a few files.
fn own_rules() -> Arc<Rules> {
    let seal = Seal::new([7; 32], VALUES);
    let value = |at: usize| seal.seal(format!("{at:04}-correct-horse-battery").as_bytes());
    let pattern = policy::SecretPattern::new("(?:corp-key-)[A-Za-z0-9]{20,255}").expect("a form");
    let least = u16::try_from(pattern.least()).expect("short");
    let name: policy::RedactName = "internal".parse().expect("a name");
    let set = RedactSetRules {
        name: name.clone(),
        label: "corp".parse().expect("a label"),
        forms: vec![RedactForm { form: pattern.form().to_owned(), least }],
        literals: (0..VALUES).map(|at| value(at).expect("long enough")).collect(),
    };
    let mut known = Known::built_in().expect("the rules");
    let told = RedactRules { key: [7; 32], slot_bits: seal.bits(), sets: vec![set] };
    known.learn(&told).expect("the catalog's rules");
    let chosen = known.chosen(&[RedactBy::Default, RedactBy::Own(name)]);
    chosen.flatten().expect("rules that it knows")
}

fn redacted(rules: &Arc<Rules>, text: &str) -> String {
    let (mut redactor, mut out) = (Redactor::new(Arc::clone(rules)), Vec::new());
    redactor.push(text.as_bytes(), &mut out);
    redactor.finish(&mut out);
    String::from_utf8(out).expect("text")
}

/// On one core, of log text in which a line of a thousand has a secret.
pub fn speed(figure: &Figure) -> Vec<Reading> {
    speed_by(figure, &rules())
}

/// The same with a form and values of a catalog besides.
pub fn own_speed(figure: &Figure) -> Vec<Reading> {
    speed_by(figure, &own_rules())
}

fn speed_by(figure: &Figure, rules: &Arc<Rules>) -> Vec<Reading> {
    let (plain, secret) = (lookalikes(50), leaks(1));
    let mut text = String::with_capacity(SIZE + PIECE);
    let mut secrets = secret.iter().cycle();
    for (number, line) in plain.iter().cycle().enumerate() {
        text.push_str(line);
        text.push('\n');
        if number % 1000 == 999 {
            text.push_str(&secrets.next().expect("some").line);
            text.push('\n');
        }
        if text.len() >= SIZE {
            break;
        }
    }
    let took: Samples = (0..ROUNDS)
        .map(|_| {
            let mut redactor = Redactor::new(Arc::clone(rules));
            let mut out = Vec::with_capacity(2 * PIECE);
            let begun = Instant::now();
            for piece in text.as_bytes().chunks(PIECE) {
                redactor.push(piece, &mut out);
                out.clear();
            }
            redactor.finish(&mut out);
            begun.elapsed()
        })
        .collect();
    let rate = |milliseconds: f64| text.len() as f64 / 1e3 / milliseconds;
    let (median, worst) = (rate(took.median()), rate(took.percentile(90)));
    let spread = format!("p90 {worst:.0} MB/s over {ROUNDS}");
    vec![figure.read(
        median,
        spread,
        format!("{} MB of log text in pieces of 64 KiB", text.len() / 1_000_000),
    )]
}

/// Of lines with a secret, those in which nothing of it is left.
pub fn recall(figure: &Figure) -> Vec<Reading> {
    let (rules, all) = (rules(), leaks(200));
    let missed = all.iter().filter(|leak| leak.is_in(&redacted(&rules, &leak.line)));
    let missed = missed.count();
    let value = (all.len() - missed) as f64 / all.len() as f64;
    vec![figure.read(
        value,
        "the same each time".to_owned(),
        format!("{missed} of {} missed", all.len()),
    )]
}

/// Of lines without one, those in which something is masked.
pub fn overmask(figure: &Figure) -> Vec<Reading> {
    let (rules, all) = (rules(), lookalikes(400));
    let changed = all.iter().filter(|line| redacted(&rules, line) != **line).count();
    let value = changed as f64 / all.len() as f64;
    vec![figure.read(
        value,
        "the same each time".to_owned(),
        format!("{changed} of {} changed", all.len()),
    )]
}
