//! Every bound that an administrator may set.

use std::time::Duration;

use serde::Deserialize;

use super::quantity::{Count, Size, Span};

/// No share outlives this from its first opening. It cannot be configured.
pub const HARD_STOP: Duration = Duration::from_mins(30);

const SECOND: u64 = 1_000;
const HARD_STOP_MS: u64 = 30 * 60 * SECOND;
const KIB: u64 = 1024;
const GIB: u64 = KIB * KIB * KIB;

macro_rules! limits {
    ($($(#[doc = $doc:literal])+ $key:ident: $type:ty = $default:expr, $written:ty, $take:expr;)+) => {
        /// The bounds; each is a key of `[limits]` of the same name.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub struct Limits {
            $($(#[doc = $doc])+ pub $key: $type,)+
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($key: $default,)+ }
            }
        }

        #[derive(Debug, Default, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(super) struct WrittenLimits {
            $($key: Option<$written>,)+
        }

        impl WrittenLimits {
            pub(super) fn check(self) -> Limits {
                Limits { $($key: self.$key.and_then($take).unwrap_or($default),)+ }
            }
        }

        /// The keys of `[limits]`.
        #[cfg(test)]
        pub(super) const KEYS: &[&str] = &[$(stringify!($key)),+];
    };
}

limits! {
    /// Shares open at one time on this machine.
    open_shares: usize = 1024, Count<1, 100_000>, Count::narrow;
    /// Shares that one owner may have open.
    open_shares_per_owner: usize = 16, Count<1, 10_000>, Count::narrow;
    /// Recipients of one share.
    seats_per_share: usize = 8, Count<1, 32>, Count::narrow;
    /// Calls of one seat that run at one time.
    calls_in_flight_per_seat: usize = 32, Count<1, 1_000>, Count::narrow;
    /// Calls of all shares that run at one time.
    calls_in_flight: usize = 512, Count<1, 100_000>, Count::narrow;
    /// Calls that one share may make in its life; the daemon remembers each until it ends.
    calls_per_share: u64 = 100_000, Count<1, 10_000_000>, Count::narrow;
    /// Calls of one seat in a second, counted before any signature is looked at.
    calls_per_second_per_seat: u32 = 2_000, Count<1, 1_000_000>, Count::narrow;
    /// Refused calls of one share that are recorded; the next one ends it.
    refusals_per_share: u64 = 1_000, Count<1, 1_000_000>, Count::narrow;
    /// Calls of one share refused one after the other; the next one ends it.
    refusals_in_a_row: u32 = 20, Count<1, 1_000_000>, Count::narrow;
    /// Calls of one share, or shares of one owner, that wait for consent at one time.
    requests_per_share: usize = 8, Count<1, 100>, Count::narrow;
    /// How long a request waits for consent before it is refused.
    request_wait: Duration = Duration::from_mins(5), Span<SECOND, HARD_STOP_MS>, |span| Some(span.0);
    /// Runners that wait, started, for the next call.
    parked_runners: usize = 4, Count<0, 64>, Count::narrow;
    /// Connections to the owner socket at one time.
    owner_connections: usize = 64, Count<1, 1_000>, Count::narrow;
    /// Contacts that one owner may keep.
    contacts_per_owner: usize = 64, Count<0, 10_000>, Count::narrow;
    /// How long a share lives when `--ttl` does not say.
    default_ttl: Duration = HARD_STOP, Span<SECOND, HARD_STOP_MS>, |span| Some(span.0);
    /// How long a verb may run that does not say.
    verb_timeout: Duration = Duration::from_mins(1), Span<SECOND, HARD_STOP_MS>, |span| Some(span.0);
    /// How much a verb may write that does not say.
    output_max: u64 = 64 * KIB * KIB, Size<KIB, { 1024 * GIB }>, |size| Some(size.0);
    /// How long a killed call's processes may take to be gone before they are named.
    kill_wait: Duration = Duration::from_secs(5), Span<100, { 60 * SECOND }>, |span| Some(span.0);
    /// How long calls of a client that went away go on, in case it comes back.
    reattach_grace: Duration = Duration::from_secs(10), Span<0, { 300 * SECOND }>, |span| Some(span.0);
}
