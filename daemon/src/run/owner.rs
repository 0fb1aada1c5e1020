//! Becoming the owner, and proof that there is no way back.

use std::ffi::CString;
use std::io;

use nix::errno::Errno;
use nix::unistd::{
    Gid, Uid, User, getgrouplist, getresgid, getresuid, setgid, setgroups, setresgid, setresuid,
    setuid,
};
use rustix::process::getgroups;
use thiserror::Error;

use super::order::{Account, Known};

/// Who the verb will run as, looked up.
#[derive(Debug)]
pub(super) struct Owner {
    pub(super) name: String,
    pub(super) home: String,
    uid: Uid,
    gid: Gid,
    /// None where nothing changes.
    groups: Option<Vec<Gid>>,
    /// What was not known before.
    pub(super) looked_up: Option<Known>,
}

/// Why the runner could not become the owner.
#[derive(Debug, Error)]
pub(super) enum OwnerFault {
    #[error("no verb runs as uid 0")]
    Root,
    #[error("uid {0} has no account")]
    Unknown(u32),
    #[error("there is no account `{0}`, as which the verb is to run")]
    Nobody(String),
    #[error("no verb runs as `{0}`: the daemon itself does")]
    Daemons(String),
    #[error("cannot look up the account `{0}`")]
    LookUpName(String, #[source] io::Error),
    #[error("uid {uid} is `{is}` now, not `{was}`")]
    Renamed { uid: u32, is: String, was: String },
    #[error("cannot look up the account of uid {0}")]
    LookUp(u32, #[source] io::Error),
    #[error("the home of uid {0} is not UTF-8")]
    Home(u32),
    #[error("cannot change {0}")]
    Change(&'static str, #[source] io::Error),
    #[error("the change of {0} did not hold")]
    Unproven(&'static str),
}

impl Owner {
    /// Their number.
    pub(super) fn uid(&self) -> u32 {
        self.uid.as_raw()
    }

    /// Finds the account, while the runner may still read what name services need.
    ///
    /// # Errors
    /// When it is root, unknown, or has another name than the order says.
    pub(super) fn find(account: &Account, known: Option<Known>) -> Result<Self, OwnerFault> {
        match account {
            Account::Become { uid, name } => Self::another(*uid, name, known),
            Account::Called { name, never } => Self::called(name, never, known),
            Account::Stay { name, home } => Self::same(name.clone(), home.clone()),
        }
    }

    fn another(uid: u32, name: &str, known: Option<Known>) -> Result<Self, OwnerFault> {
        refuse_root(Uid::from_raw(uid))?;
        let known = known.filter(|known| known.uid == uid && known.name == name);
        Self::known_or(known, || look_up(uid, name))
    }

    fn called(name: &str, never: &[u32], known: Option<Known>) -> Result<Self, OwnerFault> {
        let known = known.filter(|known| known.name == name);
        let account = Self::known_or(known, || look_up_name(name))?;
        refuse_root(account.uid)?;
        if never.contains(&account.uid()) {
            return Err(OwnerFault::Daemons(account.name));
        }
        Ok(account)
    }

    fn known_or(
        known: Option<Known>,
        look_up: impl FnOnce() -> Result<Known, OwnerFault>,
    ) -> Result<Self, OwnerFault> {
        let is_known = known.is_some();
        let it = known.map_or_else(look_up, Ok)?;
        Ok(Self {
            name: it.name.clone(),
            home: it.home.clone(),
            uid: Uid::from_raw(it.uid),
            gid: Gid::from_raw(it.gid),
            groups: Some(it.groups.iter().copied().map(Gid::from_raw).collect()),
            looked_up: (!is_known).then_some(it),
        })
    }

    fn same(name: String, home: String) -> Result<Self, OwnerFault> {
        refuse_root(Uid::current())?;
        refuse_root(Uid::effective())?;
        Ok(Self {
            name,
            home,
            uid: Uid::current(),
            gid: Gid::current(),
            groups: None,
            looked_up: None,
        })
    }

    /// Becomes the owner for good.
    ///
    /// # Errors
    /// When that, or the proof of it, fails.
    pub(super) fn assume(&self) -> Result<(), OwnerFault> {
        if let Some(groups) = &self.groups {
            changed("groups", setgroups(groups))?;
            changed("gid", setresgid(self.gid, self.gid, self.gid))?;
            changed("uid", setresuid(self.uid, self.uid, self.uid))?;
        }
        self.prove()
    }

    fn prove(&self) -> Result<(), OwnerFault> {
        let uids = changed("uid", getresuid())?;
        let gids = changed("gid", getresgid())?;
        proven("uid", [uids.real, uids.effective, uids.saved] == [self.uid; 3])?;
        proven("gid", [gids.real, gids.effective, gids.saved] == [self.gid; 3])?;
        if let Some(groups) = &self.groups {
            proven("groups", sorted(current_groups()?) == sorted(groups.clone()))?;
        }
        proven("uid", setuid(Uid::from_raw(0)) == Err(Errno::EPERM))?;
        let root_group = Gid::from_raw(0);
        proven("gid", self.gid == root_group || setgid(root_group) == Err(Errno::EPERM))
    }
}

fn refuse_root(uid: Uid) -> Result<(), OwnerFault> {
    if uid.is_root() { Err(OwnerFault::Root) } else { Ok(()) }
}

fn look_up(uid: u32, name: &str) -> Result<Known, OwnerFault> {
    let user = User::from_uid(Uid::from_raw(uid))
        .map_err(|errno| OwnerFault::LookUp(uid, errno.into()))?
        .ok_or(OwnerFault::Unknown(uid))?;
    // A uid that was given to somebody else since the share was opened is not its owner.
    if user.name != name {
        return Err(OwnerFault::Renamed { uid, is: user.name, was: name.to_owned() });
    }
    found(user)
}

fn look_up_name(name: &str) -> Result<Known, OwnerFault> {
    let fault = |errno: Errno| OwnerFault::LookUpName(name.to_owned(), errno.into());
    let user = User::from_name(name).map_err(fault)?;
    let user = user.ok_or_else(|| OwnerFault::Nobody(name.to_owned()))?;
    found(user)
}

fn found(user: User) -> Result<Known, OwnerFault> {
    let uid = user.uid.as_raw();
    let groups = groups(&user).map_err(|errno| OwnerFault::LookUp(uid, errno.into()))?;
    let home = user.dir.into_os_string().into_string().map_err(|_| OwnerFault::Home(uid))?;
    Ok(Known { uid, name: user.name, gid: user.gid.as_raw(), groups, home })
}

fn groups(user: &User) -> Result<Vec<u32>, Errno> {
    let name = CString::new(user.name.as_str()).map_err(|_nul| Errno::EINVAL)?;
    Ok(getgrouplist(&name, user.gid)?.into_iter().map(Gid::as_raw).collect())
}

fn current_groups() -> Result<Vec<Gid>, OwnerFault> {
    let groups = getgroups().map_err(|errno| OwnerFault::Change("groups", errno.into()))?;
    Ok(groups.into_iter().map(|group| Gid::from_raw(group.as_raw())).collect())
}

fn sorted(mut groups: Vec<Gid>) -> Vec<Gid> {
    groups.sort_unstable_by_key(|group| group.as_raw());
    groups.dedup();
    groups
}

fn changed<T>(what: &'static str, result: nix::Result<T>) -> Result<T, OwnerFault> {
    result.map_err(|errno| OwnerFault::Change(what, errno.into()))
}

fn proven(what: &'static str, holds: bool) -> Result<(), OwnerFault> {
    if holds { Ok(()) } else { Err(OwnerFault::Unproven(what)) }
}
