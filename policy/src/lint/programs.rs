//! Programs that do more than their verb says: shells, interpreters, launchers, pagers.

use super::{Finding, verbs};
use crate::constraint::Constraint;
use crate::input::Input;
use crate::kind::Kind;
use crate::name::ParameterName;
use crate::policy::Policy;
use crate::rule::RuleSite;
use crate::template::{Piece, Template};
use crate::verb::{Run, Verb};

/// They run what an argument says as code.
const INTERPRETERS: [&str; 25] = [
    "ash", "awk", "bash", "busybox", "csh", "dash", "expect", "fish", "gawk", "gdb", "ksh", "lua",
    "mawk", "nawk", "node", "perl", "php", "python", "ruby", "sed", "sh", "tclsh", "tcsh",
    "toybox", "zsh",
];
/// They run the program that an argument names, as somebody else or elsewhere.
const LAUNCHERS: [&str; 28] = [
    "chroot",
    "chrt",
    "doas",
    "docker",
    "env",
    "flock",
    "ionice",
    "kubectl",
    "nice",
    "nohup",
    "nsenter",
    "parallel",
    "podman",
    "rsync",
    "runuser",
    "script",
    "setsid",
    "ssh",
    "stdbuf",
    "strace",
    "su",
    "sudo",
    "systemd-run",
    "taskset",
    "timeout",
    "unshare",
    "watch",
    "xargs",
];
/// They let whoever sits before them run commands, or write files.
const PAGERS: [&str; 12] =
    ["ed", "emacs", "ex", "less", "man", "more", "most", "nano", "pg", "vi", "view", "vim"];
/// They run commands or write files when an option says so.
const OPTIONS: [(&str, &[&str]); 4] = [
    ("find", &["-exec", "-execdir", "-ok", "-okdir", "-delete", "-fprint", "-fprintf", "-fls"]),
    ("tar", &["--checkpoint-action", "--to-command", "-I", "--use-compress-program"]),
    ("git", &["-c", "--upload-pack", "--exec-path"]),
    ("tcpdump", &["-z", "-w"]),
];

pub(super) fn findings(policy: &Policy) -> Vec<Finding> {
    let named = verbs(policy).filter_map(|(verb, site)| of_verb(verb, site));
    named.chain(verbs(policy).filter_map(|(verb, site)| typed(verb, site))).collect()
}

/// Whoever types to a program has whatever it offers at a key.
fn typed(verb: &Verb, site: &RuleSite) -> Option<Finding> {
    let program = verb.run.program();
    let sentence = format!(
        "`{}` lets its recipient type to `{program}`: where that offers a shell, they have one",
        verb.name
    );
    let advice = if matches!(verb.run, Run::Ssh(_)) {
        "leave `tty` to programs that start nothing and open no file at a key, with an account on the target that may do no more than they: nothing contains them there"
    } else {
        "leave `tty` to programs that start nothing and open no file at a key, and contain them: `read`, `write`, `network`"
    };
    (verb.input() == Input::Terminal).then(|| Finding::note("terminal", site, sentence, advice))
}

fn of_verb(verb: &Verb, site: &RuleSite) -> Option<Finding> {
    let name = name(verb.run.program());
    if INTERPRETERS.contains(&name) {
        return Some(interpreter(verb, site));
    }
    if LAUNCHERS.contains(&name) {
        return Some(launcher(verb, site));
    }
    if PAGERS.contains(&name) {
        let sentence = format!(
            "`{}` is `{}`, from within which commands can be run",
            verb.name,
            verb.run.program()
        );
        let advice = "run a program that only prints: `cat`, `tail`, `head`";
        return Some(Finding::warning("pager", site, sentence, advice));
    }
    options(verb, name, site)
}

/// The program's own name: `python3.11` is `python`.
fn name(program: &str) -> &str {
    let base = program.rsplit('/').next().unwrap_or_default();
    base.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.').trim_end_matches('-')
}

fn interpreter(verb: &Verb, site: &RuleSite) -> Finding {
    let program = verb.run.program();
    if reads_code(verb) {
        return Finding::warning(
            "interpreter",
            site,
            format!("`{}` lets its recipient write the code that `{program}` runs", verb.name),
            "give the interpreter a script of root's: standard input is data to it then",
        );
    }
    match verb.run.argv().iter().find_map(|element| loose(verb, element)) {
        Some(parameter) => Finding::warning(
            "interpreter",
            site,
            format!(
                "`{}` gives `{parameter}` to the interpreter `{program}`: a value may become code",
                verb.name
            ),
            "run the program itself, or a script of root's that takes the value as an argument after `--`; or list the values with `one_of`",
        ),
        None => Finding::note(
            "interpreter",
            site,
            format!("`{}` runs code that its own arguments hold, by `{program}`", verb.name),
            "put the code into a file of root's, where it can be reviewed as code",
        ),
    }
}

/// Whether standard input is code: no argument is, and none names a script.
fn reads_code(verb: &Verb) -> bool {
    let is_option = |element: &Template| element.literal().is_some_and(|it| it.starts_with('-'));
    verb.input() != Input::Nothing && verb.run.argv().iter().skip(1).all(is_option)
}

fn launcher(verb: &Verb, site: &RuleSite) -> Finding {
    let program = verb.run.program();
    match verb.run.argv().iter().find_map(|element| loose(verb, element)) {
        Some(parameter) => Finding::warning(
            "launcher",
            site,
            format!(
                "`{}` gives `{parameter}` to `{program}`, which starts what its arguments name",
                verb.name
            ),
            "name the program itself as the verb's, or list the values with `one_of`",
        ),
        None => Finding::note(
            "launcher",
            site,
            format!(
                "`{}` starts another program by `{program}`: only `{program}` is judged",
                verb.name
            ),
            "name the program itself as the verb's: it is then held to the files that are believed",
        ),
    }
}

fn options(verb: &Verb, name: &str, site: &RuleSite) -> Option<Finding> {
    let (_, dangerous) = OPTIONS.iter().find(|(program, _)| *program == name)?;
    let said = verb.run.argv().iter().filter_map(|element| element.literal());
    let found = said.into_iter().find(|text| {
        dangerous.iter().any(|option| text.split_once('=').map_or(*text, |(key, _)| key) == *option)
    })?;
    let sentence = format!(
        "`{}` runs `{} {found}`, which starts a program or changes files",
        verb.name,
        verb.run.program()
    );
    Some(Finding::warning(
        "option",
        site,
        sentence,
        format!("leave `{found}` out: let a verb of its own do what follows"),
    ))
}

/// A text in the element that is not one of a list.
fn loose<'a>(verb: &Verb, element: &'a Template) -> Option<&'a ParameterName> {
    element.pieces().iter().find_map(|piece| {
        let Piece::Parameter(name) = piece else { return None };
        let parameter = verb.parameters.get(name)?;
        let limit = &parameter.constraint;
        let item = if let Constraint::Each(item) = limit { item } else { limit };
        let listed = matches!(item, Constraint::OneOf(_));
        (!matches!(parameter.kind.each(), Kind::Int | Kind::Bool) && !listed).then_some(name)
    })
}
