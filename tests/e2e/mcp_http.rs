//! The same server at a local address: for who shows the token, and for no page.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt as _, chown};

use serde_json::{Value, json};
use tests::background::Background;
use tests::owner::Share;
use tests::web::{Answer, exchange};
use tests::world::World;

/// A server at an address, and what whoever asks has to show.
struct Server {
    program: Background,
    at: SocketAddr,
    token: String,
}

impl Server {
    fn start(world: &World, share: &Share) -> Self {
        let program =
            Background::start(world.vendor().command(share, &["mcp", "--http", "127.0.0.1:0"]));
        let url = program.stdout.line_with("http://127.0.0.1:");
        let at = url.trim().trim_start_matches("http://").trim_end_matches("/mcp");
        let line = program.stdout.line_with("Authorization: Bearer ");
        let token = line.trim().trim_start_matches("Authorization: Bearer ").to_owned();
        Self { at: at.parse().expect("an address"), token, program }
    }

    fn post(&self, path: &str, fields: &[&str], message: &Value) -> Answer {
        let body = message.to_string();
        let mut request = format!(
            "POST {path} HTTP/1.1\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\nContent-Length: {}\r\n",
            body.len()
        );
        for field in fields {
            request.push_str(&format!("{field}\r\n"));
        }
        exchange(self.at, format!("{request}\r\n{body}").as_bytes())
    }

    /// As a host that was told the token.
    fn tell(&self, more: &[&str], message: &Value) -> Answer {
        let (host, token) =
            (format!("Host: {}", self.at), format!("Authorization: Bearer {}", self.token));
        self.post("/mcp", &[&[host.as_str(), token.as_str()], more].concat(), message)
    }
}

/// The message with this id, whether it came alone or as an event.
fn said(answer: &Answer, id: u32) -> Value {
    let text = answer.text();
    let lines = text.lines().map(|line| line.strip_prefix("data:").unwrap_or(line).trim());
    let mut messages = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
    messages.find(|one| one["id"] == id).unwrap_or_else(|| panic!("{}\n{text}", answer.head))
}

fn asked(id: u32, method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

fn hello() -> Value {
    let params = json!({
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" },
    });
    asked(1, "initialize", &params)
}

fn open(world: &World) -> Share {
    world.alice().add_contact("vendor-b", &world.vendor());
    world.alice().open(&["log.tail", "test.append"])
}

#[test]
fn a_host_that_shows_the_token_lists_and_calls_in_either_revision() {
    let world = World::start();
    let share = open(&world);
    let mut server = Server::start(&world, &share);

    let first = server.tell(&[], &hello());
    assert_eq!(first.status, 200, "{}", first.head);
    assert_eq!(said(&first, 1)["result"]["serverInfo"]["name"], "openscope");
    let session = format!("Mcp-Session-Id: {}", first.field("mcp-session-id").expect("a session"));
    let revision = "MCP-Protocol-Version: 2025-11-25";
    let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    assert_eq!(server.tell(&[&session, revision], &ready).status, 202);
    let call = json!({ "name": "log-tail", "arguments": { "service": "web", "lines": 1 } });
    let answer = server.tell(&[&session, revision], &asked(2, "tools/call", &call));
    let result = &said(&answer, 2)["result"];
    assert_eq!(result["structuredContent"]["stdout"], "web line 9\n", "{result}");

    // The next revision has no sessions, and knows the calls of the others.
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "t", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let read = json!({
        "name": "openscope_read",
        "arguments": { "call": result["structuredContent"]["call"] },
        "_meta": meta,
    });
    let later =
        ["MCP-Protocol-Version: 2026-07-28", "Mcp-Method: tools/call", "Mcp-Name: openscope_read"];
    let answer = server.tell(&later, &asked(3, "tools/call", &read));
    assert_eq!(said(&answer, 3)["result"]["structuredContent"]["stdout"], "web line 9\n");

    assert_eq!(world.alice().revoke(&share).status, 0);
    assert_eq!(server.program.wait().code(), Some(255));
}

#[test]
fn who_has_no_token_or_was_led_there_is_answered_nothing() {
    let world = World::start();
    let share = open(&world);
    let server = Server::start(&world, &share);
    let host = format!("Host: {}", server.at);
    let token = format!("Authorization: Bearer {}", server.token);
    let page = format!("Origin: http://{}", server.at);
    for (path, fields, status) in [
        ("/mcp", &[host.as_str()][..], 401),
        ("/mcp", &[&host, "Authorization: Bearer AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"], 401),
        ("/mcp", &[&host, "Authorization: Basic AAAA"], 401),
        ("/mcp", &[&host, &token, &token], 401),
        ("/mcp", &["Host: rebound.example", &token], 421),
        ("/mcp", &["Host: rebound.example", "Origin: http://rebound.example", &token], 403),
        ("/mcp", &[token.as_str()], 421),
        ("/mcp", &[&host, &token, "Origin: http://evil.example"], 403),
        ("/mcp", &[&host, &token, "Origin: null"], 403),
        ("/mcp", &[&host, &token, "Sec-Fetch-Site: cross-site"], 403),
        ("/", &[&host, &token], 404),
        ("/mcp", &[&host, &token, &page], 200),
    ] {
        let answer = server.post(path, fields, &hello());
        assert_eq!(answer.status, status, "{path} {fields:?}: {}", answer.text());
        assert!(status == 200 || !answer.text().contains("openscope"), "{}", answer.text());
    }
    let huge = json!({ "name": "log-tail", "arguments": { "service": "x".repeat(17 << 20) } });
    let answer = server.tell(&[], &asked(1, "tools/call", &huge));
    assert!(matches!(answer.status, 0 | 400 | 413), "{}", answer.head);
    assert_eq!(server.tell(&[], &hello()).status, 200, "it serves on");
    assert!(world.events("call_started").is_empty());
}

#[test]
fn a_token_comes_from_a_file_that_nobody_else_reads() {
    let world = World::start();
    let share = open(&world);
    let file = world.vendor().home().join("token");
    let words = ["mcp", "--http", "127.0.0.1:0", "--token-file", &file.display().to_string()];
    let write = |text: &str, mode: u32| {
        fs::write(&file, text).expect("write it");
        let vendor = &world.accounts.vendor;
        chown(&file, Some(vendor.uid), Some(vendor.gid)).expect("give it away");
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("set its mode");
    };
    let good = "0123456789abcdefghijklmnop\n";
    for (text, mode, why) in [
        (good, 0o640, "others may read or write it"),
        ("short\n", 0o600, "holds no token"),
        ("with a space in the middle of it\n", 0o600, "holds no token"),
        ("", 0o600, "holds no token"),
    ] {
        write(text, mode);
        let said = world.vendor().run(&share, &words);
        assert_eq!((said.status, said.stdout.as_str()), (2, ""), "{said:?}");
        assert!(said.stderr.contains(why), "{}", said.stderr);
    }
    fs::remove_file(&file).expect("remove it");
    assert!(world.vendor().run(&share, &words).stderr.contains("cannot be read"));
    for address in ["0.0.0.0:0", "[::]:0"] {
        let said = world.vendor().run(&share, &["mcp", "--http", address]);
        assert_eq!(said.status, 2, "{said:?}");
        assert!(said.stderr.contains("not an address of this machine alone"), "{}", said.stderr);
    }
    write(good, 0o600);
    let program = Background::start(world.vendor().command(&share, &words));
    let url = program.stdout.line_with("http://127.0.0.1:");
    let at = url.trim().trim_start_matches("http://").trim_end_matches("/mcp");
    let token = good.trim().to_owned();
    let server = Server { at: at.parse().expect("an address"), token, program };
    assert_eq!(server.tell(&[], &hello()).status, 200);
    assert!(!server.program.stdout.text().contains("Bearer"));
}
