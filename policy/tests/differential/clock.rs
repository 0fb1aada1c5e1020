//! Dates, counted by hand.

use crate::model::{Window, Zone};

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// The last moment that has a date everywhere: 9999-12-30 22:00 UTC.
const LAST: u64 = 253_402_207_200_999;

impl Window {
    /// Whether the moment is within; `None` when it has no date.
    pub(crate) fn includes(&self, now: u64) -> Option<bool> {
        if now > LAST {
            return None;
        }
        let local = now + offset(self.zone, now);
        // The first of January 1970 was a Thursday.
        let weekday = usize::try_from((local / DAY + 3) % 7).unwrap();
        let minute = local % DAY / MINUTE;
        let today = self.days[weekday];
        let yesterday = self.days[(weekday + 6) % 7];
        Some(if self.from < self.to {
            today && minute >= self.from && minute < self.to
        } else {
            (today && minute >= self.from) || (yesterday && minute < self.to)
        })
    }
}

/// How far the zone is ahead of UTC.
fn offset(zone: Zone, now: u64) -> u64 {
    match zone {
        Zone::Utc => 0,
        Zone::Kolkata => 5 * HOUR + 30 * MINUTE,
        Zone::Berlin if is_summer(now) => 2 * HOUR,
        Zone::Berlin => HOUR,
    }
}

/// From the last Sunday of March, 01:00 UTC, to the last of October, 01:00 UTC: so since 1996.
fn is_summer(now: u64) -> bool {
    let (mut year, mut begin) = (1970, 0);
    while begin + length(year) <= now / DAY {
        begin += length(year);
        year += 1;
    }
    let march_31 = begin + 31 + (length(year) - 365 + 28) + 30;
    let october_31 = march_31 + 30 + 31 + 30 + 31 + 31 + 30 + 31;
    // Days since the last Sunday, on that day and before it.
    let sunday = |day: u64| day - (day + 4) % 7;
    now >= sunday(march_31) * DAY + HOUR && now < sunday(october_31) * DAY + HOUR
}

fn length(year: u64) -> u64 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    if leap { 366 } else { 365 }
}
