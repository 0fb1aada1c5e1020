//! Expectations: what somebody who wrote policy thinks that it says, held against what it says.

use std::time::Duration;

use crate::authorize::Call;
use crate::explain::Explanation;
use crate::name::{AgentName, Alias};
use crate::policy::Policy;
use crate::principal::{Groups, Recipient, Subject};
use crate::rehearsal::{Answer, Rehearsal, Verdict};
use crate::request::Request;
use crate::rule::RuleSite;
use crate::time::Timestamp;

/// Where a file of expectations says that policy is; relative to that file.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Expected {
    /// The directory of rules.
    pub policy: Option<String>,
    /// The directory of verbs.
    pub verbs: Option<String>,
}

/// One thing that policy is expected to say.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// Where it stands.
    pub site: RuleSite,
    /// What it is called.
    pub name: String,
    pub(crate) user: String,
    pub(crate) agent: Option<AgentName>,
    pub(crate) groups: Groups,
    pub(crate) at: Option<Timestamp>,
    pub(crate) to: Towards,
    pub(crate) share: Vec<Request>,
    pub(crate) ttl: Option<Duration>,
    pub(crate) redelegate: u8,
    pub(crate) after: Duration,
    pub(crate) yes: Vec<(String, Groups)>,
    pub(crate) call: Option<Call>,
    pub(crate) wanted: Wanted,
    pub(crate) by: Option<String>,
    pub(crate) approvers: Option<Vec<String>>,
}

/// Who the share would be for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Towards {
    Nobody,
    Bearer,
    Contact(Alias, Option<String>),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Wanted {
    Answer(Answer),
    MayShare(bool),
}

/// What came of an expectation.
#[derive(Clone, Debug)]
pub struct Trial {
    /// What was expected, in words.
    pub expected: String,
    /// What policy says.
    pub verdict: Verdict,
    /// Why, when a call was asked about.
    pub explanation: Option<Explanation>,
    /// What is not as expected; nothing when all is.
    pub failures: Vec<String>,
}

impl Trial {
    /// Whether policy says what was expected.
    #[must_use]
    pub fn is_met(&self) -> bool {
        self.failures.is_empty()
    }
}

impl Expectation {
    /// Holds it against a policy. `now` is when it is asked, where it does not say when;
    /// `fingerprint` knows contacts' keys.
    #[must_use]
    pub fn hold(
        &self,
        policy: &Policy,
        now: Timestamp,
        fingerprint: impl Fn(&Alias) -> Option<String>,
    ) -> Trial {
        let principal = match policy.principal(&self.user, self.agent.as_ref()) {
            Ok(principal) => principal,
            Err(fault) => return self.trial(Verdict::refused([], fault), None),
        };
        let owner = Subject { principal, groups: self.groups.clone(), now: self.at.unwrap_or(now) };
        let rehearsal = Rehearsal {
            policy,
            owner,
            recipient: self.recipient(fingerprint),
            share: self.share.clone(),
            ttl: self.ttl,
            redelegate: self.redelegate,
            after: self.after,
            yes: self.yes.clone(),
        };
        match &self.call {
            None => self.trial(rehearsal.open(), None),
            Some(call) => {
                let explanation = rehearsal.explain(call);
                self.trial(explanation.verdict.clone(), Some(explanation))
            }
        }
    }

    fn recipient(&self, fingerprint: impl Fn(&Alias) -> Option<String>) -> Option<Recipient> {
        match &self.to {
            Towards::Nobody => None,
            Towards::Bearer => Some(Recipient::Bearer),
            Towards::Contact(alias, key) => {
                // A contact that nobody keeps has no key that a rule could name.
                let known = key.clone().or_else(|| fingerprint(alias)).unwrap_or_default();
                Some(Recipient::Contact { alias: alias.clone(), fingerprint: known })
            }
        }
    }

    fn trial(&self, verdict: Verdict, explanation: Option<Explanation>) -> Trial {
        let mut failures = Vec::new();
        failures.extend(self.answered(&verdict));
        failures.extend(self.by.as_ref().and_then(|by| decided(by, &verdict)));
        failures.extend(self.approvers.as_ref().and_then(|who| asked(who, &verdict)));
        Trial { expected: self.told(), verdict, explanation, failures }
    }

    fn answered(&self, verdict: &Verdict) -> Option<String> {
        let met = match self.wanted {
            Wanted::Answer(answer) => answer == verdict.answer,
            Wanted::MayShare(may) => may == (verdict.answer != Answer::Refused),
        };
        (!met).then(|| format!("expected {}, got {}", self.told(), verdict.answer))
    }

    fn told(&self) -> String {
        match self.wanted {
            Wanted::Answer(answer) => answer.to_string(),
            Wanted::MayShare(true) => "that it may be shared".to_owned(),
            Wanted::MayShare(false) => "that it may not be shared".to_owned(),
        }
    }
}

fn decided(by: &str, verdict: &Verdict) -> Option<String> {
    if verdict.by.iter().any(|site| names(by, site)) {
        return None;
    }
    let sites: Vec<String> = verdict.by.iter().map(ToString::to_string).collect();
    let got = if sites.is_empty() { "no rule".to_owned() } else { sites.join(" and ") };
    Some(format!("expected it by {by}, got it by {got}"))
}

/// `policy.d/team.toml:14`, `team.toml:14`, or the file alone.
fn names(given: &str, site: &RuleSite) -> bool {
    let ends = |whole: &str| {
        whole.strip_suffix(given).is_some_and(|before| before.is_empty() || before.ends_with('/'))
    };
    ends(&site.to_string()) || ends(&site.source)
}

fn asked(wanted: &[String], verdict: &Verdict) -> Option<String> {
    let mut named: Vec<&String> = verdict.approvers.iter().flat_map(|who| &who.named).collect();
    let mut wanted: Vec<&String> = wanted.iter().collect();
    named.sort();
    named.dedup();
    wanted.sort();
    if named == wanted {
        return None;
    }
    let list = |people: &[&String]| {
        let each: Vec<&str> = people.iter().map(|one| one.as_str()).collect();
        if each.is_empty() { "nobody who is named".to_owned() } else { each.join(", ") }
    };
    Some(format!("expected that {} are asked, got {}", list(&wanted), list(&named)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_named_by_its_place_its_end_or_its_file() {
        let site = RuleSite { source: "policy.d/team.toml".to_owned(), line: 14 };
        for yes in ["policy.d/team.toml:14", "team.toml:14", "team.toml", "policy.d/team.toml"] {
            assert!(names(yes, &site), "{yes}");
        }
        for no in ["team.toml:1", "eam.toml:14", ":14", "14", "other.toml", ""] {
            assert!(!names(no, &site), "{no}");
        }
    }
}
