//! `setup`: has an agent's host start this program for one handle.

mod hosts;
mod registry;

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::cli::{Options, SetupArguments};
use crate::environment::Environment;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::private_file::make_directory;
use crate::seat::Seat;
use crate::start::{print, say};
pub(crate) use hosts::Host;
use registry::Entry;

/// As long as any host's own file is; one that is longer is not read.
const MAX_FILE: u64 = 32 << 20;

/// What an agent is told of how to use the tools.
const SKILL: &str = include_str!("setup/skill.md");

/// Writes the registration, or prints it. The seat is one whose daemon has been confirmed.
pub(crate) fn run(
    seat: &Seat,
    what: &SetupArguments,
    options: &Options,
    environment: &Environment,
) -> Result<Exit, Failure> {
    let entry = entry(seat, what.name.as_deref(), options)?;
    let host = what.host;
    if what.print && what.skill {
        print(SKILL.trim_end());
        return Ok(Exit::DONE);
    }
    if what.print {
        print(registry::added(host, "", &entry).map_err(|why| unread(host, &why))?.trim_end());
        return Ok(Exit::DONE);
    }
    let home = environment.home.as_deref().ok_or_else(|| {
        Failure::new(Exit::NOT_RUN, "machine", "HOME does not say where the host has its file")
            .hint("set HOME, or print the registration with `--print`")
    })?;
    let skill = if what.skill { Some(place_of_skill(host, home)?) } else { None };
    let path = host.file(home);
    // A link to it stays one.
    let path = fs::canonicalize(&path).unwrap_or(path);
    let before = text_of(&path).map_err(|fault| unusable(&path, &fault))?;
    let after = registry::added(host, &before, &entry).map_err(|why| {
        Failure::new(Exit::USAGE, "host_file", format!("`{}` {why}", path.display()))
            .hint("mend it, or put in what `--print` shows by hand; nothing was changed")
    })?;
    replace(&path, &after).map_err(|fault| unusable(&path, &fault))?;
    let name = &entry.name;
    say(&format!("`{name}` is registered with {host}, in {}", path.display()));
    if let Some(skill) = skill {
        replace(&skill, SKILL).map_err(|fault| unusable(&skill, &fault))?;
        say(&format!("how to use it is told in {}", skill.display()));
    }
    say(&format!(
        "{host} sees it when it starts the next time; the share ends with its time, the entry stays"
    ));
    Ok(Exit::DONE)
}

fn place_of_skill(host: Host, home: &Path) -> Result<PathBuf, Failure> {
    host.skill(home).ok_or_else(|| {
        let what = format!("{host} is not known to look for skills in a place of this machine");
        Failure::new(Exit::USAGE, "usage", what)
            .hint("print the skill with `--print --skill`, and give it to the host by hand")
    })
}

/// How the host starts this program.
fn entry(seat: &Seat, name: Option<&str>, options: &Options) -> Result<Entry, Failure> {
    let usage = |what: &str, hint: &str| Failure::new(Exit::USAGE, "usage", what).hint(hint);
    let named = options.passport.as_deref().and_then(|passport| passport.to_str());
    let file = named.and_then(|passport| passport.strip_prefix('@')).ok_or_else(|| {
        usage(
            "a host is told the file that has the handle, and not the handle",
            "put it in a file that only you read, and say `--passport @FILE`",
        )
    })?;
    let mut words = vec!["--passport".to_owned(), format!("@{}", whole(Path::new(file))?)];
    for identity in &options.identity {
        words.extend(["--identity".to_owned(), whole(identity)?]);
    }
    if let Some(secret) = options.secret_file.as_deref() {
        if secret == OsStr::new("-") {
            return Err(usage("a host gives no secret on standard input", "put it in a file"));
        }
        words.extend(["--secret-file".to_owned(), whole(secret)?]);
    }
    // What was confirmed by it only, nobody remembers.
    if let Some(fingerprint) = &options.fingerprint {
        words.extend(["--fingerprint".to_owned(), fingerprint.clone()]);
    }
    words.push("mcp".to_owned());
    let own =
        std::env::current_exe().map_err(|fault| Failure::of(Exit::NOT_RUN, "machine", &fault))?;
    let usual = || seat.authority().daemon.as_str().replace('.', "-");
    let name = name.map_or_else(usual, str::to_owned);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    if name.is_empty() || name.len() > 64 || !name.bytes().all(is_plain) {
        return Err(usage(
            "the name is not one that hosts take",
            "write a-z, A-Z, 0-9, `_` and `-`",
        ));
    }
    Ok(Entry { name, command: whole(&own)?, words })
}

/// Hosts start programs wherever they are.
fn whole(path: &Path) -> Result<String, Failure> {
    let path = std::path::absolute(path).map_err(|fault| unusable(path, &fault))?;
    path.into_os_string().into_string().map_err(|path| {
        let what =
            format!("`{}` is no text, which a host's file would have to hold", path.display());
        Failure::new(Exit::USAGE, "usage", what)
    })
}

fn text_of(path: &Path) -> io::Result<String> {
    match fs::metadata(path) {
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(fault) => Err(fault),
        Ok(about) if about.len() > MAX_FILE => {
            Err(io::Error::other("it is too long for a host's file"))
        }
        Ok(_) => fs::read_to_string(path),
    }
}

/// All of it or nothing, with the mode that it had.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        make_directory(directory)?;
    }
    let mode = fs::metadata(path).map_or(0o600, |about| about.permissions().mode() & 0o7777);
    let draft: PathBuf = {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".openscope-{}", std::process::id()));
        name.into()
    };
    let written =
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).and_then(
            |mut file| {
                file.write_all(text.as_bytes())?;
                file.set_permissions(fs::Permissions::from_mode(mode))?;
                file.sync_all()?;
                fs::rename(&draft, path)
            },
        );
    written.inspect_err(|_| drop(fs::remove_file(&draft)))
}

fn unusable(path: &Path, fault: &io::Error) -> Failure {
    let what = format!("`{}` cannot be used: {fault}", path.display());
    Failure::new(Exit::NOT_RUN, "host_file", what)
        .hint("print the registration with `--print`; nothing was changed")
}

fn unread(host: Host, why: &registry::Unread) -> Failure {
    Failure::new(Exit::NOT_RUN, "host_file", format!("nothing can be written for {host}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_skill_says_when_it_is_of_use_and_names_no_tool_that_is_not_there() {
        let mut lines = SKILL.lines();
        assert_eq!((lines.next(), lines.next()), (Some("---"), Some("name: openscope")));
        let description = lines.next().and_then(|line| line.strip_prefix("description: ")).unwrap();
        assert!((40..1024).contains(&description.len()), "{}", description.len());
        assert_eq!(lines.next(), Some("---"));
        let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let words = SKILL.split(|c| !is_of_name(c));
        let named: Vec<&str> = words.filter(|word| word.starts_with("openscope_")).collect();
        assert!(named.len() > 3, "{named:?}");
        for name in named.into_iter().filter(|name| *name != "openscope_") {
            assert!(crate::mcp::OWN_TOOLS.contains(&name), "{name}");
        }
    }
}
