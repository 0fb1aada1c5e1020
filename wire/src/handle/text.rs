//! A handle as text, and what people and mail programs do to it.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::{HandleFault, MAX_HANDLE};

/// What every handle of this version begins with.
const PREFIX: &str = "osp1_";
/// Blanks, quoting and line breaks may double a handle, not more.
const MAX_GIVEN: usize = 2 * MAX_HANDLE;
/// The bytes behind the prefix come in multiples of this, which is 64 characters.
pub(super) const BLOCK: usize = 48;

/// The text of `file`, whose length is a multiple of [`BLOCK`].
pub(super) fn write(file: &[u8]) -> Result<String, HandleFault> {
    let text = format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(file));
    if text.len() > MAX_HANDLE {
        return Err(HandleFault::TooLong { length: text.len() });
    }
    Ok(text)
}

/// The bytes that `given` stands for, or what is wrong with it.
pub(super) fn read(given: &str) -> Result<Vec<u8>, HandleFault> {
    if given.len() > MAX_GIVEN {
        return Err(HandleFault::TooLong { length: given.len() });
    }
    let text = cleaned(given);
    let Some(body) = text.strip_prefix(PREFIX) else { return Err(not_a_handle(&text)) };
    if text.len() > MAX_HANDLE {
        return Err(HandleFault::TooLong { length: text.len() });
    }
    check_characters(body)?;
    if body.is_empty() || !body.len().is_multiple_of(BLOCK / 3 * 4) {
        return Err(HandleFault::CutShort);
    }
    BASE64_URL_SAFE_NO_PAD.decode(body).map_err(|_| HandleFault::Damaged)
}

/// Without what mail programs, chats and people add: line breaks, quoting marks, quotes.
fn cleaned(given: &str) -> String {
    let kept: String = given.chars().filter(|c| !is_added(*c)).collect();
    kept.trim_matches(['"', '\'', '`', '<', '(', ')', ',', '.']).to_owned()
}

fn is_added(c: char) -> bool {
    /// Marks that take no room: soft hyphen, zero-width space and joiners, word joiner, byte-order mark.
    const INVISIBLE: [char; 6] =
        ['\u{ad}', '\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}', '\u{feff}'];
    c.is_whitespace() || c == '>' || INVISIBLE.contains(&c)
}

fn check_characters(body: &str) -> Result<(), HandleFault> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match body.chars().enumerate().find(|(_, c)| !allowed(*c)) {
        None => Ok(()),
        Some((place, character)) => Err(HandleFault::Character {
            place: PREFIX.len() + place + 1,
            character: character.escape_debug().to_string(),
        }),
    }
}

/// What `text`, which does not begin as a handle, seems to be instead.
fn not_a_handle(text: &str) -> HandleFault {
    if text.is_empty() {
        return HandleFault::Empty;
    }
    if text.to_ascii_uppercase().contains("SECRET-KEY-1") || text.contains("PRIVATEKEY") {
        return HandleFault::SecretKey;
    }
    if text.parse::<policy::ShareId>().is_ok() {
        return HandleFault::ShareId;
    }
    if PREFIX.starts_with(text) {
        return HandleFault::CutShort;
    }
    match other_version(text) {
        Some(version) => HandleFault::OtherVersion { version },
        None => HandleFault::NotHandle,
    }
}

/// `2` of `osp2_…`.
fn other_version(text: &str) -> Option<String> {
    let (version, _) = text.strip_prefix("osp")?.split_once('_')?;
    let is_number = (1..=3).contains(&version.len()) && version.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| version.to_owned())
}
