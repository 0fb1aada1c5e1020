//! The ways to say no on the owner socket.

use wire::control::{Failure, FailureKind};

pub(super) fn usage(message: &str, hint: &str) -> Failure {
    failure(FailureKind::Usage, message, hint)
}

pub(super) fn refused(message: &str, hint: &str) -> Failure {
    failure(FailureKind::Refused, message, hint)
}

pub(super) fn not_found(message: &str, hint: &str) -> Failure {
    failure(FailureKind::NotFound, message, hint)
}

pub(super) fn unavailable(message: &str, hint: &str) -> Failure {
    failure(FailureKind::Unavailable, message, hint)
}

/// A limit is reached: names its key.
pub(super) fn busy(key: &str, limit: usize) -> Failure {
    refused(
        &format!("the limit of {limit} is reached"),
        &format!("end a share, or raise `limits.{key}` in openscoped.toml"),
    )
}

fn failure(kind: FailureKind, message: &str, hint: &str) -> Failure {
    Failure { kind, message: message.to_owned(), hint: Some(hint.to_owned()) }
}
