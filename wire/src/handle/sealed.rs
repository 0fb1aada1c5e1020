//! A handle closed for its recipient.

use std::cell::Cell;
use std::io::{self, Read, Write};

use age::{Callbacks, DecryptError, Decryptor, EncryptError, Encryptor};
use zeroize::Zeroizing;

use super::{Handle, HandleFault, Identity, PluginFault, PluginKey, RecipientKey, contents, text};

/// A handle as it was given: of the right form, and still closed.
#[derive(Clone, Debug)]
pub struct Sealed(Vec<u8>);

/// Bytes by which age's authenticated encryption lengthens what fits one of its chunks.
const TAG: usize = 16;

pub(super) fn seal(handle: &Handle, to: &RecipientKey) -> Result<String, HandleFault> {
    let recipients = std::iter::once(to.as_age());
    let encryptor = Encryptor::with_recipients(recipients).map_err(seal_fault)?;
    let written = Cell::new(0);
    let output = Counted { bytes: Vec::new(), written: &written };
    let mut stream = encryptor.wrap_output(output).map_err(HandleFault::Seal)?;
    let header = written.get();
    let plain =
        contents::write(handle, |length| (header + length + TAG).is_multiple_of(text::BLOCK))?;
    stream.write_all(&plain).map_err(HandleFault::Seal)?;
    text::write(&stream.finish().map_err(HandleFault::Seal)?.bytes)
}

fn seal_fault(fault: EncryptError) -> HandleFault {
    HandleFault::Seal(io::Error::other(fault))
}

/// Counts what has been written: age's header has a part of random length.
struct Counted<'a> {
    bytes: Vec<u8>,
    written: &'a Cell<usize>,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        self.written.set(self.bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sealed {
    /// Takes text apart as far as that is possible without a key: size, version, characters, age's header.
    ///
    /// # Errors
    /// Says which of these is wrong.
    pub fn parse(text: &str) -> Result<Self, HandleFault> {
        let file = text::read(text)?;
        let decryptor =
            Decryptor::new_buffered(file.as_slice()).map_err(|fault| header_fault(&fault))?;
        // A passphrase's work factor is chosen by whoever sealed: a stranger must not burn our processor.
        if decryptor.is_scrypt() {
            return Err(HandleFault::Passphrase);
        }
        Ok(Self(file))
    }

    /// Opens it with the first of `identities` that fits. Nothing inside is verified: see [`Handle::verify`].
    ///
    /// # Errors
    /// None fits, the handle was changed, or it does not hold what a handle holds.
    pub fn open(&self, identities: &[Identity]) -> Result<Handle, HandleFault> {
        self.open_by(identities).map(|(handle, _)| handle)
    }

    /// The same, and to which key it was sealed.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_by(&self, identities: &[Identity]) -> Result<(Handle, RecipientKey), HandleFault> {
        for identity in identities {
            match self.open_with(identity.as_age(), open_fault) {
                Err(HandleFault::NotForYou) => {}
                opened => return opened.map(|handle| (handle, identity.recipient().clone())),
            }
        }
        let none = identities.is_empty();
        Err(if none { HandleFault::NoIdentity } else { HandleFault::NotForYou })
    }

    /// Opens it with a key that a plugin keeps: runs that program. `person` answers what it asks.
    ///
    /// # Errors
    /// As [`Self::open`], or what keeps the program from opening it.
    pub fn open_by_plugin(
        &self,
        key: &PluginKey,
        person: impl Callbacks,
    ) -> Result<Handle, PluginFault> {
        self.open_with(&key.with(person)?, |fault| key.told(fault))
    }

    fn open_with<F: From<HandleFault>>(
        &self,
        key: &dyn age::Identity,
        told: impl Fn(&DecryptError) -> F,
    ) -> Result<Handle, F> {
        let decryptor =
            Decryptor::new_buffered(self.0.as_slice()).map_err(|fault| header_fault(&fault))?;
        let mut stream = decryptor.decrypt(std::iter::once(key)).map_err(|fault| told(&fault))?;
        // Room for all of it at once: a buffer that grows leaves copies behind that nobody wipes.
        let mut plain = Zeroizing::new(Vec::with_capacity(self.0.len()));
        stream.read_to_end(&mut plain).map_err(|_| HandleFault::Damaged)?;
        Ok(contents::read(&plain)?)
    }
}

fn header_fault(fault: &DecryptError) -> HandleFault {
    if matches!(fault, DecryptError::Io(_)) { HandleFault::CutShort } else { HandleFault::Damaged }
}

pub(super) fn open_fault(fault: &DecryptError) -> HandleFault {
    match fault {
        DecryptError::NoMatchingKeys => HandleFault::NotForYou,
        DecryptError::ExcessiveWork { .. } => HandleFault::Passphrase,
        DecryptError::DecryptionFailed
        | DecryptError::InvalidHeader
        | DecryptError::InvalidMac
        | DecryptError::Io(_)
        | DecryptError::KeyDecryptionFailed
        | DecryptError::Plugin(_)
        | DecryptError::PluginResolve(_)
        | DecryptError::UnknownFormat
        | _ => HandleFault::Damaged,
    }
}
