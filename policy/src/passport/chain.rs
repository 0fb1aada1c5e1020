//! The chain of blocks: built, and walked.

use std::sync::LazyLock;

use biscuit_auth::builder::{Algorithm, BiscuitBuilder};
use biscuit_auth::datalog::SymbolTable;
use biscuit_auth::format::schema;
use biscuit_auth::{Biscuit, KeyPair, PrivateKey, PublicKey, UnverifiedBiscuit};
use ed25519_dalek::{SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256, Sha512};
use zeroize::Zeroizing;

use super::patterns::Patterns;
use super::{
    Authority, Block, MAX_BLOCKS, MAX_PASSPORT_BYTES, MintFault, Narrowing, Passport,
    PassportFault, datalog,
};
use crate::scope::Scope;
use crate::time::Timestamp;

const FIRST_KEY: &[u8] = b"openscope passport first key v1";
const NEXT_KEY: &[u8] = b"openscope passport next key v1";

pub(super) fn mint(root: &SigningKey, authority: &Authority) -> Result<Vec<u8>, MintFault> {
    let context = authority.to_context()?;
    let next = derived_seed(FIRST_KEY, root.as_bytes(), &context);
    let token = first_block(&context, authority, &key_pair(root.as_bytes())?, &key_pair(&next)?)?;
    within_size(&token)
}

pub(super) fn narrow(
    passport: &[u8],
    root: &VerifyingKey,
    narrowing: &Narrowing,
) -> Result<Vec<u8>, MintFault> {
    let genuine = verify(passport, root).map_err(MintFault::Refused)?;
    if genuine.blocks.len() + 1 >= MAX_BLOCKS {
        return Err(MintFault::TooManyBlocks);
    }
    let token =
        Biscuit::from(passport, |_| public_key(root)).map_err(|fault| token_fault(&fault))?;
    let context = narrowing.to_context()?;
    // The passport's bytes end with the secret that lets them be narrowed, so what follows from them is secret too.
    let next = derived_seed(NEXT_KEY, &Sha256::digest(passport).into(), &context);
    let narrowed = within_size(&later_block(&token, &context, narrowing, &key_pair(&next)?)?)?;
    verify(&narrowed, root).map_err(MintFault::Refused)?;
    Ok(narrowed)
}

pub(super) fn verify(bytes: &[u8], root: &VerifyingKey) -> Result<Passport, PassportFault> {
    let token = signed(bytes, root)?;
    check_form(&token, bytes)?;
    let (authority, blocks) = stated(&token)?;
    check_chain(&authority, &blocks)?;
    let digest = Sha256::digest(bytes).into();
    Ok(Passport { authority, blocks, digest })
}

/// Bounds first: each block costs a signature to check.
fn signed(bytes: &[u8], root: &VerifyingKey) -> Result<Biscuit, PassportFault> {
    if bytes.len() > MAX_PASSPORT_BYTES {
        return Err(PassportFault::TooLarge);
    }
    let unverified = UnverifiedBiscuit::from(bytes).map_err(|_| PassportFault::Malformed)?;
    if unverified.block_count() > MAX_BLOCKS {
        return Err(PassportFault::TooManyBlocks);
    }
    if let Some(stranger) = unverified.external_public_keys().iter().position(Option::is_some) {
        return Err(PassportFault::Unknown(stranger));
    }
    unverified.verify(|_| public_key(root)).map_err(|_| PassportFault::Signature)
}

/// One spelling, so that a digest means one passport; every key Ed25519; no key id, no seal.
fn check_form(token: &Biscuit, bytes: &[u8]) -> Result<(), PassportFault> {
    let proto = token.container().to_proto();
    let open = matches!(proto.proof.content, Some(schema::proof::Content::NextSecret(_)));
    if !open || proto.root_key_id.is_some() {
        return Err(PassportFault::Unknown(0));
    }
    let ed25519 = |block: &schema::SignedBlock| {
        block.next_key.algorithm == schema::public_key::Algorithm::Ed25519 as i32
    };
    if !std::iter::once(&proto.authority).chain(&proto.blocks).all(ed25519) {
        return Err(PassportFault::Algorithm);
    }
    if token.to_vec().is_ok_and(|again| again == bytes) {
        Ok(())
    } else {
        Err(PassportFault::Malformed)
    }
}

/// What each block states. The block that would state it is built again and must equal, byte for
/// byte, what was signed: its Datalog is never read, printed or run.
fn stated(token: &Biscuit) -> Result<(Authority, Vec<Block>), PassportFault> {
    let signed = token.container().to_proto();
    let contexts = contexts(token)?;
    let [first, later @ ..] = contexts.as_slice() else { return Err(PassportFault::Malformed) };
    let mut patterns = Patterns::of_authority();
    let (authority, mut parent) =
        stated_first(first, &signed.authority, &mut patterns).ok_or(PassportFault::Statement(0))?;
    let mut patterns = patterns.of_holders();
    let mut blocks = Vec::new();
    for (index, (context, block)) in later.iter().zip(&signed.blocks).enumerate() {
        let (narrowing, child) = stated_later(context, block, &parent, &mut patterns)
            .ok_or(PassportFault::Statement(index + 1))?;
        blocks.push(Block(narrowing));
        parent = child;
    }
    Ok((authority, blocks))
}

fn contexts(token: &Biscuit) -> Result<Vec<String>, PassportFault> {
    let contexts = token.context().into_iter().enumerate();
    contexts.map(|(index, context)| context.ok_or(PassportFault::Statement(index))).collect()
}

/// The authority and the token of its block, when that is what was signed.
fn stated_first(
    context: &str,
    signed: &schema::SignedBlock,
    patterns: &mut Patterns,
) -> Option<(Authority, Biscuit)> {
    let authority = Authority::from_context(context, patterns).ok()?;
    let again = first_block(context, &authority, scratch()?, scratch()?).ok()?;
    let same = again.container().to_proto().authority.block == signed.block;
    same.then_some((authority, again))
}

/// The narrowing and the token with its block, when that is what was signed.
fn stated_later(
    context: &str,
    signed: &schema::SignedBlock,
    parent: &Biscuit,
    patterns: &mut Patterns,
) -> Option<(Narrowing, Biscuit)> {
    let narrowing = Narrowing::from_context(context, patterns).ok()?;
    let again = later_block(parent, context, &narrowing, scratch()?).ok()?;
    let same = again.container().to_proto().blocks.last()?.block == signed.block;
    same.then_some((narrowing, again))
}

/// Each scope a subset of its parent's, each end no later, depth never growing.
fn check_chain(authority: &Authority, blocks: &[Block]) -> Result<(), PassportFault> {
    let mut parent =
        Bounds { scope: &authority.scope, not_after: authority.not_after, depth: authority.depth };
    for (index, Block(child)) in blocks.iter().enumerate() {
        let bounds = Bounds { scope: &child.scope, not_after: child.not_after, depth: child.depth };
        if !bounds.lie_within(&parent) {
            return Err(PassportFault::Widened(index + 1));
        }
        parent = bounds;
    }
    Ok(())
}

struct Bounds<'a> {
    scope: &'a Scope,
    not_after: Timestamp,
    depth: u8,
}

impl Bounds<'_> {
    fn lie_within(&self, parent: &Bounds<'_>) -> bool {
        self.scope.is_subset_of(parent.scope)
            && self.not_after <= parent.not_after
            && self.depth <= parent.depth
    }
}

fn first_block(
    context: &str,
    authority: &Authority,
    root: &KeyPair,
    next: &KeyPair,
) -> Result<Biscuit, MintFault> {
    let block = datalog::block(context.to_owned(), authority.not_after, &authority.scope);
    BiscuitBuilder::new()
        .merge(block)
        .build_with_key_pair(root, SymbolTable::new(), next)
        .map_err(|fault| token_fault(&fault))
}

fn later_block(
    parent: &Biscuit,
    context: &str,
    narrowing: &Narrowing,
    next: &KeyPair,
) -> Result<Biscuit, MintFault> {
    let block = datalog::block(context.to_owned(), narrowing.not_after, &narrowing.scope);
    parent.append_with_keypair(next, block).map_err(|fault| token_fault(&fault))
}

fn within_size(token: &Biscuit) -> Result<Vec<u8>, MintFault> {
    let bytes = token.to_vec().map_err(|fault| token_fault(&fault))?;
    if bytes.len() > MAX_PASSPORT_BYTES {
        return Err(MintFault::TooLarge(bytes.len()));
    }
    Ok(bytes)
}

fn derived_seed(label: &[u8], secret: &[u8; 32], context: &str) -> Zeroizing<[u8; 32]> {
    let mut hash = Zeroizing::new([0; 64]);
    let whole = Sha512::new().chain_update(label).chain_update(secret).chain_update(context);
    hash.copy_from_slice(&whole.finalize());
    let mut seed = Zeroizing::new([0; 32]);
    seed.iter_mut().zip(hash.iter()).for_each(|(to, from)| *to = *from);
    seed
}

fn key_pair(seed: &[u8; 32]) -> Result<KeyPair, MintFault> {
    PrivateKey::from_bytes(seed, Algorithm::Ed25519)
        .map(|key| KeyPair::from(&key))
        .map_err(|fault| MintFault::Token(fault.to_string()))
}

/// Signs what is rebuilt only to be compared with what was signed. Made once: it would cost each block of
/// each passport as much as a signature.
fn scratch() -> Option<&'static KeyPair> {
    static SCRATCH: LazyLock<Option<KeyPair>> = LazyLock::new(|| key_pair(&[0; 32]).ok());
    SCRATCH.as_ref()
}

fn public_key(root: &VerifyingKey) -> Result<PublicKey, biscuit_auth::error::Format> {
    PublicKey::from_bytes(root.as_bytes(), Algorithm::Ed25519)
}

fn token_fault(fault: &biscuit_auth::error::Token) -> MintFault {
    MintFault::Token(fault.to_string())
}
