//! Root has no part in the tour: no verb runs as uid 0, and what `try` starts should not either.

use std::ffi::OsString;

use nix::unistd::{
    Gid, Uid, User, geteuid, getgroups, getresgid, getresuid, setgroups, setresgid, setresuid,
};

use crate::cli::fault::Fault;
use crate::exit::Exit;

/// As whom the tour runs.
#[derive(Debug)]
pub(super) enum Account {
    /// As whoever started it.
    Own,
    /// Started by root, as this ordinary account.
    Became(String),
}

/// Gives root up for good, where we have it.
pub(super) fn become_ordinary() -> Result<Account, Fault> {
    if !geteuid().is_root() {
        return Ok(Account::Own);
    }
    let chosen = choose(std::env::var_os("SUDO_USER"))?;
    give_up(chosen.uid, chosen.gid).map_err(|error| cannot(&chosen.name, &error.to_string()))?;
    prove(chosen.uid, chosen.gid).map_err(|what| cannot(&chosen.name, what))?;
    Ok(Account::Became(chosen.name))
}

/// Whoever used sudo, else nobody. An account that is root by another name is passed over.
fn choose(sudo_user: Option<OsString>) -> Result<User, Fault> {
    let named = sudo_user.and_then(|name| name.into_string().ok());
    let known = [named.as_deref(), Some("nobody")].into_iter().flatten();
    let mut ordinary =
        known.filter_map(|name| User::from_name(name).ok().flatten()).filter(is_ordinary);
    ordinary.next().ok_or_else(|| {
        Fault::new(Exit::Unavailable, "there is no account `nobody` to run the tour as")
            .hint("start `openscope try` as an ordinary user")
    })
}

fn is_ordinary(user: &User) -> bool {
    !user.uid.is_root() && user.gid.as_raw() != 0
}

fn give_up(uid: Uid, gid: Gid) -> nix::Result<()> {
    setgroups(&[])?;
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)
}

/// That nothing of root is left, and that there is no way back.
fn prove(uid: Uid, gid: Gid) -> Result<(), &'static str> {
    let users = getresuid().map_err(|_| "the ids cannot be read")?;
    let groups = getresgid().map_err(|_| "the ids cannot be read")?;
    if [users.real, users.effective, users.saved] != [uid; 3] {
        return Err("a user id was kept");
    }
    if [groups.real, groups.effective, groups.saved] != [gid; 3] || getgroups() != Ok(Vec::new()) {
        return Err("a group was kept");
    }
    if setresuid(Uid::from_raw(0), Uid::from_raw(0), Uid::from_raw(0)).is_ok() {
        return Err("there is a way back to root");
    }
    Ok(())
}

fn cannot(name: &str, what: &str) -> Fault {
    Fault::new(Exit::Unavailable, format!("root could not be given up for `{name}`: {what}"))
        .hint("start `openscope try` as an ordinary user")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p03_root_by_any_name_is_not_chosen() {
        assert_eq!(choose(Some("root".into())).unwrap().name, "nobody");
        assert_eq!(choose(Some("no-such-account".into())).unwrap().name, "nobody");
        assert_eq!(choose(None).unwrap().name, "nobody");
    }

    #[test]
    fn p03_whoever_used_sudo_is_chosen() {
        assert_eq!(choose(Some("daemon".into())).unwrap().name, "daemon");
    }

    #[test]
    fn p03_a_proof_fails_where_the_ids_are_not_the_wanted_ones() {
        let other = Uid::from_raw(geteuid().as_raw().wrapping_add(1));
        assert!(prove(other, Gid::from_raw(1)).is_err());
    }
}
