//! Values that are secrets, in files that only root reads. They are sealed as soon as they are read.

use std::path::{Path, PathBuf};

use policy::{Policy, RedactSet};
use wire::privsep::{RedactForm, RedactRules, RedactSetRules, SealedLiteral};
use zeroize::Zeroizing;

use super::ConfigFault;
use crate::redact::{Seal, VALUE_MAX, VALUE_MIN};
use crate::strict::Judge;

/// Values in all files.
const MOST_VALUES: usize = 256;
/// The largest file.
const MAX_FILE: u64 = 512 * 1024;
/// With fewer different characters it is a line of stars.
const DIFFERENT_MIN: usize = 4;

/// A file with a value on each line.
struct File {
    path: PathBuf,
    text: Zeroizing<Vec<u8>>,
}

/// Reads the values of all sets, and seals them with a key that is drawn for it. And which files that were.
///
/// # Errors
/// Files that others may read or write, and values that cannot be looked for: by file and line, never by value.
pub(super) fn read(
    judge: &Judge,
    directory: &Path,
    policy: &Policy,
) -> Result<(RedactRules, Vec<PathBuf>), Vec<ConfigFault>> {
    let mut faults = Vec::new();
    let sets: Vec<(&RedactSet, Vec<File>)> = policy
        .redact_sets()
        .map(|(set, _)| (&**set, opened(judge, directory, set, &mut faults)))
        .collect();
    let files = || sets.iter().flat_map(|(_, files)| files);
    faults.extend(files().flat_map(File::faults));
    let count = files().flat_map(File::values).count();
    if count > MOST_VALUES {
        let what = format!("{count} values are looked for: at most {MOST_VALUES} can be");
        let hint = "leave some out, or write a pattern that they have in common";
        faults.push(ConfigFault::written("`literals`", &what, Some(hint)));
    }
    let mut key = [0; 32];
    if let Err(fault) = getrandom::fill(&mut key) {
        faults.push(ConfigFault::written(
            "`literals`",
            &format!("no key can be drawn: {fault}"),
            None,
        ));
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let seal = Seal::new(key, count);
    let told = sets.iter().map(|(set, files)| told(set, files, &seal)).collect();
    let paths = files().map(|file| file.path.clone()).collect();
    Ok((RedactRules { key, slot_bits: seal.bits(), sets: told }, paths))
}

fn opened(
    judge: &Judge,
    directory: &Path,
    set: &RedactSet,
    faults: &mut Vec<ConfigFault>,
) -> Vec<File> {
    let open = |name: &policy::FileName| {
        let path = directory.join(name.as_str());
        match judge.secret(&path, MAX_FILE) {
            Ok(text) => Some(File { path, text }),
            Err(fault) => {
                faults.push(fault.into());
                None
            }
        }
    };
    set.literals.iter().filter_map(open).collect()
}

impl File {
    /// Each with its line, without spaces around it. Empty lines are none.
    fn lines(&self) -> impl Iterator<Item = (usize, &[u8])> {
        let lines = (1..).zip(self.text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii));
        lines.filter(|(_, value)| !value.is_empty())
    }

    fn values(&self) -> impl Iterator<Item = &[u8]> {
        self.lines().map(|(_, value)| value)
    }

    fn faults(&self) -> Vec<ConfigFault> {
        let path = self.path.display().to_string();
        if self.lines().next().is_none() {
            let hint = "write one value on each line, or take the file out of `literals`";
            return vec![ConfigFault::written(&format!("`{path}`"), "has no value", Some(hint))];
        }
        let fault = |(line, value)| {
            let (what, hint) = objection(value)?;
            Some(ConfigFault::written(&format!("{path}:{line}"), &what, Some(hint)))
        };
        self.lines().filter_map(fault).collect()
    }
}

/// What is wrong with a value, in words that do not tell it.
fn objection(value: &[u8]) -> Option<(String, &'static str)> {
    let length = value.len();
    if length < VALUE_MIN {
        let what = format!(
            "the value has {length} bytes: one of fewer than {VALUE_MIN} stands in ordinary words"
        );
        return Some((what, "write a longer secret, or a pattern with what stands around it"));
    }
    if length > VALUE_MAX {
        let what =
            format!("the value has {length} bytes: at most {VALUE_MAX} are looked at together");
        return Some((
            what,
            "write its first 1,000 bytes: what goes on after them is masked as well",
        ));
    }
    let different: std::collections::BTreeSet<&u8> = value.iter().collect();
    (different.len() < DIFFERENT_MIN).then(|| {
        let what = format!("the value has fewer than {DIFFERENT_MIN} different characters");
        (what, "write a secret that is none of its own accord: this one stands in any table")
    })
}

fn told(set: &RedactSet, files: &[File], seal: &Seal) -> RedactSetRules {
    let form = |pattern: &policy::SecretPattern| RedactForm {
        form: pattern.form().to_owned(),
        least: u16::try_from(pattern.least()).unwrap_or(u16::MAX),
    };
    let mut literals: Vec<SealedLiteral> =
        files.iter().flat_map(File::values).filter_map(|value| seal.seal(value)).collect();
    literals.sort_by_key(|sealed| sealed.tag);
    literals.dedup();
    RedactSetRules {
        name: set.name.clone(),
        label: set.label.clone(),
        forms: set.patterns.iter().map(form).collect(),
        literals,
    }
}
