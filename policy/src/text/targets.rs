//! `targets.d`: the hosts and the services that verbs reach.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::document::{Entry, Node, Page, Table};
use super::network::port;
use super::services::{self, Services};
use super::verbs::named;
use super::{TextFault, units};
use crate::name::TargetName;
use crate::nearest::nearest;
use crate::ssh::Route;
use crate::target::{HostKey, Identity, SshTarget};

/// Keys of one host: of each sort one, and as many again while they change.
const MOST_KEYS: usize = 8;
/// Hosts on the way to one.
const MOST_JUMPS: usize = 4;
/// The longest wait for a connection.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// Every target with the file that declares it.
#[derive(Default)]
pub(super) struct Targets {
    ssh: BTreeMap<TargetName, Declared>,
    /// Those that are no hosts to log in at.
    pub(super) services: Services,
}

struct Declared {
    target: Arc<SshTarget>,
    source: String,
    jump: Option<TextFault>,
}

/// The targets of all files, and what is wrong with any.
pub(super) fn read(pages: &[Page<'_>]) -> (Targets, Vec<TextFault>) {
    let (mut targets, mut faults) = (Targets::default(), Vec::new());
    let tables = pages.iter().filter_map(|page| page.root()?.get("ssh"));
    for table in tables.map(Node::table) {
        match table {
            Err(fault) => faults.push(fault),
            Ok(table) => {
                let added = table.entries().map(|entry| targets.add(entry));
                faults.extend(added.filter_map(Result::err));
            }
        }
    }
    faults.extend(targets.strays());
    let (services, wrong) = services::read(pages);
    faults.extend(wrong);
    targets.services = services;
    (targets, faults)
}

impl Targets {
    fn add(&mut self, entry: Entry<'_>) -> Result<(), TextFault> {
        let name: TargetName = named(entry)?;
        if name.as_str() == "none" {
            return Err(entry.place.fault("`none` is ssh's own word for no target"));
        }
        if let Some(before) = self.ssh.get(&name) {
            let message = format!("`{name}` is already declared in {}", before.source);
            return Err(entry.place.fault(message));
        }
        let table = entry.node.table()?;
        let target = Arc::new(target(name.clone(), table)?);
        // Said now, where it stands; told if it turns out to lead nowhere.
        let jump = table.get("jump").map(|jump| jump.place.fault(""));
        let source = entry.place.source.name.clone();
        self.ssh.insert(name, Declared { target, source, jump });
        Ok(())
    }

    /// The jumps that lead nowhere, or round and round.
    fn strays(&self) -> Vec<TextFault> {
        let stray = |declared: &Declared| {
            let message = self.way(&declared.target).err()?;
            let known = self.ssh.keys().map(TargetName::as_str);
            let jump = declared.target.jump.as_ref()?;
            let near = nearest(jump.as_str(), known).filter(|_| !self.ssh.contains_key(jump));
            let hint = near.map(|near| format!("did you mean `{near}`?"));
            Some(TextFault { message, hint, ..declared.jump.clone()? })
        };
        self.ssh.values().filter_map(stray).collect()
    }

    /// Those through which a target is reached, the nearest to the daemon first.
    fn way(&self, target: &SshTarget) -> Result<Vec<Arc<SshTarget>>, String> {
        let mut jumps = Vec::new();
        let mut next = target.jump.as_ref();
        while let Some(name) = next {
            let declared = self.ssh.get(name);
            let jump = &declared.ok_or_else(|| format!("`{name}` is not a target"))?.target;
            if jumps.len() >= MOST_JUMPS {
                return Err(format!("a way leads over at most {MOST_JUMPS} other targets"));
            }
            jumps.push(Arc::clone(jump));
            next = jump.jump.as_ref();
        }
        jumps.reverse();
        Ok(jumps)
    }

    /// The target of this name, and the way to it.
    ///
    /// # Errors
    /// What is wrong, and what may have been meant.
    pub(super) fn route(
        &self,
        name: &str,
    ) -> Result<(TargetName, Route), (String, Option<String>)> {
        let known = name.parse().ok().and_then(|name: TargetName| self.ssh.get_key_value(&name));
        let Some((name, Declared { target, .. })) = known else {
            let near = nearest(name, self.ssh.keys().map(TargetName::as_str));
            let hint = near.map_or_else(
                || "declare it in targets.d, as `[ssh.NAME]`".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            return Err((format!("`{}` is not a target", crate::name::shown(name)), Some(hint)));
        };
        let jumps = self.way(target).map_err(|message| (message, None))?;
        Ok((name.clone(), Route { target: Arc::clone(target), jumps }))
    }
}

fn target(name: TargetName, table: Table<'_>) -> Result<SshTarget, TextFault> {
    table.only(&["host", "port", "user", "host_key", "jump", "identity", "connect_timeout"])?;
    let port = table.get("port").map(port).transpose()?;
    let wait = table.get("connect_timeout").map(wait).transpose()?;
    Ok(SshTarget {
        name,
        host: table.need("host")?.parsed()?,
        port: port.unwrap_or(22),
        user: table.get("user").map(Node::parsed).transpose()?,
        host_keys: host_keys(table)?,
        jump: table.get("jump").map(Node::parsed).transpose()?,
        identity: table.get("identity").map_or(Ok(Identity::Usual), identity)?,
        connect_timeout: wait.unwrap_or(Duration::from_secs(10)),
    })
}

/// How long to wait for a connection.
pub(super) fn wait(node: Node<'_>) -> Result<Duration, TextFault> {
    let wait = units::duration(node)?;
    if wait.subsec_nanos() != 0 || wait > LONGEST_WAIT {
        return Err(node.place.fault("`connect_timeout` is 1s to 60s, in whole seconds"));
    }
    Ok(wait)
}

fn host_keys(table: Table<'_>) -> Result<Vec<HostKey>, TextFault> {
    let Some(node) = table.get("host_key") else {
        let hint = "run `ssh-keyscan -t ed25519 HOST`, compare the key with the host's own, and write it here";
        return Err(table.place.hinted("`host_key` is missing", Some(hint.to_owned())));
    };
    if !node.is_array() {
        return Ok(vec![node.parsed()?]);
    }
    let items = node.array()?;
    if items.is_empty() || items.len() > MOST_KEYS {
        return Err(node.place.fault(format!("a target has 1 to {MOST_KEYS} host keys")));
    }
    items.into_iter().map(Node::parsed).collect()
}

fn identity(node: Node<'_>) -> Result<Identity, TextFault> {
    let table = node.table()?;
    table.only(&["own", "held"])?;
    match (table.get("own"), table.get("held")) {
        (Some(own), None) => own.parsed().map(Identity::Own),
        (None, Some(held)) => held.parsed().map(Identity::Held),
        (None, None) | (Some(_), Some(_)) => {
            Err(node.place.fault("an identity is `{ own = FILE }` or `{ held = FILE }`"))
        }
    }
}
