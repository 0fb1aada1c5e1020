//! Times of the week, in the timezone that a rule names.

use std::fmt;

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;

use crate::time::Timestamp;

/// From one time of day to another, on some days of the week. Past midnight it belongs to the day that
/// it began on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Window {
    days: Days,
    from: Minute,
    to: Minute,
    zone: TimeZone,
}

/// Minutes since midnight, 24:00 included.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Minute(u16);

/// Days of the week.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Days([bool; 7]);

const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAY_MINUTES: u16 = 24 * 60;

impl Minute {
    pub(crate) const MIDNIGHT: Self = Self(0);
    pub(crate) const END: Self = Self(DAY_MINUTES);

    /// `08:00`; two digits each, 24:00 the latest.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (hour, minute) = text.split_once(':')?;
        let two = |digits: &str| {
            let plain = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
            plain.then(|| digits.parse::<u16>().ok()).flatten()
        };
        let (hour, minute) = (two(hour)?, two(minute)?);
        let all = hour.checked_mul(60)?.checked_add(minute)?;
        (minute < 60 && all <= DAY_MINUTES).then_some(Self(all))
    }

    fn of(time: Time) -> Option<Self> {
        let (hour, minute) = (u16::try_from(time.hour()), u16::try_from(time.minute()));
        Some(Self(hour.ok()? * 60 + minute.ok()?))
    }
}

impl fmt::Display for Minute {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl Days {
    pub(crate) const ALL: Self = Self([true; 7]);

    /// `mon`, or a run of days, `fri-mon`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let number = |name: &str| NAMES.iter().position(|known| *known == name);
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (number(first)?, number(last)?);
        let length = (last + NAMES.len() - first) % NAMES.len();
        let within = |day: usize| (day + NAMES.len() - first) % NAMES.len() <= length;
        Some(Self(std::array::from_fn(within)))
    }

    pub(crate) fn and(self, other: Self) -> Self {
        let mut days = self.0;
        days.iter_mut().zip(other.0).for_each(|(day, also)| *day |= also);
        Self(days)
    }

    fn include(self, day: Weekday) -> bool {
        let number = usize::try_from(day.to_monday_zero_offset()).ok();
        number.and_then(|number| self.0.get(number).copied()).unwrap_or(false)
    }
}

impl Window {
    pub(crate) fn new(days: Days, from: Minute, to: Minute, zone: TimeZone) -> Self {
        Self { days, from, to, zone }
    }

    /// Whether that moment is within; `None` when it has no date.
    pub(crate) fn includes(&self, now: Timestamp) -> Option<bool> {
        let at = jiff::Timestamp::from_millisecond(i64::try_from(now.0).ok()?).ok()?;
        let local = at.to_zoned(self.zone.clone());
        let (today, minute) = (local.weekday(), Minute::of(local.time())?);
        if self.from < self.to {
            return Some(self.days.include(today) && self.from <= minute && minute < self.to);
        }
        let begun = self.days.include(today) && self.from <= minute;
        let lasting = self.days.include(today.previous()) && minute < self.to;
        Some(begun || lasting)
    }
}

impl fmt::Display for Window {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days: Vec<&str> =
            NAMES.iter().zip(self.days.0).filter(|(_, day)| *day).map(|(name, _)| *name).collect();
        let zone = self.zone.iana_name().unwrap_or("UTC");
        write!(out, "{} {}-{} {zone}", days.join(","), self.from, self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(days: &str, from: &str, to: &str, zone: &str) -> Window {
        let zone = TimeZone::get(zone).unwrap();
        let minute = |text| Minute::parse(text).unwrap();
        Window::new(Days::parse(days).unwrap(), minute(from), minute(to), zone)
    }

    fn at(text: &str) -> Timestamp {
        let moment: jiff::Timestamp = text.parse().unwrap();
        Timestamp(u64::try_from(moment.as_millisecond()).unwrap())
    }

    #[test]
    fn a_window_begins_with_its_first_minute_and_ends_before_its_last() {
        let office = window("mon-fri", "08:00", "18:00", "UTC");
        for (moment, within) in [
            ("2026-11-20T07:59:59.999Z", false),
            ("2026-11-20T08:00:00Z", true),
            ("2026-11-20T17:59:59.999Z", true),
            ("2026-11-20T18:00:00Z", false),
            ("2026-11-21T12:00:00Z", false),
        ] {
            assert_eq!(office.includes(at(moment)), Some(within), "{moment}");
        }
    }

    #[test]
    fn a_window_past_midnight_belongs_to_the_day_that_it_began_on() {
        let night = window("fri", "22:00", "06:00", "UTC");
        for (moment, within) in [
            ("2026-11-20T05:00:00Z", false),
            ("2026-11-20T22:00:00Z", true),
            ("2026-11-21T05:59:00Z", true),
            ("2026-11-21T06:00:00Z", false),
            ("2026-11-21T22:00:00Z", false),
        ] {
            assert_eq!(night.includes(at(moment)), Some(within), "{moment}");
        }
        let whole = window("sat", "00:00", "24:00", "UTC");
        assert_eq!(whole.includes(at("2026-11-21T23:59:59Z")), Some(true));
        assert_eq!(whole.includes(at("2026-11-22T00:00:00Z")), Some(false));
        let round = window("sat", "08:00", "08:00", "UTC");
        assert_eq!(round.includes(at("2026-11-22T07:59:00Z")), Some(true));
    }

    #[test]
    fn a_window_follows_the_clocks_of_its_timezone() {
        let office = window("mon-sun", "08:00", "09:00", "Europe/Berlin");
        for (moment, within) in [
            ("2026-07-01T06:30:00Z", true),
            ("2026-07-01T07:30:00Z", false),
            ("2026-12-01T06:30:00Z", false),
            ("2026-12-01T07:30:00Z", true),
        ] {
            assert_eq!(office.includes(at(moment)), Some(within), "{moment}");
        }
    }

    #[test]
    fn a_moment_without_a_date_is_not_known() {
        let office = window("mon", "08:00", "18:00", "UTC");
        assert_eq!(office.includes(Timestamp(u64::MAX)), None);
    }

    #[test]
    fn days_and_minutes_have_one_spelling() {
        assert_eq!(
            Days::parse("sat-mon").unwrap().0,
            [true, false, false, false, false, true, true]
        );
        assert_eq!(Days::parse("tue-mon"), Some(Days::ALL));
        for wrong in ["", "Mon", "monday", "mon-", "-mon", "mon-fri-sun"] {
            assert_eq!(Days::parse(wrong), None, "{wrong}");
        }
        for wrong in ["", "8:00", "08:60", "24:01", "25:00", "+8:00", "08:0", "08:00:00"] {
            assert_eq!(Minute::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Minute::parse("24:00"), Some(Minute::END));
    }
}
