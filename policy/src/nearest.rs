//! "did you mean": the known name nearest to a given one.

/// The candidate that a slip of the fingers would turn into `given`, if one is near enough.
pub(crate) fn nearest<'a>(
    given: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let reach = (given.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(given, candidate), candidate))
        .filter(|(distance, _)| (1..=reach).contains(distance))
        .min()
        .map(|(_, candidate)| candidate)
}

/// `: did you mean …?`, or nothing.
pub(crate) fn hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!(": did you mean `{name}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_near_and_another_word_is_not() {
        let names = ["ssh.tail_logs", "web.status", "timeout"];
        assert_eq!(nearest("ssh.tail_log", names), Some("ssh.tail_logs"));
        assert_eq!(nearest("tiemout", names), Some("timeout"));
        assert_eq!(nearest("disk.usage", names), None);
        assert_eq!(nearest("timeout", ["timeout"]), None);
    }
}
