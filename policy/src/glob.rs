//! Patterns with `*`, as rules name verbs and recipients.

use crate::name::Alias;

/// A text in which each `*` stands for any run of characters.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Glob(String);

impl Glob {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// As it is written.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
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

    fn is_own(&self) -> bool {
        self.0.starts_with("own/")
    }

    /// Whether every contact that `narrower` means is meant here. May say no when the truth is yes,
    /// never yes when the truth is no.
    pub(crate) fn covers(&self, narrower: &Self) -> bool {
        let begins = |whole: &str| {
            whole.strip_suffix('*').filter(|start| !start.contains('*')).map(str::to_owned)
        };
        let prefixed = begins(&self.0).is_some_and(|start| narrower.0.starts_with(&start));
        let exact = !narrower.0.contains('*') && self.matches(&narrower.0);
        self.is_own() == narrower.is_own() && (self == narrower || prefixed || exact)
    }

    /// Whether some contact can be meant by both. May say yes when the truth is no, never no when the
    /// truth is yes.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        let start = |glob: &Self| glob.0.split('*').next().unwrap_or_default().to_owned();
        let (one, two) = (start(self), start(other));
        let alike = match (self.0.contains('*'), other.0.contains('*')) {
            (false, false) => self == other,
            (true, false) => self.matches(&other.0),
            (false, true) => other.matches(&self.0),
            (true, true) => one.starts_with(&two) || two.starts_with(&one),
        };
        self.is_own() == other.is_own() && alike
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
    fn what_covers_means_no_less_and_what_meets_may_be_one() {
        let glob = |text: &str| Glob::new(text);
        for (wide, narrow, covers, meets) in [
            ("*", "vendor-b", true, true),
            ("vendor-*", "vendor-b", true, true),
            ("vendor-*", "vendor-b*", true, true),
            ("vendor-*", "vendor-*", true, true),
            ("vendor-b", "vendor-*", false, true),
            ("vendor-a*", "vendor-b*", false, false),
            ("*", "own/vendor-b", false, false),
            ("own/*", "own/vendor-b", true, true),
            ("a*c", "a*", false, true),
            ("vendor-a", "vendor-b", false, false),
        ] {
            assert_eq!(glob(wide).covers(&glob(narrow)), covers, "{wide} {narrow}");
            assert_eq!(glob(wide).meets(&glob(narrow)), meets, "{wide} {narrow}");
            assert_eq!(glob(narrow).meets(&glob(wide)), meets, "{narrow} {wide}");
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
