//! Strings of others', made safe to show: no control character reaches the terminal, and nothing is endless.

use std::fmt::Write as _;

/// Characters of a name, reason or note that are shown.
const MOST: usize = 256;
/// Characters of a message of several lines that are shown.
const MOST_OF_MESSAGE: usize = 16 * 1024;

/// For one line: every control or invisible character is written out, line breaks too.
pub(super) fn line(text: &str) -> String {
    escaped(text, MOST, |_| false)
}

/// For one line on which somebody decides: what is hidden at its end could be what matters.
pub(super) fn whole(text: &str) -> String {
    escaped(text, MOST_OF_MESSAGE, |_| false)
}

/// As a shell takes it for one word.
pub(super) fn word(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._:=,/@+-".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// For a message of several lines.
pub(super) fn lines(text: &str) -> String {
    escaped(text, MOST_OF_MESSAGE, |character| character == '\n')
}

/// For a line of a program's output, with its tabs.
pub(super) fn output(text: &str) -> String {
    escaped(text, MOST_OF_MESSAGE, |character| character == '\t')
}

fn escaped(text: &str, most: usize, spared: impl Fn(char) -> bool) -> String {
    let mut shown = String::new();
    for character in text.chars().take(most) {
        if acts(character) && !spared(character) {
            // Writing to a `String` cannot fail.
            let _ = write!(shown, "{}", character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    if text.chars().nth(most).is_some() {
        shown.push('…');
    }
    shown
}

/// Whether a terminal would do something else with it than show it: controls, direction marks (which reorder what
/// stands beside them), line separators and characters without width (which hide differences).
pub(super) fn acts(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_act_on_a_terminal_is_written_out() {
        assert_eq!(line("a\u{1b}]0;x\u{7}b"), "a\\u{1b}]0;x\\u{7}b");
        assert_eq!(line("one\ntwo\r"), "one\\u{a}two\\u{d}");
        assert_eq!(line("\u{9b}2J \u{202e}gpj.exe\u{200b}"), "\\u{9b}2J \\u{202e}gpj.exe\\u{200b}");
    }

    #[test]
    fn what_is_only_text_stays_as_it_is() {
        assert_eq!(line("Ærø, 東京 — «web» 5 %"), "Ærø, 東京 — «web» 5 %");
    }

    #[test]
    fn a_line_ends_after_256_characters() {
        assert_eq!(line(&"x".repeat(255)), "x".repeat(255));
        assert_eq!(line(&"x".repeat(256)), "x".repeat(256));
        assert_eq!(line(&"x".repeat(257)), format!("{}…", "x".repeat(256)));
    }

    #[test]
    fn what_is_decided_on_is_shown_whole_and_cannot_draw() {
        assert_eq!(
            whole(&format!("{}\n\u{1b}", "x".repeat(257))),
            format!("{}\\u{{a}}\\u{{1b}}", "x".repeat(257))
        );
    }

    #[test]
    fn a_word_is_one_word_to_a_shell() {
        assert_eq!(word("log.tail:service=web,lines=5"), "log.tail:service=web,lines=5");
        assert_eq!(word(""), "''");
        assert_eq!(word("it's | $x"), r"'it'\''s | $x'");
    }

    #[test]
    fn a_message_keeps_its_lines_and_nothing_else() {
        assert_eq!(lines("a\n\u{1b}b"), "a\n\\u{1b}b");
    }
}
