//! What ssh is told of one target: everything, so that nothing of the owner's own configuration, and nothing of the
//! system's, has a say.

use std::fmt::Write as _;
use std::path::Path;

use policy::{Identity, Route, SshTarget};

use crate::config::SSH;

/// What holds for every host on the way.
const ALWAYS: &str = "Host *
    BatchMode yes
    StrictHostKeyChecking yes
    GlobalKnownHostsFile none
    UpdateHostKeys no
    HashKnownHosts no
    CheckHostIP no
    VerifyHostKeyDNS no
    CanonicalizeHostname no
    PreferredAuthentications publickey
    PubkeyAuthentication yes
    PasswordAuthentication no
    KbdInteractiveAuthentication no
    GSSAPIAuthentication no
    HostbasedAuthentication no
    AddKeysToAgent no
    ForwardAgent no
    ForwardX11 no
    ClearAllForwardings yes
    Tunnel no
    PermitLocalCommand no
    RequestTTY no
    EscapeChar none
    ServerAliveInterval 15
    ServerAliveCountMax 2
    TCPKeepAlive yes
    LogLevel ERROR
    IgnoreUnknown LogVerbose
    LogVerbose mux.c:mux_client_request_session():*
";

/// What the one function named above is known by in what ssh says. It is how a call that goes over a connection that is
/// kept tells a program's own 255 from a host that was lost; an ssh before 8.5 cannot, and says neither.
const SESSION: &str = "mux_client_request_session";

/// Why ssh ended with its own status, in the last words that it had for it.
pub(super) fn reason(said: &str) -> Option<&str> {
    let line = said.lines().rev().map(str::trim).find(|line| {
        !line.is_empty() && (!line.contains(SESSION) || line.ends_with("terminated unexpectedly"))
    })?;
    Some(if line.contains(SESSION) { "the connection was lost" } else { line })
}

/// Whether a reason is one of those that ssh has once it was there.
pub(super) fn is_cut(reason: &str) -> bool {
    let ends = [
        "connection was lost",
        "closed by remote host",
        "not responding",
        "Read from remote host",
        "send disconnect",
        "Broken pipe",
    ];
    ends.iter().any(|end| reason.contains(end))
}

/// The configuration for one target, and for those through which it is reached; `own` is where it will be.
pub(super) fn config(route: &Route, own: &Path, hosts: &Path) -> String {
    let mut text = String::from(
        "# Made by openscoped from targets.d whenever it reads its configuration; changes here are lost.\n",
    );
    let mut before: Option<&SshTarget> = None;
    for target in along(route) {
        host(&mut text, target, before.map(|jump| through(jump, own)));
        before = Some(target);
    }
    text.push_str(ALWAYS);
    let _ = writeln!(text, "    UserKnownHostsFile {}", hosts.display());
    text
}

/// The keys of all of them, each under the target's name.
pub(super) fn known_hosts(route: &Route) -> String {
    let lines = along(route).flat_map(|target| {
        target.host_keys.iter().map(move |key| format!("{} {key}\n", target.name))
    });
    lines.collect()
}

/// The nearest to the daemon first.
pub(super) fn along(route: &Route) -> impl Iterator<Item = &SshTarget> {
    route.jumps.iter().chain([&route.target]).map(|target| &**target)
}

/// `Display` and the checked types see to it that no value is read as anything else.
fn host(text: &mut String, target: &SshTarget, through: Option<String>) {
    let SshTarget { name, host, port, user, identity, connect_timeout, .. } = target;
    let through = through.unwrap_or_else(|| "none".to_owned());
    let _ = writeln!(
        text,
        "Host {name}\n    HostName {host}\n    HostKeyAlias {name}\n    Port {port}\n    ProxyCommand {through}\n    ConnectTimeout {}",
        connect_timeout.as_secs()
    );
    if let Some(user) = user {
        let _ = writeln!(text, "    User {user}");
    }
    let identity = match identity {
        Identity::Usual => "    IdentityAgent none\n".to_owned(),
        Identity::Own(file) if file.as_str().starts_with('/') => own(file.as_str()),
        Identity::Own(file) => own(&format!("~/{file}")),
        // The agent in the environment has this key, and those of the others on the way.
        Identity::Held(_) => "    IdentityFile none\n".to_owned(),
    };
    text.push_str(&identity);
}

/// As `ProxyJump` would, but by this very program, and with what it has to say kept out of the verb's own output: it
/// names the network. ssh puts `exec` before it.
fn through(jump: &SshTarget, own: &Path) -> String {
    format!("{SSH} -F {} -W [%h]:%p -- {} 2>/dev/null", own.display(), jump.name)
}

fn own(file: &str) -> String {
    format!("    IdentityAgent none\n    IdentitiesOnly yes\n    IdentityFile {file}\n")
}

#[cfg(test)]
mod tests {
    use policy::{Policy, Source};

    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6d1bqVYx3rlrOhCGpCLyqAvkRiJbC8B0cE4R8iYFsF";

    fn policy() -> Policy {
        let key = format!("host_key = \"{KEY}\"");
        let text = format!(
            "[ssh.web]\nhost = \"10.0.0.1\"\n{key}\njump = \"gate\"\nidentity = {{ own = \".ssh/id\" }}\n\
             [ssh.gate]\nhost = \"gate.example.org\"\nport = 2222\nuser = \"ops\"\n{key}\nidentity = {{ held = \"k\" }}\nconnect_timeout = \"3s\"\n\
             [verb.\"a.b\"]\nsummary = \"s\"\neffect = \"read\"\nrun = {{ ssh = {{ target = \"web\", argv = [\"id\"] }} }}\n"
        );
        policy::load(&[Source { name: "v".into(), text }], &[]).unwrap()
    }

    #[test]
    fn everything_that_ssh_would_look_up_elsewhere_is_said() {
        let policy = policy();
        let route = policy.ssh_routes().next().unwrap();
        let text = config(route, Path::new("/run/x/web.conf"), Path::new("/run/x/web.hosts"));
        let hosts = text.split("Host *\n").next().unwrap();
        assert_eq!(
            hosts.lines().skip(1).collect::<Vec<_>>(),
            [
                "Host gate",
                "    HostName gate.example.org",
                "    HostKeyAlias gate",
                "    Port 2222",
                "    ProxyCommand none",
                "    ConnectTimeout 3",
                "    User ops",
                "    IdentityFile none",
                "Host web",
                "    HostName 10.0.0.1",
                "    HostKeyAlias web",
                "    Port 22",
                "    ProxyCommand /usr/bin/ssh -F /run/x/web.conf -W [%h]:%p -- gate 2>/dev/null",
                "    ConnectTimeout 10",
                "    IdentityAgent none",
                "    IdentitiesOnly yes",
                "    IdentityFile ~/.ssh/id",
            ]
        );
        for said in [
            "BatchMode yes",
            "StrictHostKeyChecking yes",
            "ForwardAgent no",
            "PermitLocalCommand no",
        ] {
            assert!(text.contains(said), "{said}");
        }
        assert!(text.ends_with("    UserKnownHostsFile /run/x/web.hosts\n"), "{text}");
        assert_eq!(known_hosts(route), format!("gate {KEY}\nweb {KEY}\n"));
    }

    #[test]
    fn a_reason_is_what_ssh_says_last_and_a_programs_own_end_has_none() {
        let told = |end: &str| {
            format!("mux.c:mux_client_request_session():2022 (bin=ssh, pid=7): {end}\r\n")
        };
        let own = told("master session id: 2") + &told("Received exit status from master 255");
        assert_eq!(reason(&own), None);
        let lost = told("master session id: 2") + &told("Control master terminated unexpectedly");
        assert_eq!(reason(&lost), Some("the connection was lost"));
        assert_eq!(
            reason(&(own + "Host key verification failed.\r\n")),
            Some("Host key verification failed.")
        );
        assert_eq!(reason("\r\n"), None);
    }

    #[test]
    fn a_connection_that_was_there_is_told_from_one_that_never_was() {
        for said in [
            "Connection to 10.0.0.1 closed by remote host.",
            "Read from remote host 10.0.0.1: Connection reset by peer",
            "client_loop: send disconnect: Connection reset by peer",
            "the connection was lost",
        ] {
            assert!(is_cut(said), "{said}");
        }
        for said in [
            "ssh: connect to host 10.0.0.1 port 22: Connection refused",
            "kex_exchange_identification: read: Connection reset by peer",
            "PTY allocation request failed on channel 0",
        ] {
            assert!(!is_cut(said), "{said}");
        }
    }
}
