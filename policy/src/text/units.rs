//! Durations and sizes as people write them.

use std::time::Duration;

use super::TextFault;
use super::document::Node;
use crate::name::shown;

/// `500ms`, `20s`, `5m` or `1h`, never zero.
pub(super) fn duration(node: Node<'_>) -> Result<Duration, TextFault> {
    let text = node.string()?;
    let units = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];
    let millis = scaled(text, &units).map(Duration::from_millis);
    millis.filter(|time| !time.is_zero()).ok_or_else(|| {
        node.place.fault(format!("`{}` is not a duration: write 500ms, 20s, 5m or 1h", shown(text)))
    })
}

/// `512B`, `64KiB`, `8MiB` or `1GiB`, never zero.
pub(super) fn size(node: Node<'_>) -> Result<u64, TextFault> {
    let text = node.string()?;
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("B", 1)];
    scaled(text, &units).filter(|bytes| *bytes > 0).ok_or_else(|| {
        node.place
            .fault(format!("`{}` is not a size: write 512B, 64KiB, 8MiB or 1GiB", shown(text)))
    })
}

/// `50%` or `200%`: of one processor.
pub(super) fn percent(node: Node<'_>) -> Result<u64, TextFault> {
    let text = node.string()?;
    scaled(text, &[("%", 1)]).ok_or_else(|| {
        node.place.fault(format!(
            "`{}` is not a share of a processor: write 50%, 100% or 200%",
            shown(text)
        ))
    })
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, scale) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*scale)
}
