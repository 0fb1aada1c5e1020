//! What is signed, configured, asked for, and recorded.

use ed25519_dalek::{SigningKey, VerifyingKey};
use policy::{Request, Source, passport};

use crate::ROOT;

fn root() -> VerifyingKey {
    SigningKey::from_bytes(&ROOT).verifying_key()
}

/// A passport that somebody shows.
pub fn passport(bytes: &[u8]) -> bool {
    let Ok(passport) = passport::verify(bytes, &root()) else { return false };
    assert!(passport.scope().is_subset_of(&passport.authority().scope), "only narrower");
    assert!(passport.not_after() <= passport.authority().not_after, "only shorter");
    true
}

/// A catalog and rules: root's, but a typing error must be a sentence and not a crash. A line `----` parts them.
pub fn policy_text(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let (verbs, rules) = text.split_once("\n----\n").unwrap_or((text, ""));
    let source = |name: &str, text: &str| Source { name: name.to_owned(), text: text.to_owned() };
    match policy::load(&[source("verbs.d/a.toml", verbs)], &[source("policy.d/a.toml", rules)]) {
        Ok(_) => true,
        Err(faults) => {
            assert!(!faults.is_empty());
            faults.iter().for_each(|fault| drop(fault.to_string()));
            false
        }
    }
}

/// `--verb …`
pub fn request_text(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    match text.parse::<Request>() {
        Ok(request) => {
            let again: Request = request.to_string().parse().expect("its own spelling");
            assert_eq!(again.to_string(), request.to_string());
            true
        }
        Err(fault) => {
            drop(fault.to_string());
            false
        }
    }
}

/// A log that somebody hands in to be verified.
pub fn audit_log(bytes: &[u8]) -> bool {
    let file = tempfile::NamedTempFile::new_in("/dev/shm").expect("memory");
    std::fs::write(file.path(), bytes).expect("memory");
    let verified = daemon::monitor::audit::verify(file.path(), None, &root());
    verified.is_ok_and(|summary| summary.records > 0)
}
