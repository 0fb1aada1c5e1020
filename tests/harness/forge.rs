//! A guest who holds a handle's secrets and says to the daemon whatever they like.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use policy::passport::Narrowing;
use policy::{Arguments, Timestamp, Value};
use relay::leg::{Dialer, GuestEvents, GuestLeg, Trust};
use wire::access::AccessStatement;
use wire::call::{CallId, CallStatement, Redemption, Signed};
use wire::channel::{ClientEndpoint, Connection, HolderKey, Limits, RecvStream};
use wire::frame::{Frame, Frames, Join, VERSION};
use wire::handle::{Handle, Identity, Sealed, Secret};

/// The longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// A handle, open.
///
/// # Panics
/// When `identity` does not open it.
pub fn open(handle: &str, identity: &str) -> Handle {
    let identities = Identity::parse(identity, || None).expect("an identity");
    let sealed = Sealed::parse(handle).expect("a handle");
    sealed.open(&identities).expect("the identity opens the handle")
}

/// A channel of somebody who met the rendezvous.
pub struct Guest {
    pub connection: Connection,
    endpoint: ClientEndpoint,
    leg: GuestLeg,
    _events: GuestEvents,
}

impl Guest {
    /// Comes to the daemon's door with the handle's rendezvous secret and `holder` as the own key.
    ///
    /// # Panics
    /// When there is no way to the daemon.
    pub async fn arrive(handle: &Handle, holder: &HolderKey) -> Self {
        let passport = handle.verify().expect("a whole handle");
        let authority = passport.authority();
        let address = authority.relays[0].parse().expect("an address");
        let dialer = Dialer::new(Trust::pins_only(), PATIENCE);
        let dialled = GuestLeg::dial(&dialer, &address, handle.rendezvous.expose()).await;
        let (leg, events) = dialled.expect("the relay lets the guest in");
        let endpoint = ClientEndpoint::new(Arc::new(leg.clone()), Limits::client());
        let endpoint = endpoint.expect("an endpoint");
        let connection = endpoint.connect(holder, &authority.channel_key).await;
        Self { connection: connection.expect("a channel"), endpoint, leg, _events: events }
    }

    /// The leg below the channel.
    pub fn leg(&self) -> &GuestLeg {
        &self.leg
    }

    /// Says `bytes` on a new stream; the first frame of the answer, if there is one.
    pub async fn say(&self, bytes: &[u8]) -> Option<Frame> {
        let (mut send, mut receive) =
            tokio::time::timeout(PATIENCE, self.connection.open_bi()).await.ok()?.ok()?;
        let _ = send.write_all(bytes).await;
        let answer = tokio::time::timeout(PATIENCE, first_frame(&mut receive)).await.ok().flatten();
        drop(send);
        answer
    }

    /// Asks for the seat.
    pub async fn join(&self, join: Join) -> Option<Frame> {
        self.say(&Frame::Join(join).encode().expect("a frame")).await
    }

    /// Asks for the seat, and keeps what came with it: a channel whose control stream ends is over.
    pub async fn sit(&self, join: Join) -> (Option<Frame>, impl Sized + use<>) {
        let (mut send, mut receive) = self.connection.open_bi().await.expect("a stream");
        send.write_all(&Frame::Join(join).encode().expect("a frame"))
            .await
            .expect("the daemon listens");
        let answer = tokio::time::timeout(PATIENCE, first_frame(&mut receive)).await.ok().flatten();
        (answer, (send, receive))
    }

    /// Goes away, with a word.
    pub async fn leave(self) {
        self.endpoint.close().await;
    }
}

async fn first_frame(from: &mut RecvStream) -> Option<Frame> {
    let mut frames = Frames::default();
    let mut buffer = vec![0; 4096];
    loop {
        if let Some(frame) = frames.take().ok()? {
            return Some(frame);
        }
        let length = from.read(&mut buffer).await.ok()??;
        frames.push(&buffer[..length]);
    }
}

/// A call of `test.append` under a passport, signed by the holder.
///
/// # Panics
/// When the handle is broken.
pub fn append(handle: &Handle, holder: &HolderKey, passport: &[u8], id: u8, name: &str) -> Signed {
    let authority = handle.verify().expect("a whole handle").authority().clone();
    let root = VerifyingKey::from_bytes(&handle.daemon_key).expect("a key");
    let passport = policy::passport::verify(passport, &root).expect("a passport of the daemon's");
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    let statement = CallStatement {
        daemon: handle.daemon_key,
        share: authority.share,
        seat: authority.seat,
        passport: passport.digest(),
        id: CallId([id; 16]),
        verb: "test.append".parse().expect("a verb"),
        arguments: Arguments::from_iter([(
            "name".parse().expect("a name"),
            Value::text(name).expect("a value"),
        )]),
        head: Vec::new(),
        not_after: Timestamp(u64::try_from(since.as_millis()).expect("in time") + 10_000),
    };
    Signed::new(&statement, &SigningKey::from_bytes(holder.seed())).expect("a statement")
}

/// An asking for one verb more, signed by the holder.
///
/// # Panics
/// When the handle is broken.
pub fn ask(handle: &Handle, holder: &HolderKey, id: u8, wanted: &str) -> Signed {
    let authority = handle.verify().expect("a whole handle").authority().clone();
    let root = VerifyingKey::from_bytes(&handle.daemon_key).expect("a key");
    let passport = policy::passport::verify(&handle.passport, &root).expect("the daemon's");
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    let statement = AccessStatement {
        daemon: handle.daemon_key,
        share: authority.share,
        seat: authority.seat,
        passport: passport.digest(),
        id: CallId([id; 16]),
        wanted: vec![wanted.to_owned()].try_into().expect("one"),
        reason: "because".to_owned().try_into().expect("a reason"),
        not_after: Timestamp(u64::try_from(since.as_millis()).expect("in time") + 10_000),
    };
    Signed::new(&statement, &SigningKey::from_bytes(holder.seed())).expect("a statement")
}

/// What was signed, with these bytes in the place of others as long, signed again by the holder: what no client of ours
/// would write, and the signature holds.
///
/// # Panics
/// When it does not say `from` exactly once.
pub fn altered(signed: &Signed, holder: &HolderKey, from: &[u8], to: &[u8]) -> Signed {
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Raw {
        #[serde(rename = "b", with = "serde_bytes")]
        bytes: Vec<u8>,
        #[serde(rename = "s", with = "serde_bytes")]
        signature: [u8; 64],
    }
    let written = wire::cbor::to_canonical(signed).expect("it can be written");
    let mut raw: Raw = wire::cbor::from_canonical(&written, written.len()).expect("its form");
    let found = |at: &usize| raw.bytes[*at..].starts_with(from);
    let places: Vec<usize> = (0..raw.bytes.len()).filter(found).collect();
    assert_eq!((places.len(), from.len()), (1, to.len()));
    raw.bytes[places[0]..places[0] + to.len()].copy_from_slice(to);
    raw.signature = SigningKey::from_bytes(holder.seed()).sign(&raw.bytes).to_bytes();
    let written = wire::cbor::to_canonical(&raw).expect("it can be written");
    wire::cbor::from_canonical(&written, written.len()).expect("its form")
}

/// The handle, handed on by `holder` to the redeem secret of this seed, with all that it permits.
///
/// # Panics
/// When it may not be.
pub fn handed_on(handle: &Handle, holder: &HolderKey, redeem: u8) -> Handle {
    let passport = handle.verify().expect("a whole handle");
    let root = VerifyingKey::from_bytes(&handle.daemon_key).expect("a key");
    let narrowing = Narrowing {
        not_after: passport.not_after(),
        depth: passport.depth().checked_sub(1).expect("it may be handed on"),
        scope: passport.scope().clone(),
        reason: String::new(),
    };
    let redeem = [redeem; 32];
    let redeem_key = SigningKey::from_bytes(&redeem).verifying_key().to_bytes();
    let signer = SigningKey::from_bytes(holder.seed());
    let longer =
        policy::passport::hand_on(&handle.passport, &root, &signer, &narrowing, redeem_key);
    let own = Redemption::of(handle.daemon_key, &passport, holder.public());
    let own = own.prove(&SigningKey::from_bytes(redeem_seed(handle))).expect("a proof");
    Handle {
        redeem: Some(Secret::new(redeem)),
        passport: longer.expect("a passport"),
        ancestors: [handle.ancestors.as_slice(), &[Some(own)]].concat(),
        ..handle.clone()
    }
}

/// The seed of the key that redeems the handle.
///
/// # Panics
/// When it has none.
pub fn redeem_seed(handle: &Handle) -> &[u8; 32] {
    handle.redeem.as_ref().expect("a redeem secret").expose()
}

/// A join with this redemption.
pub fn join(handle: &Handle, redemption: Option<Signed>) -> Join {
    Join {
        version: VERSION,
        passport: handle.passport.clone(),
        ancestors: handle.ancestors.clone(),
        redemption,
        nonce: [7; 16],
    }
}

/// "The seat is held by `holder`", signed with `signer`.
///
/// # Panics
/// When the handle is broken.
pub fn redemption(handle: &Handle, holder: &HolderKey, signer: &[u8; 32]) -> Signed {
    let passport = handle.verify().expect("a whole handle");
    let statement = Redemption {
        daemon: handle.daemon_key,
        share: passport.authority().share,
        seat: passport.authority().seat,
        holder: holder.public(),
    };
    Signed::new(&statement, &SigningKey::from_bytes(signer)).expect("a statement")
}
