//! What tools are called: hosts take `a-z`, `0-9`, `_` and `-`, and verbs have a dot.

use std::collections::BTreeMap;

use policy::VerbName;

/// Tools that are there whatever is shared.
pub(super) const STATUS: &str = "openscope_status";
pub(super) const WAIT: &str = "openscope_wait";
pub(super) const READ: &str = "openscope_read";
pub(super) const CANCEL: &str = "openscope_cancel";
pub(super) const NOTES: &str = "openscope_notes";
pub(super) const REQUEST: &str = "openscope_request_access";

/// All of them.
#[cfg(test)]
pub(crate) const OWN: [&str; 6] = [STATUS, WAIT, READ, CANCEL, REQUEST, NOTES];

/// Each verb's tool: `log.tail` is `log-tail`. No verb has a `-`, and none of our own tools has, so that a name means one
/// verb whatever else is shared.
pub(super) fn of_verbs<'v>(
    verbs: impl Iterator<Item = &'v VerbName>,
) -> BTreeMap<String, VerbName> {
    verbs.map(|verb| (verb.as_str().replace('.', "-"), verb.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(verbs: &[&str]) -> Vec<(String, String)> {
        let verbs: Vec<VerbName> = verbs.iter().map(|verb| verb.parse().unwrap()).collect();
        let names = of_verbs(verbs.iter()).into_iter();
        names.map(|(tool, verb)| (tool, verb.to_string())).collect()
    }

    fn pair(tool: &str, verb: &str) -> (String, String) {
        (tool.to_owned(), verb.to_owned())
    }

    #[test]
    fn two_verbs_are_never_one_tool() {
        let both = [pair("a-b_c", "a.b_c"), pair("a_b-c", "a_b.c"), pair("x-y", "x.y")];
        assert_eq!(named(&["a.b_c", "a_b.c", "x.y"]), both);
        assert_eq!(named(&["openscope.wait"]), [pair("openscope-wait", "openscope.wait")]);
    }
}
