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

#[cfg(test)]
mod tests {
    use super::*;

    fn handle() -> Handle {
        Handle {
            rendezvous: Secret::new([1; 32]),
            redeem: Secret::new([2; 32]),
            daemon_key: [3; 32],
            passport: vec![4; 3],
        }
    }

    fn encoded(version: u8, padding: &[u8]) -> Vec<u8> {
        let mut contents = Contents::of(&handle(), 0);
        contents.0 = version;
        contents.5 = ByteBuf::from(padding);
        to_canonical(&contents).unwrap()
    }

    #[test]
    fn the_contents_are_these_bytes() {
        let strings = [[1u8; 32], [2; 32], [3; 32]].map(|key| [&[0x58, 0x20], &key[..]].concat());
        let golden = [&[0x86, 1][..], &strings.concat(), &[0x43, 4, 4, 4], &[0x42, 0, 0]].concat();
        assert_eq!(*write(&handle(), |length| length == golden.len()).unwrap(), golden);
        assert_eq!(read(&golden).unwrap().passport, [4; 3]);
    }

    #[test]
    fn another_version_is_named() {
        let fault = read(&encoded(2, &[])).unwrap_err();
        assert!(matches!(fault, HandleFault::OtherVersion { version } if version == "2"));
    }

    #[test]
    fn padding_is_of_zeros_and_bounded() {
        assert!(read(&encoded(VERSION, &[0; MAX_PADDING])).is_ok());
        assert!(read(&encoded(VERSION, &[0; MAX_PADDING + 1])).is_err());
        assert!(read(&encoded(VERSION, &[0, 1])).is_err());
    }

    #[test]
    fn bytes_that_are_changed_lengthened_or_cut_are_refused_or_read_differently() {
        let good = encoded(VERSION, &[]);
        assert!(read(&[good.as_slice(), &[0]].concat()).is_err());
        for place in 0..good.len() {
            assert!(read(good.get(..place).unwrap()).is_err());
            let mut changed = good.clone();
            changed[place] ^= 1;
            let same = read(&changed).is_ok_and(|other| *write(&other, |_| true).unwrap() == good);
            assert!(!same, "byte {place}");
        }
    }
}
