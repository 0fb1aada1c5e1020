//! An agent's host: the verbs of a share as tools, over standard input and output.

use std::process::Stdio;

use serde_json::{Value, json};
use tests::background::Background;
use tests::owner::Share;
use tests::service::Service;
use tests::wait::until;
use tests::world::{Setup, World};

const VERBS: [&str; 5] = ["test.echo", "test.sh", "test.append", "test.true", "log.tail"];

/// A host that speaks the revision of 2025-11-25, word by word.
struct Host {
    server: Background,
    asked: u32,
}

impl Host {
    fn start(world: &World, share: &Share, words: &[&str]) -> Self {
        let mut host = Self::silent(world, share, words);
        let hello = json!({
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" },
        });
        let said = host.ask("initialize", hello);
        assert_eq!(said["result"]["protocolVersion"], "2025-11-25", "{said}");
        assert_eq!(said["result"]["serverInfo"]["name"], "openscope");
        host.tell("notifications/initialized", json!({}));
        host
    }

    fn silent(world: &World, share: &Share, words: &[&str]) -> Self {
        let mut command = world.vendor().command(share, words);
        command.stdin(Stdio::piped());
        Self { server: Background::start(command), asked: 0 }
    }

    fn tell(&mut self, method: &str, params: Value) {
        let said = json!({ "jsonrpc": "2.0", "method": method, "params": params });
        self.server.say(&format!("{said}\n"));
    }

    /// Asks, and does not wait. The number of the question.
    fn begin(&mut self, method: &str, params: Value) -> u32 {
        self.asked += 1;
        let asked =
            json!({ "jsonrpc": "2.0", "id": self.asked, "method": method, "params": params });
        self.server.say(&format!("{asked}\n"));
        self.asked
    }

    fn answer(&self, number: u32) -> Value {
        until(&format!("an answer to {number}"), || {
            let said = self.server.stdout.text();
            let lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            lines.into_iter().find(|one| one["id"] == number && one["method"].is_null())
        })
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        let number = self.begin(method, params);
        self.answer(number)
    }

    /// What a tool answers.
    fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let said = self.ask("tools/call", json!({ "name": tool, "arguments": arguments }));
        assert!(said["error"].is_null(), "a tool that fails is no fault of the protocol: {said}");
        said["result"].clone()
    }

    /// What is said of a tool that is none.
    fn unknown(&mut self, tool: &str) -> String {
        let said = self.ask("tools/call", json!({ "name": tool, "arguments": {} }));
        assert_eq!(said["error"]["code"], -32602, "{said}");
        said["error"]["message"].as_str().expect("a text").to_owned()
    }

    fn tools(&mut self) -> Vec<String> {
        let said = self.ask("tools/list", json!({}));
        let tools = said["result"]["tools"].as_array().expect("a list").iter();
        tools.map(|tool| tool["name"].as_str().expect("a name").to_owned()).collect()
    }

    fn heard(&self, method: &str) -> usize {
        let said = self.server.stdout.text();
        let lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|one| one["method"] == method).count()
    }
}

fn open(world: &World) -> Share {
    world.alice().add_contact("vendor-b", &world.vendor());
    world.alice().open(&VERBS)
}

fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().expect("a text")
}

#[test]
fn an_agent_lists_calls_is_refused_and_sees_the_share_end() {
    let world = World::start();
    let share = open(&world);
    let mut host = Host::start(&world, &share, &["mcp"]);
    let own = [
        "openscope_cancel",
        "openscope_read",
        "openscope_request_access",
        "openscope_status",
        "openscope_wait",
    ];
    let verbs = ["log-tail", "test-append", "test-echo", "test-sh", "test-true"];
    assert_eq!(host.tools(), [&own[..], &verbs].concat());

    let said = host.call("log-tail", json!({ "service": "web", "lines": 2 }));
    let structured = &said["structuredContent"];
    assert_eq!(structured["stdout"], "web line 8\nweb line 9\n", "{said}");
    assert_eq!((&structured["state"], &structured["exit"]), (&json!("ended"), &json!(0)));
    assert_eq!((&said["isError"], &structured["complete"]), (&json!(false), &json!(true)));
    // Each answer has a mark of its own, which nothing that is in it could have known.
    let marked = |said: &Value| {
        let told = text(said);
        let mark = told.split("<stdout ").nth(1).and_then(|rest| rest.split('>').next());
        let mark = mark.expect("a mark").to_owned();
        let fenced = format!("<stdout {mark}>\nweb line 8\nweb line 9\n</stdout {mark}>");
        assert!(told.contains(&fenced) && told.contains("no instruction"), "{said}");
        mark
    };
    let again = host.call("openscope_read", json!({ "call": structured["call"] }));
    assert_ne!(marked(&said), marked(&again));

    // What the daemon does not permit, and what the schema does not.
    let refused = host.call("log-tail", json!({ "service": "vault" }));
    let structured = &refused["structuredContent"];
    assert_eq!((&refused["isError"], &structured["state"]), (&json!(true), &json!("refused")));
    assert_eq!(
        (&structured["parameter"], &structured["retryable"]),
        (&json!("service"), &json!(false))
    );
    assert!(structured["accepted"].as_str().is_some_and(|text| text.contains("web")), "{refused}");
    assert!(!refused.to_string().contains("vault\", "), "{refused}");
    let unasked = host.call("log-tail", json!({ "lines": "many" }));
    assert_eq!(unasked["structuredContent"]["kind"], "bad_argument", "{unasked}");
    for name in ["service-restart", "no-such"] {
        assert_eq!(host.unknown(name), "refused: not permitted");
    }

    world.script("fail", "echo no >&2; exit 3\n");
    let failed = host.call("test-sh", json!({ "name": "fail" }));
    let structured = &failed["structuredContent"];
    assert_eq!((&structured["exit"], &structured["stderr"]), (&json!(3), &json!("no\n")));

    let status = host.call("openscope_status", json!({}))["structuredContent"].clone();
    assert_eq!(
        (&status["owner"], &status["over"]),
        (&json!(world.accounts.alice.name), &Value::Null)
    );
    assert!(status["remaining_s"].as_u64().is_some_and(|left| left > 60), "{status}");

    assert_eq!(world.alice().revoke(&share).status, 0);
    until("the tools have changed", || {
        (host.heard("notifications/tools/list_changed") > 0).then_some(())
    });
    assert_eq!(host.tools(), own);
    let over = host.call("log-tail", json!({ "service": "web" }));
    assert!(text(&over).contains("revoked"), "{over}");
    host.server.close_stdin();
    assert_eq!(host.server.wait().code(), Some(0), "{}", host.server.stderr.text());
}

#[test]
fn se12_a_wider_share_reaches_an_agent_at_once() {
    let world = World::start();
    let share = open(&world);
    let mut host = Host::start(&world, &share, &["mcp"]);
    assert!(!host.tools().contains(&"log-follow".to_owned()));
    let widened = world.alice().run(&["share", "extend", &share.id, "--verb", "log.follow"]);
    assert_eq!(widened.status, 0, "{widened:?}");
    until("the tools have changed", || {
        (host.heard("notifications/tools/list_changed") > 0).then_some(())
    });
    assert!(host.tools().contains(&"log-follow".to_owned()));
}

#[test]
fn p06_what_a_host_cancels_is_dead_and_a_host_that_goes_leaves_nothing() {
    let world = World::start();
    let share = open(&world);
    world.script("wait", "echo here; (setsid sleep 337 >/dev/null 2>&1 &) ; exec sleep 337\n");
    let running = || {
        let found = std::process::Command::new("pgrep").args(["-f", "^sleep 337"]).output();
        !found.expect("look for it").stdout.is_empty()
    };
    let mut host = Host::start(&world, &share, &["mcp"]);
    let call = json!({ "name": "test-sh", "arguments": { "name": "wait" }, "_meta": { "progressToken": "p" } });
    let number = host.begin("tools/call", call.clone());
    until("it runs", || running().then_some(()));
    until("it is told of", || (host.heard("notifications/progress") > 0).then_some(()));
    host.tell("notifications/cancelled", json!({ "requestId": number, "reason": "enough" }));
    until("it is dead", || (!running()).then_some(()));
    let ended = world.last_end();
    assert_eq!(ended["ending"], "cancelled");

    host.begin("tools/call", call);
    until("it runs again", || running().then_some(()));
    host.server.close_stdin();
    host.server.wait();
    until("it is dead", || (!running()).then_some(()));
}

#[test]
fn a_call_that_outlives_its_hosts_patience_is_asked_about_by_its_id() {
    let world = World::start();
    let share = open(&world);
    world.script("slow", "echo begun; sleep 3; echo done\n");
    let mut host = Host::start(&world, &share, &["mcp", "--patience", "1s"]);
    let said = host.call("test-sh", json!({ "name": "slow" }));
    let structured = said["structuredContent"].clone();
    assert_eq!(
        (&structured["state"], &structured["stdout"]),
        (&json!("running"), &json!("begun\n"))
    );
    let mut asked = json!({ "call": structured["call"], "cursor": structured["cursor"] });
    let ended = until("it has ended", || {
        let said = host.call("openscope_wait", asked.clone())["structuredContent"].clone();
        asked["cursor"] = said["cursor"].clone();
        (said["state"] == "ended").then_some(said)
    });
    assert_eq!((&ended["exit"], &ended["stdout"]), (&json!(0), &json!("done\n")), "{ended}");
    let unknown = host.call("openscope_wait", json!({ "call": "0".repeat(32) }));
    assert_eq!(unknown["structuredContent"]["kind"], "unknown_call");
}

#[test]
fn long_output_comes_in_pages_and_nothing_of_it_is_lost() {
    let world = World::start();
    let share = open(&world);
    world.script("long", "i=0; while [ $i -lt 9000 ]; do echo \"line $i ä\"; i=$((i+1)); done\n");
    let mut host = Host::start(&world, &share, &["mcp"]);
    let first = host.call("test-sh", json!({ "name": "long" }))["structuredContent"].clone();
    assert_eq!((&first["state"], &first["truncated"]), (&json!("ended"), &json!(true)));
    let mut all = first["stdout"].as_str().expect("a text").to_owned();
    let mut page = first.clone();
    while page["truncated"] == true {
        let asked = json!({ "call": first["call"], "cursor": page["cursor"] });
        page = host.call("openscope_read", asked)["structuredContent"].clone();
        all.push_str(page["stdout"].as_str().expect("a text"));
    }
    let wanted: String = (0..9000).map(|line| format!("line {line} ä\n")).collect();
    assert!(all == wanted, "{} of {} bytes", all.len(), wanted.len());
}

#[test]
fn se7_a_hosts_retry_under_a_calls_id_does_nothing_twice() {
    let world = World::start();
    let share = open(&world);
    let mut host = Host::start(&world, &share, &["mcp"]);
    let id = "00112233445566778899aabbccddeeff";
    let asked = json!({ "name": "once", "call-id": id });
    for _ in 0..2 {
        let said = host.call("test-append", asked.clone());
        assert_eq!(
            (&said["structuredContent"]["exit"], &said["structuredContent"]["call"]),
            (&json!(0), &json!(id))
        );
    }
    // Nor does another server, after the first.
    host.server.close_stdin();
    host.server.wait();
    let mut host = Host::start(&world, &share, &["mcp"]);
    let said = host.call("test-append", asked);
    assert_eq!(said["structuredContent"]["exit"], 0, "{said}");
    assert_eq!(world.ran(), ["once"]);
    let other = host.call("test-append", json!({ "name": "other", "call-id": id }));
    assert_eq!(other["structuredContent"]["kind"], "reused", "{other}");
    assert_eq!(world.ran(), ["once"]);
}

#[test]
fn a_host_of_the_next_revision_asks_without_a_beginning() {
    let world = World::start();
    let share = open(&world);
    // A pipe without a command is a host's.
    let mut host = Host::silent(&world, &share, &[]);
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let found = host.ask("server/discover", json!({ "_meta": meta }));
    let versions = found["result"]["supportedVersions"].as_array().expect("a list").clone();
    assert!(
        versions.contains(&json!("2026-07-28")) && versions.contains(&json!("2025-11-25")),
        "{found}"
    );
    let called = host.ask(
        "tools/call",
        json!({ "name": "test-echo", "arguments": { "text": "hello" }, "_meta": meta }),
    );
    assert_eq!(called["result"]["structuredContent"]["stdout"], "hello", "{called}");
    assert_eq!(called["result"]["resultType"], "complete", "{called}");
    let listening = host.begin(
        "subscriptions/listen",
        json!({ "notifications": { "toolsListChanged": true }, "_meta": meta }),
    );
    until("it listens", || {
        (host.heard("notifications/subscriptions/acknowledged") > 0).then_some(())
    });
    assert_eq!(world.alice().revoke(&share).status, 0);
    until("it hears", || (host.heard("notifications/tools/list_changed") > 0).then_some(()));
    let _ = listening;
}

#[test]
fn what_a_host_should_not_say_ends_no_session() {
    let world = World::start();
    let share = open(&world);
    let mut host = Host::start(&world, &share, &["mcp"]);
    for line in [
        "{",
        "[]",
        "null",
        "{\"jsonrpc\":\"2.0\"}",
        "\u{1}\u{2}",
        "{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"tools/list\"}",
    ] {
        host.server.say(&format!("{line}\n"));
    }
    let unknown = host.ask("no/such", json!({}));
    assert!(unknown["error"]["code"].is_number(), "{unknown}");
    let odd = host.ask("tools/call", json!({ "name": 7 }));
    assert!(odd["error"]["code"].is_number(), "{odd}");
    for (tool, arguments) in [
        ("test-echo", json!({ "text": "x".repeat(100_000) })),
        ("test-echo", json!({ "text": { "deep": [1, 2, 3] } })),
        ("test-echo", json!({ "text": "a", "\u{1b}[2J": 1 })),
        ("openscope_read", json!({ "call": 7 })),
        ("openscope_read", json!({})),
    ] {
        let said = host.call(tool, arguments);
        assert_eq!(said["isError"], true, "{tool}: {said}");
        assert!(!said.to_string().contains('\u{1b}'), "{said}");
    }
    for name in ["\u{202e}", "test.echo", ""] {
        assert_eq!(host.unknown(name), "refused: not permitted");
    }
    let nowhere = host.ask("resources/read", json!({ "uri": "openscope://else" }));
    let error = &nowhere["error"];
    assert_eq!(
        (&error["code"], &error["data"]["uri"]),
        (&json!(-32002), &json!("openscope://else"))
    );
    let many: Vec<u32> = (0..20)
        .map(|at| {
            let call = json!({ "name": "test-echo", "arguments": { "text": at.to_string() } });
            host.begin("tools/call", call)
        })
        .collect();
    for (at, number) in many.into_iter().enumerate() {
        let said = host.answer(number);
        assert_eq!(said["result"]["structuredContent"]["stdout"], at.to_string(), "{said}");
    }
    let lines = host.server.stdout.text();
    assert!(lines.lines().all(|line| line.starts_with("{\"jsonrpc\"")), "nothing else is said");
}

#[test]
fn an_agent_waits_for_consent_and_is_told_at_once_that_it_does() {
    let policy = Setup::default()
        .policy
        .replace("bearer  = true", "bearer  = true\napprove = { \"test.append\" = \"each\" }");
    let world = Setup { policy, ..Setup::default() }.start();
    let share = open(&world);
    let mut host = Host::start(&world, &share, &["mcp"]);
    let said = host.call("test-append", json!({ "name": "asked" }))["structuredContent"].clone();
    assert_eq!(said["state"], "pending", "{said}");
    let requests = world.alice().json(&["requests"]).expect("a list");
    let request = requests["requests"][0]["id"].as_str().expect("a number").to_owned();
    let given = world.alice().run(&["approve", &request]);
    assert_eq!(given.status, 0, "{given:?}");
    let ended =
        host.call("openscope_wait", json!({ "call": said["call"] }))["structuredContent"].clone();
    assert_eq!((&ended["state"], &ended["exit"]), (&json!("ended"), &json!(0)), "{ended}");
    assert_eq!(world.ran(), ["asked"]);
}

#[test]
fn an_agent_that_is_refused_asks_the_owner_and_goes_on_with_what_it_is_given() {
    let world = World::start();
    world.alice().add_contact("vendor-b", &world.vendor());
    let share = world.alice().open(&["test.true", "log.tail:service=web"]);
    let mut host = Host::start(&world, &share, &["mcp"]);
    assert!(!host.tools().contains(&"test-append".to_owned()));
    assert_eq!(host.unknown("test-append"), "refused: not permitted");

    let wanted = json!({ "wanted": ["test.append:name=one"], "reason": "the queue is stuck" });
    let said = host.call("openscope_request_access", wanted.clone());
    let waits = said["structuredContent"].clone();
    assert_eq!((&waits["state"], &said["isError"]), (&json!("pending"), &json!(false)), "{said}");
    let twice = host.call("openscope_request_access", wanted)["structuredContent"].clone();
    assert_eq!(twice["call"], waits["call"], "who asks twice has asked once");
    let listed = world.alice().json(&["requests"]).expect("requests");
    let requests = listed["requests"].as_array().expect("a list");
    assert_eq!(requests.len(), 1);
    let (id, reason) = (&requests[0]["id"], &requests[0]["what"]["reason"]);
    assert_eq!(reason, "the queue is stuck");
    assert_eq!(world.alice().run(&["approve", id.as_str().expect("an id")]).status, 0);

    let granted = host.call("openscope_wait", json!({ "call": waits["call"] }));
    let structured = &granted["structuredContent"];
    assert_eq!(
        (&structured["state"], &structured["kind"], &structured["exit"]),
        (&json!("ended"), &json!("granted"), &json!(0)),
        "{granted}"
    );
    until("the tools have changed", || {
        (host.heard("notifications/tools/list_changed") > 0).then_some(())
    });
    assert!(host.tools().contains(&"test-append".to_owned()));
    let done = host.call("test-append", json!({ "name": "one" }));
    assert_eq!(done["structuredContent"]["exit"], 0, "{done}");
    assert_eq!(world.ran(), ["one"]);
    let more = host.call("test-append", json!({ "name": "two" }));
    assert_eq!(more["structuredContent"]["state"], "refused", "no more than that: {more}");

    let unknown = json!({ "wanted": ["no.such"], "reason": "to see" });
    let refused = host.call("openscope_request_access", unknown);
    let structured = &refused["structuredContent"];
    assert_eq!(
        (&structured["state"], &structured["kind"], &structured["retryable"]),
        (&json!("refused"), &json!("refused"), &json!(false)),
        "{refused}"
    );
    assert_eq!(refused["isError"], true);

    // What is taken back waits no more.
    let wanted = json!({ "wanted": ["test.write"], "reason": "to see" });
    let waits = host.call("openscope_request_access", wanted)["structuredContent"].clone();
    assert_eq!(waits["state"], "pending");
    let ended = host.call("openscope_cancel", json!({ "call": waits["call"] }));
    assert_eq!(ended["structuredContent"]["kind"], "cancelled", "{ended}");
    let listed = world.alice().json(&["requests"]).expect("requests");
    assert_eq!(listed["requests"], json!([]));
}

#[test]
fn an_agent_leaves_notes_and_waits_for_the_owners() {
    let Setup { policy, verbs, .. } = Setup::default();
    let policy = policy
        .replacen("verbs = { ", "verbs = { \"room.note\" = {}, ", 1)
        .replace("[\"log.*\"", "[\"room.*\", \"log.*\"");
    let verbs = verbs
        + "[verb.\"room.note\"]\nsummary = \"Leaves the owner a note\"\neffect = \"read\"\nrun = { note = {} }\n";
    let world = Setup { policy, verbs, ..Setup::default() }.start();
    world.alice().add_contact("vendor-b", &world.vendor());
    let (with, without) = (world.alice().open(&["room.note"]), world.alice().open(&["test.true"]));
    let names = |host: &mut Host| -> Vec<String> {
        let said = host.ask("tools/list", json!({}));
        let tools = said["result"]["tools"].as_array().cloned().unwrap_or_default();
        tools.iter().filter_map(|tool| Some(tool["name"].as_str()?.to_owned())).collect()
    };
    let mut host = Host::start(&world, &without, &["mcp"]);
    assert!(!names(&mut host).contains(&"openscope_notes".to_owned()));
    assert_eq!(host.unknown("openscope_notes"), "refused: not permitted");

    let mut host = Host::start(&world, &with, &["mcp"]);
    let named = names(&mut host);
    assert!(
        named.contains(&"openscope_notes".to_owned()) && named.contains(&"room-note".to_owned())
    );
    let left = json!({ "name": "room-note", "arguments": { "text": "restarting web" } });
    let left = host.ask("tools/call", left);
    assert_eq!(left["result"]["structuredContent"]["exit"], 0, "{left}");
    let owners = world.alice().run(&["share", "notes", &with.id]).stdout;
    assert!(owners.contains("restarting web"), "{owners}");
    let said = host.ask("tools/call", json!({ "name": "openscope_notes", "arguments": {} }));
    let said = &said["result"]["structuredContent"];
    assert_eq!(said["notes"][0]["author"], "recipient", "{said}");
    let next = json!({ "after": said["next"], "wait": true });
    let waits = host.begin("tools/call", json!({ "name": "openscope_notes", "arguments": next }));
    assert_eq!(world.alice().run(&["share", "note", &with.id, "do"]).status, 0);
    let said = host.answer(waits);
    let notes = &said["result"]["structuredContent"]["notes"];
    assert_eq!((&notes[0]["text"], &notes[1]), (&json!("do"), &Value::Null), "{said}");
    let text = said["result"]["content"][0]["text"].as_str().unwrap_or_default();
    assert!(text.contains("owner: do"), "{text}");
    for bad in [json!({ "after": "x" }), json!({ "wait": 1 }), json!({ "since": 0 })] {
        let said = host.ask("tools/call", json!({ "name": "openscope_notes", "arguments": bad }));
        assert_eq!(said["result"]["isError"], true, "{said}");
    }
}

/// From the list of its tools to the end of the share, as a script on both sides.
#[test]
fn an_agents_story_from_the_first_look_to_the_end() {
    let world = World::start();
    let service = Service::start(&world, "web");
    world.alice().add_contact("vendor-b", &world.vendor());
    let share = world.alice().open(&["log.tail:service=web"]);
    let mut host = Host::start(&world, &share, &["mcp"]);

    // It looks, and reads.
    assert!(host.tools().contains(&"log-tail".to_owned()));
    let status = host.call("openscope_status", json!({}));
    assert_eq!(status["structuredContent"]["verbs"], json!(["log.tail"]), "{status}");
    let read = host.call("log-tail", json!({ "service": "web", "lines": 2 }));
    assert_eq!(read["structuredContent"]["stdout"], "web line 8\nweb line 9\n", "{read}");

    // It is refused what was not shared: in a value, with what would be accepted, and in a verb, without a word more.
    let refused = host.call("log-tail", json!({ "service": "db" }));
    let told = &refused["structuredContent"];
    assert_eq!(
        (&refused["isError"], &told["state"], &told["parameter"], &told["retryable"]),
        (&json!(true), &json!("refused"), &json!("service"), &json!(false)),
        "{refused}"
    );
    assert!(told["accepted"].as_str().is_some_and(|accepted| accepted.contains("web")), "{told}");
    assert_eq!(host.unknown("service-restart"), "refused: not permitted");

    // It asks for that, and a person says yes.
    let wanted = json!({ "wanted": ["service.restart:service=web"], "reason": "it hangs" });
    let asked = host.call("openscope_request_access", wanted)["structuredContent"].clone();
    assert_eq!(asked["state"], "pending", "{asked}");
    let listed = world.alice().json(&["requests"]).expect("requests");
    let request = listed["requests"][0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(world.alice().run(&["approve", &request]).status, 0);
    let granted = host.call("openscope_wait", json!({ "call": asked["call"] }));
    assert_eq!(granted["structuredContent"]["kind"], "granted", "{granted}");

    // It restarts once; its host, which believes the answer lost, asks again by the call's id.
    let before = service.pid().expect("it runs");
    let done = host.call("service-restart", json!({ "service": "web" }));
    assert_eq!(done["structuredContent"]["exit"], 0, "{done}");
    let after = service.pid().expect("it runs");
    assert_ne!(before, after);
    let again = json!({ "service": "web", "call-id": done["structuredContent"]["call"] });
    let again = host.call("service-restart", again);
    assert_eq!(again["structuredContent"]["exit"], 0, "{again}");
    assert_eq!(service.pid(), Some(after), "it was restarted twice");
    let started = world.events("call_started");
    let restarts = started.iter().filter(|event| event["verb"] == "service.restart").count();
    assert_eq!(restarts, 1, "{started:?}");

    // The owner ends it, and the agent is told so.
    let revoked = ["share", "revoke", &share.id, "--reason", "thank you"];
    assert_eq!(world.alice().run(&revoked).status, 0);
    until("no verb is left", || (!host.tools().contains(&"log-tail".to_owned())).then_some(()));
    let over = host.call("log-tail", json!({ "service": "web" }));
    assert_eq!(over["structuredContent"]["kind"], "over", "{over}");
    assert!(text(&over).contains("thank you"), "{over}");
    let status = host.call("openscope_status", json!({}));
    assert_eq!(status["structuredContent"]["remaining_s"], 0, "{status}");
}
