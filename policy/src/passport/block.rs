//! One block of the chain: its Datalog, its keys and its signatures, as Biscuit makes them.

use biscuit_auth::builder::{Algorithm, BiscuitBuilder};
use biscuit_auth::datalog::SymbolTable;
use biscuit_auth::{Biscuit, KeyPair, PrivateKey, PublicKey};
use ed25519_dalek::VerifyingKey;
use sha2::{Digest as _, Sha512};
use zeroize::Zeroizing;

use super::{Authority, MintFault, Narrowing, datalog};

/// The seeds of the keys that a later block is made with.
pub(super) struct Seeds<'a> {
    /// Of the key that signs the block after it.
    pub(super) next: &'a [u8; 32],
    /// Of the holder's key, where the block hands on.
    pub(super) signer: Option<&'a [u8; 32]>,
}

pub(super) fn first_block(
    context: &str,
    authority: &Authority,
    root: &[u8; 32],
    next: &[u8; 32],
) -> Result<Biscuit, MintFault> {
    let block = datalog::block(context.to_owned(), authority.not_after, &authority.scope);
    BiscuitBuilder::new()
        .merge(block)
        .build_with_key_pair(&key_pair(root)?, SymbolTable::new(), &key_pair(next)?)
        .map_err(|fault| token_fault(&fault))
}

/// Appends a block: one that narrows, or, with a signer, a third-party block that hands on.
pub(super) fn later_block(
    parent: &Biscuit,
    context: &str,
    narrowing: &Narrowing,
    seeds: &Seeds<'_>,
) -> Result<Biscuit, MintFault> {
    let block = datalog::block(context.to_owned(), narrowing.not_after, &narrowing.scope);
    let next = key_pair(seeds.next)?;
    let Some(signer) = seeds.signer else {
        return parent.append_with_keypair(&next, block).map_err(|fault| token_fault(&fault));
    };
    let signer = key_pair(signer)?;
    let request = parent.third_party_request().map_err(|fault| token_fault(&fault))?;
    request
        .create_block(&signer.private(), block)
        .and_then(|signed| parent.append_third_party_with_keypair(signer.public(), signed, next))
        .map_err(|fault| token_fault(&fault))
}

pub(super) fn derived_seed(label: &[u8], secret: &[u8; 32], context: &str) -> Zeroizing<[u8; 32]> {
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

pub(super) fn public_key(root: &VerifyingKey) -> Result<PublicKey, biscuit_auth::error::Format> {
    PublicKey::from_bytes(root.as_bytes(), Algorithm::Ed25519)
}

pub(super) fn token_fault(fault: &biscuit_auth::error::Token) -> MintFault {
    MintFault::Token(fault.to_string())
}
