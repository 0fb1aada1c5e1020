//! `verbs.d`: what exists and how it runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::document::{Entry, Node, Page, Table};
use super::redact::{self, Redacts};
use super::targets::{self, Targets};
use super::{
    Source, TextFault, confinement, environment, files, input, limits, network, requests, sql, ssh,
    units,
};
use crate::confinement::SystemCalls;
use crate::constraint::Constraint;
use crate::kind::Kind;
use crate::name::{AccountName, ParameterName, VerbName, shown};
use crate::nearest::nearest;
use crate::note;
use crate::redact::RedactSet;
use crate::rule::RuleSite;
use crate::template::Template;
use crate::verb::{Effect, Exec, Parameter, Run, Verb};

/// The ways in which a verb can be done.
const EXECUTORS: [&str; 7] = ["exec", "ssh", "http", "sql", "forward", "file", "note"];

/// The key that names an account.
pub(super) const RUN_AS: &str = "run_as";

/// What verbs refer to.
type Known<'k> = (&'k Targets, &'k Redacts);

/// Every verb with the place that declares it.
#[derive(Default)]
pub(super) struct Declared {
    pub(super) verbs: BTreeMap<VerbName, DeclaredVerb>,
    pub(super) redacts: Vec<(Arc<RedactSet>, RuleSite)>,
}

pub(super) struct DeclaredVerb {
    pub(super) verb: Verb,
    pub(super) source: String,
    pub(super) site: RuleSite,
}

pub(super) fn read(sources: &[Source]) -> Result<Declared, Vec<TextFault>> {
    let mut declared = Declared::default();
    let (mut pages, mut faults) = (Vec::new(), Vec::new());
    for source in sources {
        match Page::parse(source) {
            Ok(page) => pages.push(page),
            Err(malformed) => faults.extend(malformed),
        }
    }
    let (targets, wrong) = targets::read(&pages);
    faults.extend(wrong);
    let (redacts, wrong) = redact::read(&pages);
    faults.extend(wrong);
    for file in pages.iter().filter_map(Page::root) {
        declared.add(file, (&targets, &redacts), &mut faults);
    }
    declared.redacts = redacts.into_sets();
    if faults.is_empty() { Ok(declared) } else { Err(faults) }
}

impl Declared {
    fn add(&mut self, file: Table<'_>, known: Known<'_>, faults: &mut Vec<TextFault>) {
        let verbs = file
            .only(&["verb", "ssh", "http", "tcp", "sql", "redact"])
            .and_then(|()| file.get("verb").map(Node::table).transpose());
        match verbs {
            Err(fault) => faults.push(fault),
            Ok(verbs) => {
                for entry in verbs.into_iter().flat_map(Table::entries) {
                    self.add_one(entry, known).unwrap_or_else(|fault| faults.push(fault));
                }
            }
        }
    }

    fn add_one(&mut self, entry: Entry<'_>, known: Known<'_>) -> Result<(), TextFault> {
        let name: VerbName = named(entry)?;
        if let Some(before) = self.verbs.get(&name) {
            let message = format!("`{name}` is already declared in {}", before.source);
            return Err(entry.place.fault(message));
        }
        let verb = verb(name.clone(), entry.node.table()?, known)?;
        let (source, site) = (entry.place.source.name.clone(), entry.place.site());
        self.verbs.insert(name, DeclaredVerb { verb, source, site });
        Ok(())
    }
}

/// A key that is a checked name.
pub(super) fn named<T: std::str::FromStr<Err: std::fmt::Display>>(
    entry: Entry<'_>,
) -> Result<T, TextFault> {
    entry.key.parse().map_err(|fault: T::Err| entry.place.fault(fault.to_string()))
}

fn verb(
    name: VerbName,
    table: Table<'_>,
    (targets, redacts): Known<'_>,
) -> Result<Verb, TextFault> {
    table.only(&["summary", "effect", "run", "timeout", "output", "params"])?;
    let declared = parameters(table)?;
    let redact = redacts.chosen(table)?;
    let run = run(table, &declared, (targets, !redact.is_empty()))?;
    check_use(table, &declared, &run)?;
    requests::check_unmasked(table, &run, &redact)?;
    let parameters = match &run {
        Run::File(file) => declared.into_iter().chain(file.act.parameters()).collect(),
        other if other.reflects().is_some() => requests::parameters(other),
        Run::Note => note::parameters(),
        Run::Exec(_) | Run::Ssh(_) | Run::Http(_) | Run::Tcp(_) | Run::Sql(_) => declared,
    };
    Ok(Verb {
        name,
        summary: summary(table.need("summary")?)?,
        effect: effect_of(table.need("effect")?, &run)?,
        parameters,
        run,
        timeout: table.get("timeout").map(units::duration).transpose()?,
        output_max: output_max(table)?,
        redact,
    })
}

fn summary(node: Node<'_>) -> Result<String, TextFault> {
    const MOST: usize = 200;
    let text = node.string()?;
    if text.len() > MOST || text.contains(char::is_control) {
        return Err(node.place.fault(format!("a summary is one line of at most {MOST} bytes")));
    }
    Ok(text.to_owned())
}

fn effect(node: Node<'_>) -> Result<Effect, TextFault> {
    match node.string()? {
        "read" => Ok(Effect::Read),
        "write" => Ok(Effect::Write),
        other => Err(one_word(node, "effect", other, &["read", "write"])),
    }
}

fn effect_of(node: Node<'_>, run: &Run) -> Result<Effect, TextFault> {
    let effect = effect(node)?;
    match run {
        Run::Sql(_) => sql::check_effect(node, effect),
        Run::Note if effect == Effect::Write => {
            Err(node.place.fault("a note changes nothing here: say `effect = \"read\"`"))
        }
        Run::Exec(_) | Run::Ssh(_) | Run::Http(_) | Run::Tcp(_) | Run::File(_) | Run::Note => {
            Ok(effect)
        }
    }
}

pub(super) fn one_word(node: Node<'_>, what: &str, given: &str, known: &[&str]) -> TextFault {
    let message = format!("`{}` is no {what}: known here: {}", shown(given), known.join(", "));
    let near = nearest(given, known.iter().copied());
    node.place.hinted(message, near.map(|name| format!("did you mean `{name}`?")))
}

fn output_max(table: Table<'_>) -> Result<Option<u64>, TextFault> {
    let Some(output) = table.get("output") else { return Ok(None) };
    let output = output.table()?;
    output.only(&["max", "redact"])?;
    output.get("max").map(units::size).transpose()
}

fn parameters(table: Table<'_>) -> Result<BTreeMap<ParameterName, Parameter>, TextFault> {
    let Some(params) = table.get("params") else { return Ok(BTreeMap::new()) };
    let declared = params.table()?.entries();
    declared.map(|entry| Ok((named(entry)?, parameter(entry.node.table()?)?))).collect()
}

fn parameter(table: Table<'_>) -> Result<Parameter, TextFault> {
    let own = ["type", "default", "required", "summary"];
    table.only(&[own.as_slice(), limits::FIELDS.as_slice()].concat())?;
    let kind = kind(table.need("type")?)?;
    let constraint = limits::in_catalog(table, kind)?;
    check_opened(table, kind, &constraint)?;
    let default = table.get("default").map(|node| limits::value(node, kind)).transpose()?;
    let required = table.get("required").map_or(Ok(false), Node::boolean)?;
    let place = table.get("default").map_or(table.place, |node| node.place);
    match &default {
        Some(_) if required => {
            return Err(place.fault("a required parameter has no use for a default: leave one out"));
        }
        Some(value) if !constraint.permits(value) => {
            let message =
                format!("the default `{}` is not accepted: {constraint} is", value.shown());
            return Err(place.fault(message));
        }
        None if !required => {
            return Err(place.fault("the parameter needs `required = true` or a `default`"));
        }
        Some(_) | None => {}
    }
    let summary = table.get("summary").map_or(Ok(String::new()), summary)?;
    Ok(Parameter { kind, constraint, default, required, summary })
}

/// What a path is opened beneath must be said: without it, a link anywhere could lead anywhere.
fn check_opened(table: Table<'_>, kind: Kind, limit: &Constraint) -> Result<(), TextFault> {
    let says = |part: &&Constraint| matches!(part, Constraint::Subtree(_) | Constraint::OneOf(_));
    if kind.each() != Kind::Path || limit.item_parts().iter().any(says) {
        return Ok(());
    }
    let hint =
        "name what it is opened beneath, `subtree = \"/var/log\"`, or list the paths in `one_of`";
    Err(table.need("type")?.place.hinted("a path needs a `subtree`", Some(hint.to_owned())))
}

fn kind(node: Node<'_>) -> Result<Kind, TextFault> {
    let given = node.string()?;
    let known = Kind::ALL.iter().find(|(name, _)| *name == given);
    known.map(|(_, kind)| *kind).ok_or_else(|| {
        let names = Kind::ALL.map(|(name, _)| name);
        one_word(node, "type", given, &names)
    })
}

fn run(
    verb: Table<'_>,
    parameters: &BTreeMap<ParameterName, Parameter>,
    (targets, is_masked): (&Targets, bool),
) -> Result<Run, TextFault> {
    let table = verb.need("run")?.table()?;
    if let Some(stray) = table.entries().find(|entry| !EXECUTORS.contains(&entry.key)) {
        let known = EXECUTORS.join(", ");
        let message = format!("`{}` is not an executor: known here: {known}", shown(stray.key));
        return Err(stray.place.fault(message));
    }
    let mut said = table.entries();
    let (Some(Entry { key, node, .. }), None) = (said.next(), said.next()) else {
        let known = EXECUTORS.map(|name| format!("`{name}`")).join(", ");
        return Err(table.place.fault(format!("a verb has one executor: {known}")));
    };
    match key {
        "ssh" => ssh::read(node.table()?, parameters, targets).map(Run::Ssh),
        "http" => requests::fixed(node.table()?, parameters, targets).map(Box::new).map(Run::Http),
        "file" => files::read(node.table()?, parameters, (said_effect(verb)?, is_masked))
            .map(Box::new)
            .map(Run::File),
        "sql" => sql::read(node.table()?, targets).map(Box::new).map(Run::Sql),
        "note" => node.table()?.only(&[]).map(|()| Run::Note),
        "forward" => requests::reflected(node.table()?, parameters, targets),
        _ => exec(node.table()?, verb).map(Box::new).map(Run::Exec),
    }
}

fn exec(table: Table<'_>, verb: Table<'_>) -> Result<Exec, TextFault> {
    let own = ["argv", "dir", "env", RUN_AS];
    table.only(&[&own[..], &confinement::FIELDS, &network::FIELDS, &input::FIELDS].concat())?;
    let argv = table.need("argv")?;
    let elements = argv.array()?;
    let program = elements.first().ok_or_else(|| argv.place.fault("`argv` names no program"))?;
    let parsed = elements
        .iter()
        .map(|element| element.parsed())
        .collect::<Result<Vec<Template>, TextFault>>()?;
    if !parsed.first().and_then(Template::literal).is_some_and(|path| path.starts_with('/')) {
        let message = "the program must be an absolute path without parameters";
        return Err(program.place.fault(message));
    }
    Ok(Exec {
        argv: parsed,
        dir: table.get("dir").map(directory).transpose()?,
        env: environment::read(table)?,
        confinement: confinement::read(table, usual_calls(verb)?)?,
        input: input::read(table)?,
        run_as: run_as(table)?,
    })
}

/// The account that a verb runs as, where that is not its owner's.
pub(super) fn run_as(table: Table<'_>) -> Result<Option<AccountName>, TextFault> {
    let Some(node) = table.get(RUN_AS) else { return Ok(None) };
    if node.string()? == "root" {
        let hint = "name an account that may what the verb takes, and no more".to_owned();
        return Err(node.place.hinted("no verb runs as root", Some(hint)));
    }
    node.parsed().map(Some)
}

/// What the verb's effect means where nothing else is said. One without an effect is refused, but not here.
fn usual_calls(verb: Table<'_>) -> Result<SystemCalls, TextFault> {
    Ok(said_effect(verb)?.map_or(SystemCalls::Read, SystemCalls::from))
}

fn said_effect(verb: Table<'_>) -> Result<Option<Effect>, TextFault> {
    verb.get("effect").map(effect).transpose()
}

fn directory(node: Node<'_>) -> Result<String, TextFault> {
    let path = node.text()?;
    if !path.starts_with('/') {
        return Err(node.place.fault("`dir` must be an absolute path"));
    }
    Ok(path.to_string())
}

/// Every parameter is used and every use is declared: a pin on a parameter without effect would be a
/// promise that nothing keeps.
fn check_use(
    table: Table<'_>,
    parameters: &BTreeMap<ParameterName, Parameter>,
    run: &Run,
) -> Result<(), TextFault> {
    let used = run.parameters();
    if let Some(name) = used.iter().find(|name| !parameters.contains_key(**name)) {
        let near = nearest(name.as_str(), parameters.keys().map(ParameterName::as_str));
        let hint = near.map(|near| format!("did you mean `{near}`?"));
        let place = table.need("run")?.place;
        return Err(place.hinted(format!("`{{{name}}}` is not a declared parameter"), hint));
    }
    if let Some(name) = parameters.keys().find(|name| !used.contains(name)) {
        let place = table.need("params")?.table()?.need(name.as_str())?.place;
        return Err(place.fault(format!("`{name}` is declared but `run` never uses it")));
    }
    check_whole(table, parameters, run.argv())?;
    check_filled(table, parameters, run)
}

/// A list becomes several elements and a path is opened: neither can be a part of an element.
fn check_whole(
    table: Table<'_>,
    parameters: &BTreeMap<ParameterName, Parameter>,
    argv: &[Template],
) -> Result<(), TextFault> {
    let whole = |kind: Kind| kind.item().is_some() || kind == Kind::Path;
    for element in argv.iter().filter(|element| element.whole().is_none()) {
        let inside = element.parameters().into_iter();
        let mut kinds = inside.filter_map(|name| Some((name, parameters.get(name)?.kind)));
        if let Some((name, kind)) = kinds.find(|(_, kind)| whole(*kind)) {
            let message = format!("`{{{name}}}` is a {kind}: it must be an argument of its own");
            let hint =
                format!("write \"{{{name}}}\" as an element of `argv`, with nothing around it");
            return Err(table.need("run")?.place.hinted(message, Some(hint)));
        }
    }
    Ok(())
}

/// A variable is one text.
fn check_filled(
    table: Table<'_>,
    parameters: &BTreeMap<ParameterName, Parameter>,
    run: &Run,
) -> Result<(), TextFault> {
    let several = |kind: Kind| kind.item().is_some() || kind == Kind::Path;
    let mut filled = run.environment().flat_map(|(name, value)| {
        value.parameters().into_iter().map(move |parameter| (name, parameter))
    });
    let wrong = filled.find_map(|(name, parameter)| {
        let kind = parameters.get(parameter)?.kind;
        several(kind).then(|| format!("`{name}` cannot be filled by `{{{parameter}}}`, a {kind}"))
    });
    wrong.map_or(Ok(()), |message| Err(table.need("run")?.place.fault(message)))
}
