//! Verbs that ask databases: what goes in the clear, and what cannot come to anything.

use super::Finding;
use crate::rule::RuleSite;
use crate::sql::{Postgres, Sql, Via, is_here};
use crate::verb::Verb;

/// What a statement begins with that gives rows.
const READING: [&str; 6] = ["select", "with", "values", "table", "explain", "show"];

pub(super) fn of_verb(verb: &Verb, sql: &Sql, site: &RuleSite) -> Vec<Finding> {
    let server = sql.target.postgres();
    let of_server = server.into_iter().flat_map(|server| {
        [in_the_clear(verb, sql, server, site), superuser(verb, sql, server, site)]
    });
    of_server.chain([rowless(verb, sql, site)]).flatten().collect()
}

fn in_the_clear(verb: &Verb, sql: &Sql, server: &Postgres, site: &RuleSite) -> Option<Finding> {
    let is_open = matches!(&server.via, Via::Plain(host) if !is_here(host));
    let sentence = format!(
        "`{}` asks `{}`, and is answered, over the network in the clear",
        verb.name, sql.target.name
    );
    let advice = "take `tls = \"off\"` away, and name the authority in `ca` if it is your own";
    is_open.then(|| Finding::warning("in-the-clear", site, sentence, advice))
}

/// By its usual name; that of another is seen when it is asked.
fn superuser(verb: &Verb, sql: &Sql, server: &Postgres, site: &RuleSite) -> Option<Finding> {
    let is_usual = server.user.as_deref() == Some("postgres");
    let sentence = format!(
        "`{}` asks `{}` as `postgres`: a superuser is refused, since nothing keeps it from writing",
        verb.name, sql.target.name
    );
    let advice = "give it a role of its own that may read what it must";
    is_usual.then(|| Finding::note("superuser", site, sentence, advice))
}

fn rowless(verb: &Verb, sql: &Sql, site: &RuleSite) -> Option<Finding> {
    let begins = sql.statement.trim_start();
    let is_word = |c: char| c.is_ascii_alphabetic();
    let word = begins.split(|c| !is_word(c)).next().unwrap_or_default();
    // A comment, or what only begins with a bracket, is left alone.
    let other = !word.is_empty() && !READING.iter().any(|one| one.eq_ignore_ascii_case(word));
    let sentence = format!(
        "`{}` begins with `{}`: only what gives rows and changes nothing is carried out",
        verb.name,
        word.to_ascii_lowercase()
    );
    let advice = "write a statement that begins with `select`, `with`, `values`, `table`, `explain` or `show`";
    other.then(|| Finding::note("no-rows", site, sentence, advice))
}
