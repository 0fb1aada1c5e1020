//! Services of the owner's at a recipient's own address: a world that has some, and the address.

use std::net::SocketAddr;

use crate::background::Background;
use crate::owner::Share;
use crate::world::{Setup, World};

/// A world with these targets and verbs besides the usual; the owner may share all of them.
pub fn world(targets: String, verbs: &str, names: &[&str]) -> World {
    world_with(targets, verbs, names, Vec::new())
}

/// The same, with files beside the configuration that only root reads.
pub fn world_with(
    targets: String,
    verbs: &str,
    names: &[&str],
    secrets: Vec<(String, String)>,
) -> World {
    let usual = Setup::default();
    let held: String = names.iter().map(|verb| format!("\"{verb}\" = {{}}, ")).collect();
    let shared: String = names.iter().map(|verb| format!("\"{verb}\", ")).collect();
    let policy = usual
        .policy
        .replacen("verbs = { \"log.tail\"", &format!("verbs = {{ {held}\"log.tail\""), 1)
        .replace("[\"log.*\"", &format!("[{shared}\"log.*\""));
    let verbs = usual.verbs + verbs;
    let world = Setup { targets, verbs, policy, secrets, ..Setup::default() }.start();
    world.alice().add_contact("vendor-b", &world.vendor());
    world
}

/// A verb that reflects `what`, with secrets left as they are.
pub fn verb(name: &str, what: &str) -> String {
    format!(
        "[verb.\"{name}\"]\nsummary = \"A service\"\neffect = \"write\"\nrun = {{ forward = {{ {what} }} }}\n\
         timeout = \"30m\"\noutput = {{ max = \"1GiB\", redact = [] }}\n"
    )
}

/// The recipient's end of a service, as long as it lives.
pub struct Forward {
    pub client: Background,
    pub at: SocketAddr,
}

/// Has a service at an address of the recipient's machine.
pub fn forward(world: &World, share: &Share, verb: &str) -> Forward {
    forward_with(world, share, &["forward", verb])
}

/// The same, with more words.
pub fn forward_with(world: &World, share: &Share, words: &[&str]) -> Forward {
    let client = Background::start(world.vendor().command(share, words));
    let line = client.stdout.line_with("127.0.0.1:");
    let after = line.split("127.0.0.1:").nth(1).expect("a port");
    let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
    let port = after[..digits].parse().expect("a port");
    Forward { client, at: SocketAddr::from(([127, 0, 0, 1], port)) }
}

/// All that is on record, one event a line.
pub fn record(world: &World) -> String {
    world.audit().iter().map(|event| format!("{event}\n")).collect()
}
