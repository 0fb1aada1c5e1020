//! A file with a recipient's keys, as they come from age, from its plugins, and from OpenSSH.

use zeroize::Zeroizing;

use super::identity::pem;
use super::{Identity, IdentityFault, PluginKey, RecipientKey};

/// The largest file that is looked at: an RSA key of 16,384 bits fits.
const MAX_TEXT: usize = 64 * 1024;

/// What a file of the user's own holds.
#[derive(Debug, Default)]
pub struct KeyFile {
    /// Keys whose secret is in it.
    pub keys: Vec<Identity>,
    /// Keys that a plugin keeps.
    pub plugins: Vec<PluginKey>,
}

impl KeyFile {
    /// The keys in `text`: an age identity file, which may hold several, or an OpenSSH private key.
    /// `passphrase` is asked once, and only for an encrypted key.
    ///
    /// # Errors
    /// Says what the text is instead, or what is wrong with the key.
    pub fn parse(
        text: &str,
        passphrase: impl FnOnce() -> Option<Zeroizing<String>>,
    ) -> Result<Self, IdentityFault> {
        let text = text.trim_start_matches('\u{feff}').trim();
        if text.len() > MAX_TEXT {
            return Err(IdentityFault::TooLarge);
        }
        match text.strip_prefix("-----BEGIN ") {
            Some(rest) => Ok(Self { keys: vec![pem(text, rest, passphrase)?], ..Self::default() }),
            None => Self::of_age(text),
        }
    }

    fn of_age(text: &str) -> Result<Self, IdentityFault> {
        if text.starts_with("age-encryption.org/") {
            return Err(IdentityFault::AgeEncrypted);
        }
        let mut file = Self::default();
        let mut named = None;
        for (place, line) in text.lines().map(str::trim).enumerate() {
            match line.strip_prefix('#') {
                Some(comment) => named = named.or_else(|| public_key(comment)),
                None if line.is_empty() => {}
                None => file.take(place + 1, line, named.take())?,
            }
        }
        let is_empty = file.keys.is_empty() && file.plugins.is_empty();
        if is_empty { Err(IdentityFault::Empty) } else { Ok(file) }
    }

    fn take(
        &mut self,
        line: usize,
        text: &str,
        named: Option<RecipientKey>,
    ) -> Result<(), IdentityFault> {
        if text.starts_with("AGE-PLUGIN-") {
            let key = PluginKey::parse(text, named);
            self.plugins.push(key.ok_or(IdentityFault::DamagedPlugin { line })?);
        } else if ["age1", "ssh-"].iter().any(|start| text.starts_with(start)) {
            return Err(IdentityFault::Public);
        } else {
            self.keys.push(Identity::of_age(text).ok_or(IdentityFault::NotKey { line })?);
        }
        Ok(())
    }
}

/// The key of `# Recipient: age1…` or `# public key: age1…`, as plugins write it above the key that they keep.
fn public_key(comment: &str) -> Option<RecipientKey> {
    let (title, key) = comment.split_once(':')?;
    let title = title.trim().to_ascii_lowercase();
    let names = ["recipient", "public key"].contains(&title.as_str());
    names.then(|| key.parse().ok()).flatten()
}
