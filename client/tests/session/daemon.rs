//! A daemon's end of the channel that does what the verb's name says.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use policy::{
    Authority, Capability, Constraint, Content, Effect, Input, Kind, MenuEntry, MenuParameter,
    ParameterProblem, PublicRefusal, Scope, SeatId, ShareId, Stdin, Timestamp, Value, passport,
};
use relay::leg::{Dialer, HostEvent, HostLeg, RelayAddress, Trust};
use relay::protocol::RendezvousKey;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wire::call::{
    CallId, CallStatement, ClockStatement, Ending, OutcomeStatement, Redemption, Signed,
};
use wire::channel::{
    ChannelKey, Connection, ConnectionError, LegNumber, Limits, ReadError, RecvStream, ResetKey,
    SendStream, ServerEndpoint, peer_holder_key,
};
use wire::fingerprint::Fingerprint;
use wire::frame::{
    Farewell, Frame, Frames, Joined, MAX_DATA, Refusal, STDIN_AHEAD, ShareEnd, Taken, Update,
};
use wire::handle::{Handle, Identity, Secret};

use crate::relay_process::{deployment_token, leg_key};

const RENDEZVOUS: [u8; 32] = [1; 32];
const REDEEM: [u8; 32] = [2; 32];

/// What the test tells the daemon, and what the daemon has seen.
#[derive(Debug)]
pub(crate) struct Script {
    /// Lets verbs that wait go on.
    pub(crate) go: watch::Sender<bool>,
    /// The share's end, once it is over.
    pub(crate) end: watch::Sender<Option<ShareEnd>>,
    /// What happened, in order.
    pub(crate) seen: Mutex<Vec<String>>,
    /// How many clients have said goodbye.
    pub(crate) farewells: watch::Sender<usize>,
    asked: Mutex<HashMap<CallId, u32>>,
}

pub(crate) struct Daemon {
    pub(crate) script: Arc<Script>,
    relay: RelayAddress,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[4; 32])
}

fn channel_key() -> ChannelKey {
    ChannelKey::from_seed([3; 32])
}

pub(crate) fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "the program under test reads this clock")]
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp(u64::try_from(since.as_millis()).unwrap())
}

pub(crate) fn fingerprint() -> String {
    Fingerprint::of(&key().verifying_key().to_bytes()).to_string()
}

/// The verbs of the script.
const VERBS: [&str; 13] = [
    "echo.say",
    "log.follow",
    "big.out",
    "lost.once",
    "bad.receipt",
    "share.end",
    "deny.all",
    "deny.value",
    "pause.wait",
    "give.all",
    "give.lost",
    "give.enough",
    "give.nothing",
];

fn menu() -> Vec<MenuEntry> {
    let text = MenuParameter {
        kind: Kind::Text,
        required: false,
        default: None,
        accepts: vec![Constraint::Any],
        summary: String::new(),
    };
    let entry = |verb: &&str| MenuEntry {
        approve: policy::Approve::Never,
        verb: verb.parse().unwrap(),
        summary: "does as it says".to_owned(),
        effect: Effect::Read,
        input: match verb.strip_prefix("give.") {
            Some("all" | "lost" | "enough") => {
                Input::Stdin(Stdin { content: Content::Bytes, max: 1 << 30 })
            }
            _ => Input::Nothing,
        },
        reflects: None,
        transfers: None,
        notes: false,
        parameters: BTreeMap::from([("text".parse().unwrap(), text.clone())]),
    };
    VERBS.iter().map(entry).collect()
}

impl Daemon {
    pub(crate) fn start(relay: &RelayAddress) -> Self {
        let script = Arc::new(Script {
            go: watch::Sender::new(false),
            end: watch::Sender::new(None),
            seen: Mutex::default(),
            farewells: watch::Sender::new(0),
            asked: Mutex::default(),
        });
        let stop = CancellationToken::new();
        let (told, address, ended) = (Arc::clone(&script), relay.clone(), stop.clone());
        let (ready, is_ready) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let _ended = ended.run_until_cancelled(serve(told, address, ready)).await;
            });
            runtime.shutdown_background();
        });
        is_ready.recv().unwrap();
        Self { script, relay: relay.clone(), stop, thread: Some(thread) }
    }

    pub(crate) fn authority(&self) -> Authority {
        Authority {
            daemon: "web-1".parse().unwrap(),
            share: ShareId::from_random([7; 8]),
            seat: SeatId(0),
            owner: "alice".to_owned(),
            relays: vec![self.relay.to_string()],
            not_after: Timestamp(now().0 + 600_000),
            channel_key: channel_key().public(),
            redeem_key: SigningKey::from_bytes(&REDEEM).verifying_key().to_bytes(),
            depth: 0,
            scope: Scope::new(VERBS.map(|verb| Capability::new(verb.parse().unwrap(), []))),
        }
    }

    /// A handle for this key, and the seat that it gives.
    pub(crate) fn handle(&self, identity: &Identity) -> String {
        self.open_handle().seal(identity.recipient()).unwrap()
    }

    pub(crate) fn open_handle(&self) -> Handle {
        Handle {
            rendezvous: Secret::new(RENDEZVOUS),
            redeem: Some(Secret::new(REDEEM)),
            ancestors: Vec::new(),
            daemon_key: key().verifying_key().to_bytes(),
            passport: passport::mint(&key(), &self.authority()).unwrap(),
        }
    }

    pub(crate) fn seen(&self) -> Vec<String> {
        self.script.seen.lock().unwrap().clone()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Script {
    fn saw(&self, what: impl Into<String>) {
        self.seen.lock().unwrap().push(what.into());
    }

    fn has_seen(&self, what: &str) -> bool {
        self.seen.lock().unwrap().iter().any(|seen| seen == what)
    }
}

async fn serve(script: Arc<Script>, relay: RelayAddress, ready: std::sync::mpsc::Sender<()>) {
    let tasks = TaskTracker::new();
    let endpoint = ServerEndpoint::new(&ResetKey::from_seed([6; 32]), Limits::daemon(32)).unwrap();
    tasks.spawn(keep_leg(endpoint.clone(), relay, ready));
    while let Some(arrival) = endpoint.accept().await {
        let script = Arc::clone(&script);
        tasks.spawn(async move {
            if let Ok(connection) = arrival.admit(&channel_key()).await {
                attend(script, connection).await;
            }
        });
    }
}

/// Dials again whenever the relay is gone, as a broker does.
async fn keep_leg(
    endpoint: ServerEndpoint,
    relay: RelayAddress,
    ready: std::sync::mpsc::Sender<()>,
) {
    let dialer = Dialer::new(Trust::pins_only(), Duration::from_secs(2));
    loop {
        let dialled = HostLeg::dial(&dialer, &relay, &leg_key(), &deployment_token()).await;
        let Ok((leg, mut events)) = dialled else { continue };
        if leg.register(RendezvousKey::of_seed(&RENDEZVOUS)).await.is_err() {
            continue;
        }
        endpoint.attach(LegNumber(0), Arc::new(leg.clone()));
        let _listening = ready.send(());
        while !matches!(events.next().await, HostEvent::Lost(_)) {}
    }
}

async fn attend(script: Arc<Script>, connection: Connection) {
    let tasks = TaskTracker::new();
    let holder = peer_holder_key(&connection).unwrap();
    let (send, receive) = connection.accept_bi().await.unwrap();
    tasks.spawn(control(Arc::clone(&script), connection.clone(), send, receive, holder));
    while let Ok((send, receive)) = connection.accept_bi().await {
        let call = Call {
            script: Arc::clone(&script),
            connection: connection.clone(),
            send,
            receive,
            holder,
            frames: Frames::default(),
            passed: (0, 0),
        };
        tasks.spawn(call.serve());
    }
    if let ConnectionError::ApplicationClosed(close) = connection.closed().await
        && Farewell::from_code(close.error_code.into_inner()) == Some(Farewell::Bye)
    {
        script.farewells.send_modify(|farewells| *farewells += 1);
    }
}

async fn frame(receive: &mut RecvStream, frames: &mut Frames) -> Result<Frame, Option<ReadError>> {
    loop {
        if let Some(frame) = frames.take().unwrap() {
            return Ok(frame);
        }
        match receive.read_chunk(70_000, true).await {
            Ok(Some(chunk)) => frames.push(&chunk.bytes),
            Ok(None) => return Err(None),
            Err(fault) => return Err(Some(fault)),
        }
    }
}

async fn control(
    script: Arc<Script>,
    connection: Connection,
    mut send: SendStream,
    mut receive: RecvStream,
    holder: [u8; 32],
) {
    let mut frames = Frames::default();
    let Ok(Frame::Join(join)) = frame(&mut receive, &mut frames).await else { panic!("no join") };
    let redeem = SigningKey::from_bytes(&REDEEM).verifying_key().to_bytes();
    let joined = format!("join {:02x}{:02x}", holder[0], holder[1]);
    match &join.redemption {
        Some(redemption) => {
            let redemption: Redemption = redemption.verify(&redeem).unwrap();
            assert_eq!(redemption.holder, holder, "the channel's key is the one that is redeemed");
            script.saw(joined);
        }
        None if script.has_seen(&joined) => script.saw("look"),
        None => {
            script.saw("refused");
            send.write_all(&Frame::Refused(Refusal::NoSeat).encode().unwrap()).await.unwrap();
            return;
        }
    }
    let clock = ClockStatement { nonce: join.nonce, now: now() };
    let standing =
        Update { deadline: Timestamp(now().0 + 600_000), passport: None, menu: menu(), notes: 0 };
    let joined = Joined {
        share: ShareId::from_random([7; 8]),
        seat: SeatId(0),
        clock: Signed::new(&clock, &key()).unwrap(),
        standing,
    };
    send.write_all(&Frame::Joined(Box::new(joined)).encode().unwrap()).await.unwrap();
    let mut ends = script.end.subscribe();
    let Ok(end) = ends.wait_for(Option::is_some).await.map(|end| end.clone()) else { return };
    send.write_all(&Frame::Ended(end.unwrap()).encode().unwrap()).await.unwrap();
    if let Ok(Frame::EndSeen) = frame(&mut receive, &mut frames).await {
        script.saw("end seen");
    }
    connection.close(Farewell::Ended.code().into(), b"");
}

struct Call {
    script: Arc<Script>,
    connection: Connection,
    send: SendStream,
    receive: RecvStream,
    frames: Frames,
    holder: [u8; 32],
    passed: (u64, u64),
}

impl Call {
    async fn serve(mut self) {
        let first = frame(&mut self.receive, &mut self.frames).await;
        let Ok(Frame::Call(signed)) = first else { return };
        let statement: CallStatement = signed.verify(&self.holder).unwrap();
        let ahead = statement.not_after.since(now());
        assert!(ahead > Duration::from_secs(15) && ahead <= Duration::from_secs(30), "{ahead:?}");
        let asked = {
            let mut all = self.script.asked.lock().unwrap();
            let asked = all.entry(statement.id).or_insert(0);
            *asked += 1;
            *asked
        };
        self.script.saw(format!("call {} {asked}", statement.verb));
        self.act(&statement, asked).await;
    }

    async fn act(&mut self, statement: &CallStatement, asked: u32) {
        match statement.verb.as_str() {
            "echo.say" => {
                let text = statement.arguments.value(&"text".parse().unwrap());
                let text = text.map(Value::to_string).unwrap_or_default();
                self.say(Frame::Started).await;
                self.say(Frame::Stdout(text.into())).await;
                self.say(Frame::Stderr("err\n".into())).await;
                self.outcome(statement, Ending::Exited(7), &key()).await;
            }
            "log.follow" => {
                self.say(Frame::Started).await;
                self.say(Frame::Stdout("ready\n".into())).await;
                let left = self.receive.read_chunk(1, true).await;
                assert!(
                    matches!(left, Err(ReadError::Reset(_) | ReadError::ConnectionLost(_))),
                    "{left:?}"
                );
                self.script.saw("reset");
                self.outcome(statement, Ending::Cancelled, &key()).await;
            }
            "big.out" => {
                self.say(Frame::Started).await;
                for block in 0..128_u32 {
                    self.say(Frame::Stdout(vec![block.to_le_bytes()[0]; 64 * 1024].into())).await;
                }
                self.outcome(statement, Ending::Exited(0), &key()).await;
            }
            "lost.once" if asked == 1 => {
                self.say(Frame::Started).await;
                self.say(Frame::Stdout("one\n".into())).await;
                self.go_on().await;
                self.connection.close(Farewell::Unreachable.code().into(), b"");
            }
            "lost.once" if asked < 4 => self.say(Frame::Refused(Refusal::Running)).await,
            "lost.once" => {
                self.passed = (8, 0);
                self.outcome(statement, Ending::Exited(0), &key()).await;
            }
            "bad.receipt" => {
                self.outcome(statement, Ending::Exited(0), &SigningKey::from_bytes(&[8; 32])).await;
            }
            "share.end" => {
                self.say(Frame::Started).await;
                let reason = Some("done\u{1b}]0;x\u{7} for today".to_owned());
                self.script.end.send_replace(Some(ShareEnd::Revoked { reason }));
                // A call's stream that ended before the share would be a lost call, and asked for again.
                self.connection.closed().await;
            }
            "deny.all" => {
                self.say(Frame::Refused(Refusal::Denied(PublicRefusal::NotPermitted))).await;
            }
            "deny.value" => {
                let accepts = vec![Constraint::exact(Value::text("web").unwrap())];
                let problem = ParameterProblem::Value { accepts };
                let refusal =
                    PublicRefusal::Parameter { parameter: "text".parse().unwrap(), problem };
                self.say(Frame::Refused(Refusal::Denied(refusal))).await;
            }
            "pause.wait" => {
                self.say(Frame::Started).await;
                self.say(Frame::Stdout("one\n".into())).await;
                self.go_on().await;
                self.say(Frame::Stdout("two\n".into())).await;
                self.outcome(statement, Ending::Exited(0), &key()).await;
            }
            "give.all" | "give.nothing" => {
                self.say(Frame::Started).await;
                let given = self.all_given(0).await;
                self.hand_back(statement, given).await;
            }
            "give.lost" if asked == 1 => {
                self.say(Frame::Started).await;
                self.taken(0, Some(STDIN_AHEAD as u64)).await;
                self.given(200_000).await;
                // Of what has come since, it has nothing any more.
                self.taken(150_000, Some(STDIN_AHEAD as u64 + 1)).await;
                self.go_on().await;
                self.connection.close(Farewell::Unreachable.code().into(), b"");
            }
            "give.lost" => {
                self.say(Frame::Started).await;
                let rest = self.all_given(150_000).await;
                self.hand_back(statement, rest).await;
            }
            "give.enough" => {
                self.say(Frame::Started).await;
                self.taken(0, Some(STDIN_AHEAD as u64)).await;
                let given = self.given(1).await.len() as u64;
                self.taken(given, None).await;
                self.outcome(statement, Ending::Exited(0), &key()).await;
            }
            _ => self.say(Frame::Refused(Refusal::Denied(PublicRefusal::NotPermitted))).await,
        }
    }

    async fn go_on(&self) {
        let mut go = self.script.go.subscribe();
        let _gone = go.wait_for(|go| *go).await;
    }

    async fn hand_back(&mut self, statement: &CallStatement, given: Vec<u8>) {
        for piece in given.chunks(MAX_DATA) {
            self.say(Frame::Stdout(piece.to_vec().into())).await;
        }
        self.outcome(statement, Ending::Exited(0), &key()).await;
    }

    async fn taken(&mut self, bytes: u64, until: Option<u64>) {
        self.say(Frame::Taken(Taken { bytes, until })).await;
    }

    /// All that is given from `at` on, to its end; never more than there is room for.
    async fn all_given(&mut self, at: u64) -> Vec<u8> {
        let (mut given, mut until) = (Vec::new(), at + STDIN_AHEAD as u64);
        self.taken(at, Some(until)).await;
        loop {
            let Some(piece) = self.piece().await else { return given };
            given.extend_from_slice(&piece);
            let had = at + given.len() as u64;
            assert!(had <= until, "{had} bytes, and room for {until}");
            until = had + 100_000;
            self.taken(had, Some(until)).await;
        }
    }

    /// The next piece that is given; none at the end.
    async fn piece(&mut self) -> Option<Bytes> {
        let said = frame(&mut self.receive, &mut self.frames).await.unwrap();
        let Frame::Stdin(bytes) = said else {
            assert_eq!(said, Frame::StdinEnd);
            return None;
        };
        Some(bytes)
    }

    /// At least so much of what is given.
    async fn given(&mut self, least: usize) -> Vec<u8> {
        let mut given = Vec::new();
        while given.len() < least {
            given.extend_from_slice(&self.piece().await.expect("there is more"));
        }
        given
    }

    async fn say(&mut self, frame: Frame) {
        if let Frame::Stdout(bytes) = &frame {
            self.passed.0 += bytes.len() as u64;
        }
        if let Frame::Stderr(bytes) = &frame {
            self.passed.1 += bytes.len() as u64;
        }
        let _gone = self.send.write_all(&frame.encode().unwrap()).await;
    }

    async fn outcome(&mut self, statement: &CallStatement, ending: Ending, signer: &SigningKey) {
        let outcome = OutcomeStatement {
            share: statement.share,
            id: statement.id,
            call: statement.content().unwrap(),
            ending,
            stdout: self.passed.0,
            stderr: self.passed.1,
            redactions: 0,
            stdin: 0,
            started: now(),
            ended: now(),
        };
        self.say(Frame::Outcome(Signed::new(&outcome, signer).unwrap())).await;
        let _all_sent = self.send.finish();
        let _delivered = self.send.stopped().await;
    }
}
