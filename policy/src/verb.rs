//! Verbs: what the catalog declares.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::confinement::Confinement;
use crate::constraint::Constraint;
use crate::file::{File, FileAct, FileAt, Transfer};
use crate::http::{Asks, Http, Reflects};
use crate::input::Input;
use crate::kind::Kind;
use crate::name::{AccountName, ParameterName, VerbName};
use crate::port::Port;
use crate::redact::Redact;
use crate::refusal::ParameterProblem;
use crate::sql::Sql;
use crate::ssh::Ssh;
use crate::template::Template;
use crate::value::{Arguments, Value};

/// Whether a verb changes anything.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It only looks.
    Read,
    /// It changes something: its start record is synced before it runs.
    Write,
}

impl fmt::Display for Effect {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
        })
    }
}

/// One declared parameter.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Parameter {
    /// What sort of value it takes.
    pub kind: Kind,
    /// What the catalog itself accepts.
    pub constraint: Constraint,
    /// What an absent argument becomes, before anything is decided.
    pub default: Option<Value>,
    /// Whether a call without it is refused.
    pub required: bool,
    /// What it is for, in one line; may be empty.
    pub summary: String,
}

impl Parameter {
    /// Whether the catalog takes this value here.
    #[must_use]
    pub fn accepts(&self, value: &Value) -> bool {
        self.kind.takes(value) && self.constraint.permits(value)
    }

    /// Whether the catalog takes this value here, or, of a list, as an item.
    pub(crate) fn accepts_item(&self, value: &Value) -> bool {
        match self.kind.item() {
            Some(item) => {
                item.takes(value)
                    && self.may_be(&Constraint::each(Constraint::exact(value.clone())))
            }
            None => self.accepts(value),
        }
    }

    /// Whether the catalog takes anything that is within the limit. The empty list alone is nothing.
    pub(crate) fn may_be(&self, limit: &Constraint) -> bool {
        self.constraint.intersect(limit).is_some_and(|met| !met.only_empty())
    }

    /// What paths here are opened beneath, or, where they are listed, themselves, or what those lie in that are made.
    fn roots(&self, are_made: bool) -> Vec<String> {
        let above = |path: &str| {
            let above = path.rsplit_once('/').map_or("", |(above, _)| above);
            if above.is_empty() { "/".to_owned() } else { above.to_owned() }
        };
        let (mut roots, mut listed) = (Vec::new(), Vec::new());
        for part in self.constraint.item_parts() {
            if let Constraint::Subtree(root) = part {
                roots.push(root.path().to_owned());
            } else if let Constraint::OneOf(values) = part {
                let paths = values.iter().map(Value::to_string);
                listed.extend(paths.map(|path| if are_made { above(&path) } else { path }));
            }
        }
        if roots.is_empty() { listed } else { roots }
    }

    /// What a path here is opened beneath: the catalog's subtree, or `/` where it lists the paths.
    pub(crate) fn beneath(&self, name: &ParameterName, path: &Value) -> Beneath {
        let path = path.to_string();
        let opened = self.constraint.item_parts().into_iter().find_map(|part| {
            let Constraint::Subtree(root) = part else { return None };
            Some((root.path().to_owned(), root.rest(&path)?.to_owned()))
        });
        let (root, rest) =
            opened.unwrap_or_else(|| ("/".to_owned(), path.trim_start_matches('/').to_owned()));
        Beneath { parameter: name.clone(), root, rest }
    }
}

/// One argument of a program.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub enum Element {
    /// The text itself.
    Text(String),
    /// A path that must be opened, and given to the program as what was opened.
    Opened(Beneath),
}

impl fmt::Display for Element {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => out.write_str(text),
            Self::Opened(Beneath { root, rest, .. }) => {
                FileAt { root: root.clone(), rest: rest.clone() }.fmt(out)
            }
        }
    }
}

/// A path as it must be opened: the root by name, the rest beneath it, past no symlink.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Beneath {
    /// Whose argument it is.
    pub parameter: ParameterName,
    /// The catalog's root; links in it are root's own business.
    pub root: String,
    /// What follows, without a leading `/`; empty for the root itself.
    pub rest: String,
}

/// A local program to run. No shell is involved.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Exec {
    /// The program, an absolute path, and its arguments.
    pub argv: Vec<Template>,
    /// The directory to start in, an absolute path; the owner's home otherwise.
    pub dir: Option<String>,
    /// What is added to the clean environment.
    pub env: BTreeMap<String, Template>,
    /// How it is contained.
    pub confinement: Confinement,
    /// What it takes from whoever calls it, besides its arguments.
    pub input: Input,
    /// As whom it runs, where that is not the owner.
    pub run_as: Option<AccountName>,
}

impl Exec {
    /// What is added to the clean environment for these arguments.
    #[must_use]
    pub fn environment(&self, arguments: &Arguments) -> BTreeMap<String, String> {
        self.env.iter().map(|(name, value)| (name.clone(), value.render(arguments))).collect()
    }

    /// The program, an absolute path.
    #[must_use]
    pub fn program(&self) -> &str {
        program(&self.argv)
    }

    /// Where it starts, and what it is kept to: all of that must be there.
    fn roots(&self) -> impl Iterator<Item = (String, bool)> {
        let reach = self.confinement.reach.as_ref();
        let read = reach.into_iter().flat_map(|reach| &reach.read);
        let written = reach.into_iter().flat_map(|reach| &reach.write);
        let listed = read.map(|root| (root, false)).chain(written.map(|root| (root, true)));
        let listed = listed.map(|(root, is_written)| (root.path().to_owned(), is_written));
        self.dir.iter().map(|dir| (dir.clone(), false)).chain(listed)
    }
}

fn program(argv: &[Template]) -> &str {
    argv.first().and_then(Template::literal).unwrap_or_default()
}

/// How a verb is done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Run {
    /// By a program on this machine.
    Exec(Box<Exec>),
    /// By a program on another, through ssh.
    Ssh(Ssh),
    /// By a service, over HTTP.
    Http(Box<Http>),
    /// By whatever listens at a port.
    Tcp(Port),
    /// With a file of this machine, by the daemon's own runner.
    File(Box<File>),
    /// By a database.
    Sql(Box<Sql>),
    /// By nobody: its owner is left a note.
    Note,
}

impl Run {
    /// The program and its arguments, wherever they are; nothing where none is run.
    #[must_use]
    pub fn argv(&self) -> &[Template] {
        match self {
            Self::Exec(exec) => &exec.argv,
            Self::Ssh(ssh) => &ssh.argv,
            Self::Http(_) | Self::Tcp(_) | Self::File(_) | Self::Sql(_) | Self::Note => &[],
        }
    }

    /// What it opens on the recipient's machine, if it does.
    #[must_use]
    pub fn reflects(&self) -> Option<Reflects> {
        match self {
            Self::Http(http) if http.asks == Asks::Any => Some(Reflects::Http),
            Self::Tcp(_) => Some(Reflects::Tcp),
            Self::Exec(_)
            | Self::Ssh(_)
            | Self::Http(_)
            | Self::File(_)
            | Self::Sql(_)
            | Self::Note => None,
        }
    }

    /// How the recipient's program carries a file by it, if it is for that.
    #[must_use]
    pub fn transfers(&self) -> Option<Transfer> {
        match self {
            Self::File(file) => file.transfers(),
            Self::Exec(_)
            | Self::Ssh(_)
            | Self::Http(_)
            | Self::Tcp(_)
            | Self::Sql(_)
            | Self::Note => None,
        }
    }

    /// The program.
    #[must_use]
    pub fn program(&self) -> &str {
        program(self.argv())
    }

    /// As whom it is done, where that is not the owner.
    #[must_use]
    pub fn run_as(&self) -> Option<&AccountName> {
        match self {
            Self::Exec(exec) => exec.run_as.as_ref(),
            Self::File(file) => file.run_as.as_ref(),
            Self::Ssh(_) | Self::Http(_) | Self::Tcp(_) | Self::Sql(_) | Self::Note => None,
        }
    }

    /// The variables that it adds to the environment.
    pub(crate) fn environment(&self) -> impl Iterator<Item = (&String, &Template)> {
        let exec = match self {
            Self::Exec(exec) => Some(&**exec),
            Self::Ssh(_)
            | Self::Http(_)
            | Self::Tcp(_)
            | Self::File(_)
            | Self::Sql(_)
            | Self::Note => None,
        };
        exec.into_iter().flat_map(|exec| &exec.env)
    }

    pub(crate) fn parameters(&self) -> BTreeSet<&ParameterName> {
        match self {
            Self::Exec(exec) => {
                let filled = exec.env.values().flat_map(Template::parameters);
                exec.argv.iter().flat_map(Template::parameters).chain(filled).collect()
            }
            Self::Ssh(ssh) => ssh.parameters().collect(),
            Self::Http(http) => http.parameters().into_iter().collect(),
            Self::Tcp(_) | Self::Note => BTreeSet::new(),
            Self::File(file) => file.parameter().into_iter().collect(),
            Self::Sql(sql) => sql.parameters().collect(),
        }
    }

    /// The argument that cannot be handed to the program as what it is, if any.
    pub(crate) fn objection<'a>(
        &'a self,
        arguments: &'a Arguments,
    ) -> Option<(&'a ParameterName, ParameterProblem)> {
        if let Self::Http(http) = self {
            return http.objection(arguments);
        }
        let option = self.option_smuggled(arguments).map(|name| (name, ParameterProblem::Option));
        option.or_else(|| Some((self.control_smuggled(arguments)?, ParameterProblem::Control)))
    }

    /// The parameter whose value would be taken for an option by the program: it begins an element with a dash
    /// and no `--` stands before.
    fn option_smuggled(&self, arguments: &Arguments) -> Option<&ParameterName> {
        self.argv()
            .iter()
            .take_while(|element| element.literal() != Some("--"))
            .find_map(|element| element.dashed_by(arguments))
    }

    /// The parameter whose value could mean more to a shell than itself, however it is quoted.
    fn control_smuggled(&self, arguments: &Arguments) -> Option<&ParameterName> {
        let Self::Ssh(ssh) = self else { return None };
        let controls = |name: &&ParameterName| {
            let items = arguments.value(name).map_or(&[][..], Value::items);
            items.iter().any(|item| item.to_string().contains(char::is_control))
        };
        ssh.parameters().find(controls)
    }

    /// Everything about how it is done but the program and its arguments, for a digest of what is consented to.
    pub(crate) fn manner(&self, arguments: &Arguments) -> String {
        match self {
            Self::Exec(exec) => {
                let as_whom = (exec.input, &exec.run_as);
                format!("{:?}", (&exec.dir, &exec.env, &exec.confinement, as_whom))
            }
            Self::Ssh(ssh) => format!("{:?}", (ssh.route(arguments), ssh.remote_end, ssh.input)),
            Self::Http(http) => format!("{:?}", (&http.target, http.request(arguments))),
            Self::Tcp(port) => format!("{port:?}"),
            Self::File(file) => format!("{:?}", (file.act, file.ask(arguments), &file.run_as)),
            Self::Sql(sql) => format!("{:?}", (&sql.target, sql.query(arguments))),
            Self::Note => String::new(),
        }
    }
}

/// A named action with typed parameters.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verb {
    /// `app.action`.
    pub name: VerbName,
    /// What it does, in one line.
    pub summary: String,
    /// Whether it changes anything.
    pub effect: Effect,
    /// What it takes. Nothing else is accepted.
    pub parameters: BTreeMap<ParameterName, Parameter>,
    /// How it is done.
    pub run: Run,
    /// How long it may take; the daemon's own limit otherwise.
    pub timeout: Option<Duration>,
    /// How many bytes it may write; the daemon's own limit otherwise.
    pub output_max: Option<u64>,
    /// By which rules the secrets in what it writes are masked; by none, they are not.
    pub redact: Vec<Redact>,
}

impl Verb {
    /// What it takes from whoever calls it, besides its arguments; the most that any call of it takes.
    #[must_use]
    pub fn input(&self) -> Input {
        match &self.run {
            Run::Exec(exec) => exec.input,
            Run::Ssh(ssh) => ssh.input,
            Run::Sql(_) | Run::Note => Input::Nothing,
            Run::Http(http) => http.input(None),
            Run::Tcp(port) => port.input(),
            Run::File(file) => file.input(),
        }
    }

    /// What a call with these arguments takes.
    #[must_use]
    pub fn input_for(&self, arguments: &Arguments) -> Input {
        match &self.run {
            Run::Http(http) => http.input(Some(arguments)),
            Run::Exec(_) | Run::Ssh(_) | Run::Tcp(_) | Run::File(_) | Run::Sql(_) | Run::Note => {
                self.input()
            }
        }
    }

    /// The whole argv for these arguments, the program first; of a program elsewhere, after `ssh` and where that
    /// is; a request, where that is what it is. A list that is an element of its own becomes an element for each item.
    #[must_use]
    pub fn command(&self, arguments: &Arguments) -> Vec<Element> {
        match &self.run {
            Run::Exec(exec) => {
                exec.argv.iter().flat_map(|element| self.elements(element, arguments)).collect()
            }
            Run::Ssh(ssh) => {
                let there = ssh.route(arguments).map(|route| route.target.uri());
                let before = ["ssh".to_owned(), there.unwrap_or_default()];
                before.into_iter().chain(ssh.words(arguments)).map(Element::Text).collect()
            }
            Run::Http(http) => http.words(arguments).into_iter().map(Element::Text).collect(),
            Run::Tcp(port) => vec![Element::Text(port.uri())],
            Run::File(file) => {
                let at = file.at(&self.parameters, arguments).map(|at| at.to_string());
                let words = ["file".to_owned(), file.act.name().to_owned()];
                let asked = file.ask(arguments).words();
                words.into_iter().chain(at).chain(asked).map(Element::Text).collect()
            }
            Run::Sql(sql) => sql.words(arguments).into_iter().map(Element::Text).collect(),
            Run::Note => vec![Element::Text("note".to_owned())],
        }
    }

    /// The files and directories that its paths are opened beneath, each with whether files are made there.
    #[must_use]
    pub fn roots(&self) -> BTreeSet<(String, bool)> {
        let file = match &self.run {
            Run::File(file) => Some(file),
            Run::Exec(_) => None,
            Run::Sql(sql) => {
                return sql
                    .target
                    .file()
                    .map(|file| (file.to_owned(), false))
                    .into_iter()
                    .collect();
            }
            // Theirs are on other hosts, or nowhere.
            Run::Ssh(_) | Run::Http(_) | Run::Tcp(_) | Run::Note => return BTreeSet::new(),
        };
        let is_written = file.is_some_and(|file| matches!(file.act, FileAct::Put { .. }));
        let fixed = file.and_then(|file| file.at(&self.parameters, &Arguments::default()));
        let fixed = fixed.map(|at| if is_written { at.root } else { at.to_string() });
        let paths = self.parameters.values().filter(|one| one.kind.each() == Kind::Path);
        let named = paths.flat_map(|one| one.roots(is_written));
        let named = named.chain(fixed).map(|path| (path, is_written));
        let exec = match &self.run {
            Run::Exec(exec) => Some(exec),
            Run::Ssh(_) | Run::Http(_) | Run::Tcp(_) | Run::Sql(_) | Run::File(_) | Run::Note => {
                None
            }
        };
        let own = exec.into_iter().flat_map(|exec| exec.roots());
        named.chain(own).collect()
    }

    fn elements(&self, template: &Template, arguments: &Arguments) -> Vec<Element> {
        let opened = template.whole().and_then(|name| Some((name, self.parameters.get(name)?)));
        match opened.filter(|(_, parameter)| parameter.kind.each() == Kind::Path) {
            Some((name, parameter)) => {
                let paths = arguments.value(name).map_or(&[][..], Value::items);
                let opened = paths.iter().map(|path| parameter.beneath(name, path));
                opened.map(Element::Opened).collect()
            }
            None => template.rendered(arguments).into_iter().map(Element::Text).collect(),
        }
    }
}

/// All verbs that exist.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    verbs: BTreeMap<VerbName, std::sync::Arc<Verb>>,
}

impl Catalog {
    /// The verb of this name.
    #[must_use]
    pub fn verb(&self, name: &VerbName) -> Option<&std::sync::Arc<Verb>> {
        self.verbs.get(name)
    }

    /// Every verb, by name.
    pub fn verbs(&self) -> impl Iterator<Item = &std::sync::Arc<Verb>> {
        self.verbs.values()
    }
}

impl FromIterator<Verb> for Catalog {
    fn from_iter<I: IntoIterator<Item = Verb>>(verbs: I) -> Self {
        let verbs = verbs.into_iter().map(|verb| (verb.name.clone(), std::sync::Arc::new(verb)));
        Self { verbs: verbs.collect() }
    }
}
