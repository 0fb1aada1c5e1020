//! What is inside a handle, as canonical CBOR: an array, so that nothing in it is there twice or out of order.

use serde::{Deserialize, Serialize};
use serde_bytes::{ByteArray, ByteBuf};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{Handle, HandleFault, MAX_HANDLE, Secret};
use crate::cbor::{from_canonical, to_canonical};

const VERSION: u8 = 1;
/// More padding than this is never needed to fill a block.
const MAX_PADDING: usize = 128;

/// Version, rendezvous, redeem, daemon key, passport, padding of zeros.
#[derive(Serialize, Deserialize)]
struct Contents(u8, ByteArray<32>, ByteArray<32>, ByteArray<32>, ByteBuf, ByteBuf);

impl Contents {
    fn of(handle: &Handle, padding: usize) -> Self {
        Self(
            VERSION,
            ByteArray::new(*handle.rendezvous.expose()),
            ByteArray::new(*handle.redeem.expose()),
            ByteArray::new(handle.daemon_key),
            ByteBuf::from(handle.passport.clone()),
            ByteBuf::from(vec![0; padding]),
        )
    }

    fn is_well_padded(&self) -> bool {
        self.5.len() <= MAX_PADDING && self.5.iter().all(|byte| *byte == 0)
    }
}

impl Drop for Contents {
    fn drop(&mut self) {
        self.1.zeroize();
        self.2.zeroize();
    }
}

impl ZeroizeOnDrop for Contents {}

/// The bytes of `handle`, padded so that `fits` is true of their number.
pub(super) fn write(
    handle: &Handle,
    fits: impl Fn(usize) -> bool,
) -> Result<Zeroizing<Vec<u8>>, HandleFault> {
    let bare = encode(&Contents::of(handle, 0))?;
    let padding = (0..=MAX_PADDING).find(|padding| fits(bare.len() + padding + header(*padding)));
    encode(&Contents::of(handle, padding.unwrap_or_default()))
}

/// Bytes that the padding's own length takes beyond the one that an empty padding has.
fn header(padding: usize) -> usize {
    usize::from(padding > 23)
}

fn encode(contents: &Contents) -> Result<Zeroizing<Vec<u8>>, HandleFault> {
    let bytes = to_canonical(contents).map_err(|fault| HandleFault::Contents(Some(fault)))?;
    Ok(Zeroizing::new(bytes))
}

/// The handle in `bytes`; nothing of it is verified yet.
pub(super) fn read(bytes: &[u8]) -> Result<Handle, HandleFault> {
    let contents: Contents =
        from_canonical(bytes, MAX_HANDLE).map_err(|fault| HandleFault::Contents(Some(fault)))?;
    if contents.0 != VERSION {
        return Err(HandleFault::OtherVersion { version: contents.0.to_string() });
    }
    if !contents.is_well_padded() {
        return Err(HandleFault::Contents(None));
    }
    Ok(Handle {
        rendezvous: Secret::new(*contents.1),
        redeem: Secret::new(*contents.2),
        daemon_key: *contents.3,
        passport: contents.4.to_vec(),
    })
}
