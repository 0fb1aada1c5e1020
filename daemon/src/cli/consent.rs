//! `openscope requests`, `approve` and `deny`: what waits for somebody's yes.

use std::collections::BTreeSet;
use std::time::Duration;

use policy::{Approve, RequestId};
use serde_json::{Value, json};
use wire::control::{Asked, PlanVerb, Reply, Request, RequestView};

use super::fault::Fault;
use super::output::{Format, Output};
use super::share::plan;
use super::socket::Daemon;
use super::{shown, when};
use crate::clock::rfc3339;
use crate::exit::Exit;

pub(super) const EXAMPLES: &str = "\
Examples:
  openscope requests
  openscope approve r_0123456789abcdef
  openscope deny r_0123456789abcdef --reason 'not during the migration'";

/// How often `--watch` looks.
const EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
pub(super) struct Requests {
    /// This one alone: r_…
    #[arg(value_name = "REQUEST", conflicts_with = "watch")]
    only: Option<RequestId>,
    /// Everybody's (admins)
    #[arg(long)]
    all: bool,
    /// Go on, and show each request when it comes
    #[arg(long)]
    watch: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Approval {
    /// Which request: r_…
    #[arg(value_name = "REQUEST")]
    request: RequestId,
    /// Only if it is for exactly this, as `requests` shows it
    #[arg(long, value_name = "HASH")]
    expect: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Denial {
    /// Which request: r_…
    #[arg(value_name = "REQUEST")]
    request: RequestId,
    /// Kept in the record, and told to an owner whose share it was
    #[arg(long)]
    reason: Option<String>,
}

impl Requests {
    pub(super) fn run(&self, daemon: &Daemon, out: &mut Output) -> Result<Exit, Fault> {
        if !self.watch {
            let (requests, left_out) = self.ask(daemon, self.only)?;
            return tell(&requests, &left_out, out);
        }
        let mut seen: BTreeSet<RequestId> = BTreeSet::new();
        loop {
            let (mut requests, left_out) = self.ask(daemon, None)?;
            for id in left_out.iter().filter(|id| !seen.contains(id)) {
                // It may have been answered meanwhile.
                requests.extend(self.ask(daemon, Some(*id)).into_iter().flat_map(|(one, _)| one));
            }
            for request in requests.iter().filter(|request| !seen.contains(&request.id)) {
                match out.format() {
                    Format::Json => out.json(&json(request))?,
                    Format::Text => out.data(&text(request))?,
                }
            }
            seen = requests.iter().map(|request| request.id).chain(left_out).collect();
            std::thread::sleep(EVERY);
        }
    }

    fn ask(
        &self,
        daemon: &Daemon,
        only: Option<RequestId>,
    ) -> Result<(Vec<RequestView>, Vec<RequestId>), Fault> {
        let reply = daemon.ask(&Request::Requests { all: self.all, only })?;
        let Reply::Requests { requests, left_out } = reply else { return Err(Fault::unfitting()) };
        Ok((requests, left_out))
    }
}

fn tell(requests: &[RequestView], left_out: &[RequestId], out: &mut Output) -> Result<Exit, Fault> {
    if out.format() == Format::Json {
        let requests: Vec<_> = requests.iter().map(json).collect();
        let left_out: Vec<String> = left_out.iter().map(ToString::to_string).collect();
        out.json(&json!({
            "schema": "openscope.requests/1",
            "requests": requests,
            "left_out": left_out,
        }))?;
        return Ok(Exit::Done);
    }
    if requests.is_empty() && left_out.is_empty() {
        out.aside("nothing waits for consent");
        return Ok(Exit::Done);
    }
    let others = left_out
        .iter()
        .map(|id| format!("{id}\n  too long to be shown here: `openscope requests {id}`"));
    let all: Vec<_> = requests.iter().map(text).chain(others).collect();
    out.data(&all.join("\n\n"))?;
    Ok(Exit::Done)
}

impl Approval {
    pub(super) fn run(self, daemon: &Daemon, out: &mut Output) -> Result<Exit, Fault> {
        let Self { request, expect } = self;
        done(daemon.ask(&Request::Approve { request, expect })?, "openscope.approve/1", out)
    }
}

impl Denial {
    pub(super) fn run(self, daemon: &Daemon, out: &mut Output) -> Result<Exit, Fault> {
        let Self { request, reason } = self;
        done(daemon.ask(&Request::Deny { request, reason })?, "openscope.deny/1", out)
    }
}

fn done(reply: Reply, schema: &str, out: &mut Output) -> Result<Exit, Fault> {
    let Reply::Done(said) = reply else { return Err(Fault::unfitting()) };
    match out.format() {
        Format::Json => out.json(&json!({ "schema": schema, "message": said }))?,
        Format::Text => out.data(&shown::line(&said))?,
    }
    Ok(Exit::Done)
}

/// A request, for a person who is to say yes or no.
pub(super) fn text(request: &RequestView) -> String {
    let fact = |name: &str, value: &str| format!("  {name:<10} {}", shown::whole(value));
    let by = format!("{}/{}", request.user, request.agent);
    let mut lines =
        vec![format!("{}{}", request.id, if request.yours { "  for you to answer" } else { "" })];
    match &request.what {
        Asked::Call { share, call, summary, effect, input, approve, command, run_as } => {
            lines.push(fact("call", &words(call)));
            lines.push(fact("does", &format!("{summary} ({effect})")));
            lines.push(fact("runs", &words(command)));
            lines.extend(run_as.iter().map(|account| fact("as", account.as_str())));
            lines.extend(plan::input(*input).map(|takes| fact("input", &takes)));
            lines.push(fact("under", &format!("{share} of {by}, by {}", request.recipient)));
            let each = if *approve == Approve::Once {
                "this and later calls of the verb in this share"
            } else {
                "this call alone"
            };
            lines.push(fact("for", each));
        }
        Asked::Open(plan) => {
            lines.push(fact("open", &format!("a share of {by}")));
            lines.extend(plan::text(plan).lines().map(|line| format!("    {line}")));
        }
        Asked::Access(access) => {
            lines.push(fact("access", &format!("{} asks for more", request.recipient)));
            lines.push(fact("reason", &access.reason));
            lines.push(fact("to", &format!("{} of {by}, which would gain:", access.share)));
            lines.extend(access.gains.iter().map(gained));
            lines.push(fact("for", &access.recipients.join(" and ")));
            if access.redelegate > 0 {
                lines.push(fact("hand on", &format!("less of it, {} in a row", access.redelegate)));
            }
            let budget = access.budget.as_ref().map(plan::budget);
            lines.extend(budget.map(|budget| fact("at most", &budget)));
        }
    }
    let given =
        if request.given.is_empty() { "nobody yet".to_owned() } else { request.given.join(", ") };
    lines
        .push(fact("needs", &format!("{} ({}); so far: {given}", request.approvers, request.rule)));
    lines.push(fact("until", &when::full(request.until, request.now)));
    lines.push(fact("hash", &request.hash));
    lines.join("\n")
}

/// One line of what a share would gain, and what that is.
fn gained(verb: &PlanVerb) -> String {
    format!(
        "    + {} [{}]\n    {}",
        shown::whole(&verb.verb),
        verb.effect,
        plan::about(verb).replace('\n', "\n    ")
    )
}

/// Words as a shell takes them: where one ends and another begins is plain to see.
fn words(words: &[String]) -> String {
    words.iter().map(|word| shown::word(word)).collect::<Vec<_>>().join(" ")
}

/// A request, for a program.
pub(super) fn json(request: &RequestView) -> Value {
    let what = match &request.what {
        Asked::Call { share, call, summary, effect, input, approve, command, run_as } => json!({
            "kind": "call",
            "share": share.to_string(),
            "call": call,
            "summary": summary,
            "effect": effect,
            "input": input,
            "approve": approve,
            "command": command,
            "run_as": run_as,
        }),
        Asked::Open(plan) => json!({ "kind": "open", "plan": plan::json(plan) }),
        Asked::Access(access) => json!({
            "kind": "access",
            "share": access.share.to_string(),
            "reason": access.reason,
            "gains": access.gains.iter().map(plan::verb_json).collect::<Vec<_>>(),
            "recipients": access.recipients,
            "redelegate": access.redelegate,
            "max_calls": access.budget.and_then(|budget| budget.calls),
            "max_bytes": access.budget.and_then(|budget| budget.bytes),
        }),
    };
    json!({
        "id": request.id.to_string(),
        "what": what,
        "user": request.user,
        "agent": request.agent.to_string(),
        "recipient": request.recipient,
        "rule": request.rule,
        "approvers": request.approvers,
        "needs": request.needs,
        "given": request.given,
        "hash": request.hash,
        "asked": rfc3339(request.asked),
        "until": rfc3339(request.until),
        "now": rfc3339(request.now),
        "yours": request.yours,
    })
}

#[cfg(test)]
mod tests {
    use policy::{Content, Effect, Input, ShareId, Stdin, Timestamp};
    use wire::control::AccessView;

    use super::*;
    use crate::cli::output::tests::heard;
    use crate::cli::socket::tests::daemon;

    fn request() -> RequestView {
        RequestView {
            id: RequestId::from_random([1; 8]),
            what: Asked::Call {
                share: ShareId::from_random([2; 8]),
                call: ["service.restart", "host=web service=db"].map(str::to_owned).to_vec(),
                summary: "Restarts a service".to_owned(),
                effect: Effect::Write,
                input: Input::Stdin(Stdin { content: Content::Text, max: 1 << 20 }),
                approve: Approve::Each,
                command: ["/bin/svc", "restart", "it's"].map(str::to_owned).to_vec(),
                run_as: Some("deploy".parse().unwrap()),
            },
            user: "alice".to_owned(),
            agent: "you".parse().unwrap(),
            recipient: "vendor-b\u{1b}[2J".to_owned(),
            rule: "policy.d/team.toml:3".to_owned(),
            approvers: "bob".to_owned(),
            needs: 1,
            given: vec![],
            hash: "ab12".to_owned(),
            asked: Timestamp(1_800_000_000_000),
            until: Timestamp(1_800_000_300_000),
            now: Timestamp(1_800_000_060_000),
            yours: true,
        }
    }

    #[test]
    fn a_request_shows_all_that_the_answer_depends_on_and_cannot_draw() {
        let text = text(&request());
        for said in [
            "r_0101010101010101  for you to answer",
            "call       service.restart 'host=web service=db'",
            "Restarts a service (write)",
            r"runs       /bin/svc restart 'it'\''s'",
            "as         deploy",
            "input      text, at most 1MiB, that the recipient gives while it runs",
            "this call alone",
            "bob (policy.d/team.toml:3); so far: nobody yet",
            "(in 4 min)",
            "hash       ab12",
        ] {
            assert!(text.contains(said), "{said}\n---\n{text}");
        }
        assert!(!text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn what_is_asked_for_is_shown_line_by_line_with_what_it_is() {
        let verb = |verb: &str, effect, approve| PlanVerb {
            verb: verb.to_owned(),
            summary: "Does it".to_owned(),
            effect,
            input: Input::Nothing,
            run_as: None,
            parameters: vec![("service".parse().unwrap(), "web".to_owned())],
            approve,
            approvers: "bob".to_owned(),
        };
        let access = AccessView {
            share: ShareId::from_random([2; 8]),
            reason: "it hangs\u{1b}[2J".to_owned(),
            gains: vec![
                verb("log.tail:service=db", Effect::Read, Approve::Never),
                verb("service.restart:service=web", Effect::Write, Approve::Each),
            ],
            recipients: vec!["vendor-b".to_owned(), "vendor-c".to_owned()],
            redelegate: 2,
            budget: None,
        };
        let request = RequestView { what: Asked::Access(Box::new(access)), ..request() };
        let text = text(&request);
        for said in [
            "access     vendor-b",
            "reason     it hangs\\u{1b}[2J",
            "to         osp_0202020202020202 of alice/you, which would gain:",
            "    + log.tail:service=db [read]\n          Does it\n          with service web\n",
            "    + service.restart:service=web [write]\n",
            "each call with the consent of bob",
            "for        vendor-b and vendor-c",
            "hand on    less of it, 2 in a row",
            "hash       ab12",
        ] {
            assert!(text.contains(said), "{said}\n---\n{text}");
        }
        assert!(!text.contains('\u{1b}') && !text.contains("at most"), "{text}");
        let what = &json(&request)["what"];
        assert_eq!((&what["kind"], &what["max_calls"]), (&json!("access"), &Value::Null));
        assert_eq!(what["gains"][1]["verb"], "service.restart:service=web");
    }

    #[test]
    fn the_documents_are_versioned_also_when_nothing_waits() {
        let (none, asked, _home) = daemon(Reply::Requests { requests: vec![], left_out: vec![] });
        let (mut out, data, _) = heard(Format::Json, false);
        Requests { only: None, all: false, watch: false }.run(&none, &mut out).unwrap();
        assert_eq!(
            data.text(),
            "{\"left_out\":[],\"requests\":[],\"schema\":\"openscope.requests/1\"}\n"
        );
        assert_eq!(asked.join().unwrap(), Request::Requests { all: false, only: None });
    }

    #[test]
    fn an_answer_is_what_was_typed() {
        let (one, asked, _home) = daemon(Reply::Done("ok".to_owned()));
        let (mut out, data, _) = heard(Format::Text, false);
        let denial = Denial { request: request().id, reason: Some("no".to_owned()) };
        denial.run(&one, &mut out).unwrap();
        assert_eq!(data.text(), "ok\n");
        let wanted = Request::Deny { request: request().id, reason: Some("no".to_owned()) };
        assert_eq!(asked.join().unwrap(), wanted);
    }
}
