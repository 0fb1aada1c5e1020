//! Words for a shell that cannot be avoided: the login shell of a host that is reached by ssh.

/// The words as one line from which a shell takes exactly these words, and nothing else: the Bourne shells, and fish and
/// csh, which see a backslash within quotes otherwise, and csh a `!` even there: both stand outside. Words with control characters are for whoever calls to refuse.
pub(crate) fn line<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.map(word).collect::<Vec<_>>().join(" ")
}

fn word(word: &str) -> String {
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    let (mut quoted, mut is_open) = (String::from("'"), true);
    for character in word.chars() {
        let is_escaped = matches!(character, '\'' | '\\' | '!');
        quoted.extend((is_open == is_escaped).then_some('\''));
        quoted.extend(is_escaped.then_some('\\'));
        quoted.push(character);
        is_open = !is_escaped;
    }
    quoted.extend(is_open.then_some('\''));
    quoted
}

/// No shell knows these for anything but themselves.
fn is_plain(character: char) -> bool {
    character.is_ascii_alphanumeric() || "_-./:,+@".contains(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_words_stand_as_they_are_and_all_else_is_quoted() {
        for (given, quoted) in [
            ("journalctl", "journalctl"),
            ("--unit=web", "'--unit=web'"),
            ("", "''"),
            ("a b", "'a b'"),
            ("$(id)", "'$(id)'"),
            ("it's", "'it'\\''s'"),
            ("'", "''\\'"),
            ("\\", "''\\\\"),
            ("a\\'; id", "'a'\\\\\\''; id'"),
            ("~", "'~'"),
            ("é!", "'é'\\!"),
            ("!#:6", "''\\!'#:6'"),
        ] {
            assert_eq!(word(given), quoted, "{given}");
        }
        assert_eq!(line(["a", "b c"].into_iter()), "a 'b c'");
    }
}
