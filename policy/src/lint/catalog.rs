//! Parameters that reach a program where it looks for options.

use super::{Finding, verbs};
use crate::constraint::Constraint;
use crate::kind::Kind;
use crate::name::ParameterName;
use crate::policy::Policy;
use crate::rule::RuleSite;
use crate::template::{Piece, Template};
use crate::value::Value;
use crate::verb::Verb;

pub(super) fn findings(policy: &Policy) -> Vec<Finding> {
    verbs(policy).flat_map(|(verb, site)| of_verb(verb, site)).collect()
}

fn of_verb(verb: &Verb, site: &RuleSite) -> Vec<Finding> {
    leading(verb.run.argv()).filter_map(|name| of_parameter(verb, name, site)).collect()
}

/// The parameters that begin an element before any `--`.
fn leading(argv: &[Template]) -> impl Iterator<Item = &ParameterName> {
    let open = argv.iter().take_while(|element| element.literal() != Some("--"));
    open.filter_map(first)
}

fn first(element: &Template) -> Option<&ParameterName> {
    match element.pieces().first() {
        Some(Piece::Parameter(name)) => Some(name),
        Some(Piece::Literal(_)) | None => None,
    }
}

fn of_parameter(verb: &Verb, name: &ParameterName, site: &RuleSite) -> Option<Finding> {
    let parameter = verb.parameters.get(name)?;
    let limit = &parameter.constraint;
    if !may_begin_with_dash(limit, parameter.kind) {
        return None;
    }
    let advice = "put a literal `\"--\"` before it, or keep `-` out with `one_of` or `pattern`";
    if parameter.kind.each() == Kind::Int {
        let sentence = format!(
            "`{}` takes negative numbers for `{name}`, and each such call is refused: the program would take an option",
            verb.name
        );
        return Some(Finding::note(
            "negative",
            site,
            sentence,
            "say `min = 0`, or put a literal `\"--\"` before it",
        ));
    }
    if *limit == Constraint::Any {
        let sentence = format!(
            "`{}` takes free text for `{name}` where `{}` looks for options; a value that begins with `-` is refused at each call",
            verb.name,
            verb.run.program()
        );
        return Some(Finding::warning("free-text", site, sentence, advice));
    }
    let sentence = format!(
        "`{}` takes values for `{name}` that begin with `-`: {limit}; each such call is refused",
        verb.name
    );
    Some(Finding::warning("leading-dash", site, sentence, advice))
}

/// Whether some value, or item of a list, begins with a dash; yes where it cannot be told.
fn may_begin_with_dash(limit: &Constraint, kind: Kind) -> bool {
    // Paths, addresses, URLs and `true` never do.
    if !matches!(kind.each(), Kind::Text | Kind::Int) {
        return false;
    }
    let dashed = |value: &Value| value.items().iter().any(|one| one.to_string().starts_with('-'));
    if let Constraint::OneOf(values) = limit {
        return values.iter().any(dashed);
    }
    if let Constraint::Each(item) = limit {
        return may_begin_with_dash(item, kind);
    }
    if let Constraint::Range { min, .. } = limit {
        return *min < 0;
    }
    if let Constraint::Prefix(prefix) = limit {
        return prefix.is_empty() || prefix.starts_with('-');
    }
    if let Constraint::Pattern(pattern) = limit {
        return pattern.may_begin_with(b'-');
    }
    if let Constraint::All(parts) = limit {
        return parts.iter().all(|part| may_begin_with_dash(part, kind));
    }
    true
}
