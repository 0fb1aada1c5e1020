//! Verbs that run a program on another host, by ssh.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::input::Input;
use crate::name::{ParameterName, TargetName};
use crate::shell;
use crate::target::SshTarget;
use crate::template::Template;
use crate::value::Arguments;

/// A program on a target.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ssh {
    /// The target's name: itself, or the one parameter that says it.
    pub(crate) target: Template,
    /// What that can be, each with the targets through which it is reached, the nearest to the daemon first.
    pub(crate) routes: BTreeMap<TargetName, Route>,
    /// The program and its arguments, as they are there.
    pub argv: Vec<Template>,
    /// What becomes of the program when the call ends first.
    pub remote_end: RemoteEnd,
    /// What it takes from whoever calls it, besides its arguments: nothing, or what is typed at a terminal.
    pub input: Input,
}

/// A target, and the way to it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Route {
    /// The target.
    pub target: Arc<SshTarget>,
    /// Those through which it is reached, the nearest to the daemon first.
    pub jumps: Vec<Arc<SshTarget>>,
}

/// What becomes of a program on a target when its call ends first: the connection is cut, which tells most
/// programs nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RemoteEnd {
    /// It is killed there, by a line of shell that watches the connection.
    Hangup,
    /// It runs to its verb's timeout, which `timeout` keeps there.
    Timeout,
    /// It goes on.
    None,
}

/// Becomes its words, beside a watcher that ends them when their connection does: with that goes the input, of which
/// nothing else ever comes. sshd makes each command the leader of a group; where another has not, the program alone
/// is ended. The watcher holds neither output, so that the end of the words is the end of both.
const WATCHED: &str = "exec 3<&0; (trap '' HUP TERM; read -r _ <&3; \
    kill -TERM -$$ || kill -TERM $$; sleep 2; kill -KILL -$$ || kill -KILL $$) >/dev/null 2>&1 & \
    exec \"$@\" </dev/null 3<&-";

/// The same before a terminal, where the input is the program's alone: the watcher asks once a second whether there still
/// is a terminal. sshd takes it away with the connection, and the kernel tells most programs so; this is for those that
/// do not listen. The signals by which it would be ended itself are refused before it begins, as the words may be quick.
const SEATED: &str = "(: </dev/tty) 2>/dev/null || { echo 'this host gives no terminal'; exit 255; }; \
    trap '' HUP INT QUIT TERM TSTP; (while sleep 1 && (: </dev/tty); do :; done; \
    kill -TERM -$$ || kill -TERM $$; sleep 2; kill -KILL -$$ || kill -KILL $$) </dev/null >/dev/null 2>&1 & \
    trap - HUP INT QUIT TERM TSTP; exec \"$@\"";

/// How long after SIGTERM what does not end is killed, there.
const KILL_AFTER: &str = "--kill-after=2";

impl Ssh {
    /// Which target these arguments mean, and the way to it.
    #[must_use]
    pub fn route(&self, arguments: &Arguments) -> Option<&Route> {
        self.routes.get(&self.target.render(arguments).parse::<TargetName>().ok()?)
    }

    /// Every way that it may take.
    pub fn routes(&self) -> impl Iterator<Item = &Route> {
        self.routes.values()
    }

    /// The program there and its arguments.
    pub(crate) fn words(&self, arguments: &Arguments) -> Vec<String> {
        self.argv.iter().flat_map(|element| element.rendered(arguments)).collect()
    }

    /// The line for the login shell there; `seconds` is the verb's timeout.
    #[must_use]
    pub fn line(&self, arguments: &Arguments, seconds: u64) -> String {
        let words = self.words(arguments);
        let limit = seconds.max(1).to_string();
        let watched = if self.input == Input::Terminal { SEATED } else { WATCHED };
        let before: &[&str] = match self.remote_end {
            RemoteEnd::Hangup => &["exec", "sh", "-c", watched, "openscope"],
            RemoteEnd::Timeout => &["exec", "timeout", KILL_AFTER, &limit],
            RemoteEnd::None => &["exec"],
        };
        shell::line(before.iter().copied().chain(words.iter().map(String::as_str)))
    }

    pub(crate) fn parameters(&self) -> impl Iterator<Item = &ParameterName> {
        self.argv.iter().chain([&self.target]).flat_map(Template::parameters)
    }
}
