//! Patterns with `*`, as rules name verbs and recipients.

use crate::name::Alias;

/// A text in which each `*` stands for any run of characters.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Glob(String);

impl Glob {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        let mut pieces = self.0.split('*');
        let Some(rest) = pieces.next().and_then(|first| text.strip_prefix(first)) else {
            return false;
        };
        let Some(last) = pieces.next_back() else { return rest.is_empty() };
        let found =
            pieces.try_fold(rest, |rest, piece| rest.split_once(piece).map(|(_, after)| after));
        found.is_some_and(|rest| rest.ends_with(last))
    }

    /// Whether a rule that says this means this contact. An owner's own alias is meant only by a rule
    /// that says `own/`: otherwise anybody could name a contact into a rule made for root's.
    pub(crate) fn means(&self, alias: &Alias) -> bool {
        let own = |text: &str| text.starts_with("own/");
        own(&self.0) == own(alias.as_str()) && self.matches(alias.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_run_of_characters() {
        for (glob, yes, no) in [
            ("ssh.*", "ssh.tail", "sshx.tail"),
            ("*", "anything", ""),
            ("*.status", "web.status", "web.status2"),
            ("a*b*c", "aXbYbc", "aXc"),
            ("exact", "exact", "exactly"),
            ("a*a", "aa", "a"),
        ] {
            assert!(Glob::new(glob).matches(yes), "{glob} {yes}");
            assert!(no.is_empty() || !Glob::new(glob).matches(no), "{glob} {no}");
        }
    }

    #[test]
    fn lo8_an_owners_alias_is_not_meant_by_a_rule_for_roots() {
        let own: Alias = "own/vendor-x".parse().unwrap();
        let roots: Alias = "vendor-x".parse().unwrap();
        assert!(Glob::new("vendor-*").means(&roots));
        assert!(!Glob::new("vendor-*").means(&own));
        assert!(!Glob::new("*").means(&own));
        assert!(!Glob::new("*vendor-x").means(&own));
        assert!(Glob::new("own/vendor-*").means(&own));
        assert!(!Glob::new("own/*").means(&roots));
    }
}
