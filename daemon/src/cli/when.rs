//! Points in time as a person reads them.

use std::time::Duration;

use policy::Timestamp;

use crate::clock::rfc3339;

/// `2026-11-21T07:30:00Z (in 12 min)`.
pub(super) fn full(at: Timestamp, now: Timestamp) -> String {
    format!("{} ({})", second(at), ahead(at, now))
}

/// To the second, which is as exact as a person needs it.
pub(super) fn second(at: Timestamp) -> String {
    let exact = rfc3339(at);
    exact.split_once('.').map_or(exact.clone(), |(whole, _)| format!("{whole}Z"))
}

/// `in 12 min`. The milliseconds that an answer was under way do not turn 30 minutes into 29.
pub(super) fn ahead(at: Timestamp, now: Timestamp) -> String {
    match at.since(now).saturating_add(HALF_A_SECOND).as_secs() {
        0 => "over".to_owned(),
        seconds => format!("in {}", length(seconds)),
    }
}

const HALF_A_SECOND: Duration = Duration::from_millis(500);

/// `12 min ago`.
pub(super) fn ago(at: Timestamp, now: Timestamp) -> String {
    format!("{} ago", length(now.since(at).as_secs()))
}

fn length(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ahead_by(millis: u64) -> String {
        ahead(Timestamp(1_000_000 + millis), Timestamp(1_000_000))
    }

    #[test]
    fn time_left_is_told_to_the_second_and_then_to_the_minute_begun() {
        assert_eq!(ahead_by(499), "over");
        assert_eq!(ahead_by(500), "in 1 s");
        assert_eq!(ahead_by(119_499), "in 119 s");
        assert_eq!(ahead_by(119_500), "in 2 min");
        assert_eq!(ahead_by(1_799_499), "in 29 min");
        assert_eq!(ahead_by(1_799_990), "in 30 min");
        assert_eq!(ahead_by(7_200_000), "in 2 h");
    }

    #[test]
    fn a_time_is_told_to_the_second_in_utc() {
        assert_eq!(full(Timestamp(61_999), Timestamp(1_999)), "1970-01-01T00:01:01Z (in 60 s)");
    }

    #[test]
    fn what_has_passed_is_over() {
        assert_eq!(ahead(Timestamp(5), Timestamp(5_000)), "over");
        assert_eq!(ago(Timestamp(0), Timestamp(5_000)), "5 s ago");
    }
}
