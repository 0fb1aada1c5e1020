//! What is signed, configured, asked for, and recorded.

use ed25519_dalek::{SigningKey, VerifyingKey};
use std::sync::LazyLock;

use policy::{Narrowing, Passport, Policy, Request, Source, Timestamp, passport};

use crate::ROOT;

/// The passport that is narrowed, and the policy that is expected to say something.
const GIVEN: &[u8] = include_bytes!("../corpus/passport/good");
const VERBS: &str = include_str!("../../examples/small-team/verbs.d/app.toml");
const RULES: &str = include_str!("../../examples/small-team/policy.d/team.toml");

static PASSPORT: LazyLock<Passport> =
    LazyLock::new(|| passport::verify(GIVEN, &root()).expect("a seed"));
static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    policy::load(&[source("verbs.d/app.toml", VERBS)], &[source("policy.d/team.toml", RULES)])
        .expect("an example")
});

fn source(name: &str, text: &str) -> Source {
    Source { name: name.to_owned(), text: text.to_owned() }
}

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

/// `narrow --verb …`, a line each: whatever a holder types, it is less than what they hold, and the daemon agrees.
pub fn narrow_text(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let requests: Result<Vec<Request>, _> = text.lines().map(str::parse).collect();
    let Ok(requests) = requests else { return false };
    let scope = match PASSPORT.scope().derive(&requests) {
        Ok(scope) => scope,
        Err(fault) => {
            drop(fault.to_string());
            return false;
        }
    };
    assert!(scope.is_subset_of(PASSPORT.scope()), "only narrower");
    let (not_after, depth) = (PASSPORT.not_after(), PASSPORT.depth());
    let narrowing = Narrowing { not_after, depth, scope, reason: String::new() };
    let Ok(made) = passport::narrow(GIVEN, &root(), &narrowing) else { return false };
    let made = passport::verify(&made, &root()).expect("what is made is read");
    assert!(made.scope().is_subset_of(PASSPORT.scope()), "only narrower");
    true
}

/// What somebody expects of their policy.
pub fn expectation_text(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    match policy::expectations(&source("policy.test.toml", text), &POLICY) {
        Ok(expectations) => {
            let tried =
                expectations.into_iter().map(|one| one.hold(&POLICY, Timestamp(0), |_| None));
            tried.for_each(|trial| drop(trial.failures));
            true
        }
        Err(faults) => {
            assert!(!faults.is_empty());
            faults.iter().for_each(|fault| drop(fault.to_string()));
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
