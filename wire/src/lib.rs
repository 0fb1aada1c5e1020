//! What crosses the boundaries between OpenScope's processes and parties.

pub mod access;
pub mod call;
pub mod cbor;
pub mod channel;
pub mod control;
pub mod fingerprint;
pub mod frame;
pub mod handle;
pub mod note;
pub mod privsep;
pub mod terminal;
