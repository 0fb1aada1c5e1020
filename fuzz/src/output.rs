//! What a verb prints.

use std::sync::{Arc, LazyLock};

use daemon::redact::{Known, Redactor, Rules, Seal};
use policy::SecretPattern;
use wire::privsep::{RedactBy, RedactForm, RedactRules, RedactSetRules};

/// With longer lines, where one is cut depends on how it came.
const LINE_MAX: usize = 16 * 1024;
const FORMS: [&str; 3] =
    ["corp-key-[A-Za-z0-9]{20,255}", r"\bid=(?P<secret>[0-9]{6,12})\b", "^ticket [^ ]{8,40}$"];
const VALUES: [&str; 3] = ["hunter22", "correct horse battery", "Tr0ub4dor&3"];

static RULES: LazyLock<Arc<Rules>> = LazyLock::new(rules);

fn rules() -> Arc<Rules> {
    let seal = Seal::new([7; 32], VALUES.len());
    let form = |source: &str| {
        let pattern = SecretPattern::new(source).expect("a form");
        let least = u16::try_from(pattern.least()).expect("short");
        RedactForm { form: pattern.form().to_owned(), least }
    };
    let set = RedactSetRules {
        name: "internal".parse().expect("a name"),
        label: "corp".parse().expect("a label"),
        forms: FORMS.into_iter().map(form).collect(),
        literals: VALUES.iter().filter_map(|value| seal.seal(value.as_bytes())).collect(),
    };
    let told = RedactRules { key: [7; 32], slot_bits: seal.bits(), sets: vec![set] };
    let mut known = Known::built_in().expect("the rules");
    known.learn(&told).expect("the catalog's rules");
    let own = RedactBy::Own("internal".parse().expect("a name"));
    known.chosen(&[RedactBy::Default, RedactBy::Entropy, own]).flatten().expect("rules")
}

/// A verb's output, after a byte that says how it is cut: whole, in pieces, and with a pause after each. Whether there
/// was a secret in it.
pub fn redaction(bytes: &[u8]) -> bool {
    let Some((cut, output)) = bytes.split_first() else { return false };
    let size = usize::from(*cut).max(1);
    let (whole, masked) = shown(&[output], false);
    let pieces: Vec<&[u8]> = output.chunks(size).collect();
    let (cut, _) = shown(&pieces, false);
    if output.len() <= LINE_MAX {
        assert!(whole == cut, "it does not matter how it is cut");
    }
    shown(&pieces, true);
    for value in VALUES {
        let left = whole.windows(value.len()).any(|window| window == value.as_bytes());
        assert!(!left, "a value goes through");
    }
    assert!(masked > 0 || whole == output, "nothing but secrets is changed");
    masked > 0
}

fn shown(pieces: &[&[u8]], pauses: bool) -> (Vec<u8>, u64) {
    let (mut redactor, mut out) = (Redactor::new(Arc::clone(&RULES)), Vec::new());
    for piece in pieces {
        redactor.push(piece, &mut out);
        if pauses {
            redactor.flush(&mut out);
            assert!(!redactor.holds(), "nothing is held after a pause");
        }
    }
    redactor.finish(&mut out);
    (out, redactor.masked())
}
