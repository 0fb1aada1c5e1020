//! What is inside a handle, as canonical CBOR: an array, so that nothing in it is there twice or out of order.

use serde::{Deserialize, Serialize};
use serde_bytes::{ByteArray, ByteBuf};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{Handle, HandleFault, MAX_HANDLE, Secret};
use crate::call::Proof;
use crate::cbor::{from_canonical, to_canonical};

const VERSION: u8 = 1;
/// More padding than this is never needed to fill a block.
const MAX_PADDING: usize = 128;
/// How an array of seven begins.
const LONG: u8 = 0x87;

/// A seat's own: version, rendezvous, redeem, daemon key, passport, padding of zeros.
#[derive(Serialize, Deserialize)]
struct Contents(u8, ByteArray<32>, ByteArray<32>, ByteArray<32>, ByteBuf, ByteBuf);

/// Of a passport that was narrowed or handed on: version, rendezvous, redeem or nothing, daemon key, passport, the
/// ancestors' proofs, padding of zeros.
#[derive(Serialize, Deserialize)]
struct Narrowed(
    u8,
    ByteArray<32>,
    Option<ByteArray<32>>,
    ByteArray<32>,
    ByteBuf,
    Vec<Option<Proof>>,
    ByteBuf,
);

impl Drop for Contents {
    fn drop(&mut self) {
        self.1.zeroize();
        self.2.zeroize();
    }
}

impl Drop for Narrowed {
    fn drop(&mut self) {
        self.1.zeroize();
        if let Some(redeem) = &mut self.2 {
            redeem.zeroize();
        }
    }
}

impl ZeroizeOnDrop for Contents {}
impl ZeroizeOnDrop for Narrowed {}

/// The bytes of `handle`, padded so that `fits` is true of their number.
pub(super) fn write(
    handle: &Handle,
    fits: impl Fn(usize) -> bool,
) -> Result<Zeroizing<Vec<u8>>, HandleFault> {
    let bare = encode(handle, 0)?;
    let padding = (0..=MAX_PADDING).find(|padding| fits(bare.len() + padding + header(*padding)));
    encode(handle, padding.unwrap_or_default())
}

/// Bytes that the padding's own length takes beyond the one that an empty padding has.
fn header(padding: usize) -> usize {
    usize::from(padding > 23)
}

/// Each handle in its one form: a seat's own always in the shorter.
fn encode(handle: &Handle, padding: usize) -> Result<Zeroizing<Vec<u8>>, HandleFault> {
    let rendezvous = ByteArray::new(*handle.rendezvous.expose());
    let redeem = handle.redeem.as_ref().map(|redeem| ByteArray::new(*redeem.expose()));
    let daemon_key = ByteArray::new(handle.daemon_key);
    let passport = ByteBuf::from(handle.passport.clone());
    let padding = ByteBuf::from(vec![0; padding]);
    let bytes = match redeem {
        Some(redeem) if handle.ancestors.is_empty() => {
            to_canonical(&Contents(VERSION, rendezvous, redeem, daemon_key, passport, padding))
        }
        redeem => {
            let proofs = handle.ancestors.clone();
            to_canonical(&Narrowed(
                VERSION, rendezvous, redeem, daemon_key, passport, proofs, padding,
            ))
        }
    };
    bytes.map(Zeroizing::new).map_err(|fault| HandleFault::Contents(Some(fault)))
}

/// The handle in `bytes`; nothing of it is verified yet.
pub(super) fn read(bytes: &[u8]) -> Result<Handle, HandleFault> {
    if bytes.first() == Some(&LONG) { read_narrowed(bytes) } else { read_own(bytes) }
}

fn read_own(bytes: &[u8]) -> Result<Handle, HandleFault> {
    let contents: Contents =
        from_canonical(bytes, MAX_HANDLE).map_err(|fault| HandleFault::Contents(Some(fault)))?;
    check(contents.0, &contents.5)?;
    Ok(Handle {
        rendezvous: Secret::new(*contents.1),
        redeem: Some(Secret::new(*contents.2)),
        daemon_key: *contents.3,
        passport: contents.4.to_vec(),
        ancestors: Vec::new(),
    })
}

fn read_narrowed(bytes: &[u8]) -> Result<Handle, HandleFault> {
    let contents: Narrowed =
        from_canonical(bytes, MAX_HANDLE).map_err(|fault| HandleFault::Contents(Some(fault)))?;
    check(contents.0, &contents.6)?;
    if contents.2.is_some() && contents.5.is_empty() {
        return Err(HandleFault::Contents(None));
    }
    Ok(Handle {
        rendezvous: Secret::new(*contents.1),
        redeem: contents.2.as_ref().map(|redeem| Secret::new(**redeem)),
        daemon_key: *contents.3,
        passport: contents.4.to_vec(),
        ancestors: contents.5.clone(),
    })
}

fn check(version: u8, padding: &[u8]) -> Result<(), HandleFault> {
    if version != VERSION {
        return Err(HandleFault::OtherVersion { version: version.to_string() });
    }
    if padding.len() > MAX_PADDING || padding.iter().any(|byte| *byte != 0) {
        return Err(HandleFault::Contents(None));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handle() -> Handle {
        Handle {
            rendezvous: Secret::new([1; 32]),
            redeem: Some(Secret::new([2; 32])),
            daemon_key: [3; 32],
            passport: vec![4; 3],
            ancestors: Vec::new(),
        }
    }

    fn handed_on() -> Handle {
        Handle { ancestors: vec![None, Some(Proof([6; 64]))], ..handle() }
    }

    fn strings() -> [Vec<u8>; 3] {
        [[1u8; 32], [2; 32], [3; 32]].map(|key| [&[0x58, 0x20], &key[..]].concat())
    }

    fn encoded(version: u8, padding: &[u8]) -> Vec<u8> {
        let start = [&[0x86, version][..], &strings().concat(), &[0x43, 4, 4, 4]].concat();
        [start, to_canonical(&ByteBuf::from(padding)).unwrap()].concat()
    }

    #[test]
    fn the_contents_are_these_bytes() {
        let golden = encoded(1, &[0, 0]);
        assert_eq!(*write(&handle(), |length| length == golden.len()).unwrap(), golden);
        assert_eq!(read(&golden).unwrap().passport, [4; 3]);
    }

    #[test]
    fn the_contents_of_what_was_narrowed_or_handed_on_are_these_bytes() {
        let [rendezvous, redeem, daemon] = strings();
        let start = [&[0x87, 1][..], &rendezvous].concat();
        let end = [&daemon[..], &[0x43, 4, 4, 4]].concat();
        let proofs = [&[0x82, 0xf6, 0x58, 0x40][..], &[6; 64]].concat();
        let golden = [start.clone(), redeem, end.clone(), proofs, vec![0x40]].concat();
        assert_eq!(*write(&handed_on(), |_| true).unwrap(), golden);
        assert_eq!(read(&golden).unwrap().ancestors, handed_on().ancestors);
        let narrowed = Handle { redeem: None, ..handle() };
        let golden = [start, vec![0xf6], end, vec![0x80, 0x40]].concat();
        assert_eq!(*write(&narrowed, |_| true).unwrap(), golden);
        assert!(read(&golden).unwrap().redeem.is_none());
    }

    #[test]
    fn a_seats_own_handle_is_refused_in_the_longer_form() {
        let [rendezvous, redeem, daemon] = strings();
        let parts = [&[0x87, 1][..], &rendezvous, &redeem, &daemon, &[0x43, 4, 4, 4, 0x80, 0x40]];
        assert!(matches!(read(&parts.concat()), Err(HandleFault::Contents(None))));
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
        for good in [encoded(VERSION, &[]), write(&handed_on(), |_| true).unwrap().to_vec()] {
            assert!(read(&[good.as_slice(), &[0]].concat()).is_err());
            for place in 0..good.len() {
                assert!(read(good.get(..place).unwrap()).is_err());
                let mut changed = good.clone();
                changed[place] ^= 1;
                let same =
                    read(&changed).is_ok_and(|other| *write(&other, |_| true).unwrap() == good);
                assert!(!same, "byte {place}");
            }
        }
    }
}
