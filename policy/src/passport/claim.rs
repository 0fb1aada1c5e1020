//! What a block states, in its one spelling: CBOR arrays without maps, in the block's context as base64url.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_cbor::Value as Cbor;

use super::patterns::Patterns;
use super::{
    Authority, MAX_OWNER_BYTES, MAX_PASSPORT_BYTES, MAX_PATTERNS, MAX_REASON_BYTES,
    MAX_RELAY_BYTES, MAX_RELAYS, MintFault, Narrowing,
};
use crate::constraint::Constraint;
use crate::name::{SeatId, ShareId};
use crate::scope::{Capability, Scope};
use crate::time::Timestamp;
use crate::value::{Text, Value};

const VERSION: i128 = 1;
// What a constraint that is neither a pin nor `Any` begins with.
const ONE_OF: i128 = 0;
const RANGE: i128 = 1;
const PREFIX: i128 = 2;
const PATTERN: i128 = 3;
const ALL: i128 = 4;
const LENGTH: i128 = 5;
const SUBTREE: i128 = 6;
const CIDR: i128 = 7;
const URL: i128 = 8;
const EACH: i128 = 9;
const HAS: i128 = 10;
// What a value that is a list begins with.
const LIST: i128 = 11;

/// What a constraint is about.
#[derive(Clone, Copy)]
enum About {
    /// The whole argument.
    Argument,
    /// An item of a list: nothing there is about lists.
    Item,
}

/// A statement that does not read; the chain knows which block it is in.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Unreadable;

impl Authority {
    pub(super) fn to_context(&self) -> Result<String, MintFault> {
        self.check_lengths()?;
        let relays = self.relays.iter().map(|relay| text(relay)).collect();
        context(vec![
            Cbor::Integer(VERSION),
            text(self.daemon.as_str()),
            Cbor::Bytes(self.share.as_bytes().to_vec()),
            Cbor::Integer(self.seat.0.into()),
            text(&self.owner),
            Cbor::Array(relays),
            Cbor::Integer(self.not_after.0.into()),
            Cbor::Bytes(self.channel_key.to_vec()),
            Cbor::Bytes(self.redeem_key.to_vec()),
            Cbor::Integer(self.depth.into()),
            scope_out(&self.scope),
        ])
    }

    fn check_lengths(&self) -> Result<(), MintFault> {
        check_scope(&self.scope)?;
        if self.owner.is_empty() || self.owner.len() > MAX_OWNER_BYTES {
            return Err(MintFault::Field("owner"));
        }
        let relays = self.relays.iter().all(|relay| relay.len() <= MAX_RELAY_BYTES);
        if !relays || self.relays.len() > MAX_RELAYS {
            return Err(MintFault::Field("list of relays"));
        }
        Ok(())
    }

    pub(super) fn from_context(context: &str, patterns: &mut Patterns) -> Result<Self, Unreadable> {
        let [
            version,
            daemon,
            share,
            seat,
            owner,
            relays,
            not_after,
            channel_key,
            redeem_key,
            depth,
            scope,
        ] = fields(context)?;
        if version != Cbor::Integer(VERSION) {
            return Err(Unreadable);
        }
        let authority = Self {
            daemon: string(daemon)?.parse().map_err(|_| Unreadable)?,
            share: ShareId::from_random(bytes(share)?),
            seat: SeatId(number(&seat)?),
            owner: string(owner)?,
            relays: array(relays)?.into_iter().map(string).collect::<Result<_, Unreadable>>()?,
            not_after: Timestamp(number(&not_after)?),
            channel_key: bytes(channel_key)?,
            redeem_key: bytes(redeem_key)?,
            depth: number(&depth)?,
            scope: scope_in(scope, patterns)?,
        };
        one_spelling(authority.to_context(), context).map(|()| authority)
    }
}

impl Narrowing {
    /// With the new redeem key where the block hands on.
    pub(super) fn to_context(&self, redeem_key: Option<&[u8; 32]>) -> Result<String, MintFault> {
        check_scope(&self.scope)?;
        if self.reason.len() > MAX_REASON_BYTES {
            return Err(MintFault::Field("reason"));
        }
        let mut fields = vec![
            Cbor::Integer(VERSION),
            Cbor::Integer(self.not_after.0.into()),
            Cbor::Integer(self.depth.into()),
            scope_out(&self.scope),
            text(&self.reason),
        ];
        fields.extend(redeem_key.map(|key| Cbor::Bytes(key.to_vec())));
        context(fields)
    }

    pub(super) fn from_context(
        context: &str,
        patterns: &mut Patterns,
    ) -> Result<(Self, Option<[u8; 32]>), Unreadable> {
        let mut fields = parts(context)?;
        let redeem_key = fields.drain(5.min(fields.len())..).map(bytes);
        let redeem_key: Vec<[u8; 32]> = redeem_key.collect::<Result<_, Unreadable>>()?;
        let redeem_key = match redeem_key.as_slice() {
            [] => None,
            [one] => Some(*one),
            _ => return Err(Unreadable),
        };
        let [version, not_after, depth, scope, reason] =
            <[Cbor; 5]>::try_from(fields).map_err(|_| Unreadable)?;
        if version != Cbor::Integer(VERSION) {
            return Err(Unreadable);
        }
        let narrowing = Self {
            not_after: Timestamp(number(&not_after)?),
            depth: number(&depth)?,
            scope: scope_in(scope, patterns)?,
            reason: string(reason)?,
        };
        one_spelling(narrowing.to_context(redeem_key.as_ref()), context)
            .map(|()| (narrowing, redeem_key))
    }
}

fn check_scope(scope: &Scope) -> Result<(), MintFault> {
    if scope.is_empty() {
        return Err(MintFault::Empty);
    }
    if patterns(scope) > MAX_PATTERNS {
        return Err(MintFault::Field("list of patterns"));
    }
    Ok(())
}

/// How many patterns a reader of the scope would compile at most.
fn patterns(scope: &Scope) -> usize {
    let limits =
        scope.capabilities().iter().flat_map(|capability| capability.parameters().values());
    limits.map(patterns_in).sum()
}

fn patterns_in(limit: &Constraint) -> usize {
    match limit {
        Constraint::Pattern(_) => 1,
        Constraint::All(parts) => parts.iter().map(patterns_in).sum(),
        Constraint::Each(item) | Constraint::Has(item) => patterns_in(item),
        Constraint::Any
        | Constraint::OneOf(_)
        | Constraint::Range { .. }
        | Constraint::Prefix(_)
        | Constraint::Length { .. }
        | Constraint::Subtree(_)
        | Constraint::Cidr(_)
        | Constraint::Url(_) => 0,
    }
}

/// Refuses what reads well but was written otherwise: long integers, unsorted lists, lists of one.
fn one_spelling(again: Result<String, MintFault>, context: &str) -> Result<(), Unreadable> {
    if again.is_ok_and(|again| again == context) { Ok(()) } else { Err(Unreadable) }
}

fn context(fields: Vec<Cbor>) -> Result<String, MintFault> {
    let bytes = serde_cbor::to_vec(&Cbor::Array(fields))
        .map_err(|fault| MintFault::Token(fault.to_string()))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn fields<const N: usize>(context: &str) -> Result<[Cbor; N], Unreadable> {
    parts(context)?.try_into().map_err(|_| Unreadable)
}

fn parts(context: &str) -> Result<Vec<Cbor>, Unreadable> {
    if context.len() > MAX_PASSPORT_BYTES {
        return Err(Unreadable);
    }
    let bytes = URL_SAFE_NO_PAD.decode(context).map_err(|_| Unreadable)?;
    array(serde_cbor::from_slice(&bytes).map_err(|_| Unreadable)?)
}

fn scope_out(scope: &Scope) -> Cbor {
    Cbor::Array(scope.capabilities().iter().map(capability_out).collect())
}

fn capability_out(capability: &Capability) -> Cbor {
    let mut parts = vec![text(capability.verb().as_str())];
    for (name, limit) in capability.parameters() {
        parts.extend([text(name.as_str()), constraint_out(limit)]);
    }
    Cbor::Array(parts)
}

fn tagged(tag: i128, parts: Vec<Cbor>) -> Cbor {
    Cbor::Array(std::iter::once(Cbor::Integer(tag)).chain(parts).collect())
}

fn constraint_out(limit: &Constraint) -> Cbor {
    match limit {
        Constraint::Any => Cbor::Null,
        Constraint::OneOf(values) => {
            let mut values: Vec<_> = values.iter().map(value_out).collect();
            if values.len() == 1 { values.remove(0) } else { tagged(ONE_OF, values) }
        }
        Constraint::Range { min, max } => {
            tagged(RANGE, vec![end_out(*min, i64::MIN), end_out(*max, i64::MAX)])
        }
        Constraint::Prefix(prefix) => tagged(PREFIX, vec![text(prefix)]),
        Constraint::Pattern(pattern) => tagged(PATTERN, vec![text(pattern.source())]),
        Constraint::All(parts) => tagged(ALL, parts.iter().map(constraint_out).collect()),
        Constraint::Length { min, max } => {
            let open = (*max != u32::MAX).then(|| Cbor::Integer((*max).into()));
            tagged(LENGTH, vec![Cbor::Integer((*min).into()), open.unwrap_or(Cbor::Null)])
        }
        Constraint::Subtree(root) => tagged(SUBTREE, vec![text(root.path())]),
        Constraint::Cidr(network) => tagged(CIDR, vec![text(&network.to_string())]),
        Constraint::Url(prefix) => tagged(URL, vec![text(&prefix.to_string())]),
        Constraint::Each(item) => tagged(EACH, vec![constraint_out(item)]),
        Constraint::Has(item) => tagged(HAS, vec![constraint_out(item)]),
    }
}

/// An end of a range; null where the range is open.
fn end_out(end: i64, open: i64) -> Cbor {
    if end == open { Cbor::Null } else { Cbor::Integer(end.into()) }
}

fn end_in(from: &Cbor, open: i64) -> Result<i64, Unreadable> {
    if *from == Cbor::Null { Ok(open) } else { number(from) }
}

fn value_out(value: &Value) -> Cbor {
    match value {
        Value::Text(plain) => text(plain),
        Value::Int(number) => Cbor::Integer((*number).into()),
        Value::Bool(answer) => Cbor::Bool(*answer),
        Value::List(items) => tagged(LIST, items.iter().map(value_out).collect()),
    }
}

fn scope_in(from: Cbor, patterns: &mut Patterns) -> Result<Scope, Unreadable> {
    let capabilities = array(from)?.into_iter().map(|one| capability_in(one, patterns));
    Ok(Scope::new(capabilities.collect::<Result<Vec<_>, Unreadable>>()?))
}

fn capability_in(from: Cbor, patterns: &mut Patterns) -> Result<Capability, Unreadable> {
    let mut parts = array(from)?.into_iter();
    let verb = string(parts.next().ok_or(Unreadable)?)?.parse().map_err(|_| Unreadable)?;
    let mut limits = Vec::new();
    while let Some(name) = parts.next() {
        let name = string(name)?.parse().map_err(|_| Unreadable)?;
        let limit = parts.next().ok_or(Unreadable)?;
        limits.push((name, constraint_in(limit, About::Argument, patterns)?));
    }
    Ok(Capability::new(verb, limits))
}

fn constraint_in(
    from: Cbor,
    about: About,
    patterns: &mut Patterns,
) -> Result<Constraint, Unreadable> {
    let Cbor::Array(parts) = from else { return value_in(from, about).map(Constraint::exact) };
    let mut parts = parts.into_iter();
    match parts.next() {
        Some(Cbor::Integer(ALL)) => {
            let parts = parts.map(|part| simple_in(part, about, patterns));
            let parts = parts.collect::<Result<BTreeSet<_>, Unreadable>>()?;
            if parts.len() > 1 { Ok(Constraint::All(parts)) } else { Err(Unreadable) }
        }
        Some(tag) => tagged_in(&tag, parts.collect(), about, patterns),
        None => Err(Unreadable),
    }
}

/// A part of `All`, which is no `All` itself.
fn simple_in(from: Cbor, about: About, patterns: &mut Patterns) -> Result<Constraint, Unreadable> {
    let mut parts = array(from)?.into_iter();
    let tag = parts.next().ok_or(Unreadable)?;
    tagged_in(&tag, parts.collect(), about, patterns)
}

fn tagged_in(
    tag: &Cbor,
    parts: Vec<Cbor>,
    about: About,
    patterns: &mut Patterns,
) -> Result<Constraint, Unreadable> {
    let Cbor::Integer(tag) = *tag else { return Err(Unreadable) };
    match (tag, about) {
        (ONE_OF, _) if parts.len() > 1 => parts
            .into_iter()
            .map(|value| value_in(value, about))
            .collect::<Result<_, Unreadable>>()
            .map(Constraint::OneOf),
        (LIST, About::Argument) => list_in(parts).map(Constraint::exact),
        (RANGE, _) => {
            let [min, max] = only(parts)?;
            let (min, max) = (end_in(&min, i64::MIN)?, end_in(&max, i64::MAX)?);
            if min <= max { Ok(Constraint::Range { min, max }) } else { Err(Unreadable) }
        }
        (LENGTH, _) => {
            let [min, max] = only(parts)?;
            let max = if max == Cbor::Null { u32::MAX } else { number(&max)? };
            let min = number(&min)?;
            if min <= max { Ok(Constraint::Length { min, max }) } else { Err(Unreadable) }
        }
        (PREFIX, _) => Text::new(only_text(parts)?).map(Constraint::Prefix).map_err(|_| Unreadable),
        (PATTERN, _) => patterns.compiled(only_text(parts)?).map(Constraint::Pattern),
        (SUBTREE, _) => parsed(parts).map(Constraint::Subtree),
        (CIDR, _) => parsed(parts).map(Constraint::Cidr),
        (URL, _) => parsed(parts).map(Constraint::Url),
        (EACH, About::Argument) => item_in(parts, patterns).map(Constraint::Each),
        (HAS, About::Argument) => item_in(parts, patterns).map(Constraint::Has),
        _ => Err(Unreadable),
    }
}

fn item_in(parts: Vec<Cbor>, patterns: &mut Patterns) -> Result<Box<Constraint>, Unreadable> {
    let [item] = only(parts)?;
    constraint_in(item, About::Item, patterns).map(Box::new)
}

fn value_in(from: Cbor, about: About) -> Result<Value, Unreadable> {
    match (from, about) {
        (Cbor::Bool(answer), _) => Ok(Value::Bool(answer)),
        (number_in @ Cbor::Integer(_), _) => number(&number_in).map(Value::Int),
        (Cbor::Array(parts), About::Argument) => {
            let mut parts = parts.into_iter();
            match parts.next() {
                Some(Cbor::Integer(LIST)) => list_in(parts.collect()),
                Some(_) | None => Err(Unreadable),
            }
        }
        (from, _) => Value::text(string(from)?).map_err(|_| Unreadable),
    }
}

fn list_in(items: Vec<Cbor>) -> Result<Value, Unreadable> {
    let items = items.into_iter().map(|item| value_in(item, About::Item));
    Value::list(items.collect::<Result<Vec<_>, Unreadable>>()?).map_err(|_| Unreadable)
}

fn parsed<T: std::str::FromStr>(parts: Vec<Cbor>) -> Result<T, Unreadable> {
    only_text(parts)?.parse().map_err(|_| Unreadable)
}

fn only<const N: usize>(parts: Vec<Cbor>) -> Result<[Cbor; N], Unreadable> {
    parts.try_into().map_err(|_| Unreadable)
}

fn only_text(parts: Vec<Cbor>) -> Result<String, Unreadable> {
    let [one] = only(parts)?;
    string(one)
}

fn text(text: &str) -> Cbor {
    Cbor::Text(text.to_owned())
}

fn string(from: Cbor) -> Result<String, Unreadable> {
    if let Cbor::Text(text) = from { Ok(text) } else { Err(Unreadable) }
}

fn array(from: Cbor) -> Result<Vec<Cbor>, Unreadable> {
    if let Cbor::Array(parts) = from { Ok(parts) } else { Err(Unreadable) }
}

fn number<N: TryFrom<i128>>(from: &Cbor) -> Result<N, Unreadable> {
    if let Cbor::Integer(number) = from {
        N::try_from(*number).map_err(|_| Unreadable)
    } else {
        Err(Unreadable)
    }
}

fn bytes<const N: usize>(from: Cbor) -> Result<[u8; N], Unreadable> {
    if let Cbor::Bytes(bytes) = from {
        bytes.try_into().map_err(|_| Unreadable)
    } else {
        Err(Unreadable)
    }
}
