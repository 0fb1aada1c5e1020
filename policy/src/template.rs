//! Templates: one element of a program's arguments, with parameters in it.

use std::collections::BTreeSet;
use std::str::FromStr;

use crate::name::{NameFault, ParameterName};
use crate::value::Arguments;

/// One argv element. `{name}` stands for a parameter, `{{` and `}}` for the braces themselves.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Template {
    pieces: Vec<Piece>,
}

/// A part of a template.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Piece {
    /// Text as it stands.
    Literal(String),
    /// The argument for this parameter.
    Parameter(ParameterName),
}

/// Why a text is not a template.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TemplateFault {
    /// `{` without `}`.
    #[error("`{{` is never closed: write `{{{{` for a brace of its own")]
    Open,
    /// `}` without `{`.
    #[error("`}}` closes nothing: write `}}}}` for a brace of its own")]
    Close,
    /// What is between the braces is no parameter name.
    #[error("what stands between braces must be a parameter")]
    Name(#[source] NameFault),
    /// A NUL cannot be part of an argument.
    #[error("an argument may not contain a NUL character")]
    Nul,
}

impl Template {
    /// The element for these arguments. A parameter without an argument leaves nothing behind:
    /// the catalog refuses verbs for which that could happen.
    #[must_use]
    pub fn render(&self, arguments: &Arguments) -> String {
        self.pieces.iter().map(|piece| piece.rendered(arguments)).collect()
    }

    /// The text for these arguments, each of them written in it as `spelled` says.
    pub(crate) fn rendered_with(
        &self,
        arguments: &Arguments,
        spelled: impl Fn(&str) -> String,
    ) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Literal(text) => text.clone(),
            Piece::Parameter(_) => spelled(&piece.rendered(arguments)),
        };
        self.pieces.iter().map(piece).collect()
    }

    /// The elements for these arguments: one, or, when it is nothing but a list, one for each item.
    #[must_use]
    pub fn rendered(&self, arguments: &Arguments) -> Vec<String> {
        match self.whole().and_then(|name| arguments.value(name)) {
            Some(value) => value.items().iter().map(ToString::to_string).collect(),
            None => vec![self.render(arguments)],
        }
    }

    /// The parameter, when the element is that and nothing else.
    #[must_use]
    pub fn whole(&self) -> Option<&ParameterName> {
        match self.pieces.as_slice() {
            [Piece::Parameter(name)] => Some(name),
            _ => None,
        }
    }

    /// The parameters that the element uses.
    #[must_use]
    pub fn parameters(&self) -> BTreeSet<&ParameterName> {
        self.pieces.iter().filter_map(Piece::parameter).collect()
    }

    /// The parts in their order.
    #[must_use]
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The text, when no parameter is in it.
    #[must_use]
    pub fn literal(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [] => Some(""),
            [Piece::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// The parameter that could turn the element into an option: the one it begins with, when the
    /// rendered element begins with a dash. An empty first value lends its place to the next.
    pub(crate) fn dashed_by(&self, arguments: &Arguments) -> Option<&ParameterName> {
        if let Some(name) = self.whole() {
            return self.rendered(arguments).iter().any(|one| one.starts_with('-')).then_some(name);
        }
        let begins = self.pieces.iter().find(|piece| !piece.rendered(arguments).is_empty())?;
        let leads = self.pieces.first().is_some_and(|first| first.parameter().is_some());
        if !leads || !self.render(arguments).starts_with('-') {
            return None;
        }
        begins.parameter().or_else(|| self.pieces.first().and_then(Piece::parameter))
    }
}

impl Piece {
    fn rendered(&self, arguments: &Arguments) -> String {
        match self {
            Self::Literal(text) => text.clone(),
            Self::Parameter(name) => {
                arguments.value(name).map_or_else(String::new, ToString::to_string)
            }
        }
    }

    fn parameter(&self) -> Option<&ParameterName> {
        match self {
            Self::Literal(_) => None,
            Self::Parameter(name) => Some(name),
        }
    }
}

impl FromStr for Template {
    type Err = TemplateFault;

    fn from_str(text: &str) -> Result<Self, TemplateFault> {
        if text.contains('\0') {
            return Err(TemplateFault::Nul);
        }
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            literal.push_str(before);
            rest = if let Some(after) = from.strip_prefix("{{") {
                literal.push('{');
                after
            } else if let Some(after) = from.strip_prefix("}}") {
                literal.push('}');
                after
            } else {
                let inside = from.strip_prefix('{').ok_or(TemplateFault::Close)?;
                let (name, after) = inside.split_once('}').ok_or(TemplateFault::Open)?;
                push_literal(&mut pieces, &mut literal);
                pieces.push(Piece::Parameter(name.parse().map_err(TemplateFault::Name)?));
                after
            };
        }
        literal.push_str(rest);
        push_literal(&mut pieces, &mut literal);
        Ok(Self { pieces })
    }
}

fn push_literal(pieces: &mut Vec<Piece>, literal: &mut String) {
    if !literal.is_empty() {
        pieces.push(Piece::Literal(std::mem::take(literal)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    fn arguments(pairs: &[(&str, &str)]) -> Arguments {
        pairs.iter().map(|(n, v)| (n.parse().unwrap(), Value::text(*v).unwrap())).collect()
    }

    fn rendered(template: &str, pairs: &[(&str, &str)]) -> String {
        template.parse::<Template>().unwrap().render(&arguments(pairs))
    }

    #[test]
    fn a_parameter_is_replaced_and_its_value_never_read_again() {
        assert_eq!(
            rendered("--unit={service}.service", &[("service", "{host}")]),
            "--unit={host}.service"
        );
        assert_eq!(rendered("{{{service}}}", &[("service", "web")]), "{web}");
        assert_eq!(rendered("plain", &[]), "plain");
    }

    #[test]
    fn an_unbalanced_brace_is_refused() {
        assert_eq!("{a".parse::<Template>(), Err(TemplateFault::Open));
        assert_eq!("a}".parse::<Template>(), Err(TemplateFault::Close));
        assert!(matches!("{A}".parse::<Template>(), Err(TemplateFault::Name(_))));
        assert!(matches!("{}".parse::<Template>(), Err(TemplateFault::Name(_))));
    }

    #[test]
    fn a_value_that_begins_an_element_with_a_dash_is_named() {
        let dashed = |template: &str, pairs: &[(&str, &str)]| {
            let template = template.parse::<Template>().unwrap();
            template.dashed_by(&arguments(pairs)).map(ToString::to_string)
        };
        assert_eq!(dashed("{a}", &[("a", "-x")]).as_deref(), Some("a"));
        assert_eq!(dashed("{a}{b}", &[("a", ""), ("b", "-x")]).as_deref(), Some("b"));
        assert_eq!(dashed("{a}-x", &[("a", "")]).as_deref(), Some("a"));
        assert_eq!(dashed("{a}", &[("a", "x-")]), None);
        assert_eq!(dashed("--unit={a}", &[("a", "-x")]), None);
        assert_eq!(dashed("-n", &[]), None);
    }

    #[test]
    fn a_list_is_an_element_for_each_item_and_no_item_begins_with_a_dash() {
        let list = |items: &[&str]| {
            let items = items.iter().map(|item| Value::text(*item).unwrap());
            Arguments::from_iter([("a".parse().unwrap(), Value::list(items).unwrap())])
        };
        let template: Template = "{a}".parse().unwrap();
        assert_eq!(template.rendered(&list(&["x", "", "y,z"])), ["x", "", "y,z"]);
        assert!(template.rendered(&list(&[])).is_empty());
        assert_eq!(template.dashed_by(&list(&["x", "y-"])), None);
        assert!(template.dashed_by(&list(&["x", "-y"])).is_some());
    }
}
