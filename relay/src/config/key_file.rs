//! Key files: PKCS #8 as PEM for secrets, a line of base64url for public keys.
//!
//! A secret is read from a descriptor that has been judged: it belongs to root or to whoever runs this, and nobody else
//! may read or write it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use zeroize::Zeroizing;

/// RFC 8410: what stands before the seed of an Ed25519 key in PKCS #8.
const ED25519: [u8; 16] = *b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";

/// No key file is larger; a certificate chain with its key may be.
const SIZE_MAX: u64 = 64 << 10;

/// Why a key file is not used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileFault {
    /// No such file, or no way to it.
    #[error("cannot read `{}`", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// The system's word.
        #[source]
        source: io::Error,
    },
    /// It could not be made.
    #[error("cannot write `{}`", .path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// The system's word.
        #[source]
        source: io::Error,
    },
    /// It is there already, and a key is never overwritten.
    #[error("`{}` exists: a key is not overwritten; move it away, or write elsewhere with `--out`", .0.display())]
    Exists(PathBuf),
    /// Others may read or write it.
    #[error("`{}` can be read or written by others: make it yours alone with `chmod 600`", .0.display())]
    Mode(PathBuf),
    /// It is another's.
    #[error("`{}` belongs to another user: `chown` it to whoever runs the relay, or to root", .0.display())]
    Owner(PathBuf),
    /// It is no file, or too large for one.
    #[error("`{}` is not a key file", .0.display())]
    NotKey(PathBuf),
    /// It is a key of another kind.
    #[error("`{}` is not an Ed25519 key as PKCS #8 PEM: make one with `openscope-relay keygen`", .0.display())]
    NotEd25519(PathBuf),
    /// It is no public key.
    #[error("`{}` is not a public key: one line of 43 base64url characters is expected", .0.display())]
    NotPublic(PathBuf),
}

/// The bytes of a file that nobody else may read or write.
///
/// # Errors
/// When it cannot be read, or others could.
pub fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyFileFault> {
    let fault = |source| KeyFileFault::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(fault)?;
    judge(path, &file)?;
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(SIZE_MAX).read_to_end(&mut bytes).map_err(fault)?;
    Ok(bytes)
}

fn judge(path: &Path, file: &File) -> Result<(), KeyFileFault> {
    let about =
        file.metadata().map_err(|source| KeyFileFault::Read { path: path.to_owned(), source })?;
    if !about.is_file() || about.len() > SIZE_MAX {
        return Err(KeyFileFault::NotKey(path.to_owned()));
    }
    let us = rustix::process::geteuid().as_raw();
    if about.uid() != us && about.uid() != 0 {
        return Err(KeyFileFault::Owner(path.to_owned()));
    }
    if about.mode() & 0o077 != 0 { Err(KeyFileFault::Mode(path.to_owned())) } else { Ok(()) }
}

/// The seed of an Ed25519 key file.
///
/// # Errors
/// As [`read_secret`], and when it is another kind of key.
pub fn read_seed(path: &Path) -> Result<Zeroizing<[u8; 32]>, KeyFileFault> {
    let fault = || KeyFileFault::NotEd25519(path.to_owned());
    let pem = read_secret(path)?;
    let der = PrivatePkcs8KeyDer::from_pem_slice(&pem).map_err(|_| fault())?;
    let seed = der.secret_pkcs8_der().strip_prefix(&ED25519).ok_or_else(fault)?;
    Ok(Zeroizing::new(seed.try_into().map_err(|_| fault())?))
}

/// The public key in a file of one line.
///
/// # Errors
/// When it cannot be read or holds something else.
pub fn read_public(path: &Path) -> Result<[u8; 32], KeyFileFault> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| KeyFileFault::Read { path: path.to_owned(), source })?;
    public_from_text(text.trim()).ok_or_else(|| KeyFileFault::NotPublic(path.to_owned()))
}

/// A public key as 43 characters of base64url.
#[must_use]
pub fn public_from_text(text: &str) -> Option<[u8; 32]> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

/// The text that [`public_from_text`] reads.
#[must_use]
pub fn public_to_text(key: &[u8; 32]) -> String {
    URL_SAFE_NO_PAD.encode(key)
}

/// Writes a new file that only its owner may use.
///
/// # Errors
/// When it is there already, or cannot be written.
pub fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), KeyFileFault> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(mode).open(path);
    let written = file.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|source| {
        let path = path.to_owned();
        let exists = source.kind() == io::ErrorKind::AlreadyExists;
        if exists { KeyFileFault::Exists(path) } else { KeyFileFault::Write { path, source } }
    })
}

/// An Ed25519 key as PKCS #8 DER.
pub(crate) fn pkcs8(seed: &[u8; 32]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new([&ED25519[..], seed].concat())
}

/// An Ed25519 key as PKCS #8 PEM.
pub(crate) fn pem(seed: &[u8; 32]) -> Zeroizing<String> {
    let body = Zeroizing::new(STANDARD.encode(pkcs8(seed)));
    Zeroizing::new(format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        body.as_str()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn directory() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn a_key_reads_back_as_written() {
        let path = directory().keep().join("relay.key");
        write_new(&path, &pem(&[7; 32]), 0o600).unwrap();
        assert_eq!(*read_seed(&path).unwrap(), [7; 32]);
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }

    #[test]
    fn a_key_is_never_overwritten() {
        let directory = directory();
        let path = directory.path().join("relay.key");
        write_new(&path, "first", 0o600).unwrap();
        assert!(matches!(write_new(&path, "second", 0o600), Err(KeyFileFault::Exists(_))));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "first");
    }

    #[test]
    fn lo5_a_key_that_others_may_use_is_refused_by_name() {
        let directory = directory();
        let path = directory.path().join("relay.key");
        write_new(&path, &pem(&[7; 32]), 0o600).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o601] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let fault = read_seed(&path).unwrap_err();
            assert!(matches!(fault, KeyFileFault::Mode(_)), "{mode:o}");
            assert!(fault.to_string().contains("relay.key"), "{fault}");
        }
    }

    #[test]
    fn what_is_no_ed25519_key_is_refused() {
        let directory = directory();
        let path = directory.path().join("relay.key");
        write_new(&path, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", 0o600)
            .unwrap();
        assert!(matches!(read_seed(&path), Err(KeyFileFault::NotEd25519(_))));
        assert!(matches!(read_secret(directory.path()), Err(KeyFileFault::NotKey(_))));
        let absent = directory.path().join("absent");
        assert!(matches!(read_seed(&absent), Err(KeyFileFault::Read { .. })));
    }

    #[test]
    fn a_public_key_is_one_line() {
        let directory = directory();
        let path = directory.path().join("operator.pub");
        write_new(&path, &format!("{}\n", public_to_text(&[9; 32])), 0o644).unwrap();
        assert_eq!(read_public(&path).unwrap(), [9; 32]);
        std::fs::write(&path, "AAAA").unwrap();
        assert!(matches!(read_public(&path), Err(KeyFileFault::NotPublic(_))));
    }
}
