//! What a reflected service is asked before a share of it opens: nothing that the share itself could not ask, and nothing
//! that changes anything.

use super::{Asks, HttpRequest, METHOD, PATH, QUERY};
use crate::constraint::Constraint;
use crate::name::ParameterName;
use crate::scope::Scope;
use crate::surface::Surface;
use crate::value::{Arguments, Text, Value};
use crate::verb::{Effect, Run, Verb};

/// The first that the share may ask. What a GET answers with is not read; and a service of which a verb says that it changes
/// things may do so at a GET as well.
fn methods(effect: Effect) -> &'static [&'static str] {
    match effect {
        Effect::Read => &["HEAD", "GET"],
        Effect::Write => &["HEAD"],
    }
}

impl Surface {
    /// A request by which to see how a reflected service does: of the shortest path that this share could ask for, and
    /// none where it could ask for none.
    #[must_use]
    pub fn look(&self, verb: &Verb, scope: &Scope) -> Option<HttpRequest> {
        let Run::Http(http) = &verb.run else { return None };
        if http.asks != Asks::Any {
            return None;
        }
        let path: ParameterName = PATH.parse().ok()?;
        let pinned = scope.of(&verb.name).flat_map(|within| within.constraint(&path).item_parts());
        let paths = &http.target.paths;
        let listed = paths.beginnings.iter().chain(&paths.whole).cloned();
        let mut paths: Vec<String> = pinned.flat_map(beginnings).chain(listed).collect();
        paths.sort_by_key(String::len);
        let mut asked = methods(verb.effect)
            .iter()
            .flat_map(|method| paths.iter().filter_map(|path| arguments(method, path)));
        let arguments = asked.find(|asked| {
            http.target.methods.contains(&super::said(asked, METHOD))
                && http.objection(asked).is_none()
                && scope.permits(&verb.name, asked)
                && !self.denied.iter().any(|(_, denied)| denied.permits(&verb.name, asked))
        })?;
        Some(HttpRequest { is_reflected: false, ..http.request(&arguments) })
    }
}

/// The texts that it names, or with which it says that others begin.
fn beginnings(limit: &Constraint) -> Vec<String> {
    match limit {
        Constraint::OneOf(values) => values.iter().map(Value::to_string).collect(),
        Constraint::Prefix(text) => vec![text.to_string()],
        Constraint::Any
        | Constraint::Range { .. }
        | Constraint::Pattern(_)
        | Constraint::All(_)
        | Constraint::Length { .. }
        | Constraint::Subtree(_)
        | Constraint::Cidr(_)
        | Constraint::Url(_)
        | Constraint::Each(_)
        | Constraint::Has(_) => Vec::new(),
    }
}

fn arguments(method: &str, path: &str) -> Option<Arguments> {
    let text = |text: &str| Text::new(text).ok().map(Value::Text);
    let said = [(METHOD, text(method)?), (PATH, text(path)?), (QUERY, text("")?)];
    said.into_iter().map(|(name, value)| Some((name.parse().ok()?, value))).collect()
}
