//! An age plugin of the tests' own. Its identities hold the secret that another plugin's hardware keeps.
//!
//! `OSPTEST_PLUGIN` says how it behaves, and `OSPTEST_PLUGIN_RAN` names a file to which each run adds a line.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::time::Duration;

use age_core::format::{FILE_KEY_BYTES, FileKey, Stanza};
use age_core::primitives::{aead_decrypt, hkdf, hpke_open};
use age_core::secrecy::ExposeSecret as _;
use age_plugin::identity::{Error, IdentityPluginV1};
use age_plugin::{Callbacks, PluginHandler, run_state_machine};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD as BASE64;
use hpke::kem::DhP256HkdfSha256;
use hpke::{Deserializable as _, Kem};
use p256::elliptic_curve::sec1::ToEncodedPoint as _;
use p256::{PublicKey, SecretKey};

const PIN: &str = "1234";

#[derive(Default)]
struct Plugin {
    secrets: Vec<SecretKey>,
}

impl PluginHandler for Plugin {
    type RecipientV1 = Infallible;
    type IdentityV1 = Self;

    fn identity_v1(self) -> io::Result<Self> {
        Ok(self)
    }
}

impl IdentityPluginV1 for Plugin {
    fn add_identity(&mut self, index: usize, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let secret = bytes.split_first().and_then(|(_, secret)| SecretKey::from_slice(secret).ok());
        match secret.filter(|_| name == "osptest") {
            None => Err(Error::Identity { index, message: "not a key of mine".to_owned() }),
            Some(secret) => {
                self.secrets.push(secret);
                Ok(())
            }
        }
    }

    fn unwrap_file_keys(
        &mut self,
        files: Vec<Vec<Stanza>>,
        mut callbacks: impl Callbacks<Error>,
    ) -> io::Result<HashMap<usize, Result<FileKey, Vec<Error>>>> {
        let mut opened = HashMap::new();
        for (file, stanzas) in files.iter().enumerate() {
            let found = self
                .secrets
                .iter()
                .find_map(|secret| stanzas.iter().find_map(|stanza| unwrap(secret, stanza)));
            if let Some(key) = found {
                opened.insert(file, allowed(&mut callbacks)?.map(|()| key));
            }
        }
        Ok(opened)
    }
}

/// What hardware would want before it uses a key.
fn allowed(callbacks: &mut impl Callbacks<Error>) -> io::Result<Result<(), Vec<Error>>> {
    let refuse =
        |message: &str| Ok(Err(vec![Error::Identity { index: 0, message: message.to_owned() }]));
    match std::env::var("OSPTEST_PLUGIN").unwrap_or_default().as_str() {
        "pin" => match callbacks.request_secret("the PIN of the test's key\u{1b}[2J")? {
            Ok(pin) if pin.expose_secret() == PIN => Ok(Ok(())),
            Ok(_) => refuse("wrong PIN"),
            Err(_) => refuse("no PIN"),
        },
        "confirm" => match callbacks.confirm("use the key?", "use it", Some("do not"))? {
            Ok(true) => Ok(Ok(())),
            Ok(false) | Err(_) => refuse("not confirmed"),
        },
        "refuse" => refuse("the test's key is not plugged in\u{1b}[2J"),
        "crash" => std::process::abort(),
        "hang" => {
            let _ = callbacks.message("touch the test's key")?;
            loop {
                std::thread::sleep(Duration::from_secs(1));
            }
        }
        _ => Ok(Ok(())),
    }
}

fn unwrap(secret: &SecretKey, stanza: &Stanza) -> Option<FileKey> {
    let share = BASE64.decode(stanza.args.get(1)?).ok()?;
    let key = match stanza.tag.as_str() {
        "p256tag" => by_tag(secret, &share, &stanza.body),
        "piv-p256" => by_piv(secret, &share, &stanza.body),
        _ => None,
    }?;
    let key: [u8; FILE_KEY_BYTES] = key.try_into().ok()?;
    Some(FileKey::new(Box::new(key)))
}

/// <https://c2sp.org/age#the-p256tag-recipient-type>
fn by_tag(secret: &SecretKey, share: &[u8], body: &[u8]) -> Option<Vec<u8>> {
    type Tag = DhP256HkdfSha256;
    let share = <Tag as Kem>::EncappedKey::from_bytes(share).ok()?;
    let secret = <Tag as Kem>::PrivateKey::from_bytes(&secret.to_bytes()).ok()?;
    hpke_open::<Tag>(&share, &secret, b"age-encryption.org/p256tag", body).ok()
}

/// As `age-plugin-yubikey` has it.
fn by_piv(secret: &SecretKey, share: &[u8], body: &[u8]) -> Option<Vec<u8>> {
    let theirs = PublicKey::from_sec1_bytes(share).ok()?;
    let shared = p256::ecdh::diffie_hellman(secret.to_nonzero_scalar(), theirs.as_affine());
    let own = secret.public_key().to_encoded_point(true);
    let key = hkdf(&[share, own.as_bytes()].concat(), b"piv-p256", shared.raw_secret_bytes());
    aead_decrypt(&key, FILE_KEY_BYTES, body).ok()
}

fn main() -> io::Result<()> {
    let mode =
        std::env::args().find_map(|word| Some(word.strip_prefix("--age-plugin=")?.to_owned()));
    if let Some(path) = std::env::var_os("OSPTEST_PLUGIN_RAN") {
        let ran = OpenOptions::new().create(true).append(true).open(path);
        writeln!(ran?, "{}", mode.as_deref().unwrap_or("alone"))?;
    }
    run_state_machine(&mode.unwrap_or_default(), Plugin::default())
}
