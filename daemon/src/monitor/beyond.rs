//! What may go on elsewhere of a call that is ended here. Proof of death is for this host: of another one all that can be
//! done is to say so.

use std::time::Duration;

use policy::{Call, RemoteEnd, Run as How, Verb};

/// In words, if anything may; `limit` is how long the verb may take here.
pub(super) fn beyond(verb: &Verb, call: &Call, limit: Duration) -> Option<String> {
    let name = &verb.name;
    match &verb.run {
        How::Ssh(ssh) => {
            let target = &ssh.route(&call.arguments)?.target.name;
            match ssh.remote_end {
                RemoteEnd::Hangup => None,
                RemoteEnd::Timeout => {
                    Some(format!("{name} on {target}, for at most {}s", limit.as_secs()))
                }
                RemoteEnd::None => Some(format!("{name} on {target}")),
            }
        }
        How::Sql(sql) if sql.target.postgres().is_some() => {
            let most = sql.target.statement_timeout.as_secs();
            Some(format!("{name} on {}, for at most {most}s", sql.target.name))
        }
        // Who asks in these ways says nothing of how long somebody else is at it.
        How::Exec(_) | How::File(_) | How::Http(_) | How::Tcp(_) | How::Sql(_) => None,
    }
}
