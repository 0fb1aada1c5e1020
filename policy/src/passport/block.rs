//! One block of the chain: its Datalog, its keys and its signatures, as Biscuit makes them.

use std::sync::LazyLock;

use biscuit_auth::builder::{Algorithm, BiscuitBuilder};
use biscuit_auth::datalog::SymbolTable;
use biscuit_auth::{Biscuit, KeyPair, PrivateKey, PublicKey};
use ed25519_dalek::VerifyingKey;
use sha2::{Digest as _, Sha512};
use zeroize::Zeroizing;

use super::{Authority, MintFault, Narrowing, datalog};

/// The keys that a later block is made with.
pub(super) struct Keys<'a> {
    /// That signs the block after it.
    pub(super) next: &'a KeyPair,
    /// The holder's, where the block hands on.
    pub(super) signer: Option<&'a KeyPair>,
}

pub(super) fn first_block(
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

/// Appends a block: one that narrows, or, with a signer, a third-party block that hands on.
pub(super) fn later_block(
    parent: &Biscuit,
    context: &str,
    narrowing: &Narrowing,
    keys: &Keys<'_>,
) -> Result<Biscuit, MintFault> {
    let block = datalog::block(context.to_owned(), narrowing.not_after, &narrowing.scope);
    let Some(signer) = keys.signer else {
        return parent.append_with_keypair(keys.next, block).map_err(|fault| token_fault(&fault));
    };
    let next = KeyPair::from(&keys.next.private());
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

pub(super) fn key_pair(seed: &[u8; 32]) -> Result<KeyPair, MintFault> {
    PrivateKey::from_bytes(seed, Algorithm::Ed25519)
        .map(|key| KeyPair::from(&key))
        .map_err(|fault| MintFault::Token(fault.to_string()))
}

/// Signs what is rebuilt only to be compared with what was signed. Made once: it would cost each block of
/// each passport as much as a signature.
pub(super) fn scratch() -> Option<&'static KeyPair> {
    static SCRATCH: LazyLock<Option<KeyPair>> = LazyLock::new(|| key_pair(&[0; 32]).ok());
    SCRATCH.as_ref()
}

pub(super) fn public_key(root: &VerifyingKey) -> Result<PublicKey, biscuit_auth::error::Format> {
    PublicKey::from_bytes(root.as_bytes(), Algorithm::Ed25519)
}

pub(super) fn token_fault(fault: &biscuit_auth::error::Token) -> MintFault {
    MintFault::Token(fault.to_string())
}
