//! The deployment token: by it a relay's operator lets a daemon's leg register seats, within limits.
//!
//! A Biscuit of one block, signed with the operator's Ed25519 key. The block's context is base64url of the canonical
//! CBOR of its [`Terms`]; its Datalog is generated from them, so that any Biscuit verifier can enforce it. A relay reads
//! the context, builds the block again and compares bytes: it never runs Datalog, and nothing else can be in a token.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use biscuit_auth::builder_ext::BuilderExt;
use biscuit_auth::format::schema;
use biscuit_auth::{Algorithm, Biscuit, BiscuitBuilder, KeyPair, PrivateKey, PublicKey};
use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::limits::MAX_TOKEN;

const PREFIX: &str = "osrt1_";
const VERSION: u8 = 1;

/// A token as it travels. Whether it is worth anything is for [`verify`].
#[derive(Clone, Eq, PartialEq)]
pub struct DeploymentToken(Vec<u8>);

/// What an operator grants to one leg key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Terms {
    /// The Ed25519 public key of the daemon's legs.
    pub leg_key: [u8; 32],
    /// How many rendezvous keys may be registered at a time.
    pub shares: u32,
    /// Bytes per second, both ways together.
    pub bandwidth: u64,
    /// Milliseconds since the Unix epoch.
    pub not_after: u64,
}

/// The key with which an operator signs tokens.
pub struct OperatorKey(Zeroizing<[u8; 32]>);

/// Why a token grants nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TokenFault {
    /// It is no token at all.
    #[error("this is not a deployment token")]
    Malformed,
    /// It is longer than any token.
    #[error("a deployment token has at most {MAX_TOKEN} bytes")]
    TooLong,
    /// None of the operator keys has signed it.
    #[error("the deployment token is not signed by an operator that this relay knows")]
    Unsigned,
    /// It is signed, but says something in another way than this version would.
    #[error("the deployment token says more, or says it otherwise, than this version reads")]
    NotCanonical,
    /// Its time is over.
    #[error("the deployment token has expired")]
    Expired,
    /// It belongs to another leg key.
    #[error("the deployment token is bound to another leg key")]
    Unbound,
    /// Biscuit would not build it.
    #[error("a deployment token with these terms cannot be made")]
    Unmakeable,
}

impl DeploymentToken {
    /// A token of these bytes.
    ///
    /// # Errors
    /// [`TokenFault::TooLong`]; nothing else is looked at.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, TokenFault> {
        if bytes.len() > MAX_TOKEN { Err(TokenFault::TooLong) } else { Ok(Self(bytes)) }
    }

    /// The Biscuit's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for DeploymentToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", URL_SAFE_NO_PAD.encode(&self.0))
    }
}

impl FromStr for DeploymentToken {
    type Err = TokenFault;

    fn from_str(text: &str) -> Result<Self, TokenFault> {
        let body = text.trim().strip_prefix(PREFIX).ok_or(TokenFault::Malformed)?;
        Self::from_bytes(URL_SAFE_NO_PAD.decode(body).map_err(|_| TokenFault::Malformed)?)
    }
}

impl fmt::Debug for DeploymentToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeploymentToken({} bytes)", self.0.len())
    }
}

impl OperatorKey {
    /// The key of this seed.
    #[must_use]
    pub fn from_seed(seed: Zeroizing<[u8; 32]>) -> Self {
        Self(seed)
    }

    /// Its public half, which relays are configured with.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        SigningKey::from_bytes(&self.0).verifying_key().to_bytes()
    }

    fn key_pair(&self) -> Result<KeyPair, TokenFault> {
        let key = PrivateKey::from_bytes(&*self.0, Algorithm::Ed25519);
        key.map(|key| KeyPair::from(&key)).map_err(|_| TokenFault::Unmakeable)
    }
}

impl fmt::Debug for OperatorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OperatorKey(secret)")
    }
}

impl Terms {
    /// Whether these terms let `leg_key` in at `now`, in milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// [`TokenFault::Unbound`] or [`TokenFault::Expired`].
    pub fn admit(&self, leg_key: &[u8; 32], now: u64) -> Result<(), TokenFault> {
        if self.leg_key != *leg_key {
            return Err(TokenFault::Unbound);
        }
        if now >= self.not_after { Err(TokenFault::Expired) } else { Ok(()) }
    }
}

/// Makes a token of `terms`.
///
/// # Errors
/// [`TokenFault::Unmakeable`] when Biscuit refuses the terms.
pub fn mint(key: &OperatorKey, terms: &Terms) -> Result<DeploymentToken, TokenFault> {
    let biscuit = block(terms)?.build(&key.key_pair()?).map_err(|_| TokenFault::Unmakeable)?;
    DeploymentToken::from_bytes(biscuit.to_vec().map_err(|_| TokenFault::Unmakeable)?)
}

/// The terms of a token that one of `operators` has signed. Neither binding nor expiry is looked at: see
/// [`Terms::admit`].
///
/// # Errors
/// Where it is malformed, signed by nobody known, attenuated, or holds anything but its terms.
pub fn verify(token: &DeploymentToken, operators: &[[u8; 32]]) -> Result<Terms, TokenFault> {
    let biscuit = operators
        .iter()
        .filter_map(|key| PublicKey::from_bytes(key, Algorithm::Ed25519).ok())
        .find_map(|key| Biscuit::from(token.as_bytes(), key).ok())
        .ok_or(TokenFault::Unsigned)?;
    let terms = read(&biscuit.context())?;
    compare(&biscuit, &terms)?;
    Ok(terms)
}

/// The terms as the authority block's context states them.
fn read(contexts: &[Option<String>]) -> Result<Terms, TokenFault> {
    let [Some(context)] = contexts else { return Err(TokenFault::NotCanonical) };
    let cbor = URL_SAFE_NO_PAD.decode(context).map_err(|_| TokenFault::NotCanonical)?;
    let written: Written = serde_cbor::from_slice(&cbor).map_err(|_| TokenFault::NotCanonical)?;
    if written.version == VERSION { Ok(written.into()) } else { Err(TokenFault::NotCanonical) }
}

/// Builds the block again and compares: what a token holds beside its terms is thus nothing, whatever it might mean.
fn compare(biscuit: &Biscuit, terms: &Terms) -> Result<(), TokenFault> {
    let signed = biscuit.container().to_proto();
    let again = block(terms)?.build(&KeyPair::new()).map_err(|_| TokenFault::NotCanonical)?;
    let again = again.container().to_proto();
    let ed25519 = schema::public_key::Algorithm::Ed25519 as i32;
    let same = signed.blocks.is_empty()
        && signed.root_key_id.is_none()
        && signed.authority.next_key.algorithm == ed25519
        && signed.authority.version == again.authority.version
        && signed.authority.block == again.authority.block;
    if same { Ok(()) } else { Err(TokenFault::NotCanonical) }
}

fn block(terms: &Terms) -> Result<BiscuitBuilder, TokenFault> {
    let cbor = serde_cbor::to_vec(&Written::from(*terms)).map_err(|_| TokenFault::Unmakeable)?;
    let leg = terms.leg_key.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let until = UNIX_EPOCH
        .checked_add(Duration::from_secs(terms.not_after / 1000))
        .ok_or(TokenFault::Unmakeable)?;
    BiscuitBuilder::new()
        .context(URL_SAFE_NO_PAD.encode(cbor))
        .code(format!("check if leg(hex:{leg});"))
        .map(|builder| builder.check_expiration_date(until))
        .map_err(|_| TokenFault::Unmakeable)
}

/// The terms as CBOR, its keys in the canonical order.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    shares: u32,
    #[serde(with = "serde_bytes")]
    leg_key: [u8; 32],
    version: u8,
    bandwidth: u64,
    not_after: u64,
}

impl From<Terms> for Written {
    fn from(terms: Terms) -> Self {
        let Terms { leg_key, shares, bandwidth, not_after } = terms;
        Self { shares, leg_key, version: VERSION, bandwidth, not_after }
    }
}

impl From<Written> for Terms {
    fn from(written: Written) -> Self {
        let Written { shares, leg_key, version: _, bandwidth, not_after } = written;
        Self { leg_key, shares, bandwidth, not_after }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TERMS: Terms =
        Terms { leg_key: [5; 32], shares: 16, bandwidth: 1 << 20, not_after: 1_800_000_000_000 };

    fn operator(seed: u8) -> OperatorKey {
        OperatorKey::from_seed(Zeroizing::new([seed; 32]))
    }

    fn token() -> DeploymentToken {
        mint(&operator(1), &TERMS).unwrap()
    }

    fn signed(builder: BiscuitBuilder) -> DeploymentToken {
        let biscuit = builder.build(&operator(1).key_pair().unwrap()).unwrap();
        DeploymentToken::from_bytes(biscuit.to_vec().unwrap()).unwrap()
    }

    #[test]
    fn a_token_says_what_was_minted() {
        let token = token();
        assert_eq!(verify(&token, &[operator(2).public(), operator(1).public()]), Ok(TERMS));
        assert_eq!(token.to_string().parse(), Ok(token.clone()));
        assert!(token.as_bytes().len() < 512);
    }

    #[test]
    fn re2_a_token_by_a_stranger_is_refused() {
        assert_eq!(verify(&token(), &[operator(2).public()]), Err(TokenFault::Unsigned));
        assert_eq!(verify(&token(), &[]), Err(TokenFault::Unsigned));
    }

    #[test]
    fn re2_a_token_admits_its_own_leg_key_until_its_time() {
        assert_eq!(TERMS.admit(&[5; 32], TERMS.not_after - 1), Ok(()));
        assert_eq!(TERMS.admit(&[5; 32], TERMS.not_after), Err(TokenFault::Expired));
        assert_eq!(TERMS.admit(&[6; 32], 0), Err(TokenFault::Unbound));
    }

    #[test]
    fn re2_an_attenuated_token_is_refused() {
        let biscuit = Biscuit::from(
            token().as_bytes(),
            PublicKey::from_bytes(&operator(1).public(), Algorithm::Ed25519).unwrap(),
        )
        .unwrap();
        let longer = biscuit.append(biscuit_auth::BlockBuilder::new()).unwrap();
        let longer = DeploymentToken::from_bytes(longer.to_vec().unwrap()).unwrap();
        assert_eq!(verify(&longer, &[operator(1).public()]), Err(TokenFault::NotCanonical));
    }

    #[test]
    fn re2_datalog_that_the_terms_do_not_generate_is_refused_unread() {
        let extra = signed(block(&TERMS).unwrap().code("check if false;").unwrap());
        assert_eq!(verify(&extra, &[operator(1).public()]), Err(TokenFault::NotCanonical));
        let later = block(&Terms { not_after: TERMS.not_after + 1000, ..TERMS }).unwrap();
        let context = URL_SAFE_NO_PAD.encode(serde_cbor::to_vec(&Written::from(TERMS)).unwrap());
        assert_eq!(
            verify(&signed(later.context(context)), &[operator(1).public()]),
            Err(TokenFault::NotCanonical)
        );
    }

    #[test]
    fn re2_a_context_in_another_form_or_absent_is_refused() {
        let padded = URL_SAFE_NO_PAD
            .encode([&serde_cbor::to_vec(&Written::from(TERMS)).unwrap()[..], &[0]].concat());
        let padded = signed(block(&TERMS).unwrap().context(padded));
        assert_eq!(verify(&padded, &[operator(1).public()]), Err(TokenFault::NotCanonical));
        let bare = signed(BiscuitBuilder::new());
        assert_eq!(verify(&bare, &[operator(1).public()]), Err(TokenFault::NotCanonical));
    }

    #[test]
    fn re2_a_p256_key_in_the_token_is_refused() {
        let root = operator(1).key_pair().unwrap();
        let next = KeyPair::new_with_algorithm(biscuit_auth::builder::Algorithm::Secp256r1);
        let symbols = biscuit_auth::datalog::SymbolTable::default();
        let biscuit = block(&TERMS).unwrap().build_with_key_pair(&root, symbols, &next).unwrap();
        let token = DeploymentToken::from_bytes(biscuit.to_vec().unwrap()).unwrap();
        assert_eq!(verify(&token, &[operator(1).public()]), Err(TokenFault::NotCanonical));
    }

    #[test]
    fn a_token_at_the_size_limit_is_read_and_one_over_is_not() {
        assert!(DeploymentToken::from_bytes(vec![0; MAX_TOKEN]).is_ok());
        assert_eq!(DeploymentToken::from_bytes(vec![0; MAX_TOKEN + 1]), Err(TokenFault::TooLong));
    }

    #[test]
    fn golden_terms() {
        let cbor = serde_cbor::to_vec(&Written::from(TERMS)).unwrap();
        let expected = [
            &b"\xa5\x66shares\x10\x67leg_key\x58\x20"[..],
            &[5; 32],
            b"\x67version\x01\x69bandwidth\x1a\x00\x10\x00\x00\x69not_after\x1b",
            &1_800_000_000_000_u64.to_be_bytes(),
        ]
        .concat();
        assert_eq!(cbor, expected);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn re3_perturbed_tokens_never_pass(at in any::<proptest::sample::Index>(), flip in 1..=255u8) {
            let mut bytes = token().as_bytes().to_vec();
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            let perturbed = DeploymentToken::from_bytes(bytes).unwrap();
            // The proof's last part, the secret for the next block, is not covered by a signature and grants nothing.
            if let Ok(terms) = verify(&perturbed, &[operator(1).public()]) {
                prop_assert_eq!(terms, TERMS);
            }
        }

        #[test]
        fn re3_random_tokens_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..MAX_TOKEN)) {
            let token = DeploymentToken::from_bytes(bytes).unwrap();
            prop_assert!(verify(&token, &[operator(1).public()]).is_err());
        }
    }
}
