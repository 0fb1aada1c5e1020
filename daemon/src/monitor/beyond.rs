//! What may go on elsewhere of a call that is ended here. Proof of death is for this host: of another one all that can be
//! done is to say so.

use std::time::Duration;

use policy::{Call, RemoteEnd, Run as How, Verb};

use super::spawn::Ended;
use super::ssh::Remote;

/// What may go on.
#[derive(Clone, Debug)]
pub(super) struct Beyond {
    /// In words.
    pub(super) words: String,
    /// Boot time by which it has ended, where something there sees to it.
    pub(super) until: Option<Duration>,
}

/// How much longer than its limit what is ended there may take.
const KILLED: Duration = Duration::from_secs(10);

/// What may go on of a call that begins now, if anything may; `limit` is how long it may take there.
pub(super) fn beyond(verb: &Verb, call: &Call, limit: Duration, now: Duration) -> Option<Beyond> {
    let name = &verb.name;
    let until = |target: &dyn std::fmt::Display, limit: Duration| Beyond {
        words: format!("{name} on {target}, for at most {}s", limit.as_secs()),
        until: Some(now.saturating_add(limit).saturating_add(KILLED)),
    };
    match &verb.run {
        How::Ssh(ssh) => {
            let target = &ssh.route(&call.arguments)?.target.name;
            match ssh.remote_end {
                RemoteEnd::Hangup => None,
                RemoteEnd::Timeout => Some(until(target, limit)),
                RemoteEnd::None => {
                    Some(Beyond { words: format!("{name} on {target}"), until: None })
                }
            }
        }
        How::Sql(sql) if sql.target.postgres().is_some() => {
            Some(until(&sql.target.name, sql.target.statement_timeout))
        }
        // Who asks in these ways says nothing of how long somebody else is at it.
        How::Exec(_) | How::File(_) | How::Http(_) | How::Tcp(_) | How::Sql(_) | How::Note => None,
    }
}

/// Whether a call that nobody here has ended was cut off from what it had begun elsewhere.
pub(super) fn is_cut(ended: &Ended, remote: Option<&Remote>) -> bool {
    match ended {
        Ended::Exited(status) => remote.is_some_and(|remote| remote.was_cut(*status)),
        Ended::Signaled(_) | Ended::Lost(_) => true,
        Ended::NotStarted(_) => false,
    }
}
