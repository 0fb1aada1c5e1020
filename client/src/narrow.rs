//! `narrow`: a smaller handle, made without asking anybody, for the same holder or to hand on.

use std::path::Path;
use std::time::Duration;

use ed25519_dalek::{SigningKey, VerifyingKey};
use policy::passport::{MAX_REASON_BYTES, MintFault, Narrowing, hand_on, narrow};
use policy::{Passport, Request, Scope, Timestamp};
use serde_json::{Value, json};
use wire::call::{Proof, Redemption};
use wire::channel::HolderKey;
use wire::handle::{Handle, RecipientKey, Secret};
use zeroize::Zeroizing;

use crate::cli::{NarrowArguments, Options};
use crate::clock::{told, until};
use crate::environment::Environment;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::handle_text::{file, not_sealed};
use crate::inspect::further;
use crate::keys::{KeyFault, Seats};
use crate::neutral::one_line;
use crate::private_file::create;
use crate::seat::Seat;
use crate::start::{no_key, print, say};

/// What was made, and for whom.
struct Made {
    handle: String,
    narrowing: Narrowing,
    /// None where it is for the same holder.
    to: Option<RecipientKey>,
}

/// Makes the handle, and says how it is used.
pub(crate) fn run(
    seat: &Seat,
    own: Option<&RecipientKey>,
    what: &NarrowArguments,
    options: &Options,
    (environment, now): (&Environment, Timestamp),
) -> Result<Exit, Failure> {
    let to = what.to.as_deref().map(recipient).transpose()?;
    let narrowing = narrowing(seat.passport(), what, now)?;
    let seats = Seats::within(environment.state.as_deref().ok_or_else(crate::start::no_state)?);
    let handle = match &to {
        Some(key) => handed_on(seat, &narrowing, &holder(&seats, seat, now)?)?.seal(key),
        None => narrowed(seat, &narrowing, &seats)?.seal(own.ok_or_else(unnamed)?),
    };
    let made = Made { handle: handle.map_err(|fault| not_sealed(&fault))?, narrowing, to };
    tell(seat, &made, what.output.as_deref(), options, now)
}

fn unnamed() -> Failure {
    let what = "the new handle would be sealed to your own key, and the file with the key that a plugin keeps does not name its public one";
    Failure::new(Exit::USAGE, "recipient", what)
        .hint("write `# Recipient: age1…` into the line above it, or give `--to KEY`")
}

fn usage(what: impl Into<String>) -> Failure {
    Failure::new(Exit::USAGE, "usage", what)
}

/// The key of `--to`, or the one in the file that it names.
fn recipient(text: &str) -> Result<RecipientKey, Failure> {
    let text = match text.strip_prefix('@') {
        Some(path) => file(Path::new(path))?,
        None => Zeroizing::new(text.to_owned()),
    };
    text.parse().map_err(|fault| Failure::of(Exit::USAGE, "recipient", &fault))
}

/// Everything that the daemon would refuse is refused here, in the words of whoever asked.
fn narrowing(
    passport: &Passport,
    what: &NarrowArguments,
    now: Timestamp,
) -> Result<Narrowing, Failure> {
    let reason = what.reason.clone().unwrap_or_default();
    if reason.len() > MAX_REASON_BYTES {
        let length = reason.len();
        return Err(usage(format!(
            "the reason has {length} bytes, and {MAX_REASON_BYTES} are allowed"
        )));
    }
    Ok(Narrowing {
        not_after: not_after(passport, what.ttl, now)?,
        depth: depth(passport, what)?,
        scope: scope(passport, &what.verb)?,
        reason,
    })
}

fn scope(passport: &Passport, verbs: &[String]) -> Result<Scope, Failure> {
    if verbs.is_empty() {
        return Ok(passport.scope().clone());
    }
    let requests = verbs.iter().map(|verb| verb.parse::<Request>()).collect::<Result<Vec<_>, _>>();
    let requests = requests.map_err(|fault| usage(drawn(&fault)))?;
    passport.scope().derive(&requests).map_err(|fault| {
        Failure::new(Exit::USAGE, "wider", drawn(&fault))
            .hint("`inspect` shows what the handle permits")
    })
}

/// A fault with its mark under the character: of this person's own text, and of a scope's, each on lines of their own.
fn drawn(fault: &dyn std::fmt::Display) -> String {
    let text = fault.to_string();
    text.lines().map(|line| one_line(line, 2000)).collect::<Vec<_>>().join("\n")
}

fn not_after(
    passport: &Passport,
    ttl: Option<Duration>,
    now: Timestamp,
) -> Result<Timestamp, Failure> {
    let end = passport.not_after();
    let Some(ttl) = ttl else { return Ok(end) };
    let wanted = now.plus(ttl);
    if ttl.is_zero() {
        return Err(usage("a handle of no time is none: say how long, as in `--ttl 5m`"));
    }
    if wanted > end {
        let what = format!("the handle ends at {}, in {}", told(end), until(now, end));
        return Err(Failure::new(Exit::USAGE, "later", what)
            .hint("leave `--ttl` out, and the new one ends with it"));
    }
    Ok(wanted)
}

/// Handing on counts down; who is handed a seat may hand it on only where that is said.
fn depth(passport: &Passport, what: &NarrowArguments) -> Result<u8, Failure> {
    let most = match (&what.to, passport.depth().checked_sub(1)) {
        (None, _) => passport.depth(),
        (Some(_), Some(left)) => left,
        (Some(_), None) => {
            return Err(Failure::new(Exit::USAGE, "depth", "this handle may not be handed on")
                .hint(
                    "ask the owner for one that may; leave `--to` out to narrow it for yourself",
                ));
        }
    };
    let usual = if what.to.is_some() { 0 } else { most };
    match what.depth.unwrap_or(usual) {
        depth if depth <= most => Ok(depth),
        _ => {
            let what = format!("at most `--depth {most}` is left of the handle's own");
            Err(Failure::new(Exit::USAGE, "depth", what))
        }
    }
}

fn root(seat: &Seat) -> Result<VerifyingKey, Failure> {
    let key = VerifyingKey::from_bytes(&seat.handle().daemon_key);
    key.map_err(|_| Failure::new(Exit::NOT_RUN, "handle", "the handle names no valid daemon key"))
}

fn not_made(fault: &MintFault) -> Failure {
    Failure::of(Exit::USAGE, "passport", fault)
}

fn narrowed(seat: &Seat, narrowing: &Narrowing, seats: &Seats) -> Result<Handle, Failure> {
    seats.known(seat).map_err(|fault| no_key(&fault))?.ok_or_else(not_redeemed)?;
    let whole = seat.handle();
    let passport = narrow(&whole.passport, &root(seat)?, narrowing);
    let passport = passport.map_err(|fault| not_made(&fault))?;
    Ok(Handle { redeem: None, passport, ..whole.clone() })
}

fn not_redeemed() -> Failure {
    Failure::new(Exit::USAGE, "not_redeemed", "this seat's key is not on this machine: a narrowed handle works only for whoever holds the seat already")
        .hint("say `list` first, which redeems the seat, or hand it on with `--to KEY`")
}

/// The key that signs the handing on: a handle with a redeem secret may be handed on before it was ever used.
fn holder(seats: &Seats, seat: &Seat, now: Timestamp) -> Result<HolderKey, Failure> {
    let told = |fault: &KeyFault| no_key(fault);
    if seat.handle().redeem.is_some() {
        return seats.holder(seat, now).map_err(|fault| told(&fault));
    }
    seats.known(seat).map_err(|fault| told(&fault))?.ok_or_else(not_redeemed)
}

fn handed_on(seat: &Seat, narrowing: &Narrowing, holder: &HolderKey) -> Result<Handle, Failure> {
    let whole = seat.handle();
    let redeem = fresh()?;
    let redeem_key = SigningKey::from_bytes(redeem.expose()).verifying_key().to_bytes();
    let signer = SigningKey::from_bytes(holder.seed());
    let passport = hand_on(&whole.passport, &root(seat)?, &signer, narrowing, redeem_key);
    let passport = passport.map_err(|fault| not_made(&fault))?;
    let mut ancestors = whole.ancestors.clone();
    ancestors.push(own_proof(seat, holder)?);
    Ok(Handle { redeem: Some(redeem), passport, ancestors, ..whole.clone() })
}

/// What shows the daemon that we hold the seat, should it not have heard of us yet.
fn own_proof(seat: &Seat, holder: &HolderKey) -> Result<Option<Proof>, Failure> {
    let Some(redeem) = &seat.handle().redeem else { return Ok(None) };
    let redemption = Redemption::of(seat.handle().daemon_key, seat.passport(), holder.public());
    let proof = redemption.prove(&SigningKey::from_bytes(redeem.expose()));
    proof.map(Some).map_err(|fault| Failure::of(Exit::NOT_RUN, "machine", &fault))
}

fn fresh() -> Result<Secret, Failure> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut_slice())
        .map_err(|fault| Failure::of(Exit::NOT_RUN, "machine", &fault))?;
    Ok(Secret::new(*seed))
}

fn tell(
    seat: &Seat,
    made: &Made,
    output: Option<&Path>,
    options: &Options,
    now: Timestamp,
) -> Result<Exit, Failure> {
    if let Some(path) = output {
        create(path, format!("{}\n", made.handle).as_bytes()).map_err(|fault| {
            let what = format!("cannot write `{}`: {fault}", path.display());
            Failure::new(Exit::USAGE, "output", what)
        })?;
    }
    let command = command(seat, made, output, options);
    if options.json {
        print(&document(seat, made, &command).to_string());
        return Ok(Exit::DONE);
    }
    if !options.quiet {
        aside(seat, made, now);
    }
    print(&command);
    Ok(Exit::DONE)
}

fn aside(seat: &Seat, made: &Made, now: Timestamp) {
    let Narrowing { not_after, depth, scope, .. } = &made.narrowing;
    let whom = match &made.to {
        Some(key) => format!("handed on to {}", key.fingerprint()),
        None => "narrowed, for whoever holds the seat already".to_owned(),
    };
    say(&format!("{whom}; until {} (in {})", told(*not_after), until(now, *not_after)));
    for capability in scope.capabilities() {
        say(&format!("  {}", one_line(&capability.to_string(), 2000)));
    }
    if made.to.is_some() {
        let words = seat.fingerprint().words().join(" ");
        say(&format!("{}; the eight words, to be said another way: {words}", further(*depth)));
        say("forward this, as one message:");
    }
}

/// The complete command of whoever gets it.
fn command(seat: &Seat, made: &Made, output: Option<&Path>, options: &Options) -> String {
    let quoted = |text: &str| shlex::try_quote(text).map(std::borrow::Cow::into_owned);
    let passport = match output {
        Some(path) => {
            quoted(&format!("@{}", path.display())).unwrap_or_else(|_| "@FILE".to_owned())
        }
        None => made.handle.clone(),
    };
    let mut command = format!(
        "openscope-reflect-client --passport {passport} --fingerprint {}",
        seat.fingerprint()
    );
    // Sealed to the same key as the handle that it was made of, it opens with the same.
    if made.to.is_none() {
        let named = options.identity.iter().map(|path| ("--identity", path));
        for (option, path) in
            named.chain(options.secret_file.iter().map(|path| ("--secret-file", path)))
        {
            let path = quoted(&path.display().to_string()).unwrap_or_else(|_| "FILE".to_owned());
            command = format!("{command} {option} {path}");
        }
    }
    command
}

fn document(seat: &Seat, made: &Made, command: &str) -> Value {
    let Narrowing { not_after, depth, scope, reason } = &made.narrowing;
    let scope = scope.capabilities().iter().map(|one| one_line(&one.to_string(), 2000));
    json!({
        "schema": "openscope.narrow/1",
        "handle": made.handle,
        "command": command,
        "fingerprint": seat.fingerprint().to_string(),
        "words": seat.fingerprint().words(),
        "to": made.to.as_ref().map(RecipientKey::fingerprint),
        "not_after": told(*not_after),
        "depth": depth,
        "scope": scope.collect::<Vec<_>>(),
        "reason": one_line(reason, 300),
    })
}
