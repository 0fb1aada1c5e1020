//! The chain of blocks: built, and walked.

use std::collections::BTreeSet;

use biscuit_auth::format::schema;
use biscuit_auth::{Biscuit, UnverifiedBiscuit};
use ed25519_dalek::{SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};

use super::block::{
    Keys, derived_seed, first_block, key_pair, later_block, public_key, scratch, token_fault,
};
use super::patterns::Patterns;
use super::{
    Authority, Block, HandedOn, MAX_BLOCKS, MAX_PASSPORT_BYTES, MintFault, Narrowing, Passport,
    PassportFault,
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
    append(passport, root, narrowing, &narrowing.to_context(None)?, None)
}

pub(super) fn hand_on(
    passport: &[u8],
    root: &VerifyingKey,
    holder: &SigningKey,
    narrowing: &Narrowing,
    redeem_key: [u8; 32],
) -> Result<Vec<u8>, MintFault> {
    append(passport, root, narrowing, &narrowing.to_context(Some(&redeem_key))?, Some(holder))
}

fn append(
    passport: &[u8],
    root: &VerifyingKey,
    narrowing: &Narrowing,
    context: &str,
    signer: Option<&SigningKey>,
) -> Result<Vec<u8>, MintFault> {
    let genuine = verify(passport, root).map_err(MintFault::Refused)?;
    if genuine.blocks.len() + 1 >= MAX_BLOCKS {
        return Err(MintFault::TooManyBlocks);
    }
    let token =
        Biscuit::from(passport, |_| public_key(root)).map_err(|fault| token_fault(&fault))?;
    // The passport's bytes end with the secret that lets them be narrowed, so what follows from them is secret too.
    let parent = Sha256::new_with_prefix(passport);
    let parent = signer.map_or(parent.clone(), |key| parent.chain_update(key.verifying_key()));
    let next = derived_seed(NEXT_KEY, &parent.finalize().into(), context);
    let signer = signer.map(|key| key_pair(key.as_bytes())).transpose()?;
    let keys = Keys { next: &key_pair(&next)?, signer: signer.as_ref() };
    let longer = within_size(&later_block(&token, context, narrowing, &keys)?)?;
    verify(&longer, root).map_err(MintFault::Refused)?;
    Ok(longer)
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
    unverified.verify(|_| public_key(root)).map_err(|_| PassportFault::Signature)
}

/// One spelling, so that a digest means one passport; every key Ed25519; no key id, no seal.
fn check_form(token: &Biscuit, bytes: &[u8]) -> Result<(), PassportFault> {
    let proto = token.container().to_proto();
    let open = matches!(proto.proof.content, Some(schema::proof::Content::NextSecret(_)));
    if !open || proto.root_key_id.is_some() {
        return Err(PassportFault::Unknown(0));
    }
    let blocks = || std::iter::once(&proto.authority).chain(&proto.blocks);
    let signers = blocks().filter_map(|block| block.external_signature.as_ref());
    let keys = blocks().map(|block| &block.next_key).chain(signers.map(|by| &by.public_key));
    if !keys.into_iter().all(is_ed25519) {
        return Err(PassportFault::Algorithm);
    }
    if token.to_vec().is_ok_and(|again| again == bytes) {
        Ok(())
    } else {
        Err(PassportFault::Malformed)
    }
}

fn is_ed25519(key: &schema::PublicKey) -> bool {
    key.algorithm == schema::public_key::Algorithm::Ed25519 as i32
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
        let (block, child) = stated_later(context, block, &parent, &mut patterns)
            .ok_or(PassportFault::Statement(index + 1))?;
        blocks.push(block);
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

/// The block and the token that ends with it, when that is what was signed. A signature of a holder's and a redeem key
/// belong together: neither is taken without the other.
fn stated_later(
    context: &str,
    signed: &schema::SignedBlock,
    parent: &Biscuit,
    patterns: &mut Patterns,
) -> Option<(Block, Biscuit)> {
    let (narrowing, redeem_key) = Narrowing::from_context(context, patterns).ok()?;
    let (handed_on, by_whom) = match (&signed.external_signature, redeem_key) {
        (None, None) => (None, None),
        (Some(signature), Some(redeem_key)) => {
            let by = signature.public_key.key.as_slice().try_into().ok()?;
            (Some(HandedOn { by, redeem_key }), Some(scratch()?))
        }
        (Some(_), None) | (None, Some(_)) => return None,
    };
    let keys = Keys { next: scratch()?, signer: by_whom };
    let again = later_block(parent, context, &narrowing, &keys).ok()?;
    let same = again.container().to_proto().blocks.last()?.block == signed.block;
    same.then_some((Block { narrowing, handed_on }, again))
}

/// Each scope a subset of its parent's, each end no later, depth never growing and counted down by whoever hands on.
fn check_chain(authority: &Authority, blocks: &[Block]) -> Result<(), PassportFault> {
    let mut parent =
        Bounds { scope: &authority.scope, not_after: authority.not_after, depth: authority.depth };
    let mut redeem_keys = BTreeSet::from([authority.redeem_key]);
    for (index, Block { narrowing, handed_on }) in blocks.iter().enumerate() {
        let Narrowing { scope, not_after, depth, reason: _ } = narrowing;
        let bounds = Bounds { scope, not_after: *not_after, depth: *depth };
        if !bounds.lie_within(&parent) {
            return Err(PassportFault::Widened(index + 1));
        }
        if let Some(HandedOn { redeem_key, .. }) = handed_on {
            if bounds.depth >= parent.depth {
                return Err(PassportFault::TooDeep(index + 1));
            }
            if !redeem_keys.insert(*redeem_key) {
                return Err(PassportFault::SameRedeemKey(index + 1));
            }
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

fn within_size(token: &Biscuit) -> Result<Vec<u8>, MintFault> {
    let bytes = token.to_vec().map_err(|fault| token_fault(&fault))?;
    if bytes.len() > MAX_PASSPORT_BYTES {
        return Err(MintFault::TooLarge(bytes.len()));
    }
    Ok(bytes)
}
