//! A world as the TOML that root would write.

use std::fmt::Write as _;

use policy::Source;

use crate::model::{
    Approve, Cap, Class, Item, Kind, Limit, Mode, Param, Part, Pattern, Site, Terms, Val, Verb,
    Verbs, Who, Window, World, Zone,
};

/// The files, and the line of each item.
pub(crate) struct Rendered {
    pub(crate) verbs: Source,
    pub(crate) rules: Vec<Source>,
    lines: Vec<Vec<usize>>,
}

impl Rendered {
    pub(crate) fn of(world: &World) -> Self {
        let text = world.verbs.iter().map(verb).collect();
        let verbs = Source { name: "verbs.d/all.toml".to_owned(), text };
        let (mut rules, mut lines) = (Vec::new(), Vec::new());
        for (number, items) in world.files.iter().enumerate() {
            let (mut text, mut begun) = (String::new(), Vec::new());
            for one in items {
                begun.push(1 + text.matches('\n').count());
                item(&mut text, one);
            }
            rules.push(Source { name: format!("policy.d/{number}.toml"), text });
            lines.push(begun);
        }
        Self { verbs, rules, lines }
    }

    /// The item that a rule's place means.
    pub(crate) fn site(&self, place: &policy::RuleSite) -> Site {
        let file = self.rules.iter().position(|source| source.name == place.source).unwrap();
        Site(file, self.lines[file].iter().position(|line| *line == place.line).unwrap())
    }

    /// All of it, for people.
    pub(crate) fn shown(&self) -> String {
        let all = std::iter::once(&self.verbs).chain(&self.rules);
        let one = |source: &Source| format!("# {}\n{}\n", source.name, source.text);
        all.map(one).collect::<Vec<_>>().concat()
    }
}

fn verb(verb: &Verb) -> String {
    let part = |part: &Part| match part {
        Part::Text(text) => text.clone(),
        Part::Param(name) => format!("{{{name}}}"),
    };
    let element = |parts: &Vec<Part>| quoted(&parts.iter().map(part).collect::<String>());
    let argv: Vec<String> = verb.argv.iter().map(element).collect();
    let argv = [vec![quoted("/bin/true")], argv].concat().join(", ");
    let name = quoted(&verb.name);
    let mut text = format!(
        "[verb.{name}]\nsummary = \"s\"\neffect = \"read\"\nrun = {{ exec = {{ argv = [{argv}] }} }}\n"
    );
    for one in &verb.params {
        let _ = writeln!(text, "[verb.{name}.params.{}]\n{}", one.name, param(one));
    }
    text
}

fn param(param: &Param) -> String {
    let kind = match param.kind {
        Kind::Text => "string",
        Kind::Int => "int",
        Kind::Bool => "bool",
        Kind::Path => "path",
        Kind::Address => "address",
        Kind::Url => "url",
        Kind::Texts => "string[]",
        Kind::Ints => "int[]",
        Kind::Addresses => "address[]",
    };
    let filled = match &param.default {
        Some(value) => format!("default = {}", toml(value)),
        None => "required = true".to_owned(),
    };
    let mut lines = vec![format!("type = \"{kind}\""), filled];
    lines.extend(whole(&param.limit, param.kind.item().is_some()));
    lines.join("\n")
}

fn fields(limit: &Limit) -> Vec<String> {
    let mut fields = Vec::new();
    fields.extend(limit.one_of.as_ref().map(|list| format!("one_of = {}", values(list))));
    fields.extend(limit.min.map(|min| format!("min = {min}")));
    fields.extend(limit.max.map(|max| format!("max = {max}")));
    fields.extend(limit.prefix.as_ref().map(|text| format!("prefix = {}", quoted(text))));
    fields.extend(limit.patterns.iter().map(|one| format!("pattern = {}", quoted(&regex(one)))));
    for (key, text) in [("subtree", &limit.subtree), ("cidr", &limit.cidr), ("url", &limit.url)] {
        fields.extend(text.as_ref().map(|text| format!("{key} = {}", quoted(text))));
    }
    fields.extend(limit.each.iter().chain(&limit.has).flat_map(|inner| self::fields(inner)));
    fields
}

/// The same with its length, in the words for lists or for texts.
fn whole(limit: &Limit, list: bool) -> Vec<String> {
    let what = if list { "items" } else { "bytes" };
    let length = |limit: &Limit, what: &str| {
        let Some((min, max)) = limit.length else { return vec![] };
        let most = (max != u32::MAX).then(|| format!("max_{what} = {max}"));
        std::iter::once(format!("min_{what} = {min}")).chain(most).collect()
    };
    let inner = limit.each.iter().chain(&limit.has);
    let inner = inner.flat_map(|inner| length(inner, "bytes")).collect();
    [fields(limit), length(limit, what), inner].concat()
}

fn in_rule(limit: &Limit) -> String {
    let list = limit.each.as_ref().or(limit.has.as_ref());
    let fields = whole(limit, list.is_some());
    match (&list.map_or(limit, |inner| inner).one_of, fields.len()) {
        (Some(list), 1) if list.len() == 1 => toml(&list[0]),
        (Some(list), 1) => values(list),
        _ => format!("{{ {} }}", fields.join(", ")),
    }
}

pub(crate) fn regex(pattern: &Pattern) -> String {
    let piece = |piece: &crate::model::Piece| {
        let class = match piece.of {
            Class::One(one) if "-.".contains(one) => format!("[{one}]"),
            Class::One(one) => one.to_string(),
            Class::Lower => "[a-z]".to_owned(),
            Class::Digit => "[0-9]".to_owned(),
            Class::Any => ".".to_owned(),
        };
        let many = match (piece.least, piece.most) {
            (1, Some(1)) => String::new(),
            (0, Some(1)) => "?".to_owned(),
            (0, None) => "*".to_owned(),
            (1, None) => "+".to_owned(),
            (least, None) => format!("{{{least},}}"),
            (least, Some(most)) => format!("{{{least},{most}}}"),
        };
        format!("{class}{many}")
    };
    let alternative = |pieces: &Vec<crate::model::Piece>| pieces.iter().map(piece).collect();
    pattern.0.iter().map(alternative).collect::<Vec<String>>().join("|")
}

fn item(text: &mut String, item: &Item) {
    let _ = match item {
        Item::Agent { name, user } => {
            writeln!(text, "[[agent]]\nname = {}\nuser = {}", quoted(name), quoted(user))
        }
        Item::Role { name, groups, verbs: held } => {
            let held = held.as_ref().map(|held| format!("verbs = {}\n", verbs(held)));
            let (name, held) = (quoted(name), held.unwrap_or_default());
            writeln!(text, "[[role]]\nname = {name}\ngroups = {}\n{held}", names(groups))
        }
        Item::Allow { who, verbs: held } => {
            writeln!(text, "[[allow]]\n{}verbs = {}", self::who(who), verbs(held))
        }
        Item::Deny { who, verbs: held } => {
            writeln!(text, "[[deny]]\n{}verbs = {}", self::who(who), verbs(held))
        }
        Item::Delegate { who, verbs: held, terms: said } => {
            let (who, held, said) = (self::who(who), verbs(held), terms(said));
            writeln!(text, "[[delegate]]\n{who}verbs = {held}\n{said}")
        }
    };
}

fn who(who: &Who) -> String {
    let mut text = String::new();
    let all = [("agent", &who.agents), ("user", &who.users), ("group", &who.groups)];
    for (key, given) in all.into_iter().chain([("role", &who.roles)]) {
        if let Some(given) = given {
            let _ = writeln!(text, "{key} = {}", names(given));
        }
    }
    let windows: Vec<String> = who.when.iter().map(window).collect();
    let _ = match windows.as_slice() {
        [] => Ok(()),
        [one] => writeln!(text, "when = {one}"),
        several => writeln!(text, "when = [{}]", several.join(", ")),
    };
    text
}

fn window(window: &Window) -> String {
    const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let zone = match window.zone {
        Zone::Utc => "UTC",
        Zone::Kolkata => "Asia/Kolkata",
        Zone::Berlin => "Europe/Berlin",
    };
    let time = |minute: u64| format!("\"{:02}:{:02}\"", minute / 60, minute % 60);
    let mut parts = vec![format!("timezone = \"{zone}\"")];
    let on: Vec<String> =
        DAYS.iter().zip(window.days).filter(|(_, on)| *on).map(|(day, _)| quoted(day)).collect();
    // A run over the week's end, as people write it.
    match window.days {
        [true, true, true, true, true, true, true] => {}
        [true, false, false, false, true, true, true] => {
            parts.push("days = \"fri-mon\"".to_owned());
        }
        [true, true, true, true, true, false, false] => {
            parts.push("days = [\"mon-wed\", \"thu-fri\"]".to_owned());
        }
        _ => parts.push(format!("days = [{}]", on.join(", "))),
    }
    if window.from != 0 {
        parts.push(format!("from = {}", time(window.from)));
    }
    if window.to != 24 * 60 {
        parts.push(format!("to = {}", time(window.to)));
    }
    format!("{{ {} }}", parts.join(", "))
}

fn verbs(verbs: &Verbs) -> String {
    let one = |cap: &Cap| {
        let limit = |(name, limit): &(String, Limit)| format!("{name} = {}", in_rule(limit));
        let limits: Vec<String> = cap.limits.iter().map(limit).collect();
        format!("{} = {{ {} }}", quoted(&cap.verb), limits.join(", "))
    };
    match verbs {
        Verbs::Listed(names) => list(names),
        Verbs::Limited(caps) => {
            format!("{{ {} }}", caps.iter().map(one).collect::<Vec<_>>().join(", "))
        }
    }
}

fn terms(terms: &Terms) -> String {
    let mut lines = Vec::new();
    lines.extend(terms.to.as_ref().map(|to| format!("to = {}", list(to))));
    lines.extend(terms.keys.as_ref().map(|keys| format!("keys = {}", list(keys))));
    lines.extend(terms.bearer.then(|| "bearer = true".to_owned()));
    lines.extend(terms.max_ttl.map(|ttl| match (ttl % 60_000, ttl % 1000) {
        (0, _) => format!("max_ttl = \"{}m\"", ttl / 60_000),
        (_, 0) => format!("max_ttl = \"{}s\"", ttl / 1000),
        _ => format!("max_ttl = \"{ttl}ms\""),
    }));
    lines.extend(terms.redelegate.map(|deep| format!("redelegate = {deep}")));
    let word = |mode: &Mode| quoted(&format!("{mode:?}").to_lowercase());
    lines.extend(terms.approve.as_ref().map(|approve| match approve {
        Approve::All(mode) => format!("approve = {}", word(mode)),
        Approve::By(words) => {
            let each =
                words.iter().map(|(verb, mode)| format!("{} = {}", quoted(verb), word(mode)));
            format!("approve = {{ {} }}", each.collect::<Vec<_>>().join(", "))
        }
    }));
    lines.extend(terms.approve_open.then(|| "approve_open = true".to_owned()));
    if !terms.approvers.is_empty() {
        lines.push(format!("approvers = {}", list(&terms.approvers)));
    }
    lines.extend(terms.needs.map(|needs| format!("needs = {needs}")));
    lines.extend(terms.max_calls.map(|calls| format!("max_calls = {calls}")));
    lines.extend(terms.max_bytes.map(|bytes| match bytes % 1024 {
        0 => format!("max_bytes = \"{}KiB\"", bytes / 1024),
        _ => format!("max_bytes = \"{bytes}B\""),
    }));
    lines.extend(terms.max_shares.map(|shares| format!("max_shares = {shares}")));
    lines.join("\n")
}

/// One name as itself, several as a list.
fn names(names: &[String]) -> String {
    match names {
        [one] => quoted(one),
        several => list(several),
    }
}

fn list(names: &[String]) -> String {
    format!("[{}]", names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", "))
}

fn values(list: &[Val]) -> String {
    format!("[{}]", list.iter().map(toml).collect::<Vec<_>>().join(", "))
}

fn toml(value: &Val) -> String {
    match value {
        Val::Text(text) => quoted(text),
        Val::Int(number) => number.to_string(),
        Val::Bool(answer) => answer.to_string(),
        Val::List(items) => values(items),
    }
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}
