//! What a recipient pastes, and what an owner types.

use std::io::Write as _;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use wire::fingerprint::Claim;
use wire::handle::{Identity, MAX_HANDLE, RecipientKey, Sealed};

use crate::IDENTITY;

static KEYS: LazyLock<Vec<Identity>> =
    LazyLock::new(|| Identity::parse(IDENTITY, || None).expect("the seeds' own key"));
static RECIPIENT: LazyLock<age::x25519::Recipient> =
    LazyLock::new(|| KEYS[0].recipient().to_string().parse().expect("an age key"));
/// Bytes of a block of a handle's.
const BLOCK: usize = 48;

/// A handle as given, whoever it is for.
pub fn handle_text(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(sealed) = Sealed::parse(text) else { return false };
    if let Ok(handle) = sealed.open(&KEYS) {
        let _ = handle.verify();
    }
    true
}

/// What a stranger who knows the recipient's key can seal to it.
pub fn handle_contents(bytes: &[u8]) -> bool {
    // One chunk of age's, which any handle fits into.
    if bytes.len() > MAX_HANDLE {
        return false;
    }
    let sealed = Sealed::parse(&seal(bytes));
    let Ok(handle) = sealed.and_then(|sealed| sealed.open(&KEYS)) else { return false };
    let _ = handle.verify();
    let _ = handle.fingerprint().words();
    true
}

/// Any bytes in the form of a handle, sealed to the seeds' recipient.
fn seal(contents: &[u8]) -> String {
    loop {
        let mut file = Vec::new();
        let recipients = std::iter::once(&*RECIPIENT as &dyn age::Recipient);
        let encryptor = age::Encryptor::with_recipients(recipients).expect("one recipient");
        let mut stream = encryptor.wrap_output(&mut file).expect("memory");
        stream.write_all(contents).expect("memory");
        stream.finish().expect("memory");
        // age's header has a part of random length, and a handle comes in whole blocks.
        if file.len().is_multiple_of(BLOCK) {
            return format!("osp1_{}", BASE64_URL_SAFE_NO_PAD.encode(file));
        }
    }
}

/// What a person says a fingerprint is.
pub fn fingerprint_claim(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(claim) = text.parse::<Claim>() else { return false };
    if let Claim::Whole(fingerprint) = claim {
        let again: Claim = fingerprint.to_string().parse().expect("its own spelling");
        assert!(fingerprint.confirms(&again));
        let said: Claim = fingerprint.words().join(" ").parse().expect("its own words");
        assert!(fingerprint.confirms(&said));
    }
    true
}

/// A recipient's public key.
pub fn recipient_key(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(key) = text.parse::<RecipientKey>() else { return false };
    let again: RecipientKey = key.to_string().parse().expect("its own spelling");
    assert_eq!(again.fingerprint(), key.fingerprint());
    true
}

/// A file with a private key. No passphrase is given: a work factor is the file's own choice.
pub fn identity_text(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| Identity::parse(text, || None).is_ok())
}
