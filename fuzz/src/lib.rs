//! Every parser that meets bytes of somebody else's, as a function from bytes to whether they were accepted.
//!
//! None may panic, and what is accepted is written out again as it was: two spellings of one thing are a fault.

mod blind;
mod files;
mod handles;
mod messages;
mod output;

// Coverage reports to the fuzzer's runtime, in the tests of the seeds too.
use libfuzzer_sys as _;

pub use blind::{deployment_token, relay_address, relay_control, relay_datagram};
pub use files::{audit_log, expectation_text, narrow_text, passport, policy_text, request_text};
pub use handles::{fingerprint_claim, handle_contents, handle_text, identity_text, recipient_key};
pub use messages::{broker_socket, frames, owner_socket, statements};
pub use output::redaction;

/// A parser: whether it accepts the bytes.

/// All of them, by the name of their target.
pub const PARSERS: [(&str, fn(&[u8]) -> bool); 20] = [
    ("audit_log", audit_log),
    ("broker_socket", broker_socket),
    ("deployment_token", deployment_token),
    ("expectation_text", expectation_text),
    ("fingerprint_claim", fingerprint_claim),
    ("frames", frames),
    ("handle_contents", handle_contents),
    ("handle_text", handle_text),
    ("identity_text", identity_text),
    ("narrow_text", narrow_text),
    ("owner_socket", owner_socket),
    ("passport", passport),
    ("policy_text", policy_text),
    ("recipient_key", recipient_key),
    ("redaction", redaction),
    ("relay_address", relay_address),
    ("relay_control", relay_control),
    ("relay_datagram", relay_datagram),
    ("request_text", request_text),
    ("statements", statements),
];

/// The seed of the key that signs what the seeds hold: passports, tokens, logs.
pub const ROOT: [u8; 32] = [7; 32];

/// The recipient of the handles that the seeds hold.
pub const IDENTITY: &str = include_str!("../../wire/src/handle/tests/golden_identity");
