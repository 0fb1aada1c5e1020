//! Notes: a word for the owner of a share, by a verb of its own.

use std::collections::BTreeMap;

use crate::constraint::Constraint;
use crate::kind::Kind;
use crate::name::ParameterName;
use crate::value::MAX_VALUE_BYTES;
use crate::verb::Parameter;

/// The most bytes of a note, either way.
pub const MAX_NOTE: usize = MAX_VALUE_BYTES;

/// The parameter that has its words.
pub const NOTE_TEXT: &str = "text";

/// What a verb that leaves a note takes.
pub(crate) fn parameters() -> BTreeMap<ParameterName, Parameter> {
    let text = Parameter {
        kind: Kind::Text,
        constraint: Constraint::Any,
        required: true,
        default: None,
        summary: format!("what is to be said, of at most {MAX_NOTE} bytes"),
    };
    NOTE_TEXT.parse().map(|name| (name, text)).into_iter().collect()
}
