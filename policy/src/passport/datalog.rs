//! The Datalog of a block, generated from what it states, so that any Biscuit verifier can enforce it.
//!
//! A verifier supplies `time(…)`, `operation("app.action")` and `arg("parameter", value)` for each argument.
//! It is built of terms, never of text: nothing in a value can become code.

use biscuit_auth::builder::{
    Binary, BlockBuilder, Check, CheckKind, Expression, Op, Predicate, Rule, Term,
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
        let mut terms = values.iter().map(value);
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
        Constraint::Any => vec![],
        Constraint::OneOf(values) => {
            let set = Term::Set(values.iter().map(value).collect());
            vec![binary(set, argument.clone(), Binary::Contains)]
        }
        Constraint::Range { min: i64::MIN, max } => {
            vec![test(Term::Integer(*max), Binary::LessOrEqual)]
        }
        Constraint::Range { min, max: i64::MAX } => {
            vec![test(Term::Integer(*min), Binary::GreaterOrEqual)]
        }
        Constraint::Range { min, max } => vec![
            test(Term::Integer(*min), Binary::GreaterOrEqual),
            test(Term::Integer(*max), Binary::LessOrEqual),
        ],
        Constraint::Prefix(prefix) => vec![test(string(prefix), Binary::Prefix)],
        Constraint::Pattern(pattern) => {
            let whole = format!(r"(?s)\A(?:{})\z", pattern.source());
            vec![test(string(&whole), Binary::Regex)]
        }
        Constraint::All(parts) => parts.iter().flat_map(|part| tests(argument, part)).collect(),
    }
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

fn value(value: &Value) -> Term {
    match value {
        Value::Text(text) => string(text),
        Value::Int(number) => Term::Integer(*number),
        Value::Bool(answer) => Term::Bool(*answer),
    }
}
