//! What is generated for shells and for `man` is taken by them.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;
use tests::installed::program;

/// A program, a word that can be completed, and what that becomes.
const PROGRAMS: [(&str, &str, &str); 2] =
    [("openscope", "capab", "capabilities"), ("openscope-reflect-client", "forw", "forward")];

fn output(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|fault| panic!("{command:?}: {fault}"))
}

/// Where a shell is told to look: the script under the name that it looks for.
fn script(directory: &Path, shell: &str, name: &str) -> String {
    let said = output(Command::new(program(name)).args(["completions", shell]));
    assert!(said.status.success() && said.stderr.is_empty(), "{said:?}");
    let path = directory.join(match shell {
        "zsh" => format!("_{name}"),
        _ => format!("{name}.{shell}"),
    });
    fs::write(&path, said.stdout).expect("write the script");
    path.display().to_string()
}

fn offers(shell: &mut Command, wanted: &str) {
    let said = output(shell);
    let text = String::from_utf8_lossy(&said.stdout);
    assert!(text.contains(wanted), "{shell:?}: {said:?}");
    assert!(said.stderr.is_empty(), "{shell:?}: {said:?}");
}

#[test]
fn completions_load_in_bash_and_complete() {
    let directory = TempDir::new().expect("make a directory");
    for (name, begun, whole) in PROGRAMS {
        let script = script(directory.path(), "bash", name);
        let line = format!(
            "set -e; source '{script}'; complete -p {name} >/dev/null; \
             COMP_WORDS=({name} {begun}); COMP_CWORD=1; COMP_LINE='{name} {begun}'; \
             _{name} {name} {begun} {name} 2>/dev/null || $(complete -p {name} | sed 's/.*-F \\([^ ]*\\).*/\\1/') {name} {begun} {name}; \
             echo \"${{COMPREPLY[@]}}\""
        );
        offers(Command::new("bash").args(["--norc", "--noprofile", "-c", &line]), whole);
    }
}

#[test]
fn completions_load_in_zsh_and_complete() {
    let directory = TempDir::new().expect("make a directory");
    for (name, begun, whole) in PROGRAMS {
        script(directory.path(), "zsh", name);
        // What is completed is seen by a shell in a terminal alone.
        let line = format!(
            "zmodload zsh/zpty; zpty -b z zsh -f -i; \
             zpty -w z 'fpath=({directory} $fpath); autoload -U compinit; compinit -u -D; PS1=; echo rea''dy'; \
             until [[ $said == *ready* ]]; do zpty -r z piece || sleep 0.05; said+=$piece; done; said=; \
             zpty -n -w z $'{name} {begun}\\t'; \
             for try in {{1..200}}; do zpty -r z piece || sleep 0.05; said+=$piece; [[ $said == *{whole}* ]] && break; done; \
             print -r -- ${{said//{name} /}}",
            directory = directory.path().display()
        );
        offers(Command::new("zsh").args(["-f", "-c", &line]).env("TERM", "dumb"), whole);
    }
}

#[test]
fn completions_load_in_fish_and_complete() {
    let directory = TempDir::new().expect("make a directory");
    for (name, begun, whole) in PROGRAMS {
        let script = script(directory.path(), "fish", name);
        let line = format!("source '{script}'; complete -C '{name} {begun}'");
        let home = directory.path();
        offers(Command::new("fish").args(["--no-config", "-c", &line]).env("HOME", home), whole);
    }
}

#[test]
fn every_manual_page_is_set_without_a_warning() {
    let directory = TempDir::new().expect("make a directory");
    let mut pages = 0;
    for (name, _, _) in PROGRAMS {
        let at = directory.path().join(name);
        let said = output(Command::new(program(name)).arg("man").arg(&at));
        assert!(said.status.success(), "{said:?}");
        for page in fs::read_dir(&at).expect("look").flatten() {
            let mut man = Command::new("man");
            man.args(["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"]).arg(page.path());
            let set = output(man.env("LC_ALL", "C.UTF-8").env("MANROFFSEQ", ""));
            let warnings = String::from_utf8_lossy(&set.stderr);
            assert!(set.status.success() && warnings.is_empty(), "{:?}: {warnings}", page.path());
            pages += 1;
        }
    }
    assert!(pages > 40, "{pages} pages");
}
