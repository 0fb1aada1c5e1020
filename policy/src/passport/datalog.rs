//! The Datalog of a block, generated from what it states, so that any Biscuit verifier can enforce it.
//!
//! A verifier supplies `time(…)`, `operation("app.action")` and `arg("parameter", value)` for each argument.
//! It is built of terms, never of text: nothing in a value can become code.
//!
//! Where Datalog cannot state a constraint, its check is wider than the constraint, never narrower: a path
//! beneath a root is compared as text, of a URL only what all such URLs begin with or contain, and an address
//! not at all. The daemon reads the constraint itself, not its Datalog.

use std::collections::BTreeSet;

use biscuit_auth::builder::{
    Binary, BlockBuilder, Check, CheckKind, Expression, Op, Predicate, Rule, Term, Unary,
};

use crate::constraint::Constraint;
use crate::scope::{Capability, Scope};
use crate::time::Timestamp;
use crate::value::Value;

/// A block that states `context` and checks the deadline and the scope.
pub(super) fn block(context: String, not_after: Timestamp, scope: &Scope) -> BlockBuilder {
    let queries = scope.capabilities().iter().map(capability).collect();
    let checks = vec![one_of(vec![before(not_after)]), one_of(queries)];
    BlockBuilder { checks, context: Some(context), ..BlockBuilder::new() }
}

fn one_of(queries: Vec<Rule>) -> Check {
    Check { queries, kind: CheckKind::One }
}

fn query(body: Vec<Predicate>, expressions: Vec<Expression>) -> Rule {
    Rule::new(predicate("query", vec![]), body, expressions, vec![])
}

/// Biscuit's dates are seconds: the fraction is cut, so that this never permits longer than is stated.
fn before(not_after: Timestamp) -> Rule {
    let end = Term::Date(not_after.0 / 1000);
    let body = vec![predicate("time", vec![variable("time")])];
    query(body, vec![binary(variable("time"), end, Binary::LessOrEqual)])
}

fn capability(capability: &Capability) -> Rule {
    let mut body = vec![predicate("operation", vec![string(capability.verb().as_str())])];
    let mut expressions = Vec::new();
    for (name, limit) in capability.parameters() {
        let (term, tests) = limited(variable(name.as_str()), limit);
        body.push(predicate("arg", vec![string(name.as_str()), term]));
        expressions.extend(tests);
    }
    query(body, expressions)
}

/// The term that stands for the argument, and what is tested of it.
fn limited(argument: Term, limit: &Constraint) -> (Term, Vec<Expression>) {
    if let Constraint::OneOf(values) = limit {
        let mut terms = values.iter().map(term);
        if let (Some(only), None) = (terms.next(), terms.next()) {
            return (only, vec![]);
        }
    }
    let tests = tests(&argument, limit);
    (argument, tests)
}

fn tests(argument: &Term, limit: &Constraint) -> Vec<Expression> {
    let test = |other, by| binary(argument.clone(), other, by);
    match limit {
        Constraint::Any | Constraint::Cidr(_) => vec![],
        Constraint::OneOf(values) => vec![listed(argument, values)],
        Constraint::Range { min, max } => between(argument, &[], *min, *max, i64::MIN),
        Constraint::Length { min, max } => {
            let max = if *max == u32::MAX { i64::MAX } else { (*max).into() };
            between(argument, &[Op::Unary(Unary::Length)], (*min).into(), max, 0)
        }
        Constraint::Prefix(prefix) => vec![test(string(prefix), Binary::Prefix)],
        Constraint::Pattern(pattern) => {
            let whole = format!(r"(?s)\A(?:{})\z", pattern.source());
            vec![test(string(&whole), Binary::Regex)]
        }
        Constraint::Subtree(root) => {
            let itself = test(string(root.path()), Binary::Equal);
            either([itself, test(string(&root.to_string()), Binary::Prefix)])
        }
        Constraint::Url(prefix) => {
            let tail = prefix.tail().map(|tail| test(string(&tail), Binary::Contains));
            std::iter::once(test(string(&prefix.lead()), Binary::Prefix)).chain(tail).collect()
        }
        Constraint::Each(item) => quantified(argument, item, Binary::All),
        Constraint::Has(item) => quantified(argument, item, Binary::Any),
        Constraint::All(parts) => parts.iter().flat_map(|part| tests(argument, part)).collect(),
    }
}

/// A set has no lists in it, so a list is compared with each.
fn listed(argument: &Term, values: &BTreeSet<Value>) -> Expression {
    if values.iter().any(|value| matches!(value, Value::List(_))) {
        let equal = values
            .iter()
            .map(|one| binary(argument.clone(), term(one), Binary::HeterogeneousEqual));
        return joined(equal, &Binary::Or);
    }
    let set = Term::Set(values.iter().map(term).collect());
    binary(set, argument.clone(), Binary::Contains)
}

/// What lies between two ends; `least` and the greatest number are no ends.
fn between(argument: &Term, of: &[Op], min: i64, max: i64, least: i64) -> Vec<Expression> {
    let test = |end, by| {
        let measured = std::iter::once(Op::Value(argument.clone())).chain(of.iter().cloned());
        let ops = measured.chain([Op::Value(Term::Integer(end)), Op::Binary(by)]).collect();
        Expression { ops }
    };
    let low = (min > least).then(|| test(min, Binary::GreaterOrEqual));
    let high = (max < i64::MAX || min <= least).then(|| test(max, Binary::LessOrEqual));
    low.into_iter().chain(high).collect()
}

fn either(tests: [Expression; 2]) -> Vec<Expression> {
    vec![joined(tests.into_iter(), &Binary::Or)]
}

/// One test of several, of which there is at least one.
fn joined(tests: impl Iterator<Item = Expression>, by: &Binary) -> Expression {
    let mut ops = Vec::new();
    for (position, test) in tests.enumerate() {
        ops.extend(test.ops);
        ops.extend((position > 0).then(|| Op::Binary(by.clone())));
    }
    Expression { ops }
}

/// Every item of a list, or some item, passes the tests of one.
fn quantified(list: &Term, item: &Constraint, by: Binary) -> Vec<Expression> {
    // No parameter has such a name.
    const ITEM: &str = "Item";
    let tests = tests(&variable(ITEM), item);
    if tests.is_empty() {
        return vec![];
    }
    let closure = Op::Closure(vec![ITEM.to_owned()], joined(tests.into_iter(), &Binary::And).ops);
    vec![Expression { ops: vec![Op::Value(list.clone()), closure, Op::Binary(by)] }]
}

fn binary(left: Term, right: Term, by: Binary) -> Expression {
    Expression { ops: vec![Op::Value(left), Op::Value(right), Op::Binary(by)] }
}

fn predicate(name: &str, terms: Vec<Term>) -> Predicate {
    Predicate { name: name.to_owned(), terms }
}

fn variable(name: &str) -> Term {
    Term::Variable(name.to_owned())
}

fn string(text: &str) -> Term {
    Term::Str(text.to_owned())
}

fn term(value: &Value) -> Term {
    match value {
        Value::Text(text) => string(text),
        Value::Int(number) => Term::Integer(*number),
        Value::Bool(answer) => Term::Bool(*answer),
        Value::List(items) => Term::Array(items.iter().map(term).collect()),
    }
}
