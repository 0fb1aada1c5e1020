//! Writes the seeds anew, of real things: what the parsers meet on a good day, and one thing each that they refuse.

use std::fs;
use std::io::Read as _;
use std::path::PathBuf;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use daemon::clock::Instants;
use daemon::monitor::audit::{Audit, Durability, Event, LOG, Said};
use ed25519_dalek::SigningKey;
use fuzz::{IDENTITY, ROOT};
use policy::{
    Arguments, Authority, Groups, Narrowing, Policy, Request, RequestId, Scope, SeatId, ShareId,
    Source, Subject, Timestamp, Value, passport,
};
use relay::protocol::control::{self as relay_control, FlowOpened, LegMessage, RelayMessage};
use relay::protocol::hello::{Exporter, GuestHello, HostHello};
use relay::protocol::token::{self, OperatorKey, Terms};
use relay::protocol::{FlowId, RendezvousKey, flow};
use wire::access::{AccessStatement, Why, Wanted};
use wire::call::{
    CallId, CallStatement, ClockStatement, Ending, OutcomeStatement, Redemption, Signed, Statement,
};
use wire::cbor::to_canonical;
use wire::control::{self, Failure, FailureKind, Open, Reply, To, Which};
use wire::frame::{Frame, Join, Refusal, ShareEnd, Taken, VERSION};
use wire::handle::{Handle, Identity, Secret};
use wire::privsep::{CallRef, ChannelId, FromBroker, Given, Unfit};
use wire::terminal::{Terminal, WindowSize};

const VERBS: &str = include_str!("../../examples/web-team/verbs.d/web.toml");
const RULES: &str = include_str!("../../examples/web-team/policy.d/team.toml");
const NOW: Timestamp = Timestamp(1_790_000_000_000);
const END: Timestamp = Timestamp(1_790_001_800_000);
const REDEEM: [u8; 32] = [2; 32];

fn main() {
    handles();
    texts();
    frames();
    statements();
    sockets();
    relays();
    passports();
    logs();
    output();
}

fn write(target: &str, name: &str, bytes: impl AsRef<[u8]>) {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&directory).expect("make a directory");
    fs::write(directory.join(name), bytes).expect("write a seed");
}

fn root() -> SigningKey {
    SigningKey::from_bytes(&ROOT)
}

fn policy() -> Policy {
    let source = |name: &str, text: &str| Source { name: name.to_owned(), text: text.to_owned() };
    policy::load(&[source("verbs.d/web.toml", VERBS)], &[source("policy.d/team.toml", RULES)])
        .expect("the examples")
}

fn scope(requests: &[&str]) -> Scope {
    let policy = policy();
    let you = policy.principal("alice", Some(&"you".parse().expect("a name"))).expect("an agent");
    let you = Subject { principal: you, groups: Groups::none(), now: Timestamp(0) };
    let requests: Vec<Request> =
        requests.iter().map(|request| request.parse().expect("a request")).collect();
    policy.surface(&you).derive(&requests).expect("a scope")
}

fn authority() -> Authority {
    Authority {
        daemon: "web-1".parse().expect("a name"),
        share: ShareId::from_random([1; 8]),
        seat: SeatId(0),
        owner: "alice".to_owned(),
        relays: vec!["relay.example.com:443".to_owned()],
        not_after: END,
        channel_key: [3; 32],
        redeem_key: SigningKey::from_bytes(&REDEEM).verifying_key().to_bytes(),
        depth: 2,
        scope: scope(&["log.tail", "service.restart"]),
    }
}

fn minted() -> Vec<u8> {
    passport::mint(&root(), &authority()).expect("a passport")
}

fn narrowed() -> Vec<u8> {
    let narrowing = Narrowing {
        not_after: Timestamp(END.0 - 1000),
        depth: 1,
        scope: scope(&["log.tail:service=web,lines<=100"]),
        reason: "only the web logs".to_owned(),
    };
    passport::narrow(&minted(), &root().verifying_key(), &narrowing).expect("a passport")
}

/// Handed on by the holder to another redeem key.
fn handed_on() -> Vec<u8> {
    let narrowing = Narrowing {
        not_after: END,
        depth: 1,
        scope: scope(&["log.tail:service=web"]),
        reason: "the night watch".to_owned(),
    };
    let holder = SigningKey::from_bytes(&[20; 32]);
    let redeem_key = SigningKey::from_bytes(&[21; 32]).verifying_key().to_bytes();
    let root = root().verifying_key();
    passport::hand_on(&minted(), &root, &holder, &narrowing, redeem_key).expect("a passport")
}

fn passports() {
    write("passport", "good", minted());
    write("passport", "good-handed-on", handed_on());
    write("passport", "good-narrowed", narrowed());
    let other = passport::mint(&SigningKey::from_bytes(&[8; 32]), &authority());
    write("passport", "bad-other-root", other.expect("a passport"));
}

fn handles() {
    let handle = Handle {
        rendezvous: Secret::new([1; 32]),
        redeem: Some(Secret::new(REDEEM)),
        daemon_key: root().verifying_key().to_bytes(),
        passport: minted(),
        ancestors: Vec::new(),
    };
    let keys = Identity::parse(IDENTITY, || None).expect("a key");
    let text = handle.seal(keys[0].recipient()).expect("a handle");
    write("handle_text", "good", &text);
    write("handle_text", "good-quoted", format!("> {}\n> {}\n", &text[..70], &text[70..]));
    write("handle_text", "bad-cut", &text[..60]);
    write("handle_text", "bad-version", text.replace("osp1_", "osp9_"));
    let contents = opened(&text);
    write("handle_contents", "good", &contents);
    write("handle_contents", "bad-cut", &contents[..contents.len() - 1]);
    let redeem = Some(Secret::new([21; 32]));
    let handed_on = Handle { redeem, passport: handed_on(), ancestors: vec![None], ..handle };
    let text = handed_on.seal(keys[0].recipient()).expect("a handle");
    write("handle_contents", "good-handed-on", opened(&text));
}

/// What is inside a handle.
fn opened(text: &str) -> Vec<u8> {
    let file = BASE64_URL_SAFE_NO_PAD.decode(text.trim_start_matches("osp1_")).expect("base64");
    let key: age::x25519::Identity = IDENTITY.trim().parse().expect("a key");
    let decryptor = age::Decryptor::new(file.as_slice()).expect("an age file");
    let mut contents = Vec::new();
    let keys = std::iter::once(&key as &dyn age::Identity);
    decryptor.decrypt(keys).expect("our key").read_to_end(&mut contents).expect("memory");
    contents
}

fn texts() {
    let keys = Identity::parse(IDENTITY, || None).expect("a key");
    let fingerprint = wire::fingerprint::Fingerprint::of(&root().verifying_key().to_bytes());
    write("fingerprint_claim", "good", fingerprint.to_string());
    write("fingerprint_claim", "good-words", fingerprint.words().join(" "));
    write("fingerprint_claim", "good-dashes", fingerprint.words().join("-").to_uppercase());
    write("fingerprint_claim", "bad-short", &fingerprint.to_string()[..30]);
    write("fingerprint_claim", "bad-word", "zebra zebra zebra zebra zebra zebra zebra zebraa");
    write("recipient_key", "good-age", keys[0].recipient().to_string());
    write("recipient_key", "good-ssh", include_str!("../../wire/src/handle/tests/ed25519.pub"));
    write("recipient_key", "good-rsa", include_str!("../../wire/src/handle/tests/rsa.pub"));
    write("recipient_key", "bad-ecdsa", include_str!("../../wire/src/handle/tests/ecdsa.pub"));
    write("recipient_key", "bad-zeros", "ssh-rsa AAAAB3NzaC1yc2EAAAABAAAAAAIBAg==");
    write("identity_text", "good-age", IDENTITY);
    write("identity_text", "good-ssh", include_str!("../../wire/src/handle/tests/ed25519"));
    write(
        "identity_text",
        "bad-encrypted",
        include_str!("../../wire/src/handle/tests/ed25519_encrypted"),
    );
    write("identity_text", "bad-public", keys[0].recipient().to_string());
    write("policy_text", "good", format!("{VERBS}\n----\n{RULES}"));
    write(
        "policy_text",
        "bad-unknown-verb",
        format!("{VERBS}\n----\n{}", RULES.replace("host.uptime", "host.uptimes")),
    );
    write("request_text", "good", "log.tail:service=web|worker,lines<=100");
    write("request_text", "good-quoted", "file.read:path='/var/log/a, b',depth=1..5,mode=\"x|y\"");
    write("request_text", "good-prefix", "log.tail:service=w*,lines=*,tail>=-5");
    write("request_text", "bad-comma", "log.tail:service=web,,");
    write("narrow_text", "good", "log.tail:service=web,lines<=100\nservice.restart");
    write("narrow_text", "good-list", "log.tail:service=web|worker");
    write("narrow_text", "bad-wider", "log.tail:service=vault");
    write("narrow_text", "bad-other", "host.uptime");
    let expected = include_str!("../../examples/small-team/policy.test.toml");
    write("expectation_text", "good", expected);
    write("expectation_text", "bad-verb", expected.replace("log.tail", "log.tial"));
    write("expectation_text", "bad-key", expected.replace("groups", "group"));
    write("relay_address", "good", "relay.example.com:443");
    write(
        "relay_address",
        "good-v6",
        "[2001:db8::1]:443#SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    );
    write("relay_address", "bad-port", "relay.example.com:70000");
}

fn call_statement() -> CallStatement {
    let arguments = [
        ("service".parse().expect("a name"), Value::text("web").expect("a value")),
        ("lines".parse().expect("a name"), Value::Int(50)),
    ];
    CallStatement {
        daemon: root().verifying_key().to_bytes(),
        share: ShareId::from_random([1; 8]),
        seat: SeatId(0),
        passport: [5; 32],
        id: CallId([4; 16]),
        verb: "log.tail".parse().expect("a verb"),
        arguments: arguments.into_iter().collect::<Arguments>(),
        head: Vec::new(),
        not_after: NOW,
    }
}

fn outcome() -> OutcomeStatement {
    OutcomeStatement {
        share: ShareId::from_random([1; 8]),
        id: CallId([4; 16]),
        call: [6; 32],
        ending: Ending::Exited(0),
        stdout: 512,
        stderr: 0,
        redactions: 0,
        stdin: 9,
        started: NOW,
        ended: END,
    }
}

fn access_statement() -> AccessStatement {
    let wanted = vec!["service.restart:service=web".to_owned()];
    AccessStatement {
        daemon: root().verifying_key().to_bytes(),
        share: ShareId::from_random([1; 8]),
        seat: SeatId(0),
        passport: [3; 32],
        id: CallId([4; 16]),
        wanted: Wanted::try_from(wanted).expect("one"),
        reason: Why::try_from("it hangs".to_owned()).expect("short"),
        not_after: NOW,
    }
}

fn redemption() -> Redemption {
    Redemption {
        daemon: root().verifying_key().to_bytes(),
        share: ShareId::from_random([1; 8]),
        seat: SeatId(0),
        holder: [9; 32],
    }
}

fn statements() {
    let seed = |name: &str, bytes: Vec<u8>| write("statements", name, bytes);
    seed("good-call", labelled(&call_statement()));
    seed("good-access", labelled(&access_statement()));
    let unreasoned = (AccessStatement::LABEL, [("reason", "")]);
    seed("bad-access", to_canonical(&unreasoned).expect("bytes"));
    seed("good-outcome", labelled(&outcome()));
    seed("good-redemption", labelled(&redemption()));
    seed("good-clock", labelled(&ClockStatement { nonce: [1; 16], now: NOW }));
    seed("bad-label", to_canonical(&("openscope other v1", redemption())).expect("bytes"));
}

fn labelled<S: Statement>(statement: &S) -> Vec<u8> {
    to_canonical(&(S::LABEL, statement)).expect("bytes")
}

fn join() -> Join {
    let redemption = Signed::new(&redemption(), &SigningKey::from_bytes(&REDEEM)).expect("small");
    Join {
        version: VERSION,
        passport: minted(),
        ancestors: Vec::new(),
        redemption: Some(redemption),
        nonce: [5; 16],
    }
}

fn signed_call() -> Signed {
    Signed::new(&call_statement(), &SigningKey::from_bytes(&[9; 32])).expect("small")
}

fn signed_access() -> Signed {
    Signed::new(&access_statement(), &SigningKey::from_bytes(&[9; 32])).expect("small")
}

fn frames() {
    let bytes = |frames: &[Frame]| -> Vec<u8> {
        frames.iter().flat_map(|frame| frame.encode().expect("small")).collect()
    };
    let outcome = Signed::new(&outcome(), &root()).expect("small");
    write("frames", "good-join", bytes(&[Frame::Join(join()), Frame::EndSeen]));
    write("frames", "good-call", bytes(&[Frame::Call(signed_call())]));
    let granted = [Frame::Ask(signed_access()), Frame::Granted];
    write("frames", "good-ask", bytes(&granted));
    write("frames", "bad-granted", [0x1a, 0, 0, 0, 1, 0]);
    let answer = [
        Frame::Pending(RequestId::from_random([7; 8])),
        Frame::Started,
        Frame::Taken(Taken { bytes: 9, until: Some(1 << 18) }),
        Frame::Stdout(Bytes::from_static(b"web line 1\n")),
        Frame::Stderr(Bytes::new()),
        Frame::Outcome(outcome),
    ];
    write("frames", "good-answer", bytes(&answer));
    let given = [Frame::Stdin(Bytes::from_static(b"web line 1\n")), Frame::StdinEnd];
    write("frames", "good-input", bytes(&given));
    let size = WindowSize::new(24, 80).expect("a size");
    let terminal = [Frame::Terminal(Terminal { name: None, size }), Frame::Resize(size)];
    write("frames", "good-terminal", bytes(&terminal));
    write("frames", "bad-size", b"\x18\0\0\0\x10\xa2\x64rows\x00\x67columns\x01");
    let ends = [
        Frame::Refused(Refusal::NoSeat),
        Frame::Refused(Refusal::Busy { limit: "limits.calls_per_share".to_owned() }),
        Frame::Ended(ShareEnd::Revoked { reason: Some("done".to_owned()) }),
    ];
    write("frames", "good-ends", bytes(&ends));
    write("frames", "bad-kind", [0x7f, 0, 0, 0, 0]);
    write("frames", "bad-length", [0x20, 0, 1, 0, 1]);
}

fn sockets() {
    let owner = |name: &str, bytes: std::io::Result<Vec<u8>>| {
        write("owner_socket", name, bytes.expect("small"));
    };
    let open = Open {
        agent: Some("you".parse().expect("a name")),
        verbs: vec!["log.tail:service=web".to_owned()],
        to: To::Contacts(vec!["vendor-b".parse().expect("a name")]),
        ttl_ms: Some(60_000),
        redelegate: 1,
        approve: policy::Approve::Never,
        budget: policy::Budget::default(),
        expect: None,
    };
    owner("good-open", control::encode(&control::Request::Open(open)));
    let (request, expect) = (RequestId::from_random([7; 8]), Some("ab".repeat(32)));
    owner("good-approve", control::encode(&control::Request::Approve { request, expect }));
    let requests = control::Request::Requests { all: true, only: Some(request) };
    owner("good-requests", control::encode(&requests));
    owner("good-status", control::encode(&control::Request::Status));
    let revoke = control::Request::Revoke { which: Which::All, reason: Some("done".to_owned()) };
    owner("good-revoke", control::encode(&revoke));
    let failure = Failure { kind: FailureKind::Refused, message: "no".to_owned(), hint: None };
    owner("good-failed", control::encode(&Reply::Failed(failure)));
    write("owner_socket", "bad-length", [0xff; 8]);
    let broker = |name: &str, message: &FromBroker| {
        write("broker_socket", name, to_canonical(message).expect("small"));
    };
    broker("good-ready", &FromBroker::Ready { landlock: true, seccomp: true });
    let (channel, share) = (ChannelId(7), ShareId::from_random([1; 8]));
    broker(
        "good-join",
        &FromBroker::Join { channel, share, seat: SeatId(0), holder: [9; 32], join: join() },
    );
    broker("good-call", &FromBroker::Call { channel, call: CallRef(1), signed: signed_call(), terminal: None });
    broker("good-ask", &FromBroker::Ask { channel, call: CallRef(2), signed: signed_access() });
    broker("good-drained", &FromBroker::Drained { call: CallRef(1), stdout: 512, stderr: 0, redactions: 0, given: Some(Given { bytes: 9, sha256: [7; 32] }) });
    broker("good-unfit", &FromBroker::Unfit { call: CallRef(1), why: Unfit::NotText });
    write("broker_socket", "bad-map", [0xa1, 0x60, 0x60]);
}

fn relays() {
    let said = |name: &str, framed: Vec<u8>| {
        write("relay_control", name, &framed[relay_control::LENGTH_BYTES..]);
    };
    let (exporter, leg) = (Exporter([0; 32]), SigningKey::from_bytes(&[6; 32]));
    let (key, number) = (RendezvousKey::of_seed(&[1; 32]), FlowId::from_number(0x0102_0304));
    let flow = number.expect("not zero");
    let terms = Terms {
        leg_key: leg.verifying_key().to_bytes(),
        shares: 256,
        bandwidth: 1 << 29,
        not_after: END.0,
    };
    let operator = OperatorKey::from_seed(zeroize::Zeroizing::new(ROOT));
    let token = token::mint(&operator, &terms).expect("a token");
    let host = HostHello::sign(&leg, token.as_bytes().to_vec(), exporter);
    let write_leg = |message: &LegMessage| relay_control::write(message).expect("small");
    said("good-host", write_leg(&LegMessage::Host(host)));
    said("good-guest", write_leg(&LegMessage::Guest(GuestHello::sign(&[1; 32], exporter))));
    said("good-register", write_leg(&LegMessage::Register(key)));
    said("good-close", write_leg(&LegMessage::CloseFlow(flow)));
    let opened = RelayMessage::FlowOpened(FlowOpened { flow, rendezvous: key });
    said("good-opened", relay_control::write(&opened).expect("small"));
    said("good-draining", relay_control::write(&RelayMessage::Draining).expect("small"));
    write("relay_control", "bad-number", [0x01]);
    write("relay_datagram", "good-packet", flow::write(flow, b"abc"));
    write("relay_datagram", "good-probe", flow::probe([1; 8], 64));
    write("relay_datagram", "bad-short", [1, 2, 3]);
    write("deployment_token", "good", token.to_string());
    write("deployment_token", "good-bytes", token.as_bytes());
    write("deployment_token", "bad-cut", &token.to_string()[..80]);
}

fn logs() {
    let state = tempfile::tempdir().expect("a directory");
    let now = Instants { wall: NOW, boot: std::time::Duration::from_secs(60) };
    let (mut audit, _) = Audit::open(state.path(), root(), now).expect("a log");
    for event in [
        Event::PolicyRejected { by: None, faults: 2, first: Said::new("policy.d/team.toml:3") },
        Event::BrokerRestarted { why: Said::new("signal 9") },
        Event::DaemonStopped { why: Said::new("SIGTERM") },
    ] {
        audit.record(event, now).expect("room");
        audit.commit(Durability::Now, now).expect("a disk");
    }
    let log = fs::read(state.path().join(LOG)).expect("the log");
    let end = log.iter().rposition(|byte| *byte == b'\n').expect("a line") + 1;
    let log = &log[..end];
    write("audit_log", "good", log);
    let first = log.iter().position(|byte| *byte == b'\n').expect("a line") + 1;
    write("audit_log", "bad-first-deleted", &log[first..]);
    write(
        "audit_log",
        "bad-edited",
        String::from_utf8_lossy(log).replace("SIGTERM", "SIGKILL").as_bytes(),
    );
}

/// The first byte says in pieces of which size it comes.
fn output() {
    let token = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";
    let key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj\n-----END PRIVATE KEY-----\n";
    write("redaction", "good-token", format!("\u{5}clone with {token}, then build\n"));
    write("redaction", "good-key", format!("\u{7}a\n{key}b\n"));
    write("redaction", "good-password", "\u{3}DB_PASSWORD=hunter2 DB_HOST=db\n");
    write("redaction", "good-value", "\u{2}said correct horse battery, xhunter22x\n");
    write("redaction", "good-form", "\u{9}corp-key-16C7e42F292c6912E7710c id=123456\nticket 12345678\n");
    write("redaction", "good-drawn", "\u{8}value Zk3vQ9xTb7LmR2pWc8Ys1Hd4\n");
    write("redaction", "bad-prose", "\u{4}password authentication failed for user; id=12345\n");
    write("redaction", "bad-digest", "\u{6}commit 16c7e42f292c6912e7710c838347ae178b4a0c1d\n");
}
