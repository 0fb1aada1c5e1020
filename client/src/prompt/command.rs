//! What a line at the prompt says.

/// What may be typed.
pub(super) const HELP: &str = "\
VERB name=value …   calls a verb; quote a value with blanks: text='two words'
list                shows what may be called
help VERB           shows what a verb takes
status              shows how long the share lasts
request VERB[:PINS] … --reason TEXT   asks the owner for more, and waits
note TEXT           leaves the owner a note, where the share has notes
quit                leaves; the share stays as it is
Ctrl+C ends a running call, with all that it started there.";

/// One line, understood.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Command {
    Nothing,
    Quit,
    Help(Option<String>),
    List,
    Status,
    /// These verbs, for this reason.
    Request(Vec<String>, String),
    /// A word to the owner.
    Note(String),
    Call(String, Vec<String>),
}

impl Command {
    pub(super) fn read(line: &str) -> Result<Self, String> {
        let words = shlex::split(line).ok_or("a quote in this line is not closed")?;
        let Some((first, rest)) = words.split_first() else { return Ok(Self::Nothing) };
        Ok(match (first.as_str(), rest) {
            ("quit" | "exit", []) => Self::Quit,
            ("help" | "?", []) => Self::Help(None),
            ("help" | "?", [verb]) => Self::Help(Some(verb.clone())),
            ("list" | "verbs", []) => Self::List,
            ("status", []) => Self::Status,
            ("request", [verbs @ .., flag, reason]) if flag == "--reason" && !verbs.is_empty() => {
                Self::Request(verbs.to_vec(), reason.clone())
            }
            ("note", [_, ..]) => Self::Note(rest.join(" ")),
            ("call", [verb, arguments @ ..]) => Self::Call(verb.clone(), arguments.to_vec()),
            (
                word @ ("quit" | "exit" | "help" | "?" | "list" | "verbs" | "status" | "request"
                | "note" | "call"),
                _,
            ) => {
                return Err(format!("`{word}` is not used so: `help` shows how"));
            }
            (verb, arguments) => Self::Call(verb.to_owned(), arguments.to_vec()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_command_or_a_call() {
        let read = |line| Command::read(line).unwrap();
        assert_eq!(read("  "), Command::Nothing);
        assert_eq!(read("verbs"), Command::List);
        assert_eq!(read("help log.tail"), Command::Help(Some("log.tail".to_owned())));
        assert_eq!(read("call a.b x=1"), Command::Call("a.b".to_owned(), vec!["x=1".to_owned()]));
        let asked = Command::Request(vec!["a.b:x=1".to_owned()], "it hangs".to_owned());
        assert_eq!(read("request a.b:x=1 --reason 'it hangs'"), asked);
    }

    #[test]
    fn values_are_quoted_as_in_a_shell_and_nothing_is_expanded() {
        let call = Command::read(r#"a.b x='two words' y="$HOME" z=$(id)"#).unwrap();
        let values = ["x=two words", "y=$HOME", "z=$(id)"].map(str::to_owned).to_vec();
        assert_eq!(call, Command::Call("a.b".to_owned(), values));
    }

    #[test]
    fn what_cannot_be_understood_is_said() {
        assert!(Command::read("a.b x='open").unwrap_err().contains("quote"));
        assert!(Command::read("quit now").unwrap_err().contains("`quit`"));
        for line in ["request", "request a.b", "request --reason x"] {
            assert!(Command::read(line).unwrap_err().contains("`request`"), "{line}");
        }
    }
}
