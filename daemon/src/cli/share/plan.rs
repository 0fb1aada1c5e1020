//! `openscope share open --plan`: what a share would let its recipient do, sentence by sentence.

use serde_json::{Value, json};
use wire::control::{PlanVerb, PlanView};

use policy::{Approve, Budget, Effect, Input};

use crate::cli::shown;

/// For a person: what could be done, what is given away, what could go wrong, and the hash of it all.
pub(in crate::cli) fn text(plan: &PlanView) -> String {
    let mut lines = vec![opening(plan), String::new()];
    lines.extend(plan.verbs.iter().map(sentence));
    lines.extend([String::new(), discloses(plan), String::new(), worst(plan)]);
    if !plan.consent.is_empty() {
        let consent: Vec<String> = plan.consent.iter().map(|who| shown::line(who)).collect();
        lines.extend([
            String::new(),
            format!("Opening it waits for consent: {}.", consent.join(" and ")),
        ]);
    }
    lines.extend([String::new(), format!("by    {}", shown::line(&plan.basis))]);
    lines.push(format!("hash  {}", plan.hash));
    lines.join("\n")
}

fn opening(plan: &PlanView) -> String {
    let to: Vec<String> = plan.recipients.iter().map(|one| shown::line(one)).collect();
    format!(
        "For {} from the opening on, {} could, as {} ({}):",
        length(plan.ttl_ms),
        to.join(" and "),
        shown::line(&plan.user),
        plan.agent
    )
}

/// One capability, in the catalog's words.
fn sentence(verb: &PlanVerb) -> String {
    let effect = match verb.effect {
        Effect::Read => "reads",
        Effect::Write => "CHANGES",
    };
    format!("  {effect:<7} {}\n{}", shown::whole(&verb.verb), about(verb))
}

/// What there is to be said of a capability below the line that names it.
pub(in crate::cli) fn about(verb: &PlanVerb) -> String {
    let limits =
        verb.parameters.iter().map(|(name, limit)| format!("{name} {}", shown::whole(limit)));
    let limits = limits.collect::<Vec<_>>().join("; ");
    let with = if limits.is_empty() { String::new() } else { format!("\n      with {limits}") };
    let asks = match verb.approve {
        Approve::Never => String::new(),
        Approve::Once => {
            format!("\n      its first call with the consent of {}", shown::line(&verb.approvers))
        }
        Approve::Each => {
            format!("\n      each call with the consent of {}", shown::line(&verb.approvers))
        }
    };
    let takes = input(verb.input);
    let takes = takes.map_or_else(String::new, |takes| format!("\n      with input: {takes}"));
    let run_as = verb.run_as.as_ref().map_or_else(String::new, |account| {
        format!("\n      as {account}, with what that account may")
    });
    format!("      {}{run_as}{with}{takes}{asks}", shown::line(&verb.summary))
}

fn discloses(plan: &PlanView) -> String {
    let handed = match plan.redelegate {
        0 => "They cannot hand it on.".to_owned(),
        1 => "They can hand on less of it, once.".to_owned(),
        times => format!("They can hand on less of it, {times} times in a row."),
    };
    let opened = if plan.bearer {
        "Whoever has it and its second value can open it, and the first to redeem it holds the share."
    } else {
        "Nobody else can open it."
    };
    format!(
        "The handle tells its recipient this machine's name for itself, your user name, the relays, and the verbs and pins above. {opened} {handed}"
    )
}

fn worst(plan: &PlanView) -> String {
    let writes: Vec<String> = plan
        .verbs
        .iter()
        .filter(|verb| verb.effect == Effect::Write && verb.approve != Approve::Each)
        .map(|verb| shown::whole(&verb.verb))
        .collect();
    let changes = match writes.as_slice() {
        [] => "Nothing is changed without consent to each call.".to_owned(),
        writes => {
            let often =
                if plan.budget.calls.is_some() { "as the calls last" } else { "as they like" };
            format!(
                "Without asking each time, they could do this as often {often}: {}.",
                writes.join(", ")
            )
        }
    };
    format!(
        "At worst: {}. {changes} `openscope share revoke` ends all of it at once.",
        budget(&plan.budget)
    )
}

/// How much may be used.
pub(in crate::cli) fn budget(budget: &Budget) -> String {
    let calls = budget.calls.map_or_else(
        || "any number of calls".to_owned(),
        |most| match most {
            1 => "one call".to_owned(),
            most => format!("{most} calls"),
        },
    );
    let bytes = budget.bytes.map_or_else(
        || "all the output that they give".to_owned(),
        |most| format!("{} of output in all", bytesize::ByteSize(most)),
    );
    format!("{calls}, {bytes}")
}

/// What the recipient may give a verb besides its arguments.
pub(in crate::cli) fn input(input: Input) -> Option<String> {
    match input {
        Input::Nothing => None,
        Input::Stdin(stdin) => Some(format!("{stdin}, that the recipient gives while it runs")),
        Input::Terminal => {
            Some("a terminal, at which the recipient types to the program".to_owned())
        }
    }
}

fn length(ms: u64) -> String {
    match ms / 1000 {
        seconds if seconds % 60 == 0 && seconds > 0 => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}

/// For a program.
pub(in crate::cli) fn json(plan: &PlanView) -> Value {
    json!({
        "hash": plan.hash,
        "user": plan.user,
        "agent": plan.agent.to_string(),
        "recipients": plan.recipients,
        "bearer": plan.bearer,
        "ttl_ms": plan.ttl_ms,
        "redelegate": plan.redelegate,
        "max_calls": plan.budget.calls,
        "max_bytes": plan.budget.bytes,
        "verbs": plan.verbs.iter().map(verb_json).collect::<Vec<_>>(),
        "basis": plan.basis,
        "consent": plan.consent,
    })
}

/// The same, for a program.
pub(in crate::cli) fn verb_json(verb: &PlanVerb) -> Value {
    let parameters = verb.parameters.iter().map(|(name, limit)| (name.to_string(), json!(limit)));
    json!({
        "verb": verb.verb,
        "summary": verb.summary,
        "effect": verb.effect,
        "input": verb.input,
        "run_as": verb.run_as,
        "parameters": parameters.collect::<serde_json::Map<_, _>>(),
        "approve": verb.approve,
        "approvers": verb.approvers,
    })
}

#[cfg(test)]
pub(in crate::cli) mod tests {
    use policy::{Content, Stdin};

    use super::*;

    pub(in crate::cli) fn plan() -> PlanView {
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
        PlanView {
            hash: "ab12".to_owned(),
            user: "alice".to_owned(),
            agent: "you".parse().unwrap(),
            recipients: vec!["vendor-b (SHA256:x)".to_owned()],
            bearer: false,
            ttl_ms: 1_800_000,
            redelegate: 1,
            budget: Budget { calls: Some(1), bytes: Some(1 << 20) },
            verbs: vec![
                verb("log.tail:service=web", Effect::Read, Approve::Never),
                verb("service.restart:service=web", Effect::Write, Approve::Each),
            ],
            basis: "vendor-b by team.toml:3".to_owned(),
            consent: vec!["bob (team.toml:3)".to_owned()],
        }
    }

    #[test]
    fn a_plan_says_who_could_do_what_how_long_and_at_worst() {
        let text = text(&plan());
        for said in [
            "For 30 min from the opening on, vendor-b (SHA256:x) could, as alice (you):",
            "  reads   log.tail:service=web\n      Does it\n      with service web\n",
            "  CHANGES service.restart:service=web\n",
            "each call with the consent of bob",
            "They can hand on less of it, once.",
            "At worst: one call, 1.0 MiB of output in all. Nothing is changed without consent",
            "Opening it waits for consent: bob (team.toml:3).",
            "hash  ab12",
        ] {
            assert!(text.contains(said), "{said}\n---\n{text}");
        }
    }

    #[test]
    fn a_write_that_nobody_consents_to_is_named_as_the_worst() {
        let mut plan = plan();
        plan.verbs[1].approve = Approve::Once;
        let first = text(&plan);
        assert!(
            first.contains("as often as the calls last: service.restart:service=web."),
            "{first}"
        );
        plan.budget.calls = None;
        let then = text(&plan);
        assert!(then.contains("as often as they like: service.restart:service=web."), "{then}");
    }

    #[test]
    fn a_bearers_plan_says_who_can_open_the_handle() {
        assert!(text(&plan()).contains("above. Nobody else can open it."));
        let text = text(&PlanView { bearer: true, ..plan() });
        assert!(text.contains("Whoever has it and its second value can open it"), "{text}");
        assert!(!text.contains("Nobody else"), "{text}");
    }

    #[test]
    fn a_plan_says_what_its_recipient_could_give_a_verb() {
        let mut plan = plan();
        assert!(!text(&plan).contains("input"));
        plan.verbs[1].input = Input::Stdin(Stdin { content: Content::Bytes, max: 8 << 20 });
        let said = "with input: bytes, at most 8MiB, that the recipient gives while it runs\n";
        assert!(text(&plan).contains(said), "{}", text(&plan));
        assert_eq!(json(&plan)["verbs"][1]["input"]["stdin"]["max"], 8 << 20);
        plan.verbs[1].input = Input::Terminal;
        let said = "with input: a terminal, at which the recipient types to the program\n";
        assert!(text(&plan).contains(said), "{}", text(&plan));
        assert_eq!(json(&plan)["verbs"][1]["input"], "terminal");
    }

    #[test]
    fn a_plan_is_shown_whole() {
        let mut plan = plan();
        plan.verbs[0].verb = format!("log.tail:service={}z", "x".repeat(1000));
        assert!(text(&plan).contains("xz\n"));
    }
}
