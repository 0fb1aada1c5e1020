//! A tool's call through the MCP server, against a warm call in a process that runs; and what the server keeps in memory.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::owner::Share;

use crate::clients::{join, runtime};
use crate::figure::Figure;
use crate::reading::{Limit, Reading};
use crate::sample::{Duel, Samples};
use crate::scene::Scene;
use crate::warm::calls;

const ROUNDS: usize = 12;
const PER_ROUND: usize = 60;
const PAUSE: Duration = Duration::from_millis(3);
const BUDGET: Duration = Duration::from_secs(25);

/// A host, and the server that it has started.
struct Host {
    server: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    asked: u64,
}

impl Host {
    fn start(scene: &Scene, share: &Share) -> Self {
        let mut command = scene.world.vendor().command(share, &["mcp"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut server = command.spawn().expect("run the client");
        let to = server.stdin.take().expect("a pipe");
        let from = BufReader::new(server.stdout.take().expect("a pipe"));
        let mut host = Self { server, to, from, asked: 0 };
        let hello = json!({
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "measure", "version": "1" },
        });
        host.ask("initialize", &hello);
        host.say(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        host
    }

    fn say(&mut self, said: &Value) {
        self.to.write_all(format!("{said}\n").as_bytes()).expect("say it");
    }

    fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.asked += 1;
        let asked =
            json!({ "jsonrpc": "2.0", "id": self.asked, "method": method, "params": params });
        self.say(&asked);
        loop {
            let mut line = String::new();
            assert!(self.from.read_line(&mut line).expect("hear it") > 0, "the server has ended");
            let told: Value = serde_json::from_str(&line).expect("JSON");
            if told["id"] == self.asked {
                return told;
            }
        }
    }

    fn call_true(&mut self) -> Duration {
        let begun = Instant::now();
        let told = self.ask("tools/call", &json!({ "name": "test-true", "arguments": {} }));
        let took = begun.elapsed();
        assert_eq!(told["result"]["structuredContent"]["exit"], 0, "{told}");
        took
    }

    fn calls(&mut self) -> Samples {
        let call = |_| {
            std::thread::sleep(PAUSE);
            self.call_true()
        };
        (0..PER_ROUND).map(call).collect()
    }

    /// The most that it has had in memory, in MiB.
    fn peak_mib(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.server.id()));
        let status = status.expect("it lives");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib: f64 = line
            .and_then(|line| line.split_whitespace().next()?.parse().ok())
            .expect("the kernel says it");
        kib / 1024.0
    }
}

pub fn measure(figure: &Figure) -> Vec<Reading> {
    let scene = Scene::new();
    // A seat has one holder key: the process that runs has a share of its own.
    let (hosted, warm) = (scene.open(&["test.true", "test.bulk"]), scene.open(&["test.true"]));
    let mut host = Host::start(&scene, &hosted);
    let runtime = runtime();
    let session = runtime.block_on(join(&warm.handle, scene.identities()));
    runtime.block_on(calls(&session));
    host.calls();
    let (mut duel, begun) = (Duel::default(), Instant::now());
    while duel.rounds() < ROUNDS && begun.elapsed() < BUDGET {
        let theirs = runtime.block_on(calls(&session));
        duel.round(host.calls(), theirs);
    }
    runtime.block_on(session.close());
    let after_calls = host.peak_mib();
    let bulk = json!({ "name": "test-bulk", "arguments": { "blocks": 64 } });
    host.ask("tools/call", &bulk);
    let after_bulk = host.peak_mib();
    drop(host.to);
    host.server.wait().expect("its end");
    let (ours, theirs, ratios) = (duel.ours(), duel.theirs(), duel.ratios());
    vec![
        figure.read(
            duel.ratio(),
            format!(
                "tools/call p50 {:.3} ms, p90 {:.3} over {}; ratio {:.2} to {:.2} over {} rounds",
                ours.median(),
                ours.percentile(90),
                ours.len(),
                ratios.min(),
                ratios.max(),
                ratios.len(),
            ),
            format!(
                "a warm call in a process that runs: p50 {:.3} ms, p90 {:.3}",
                theirs.median(),
                theirs.percentile(90)
            ),
        ),
        Reading {
            figure: "client_rss_mib".to_owned(),
            value: after_calls,
            unit: "MiB",
            against: format!("the MCP server, at most, after {} calls", ours.len()),
            limit: Limit::AtMost(20.0),
            spread: format!("{after_bulk:.1} once it holds 4 MiB of output"),
        },
    ]
}
