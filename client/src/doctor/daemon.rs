//! What the daemon says to whoever holds the seat already, and how far this machine's clock is from its own.

use std::sync::Arc;
use std::time::Duration;

use policy::Timestamp;
use wire::channel::{ClientEndpoint, HolderKey, Limits};
use wire::frame::Refusal;

use crate::clock::{now, told, until};
use crate::environment::Environment;
use crate::finding::{Finding, Level};
use crate::join::{Clock, JoinFault, Standing, look as ask};
use crate::keys::Seats;
use crate::relays::{Leg, leave};
use crate::seat::Seat;
use crate::start::not_joined;

/// More than a machine that asks for the time is ever away from it.
const SKEW: Duration = Duration::from_secs(5);

/// Asks the daemon where that takes nothing: with the key that holds the seat, and no proof that would bind it.
pub(super) async fn look(seat: &Seat, environment: &Environment, leg: Option<Leg>) -> Vec<Finding> {
    let Some(leg) = leg else {
        return vec![not_compared("no relay leads to the daemon", "see to the relays first")];
    };
    let seats = environment.state.as_deref().map(Seats::within);
    let holder = seats.and_then(|seats| seats.known(seat).ok().flatten());
    let findings = match holder {
        Some(holder) => told_by(asked(seat, &holder, &leg).await, now()),
        None => vec![not_compared(
            "the daemon tells its time to whoever has taken the seat, and looking takes none",
            "look again after `list`",
        )],
    };
    leave(leg).await;
    findings
}

async fn asked(seat: &Seat, holder: &HolderKey, leg: &Leg) -> Result<(Standing, Clock), JoinFault> {
    let endpoint = ClientEndpoint::new(Arc::new(leg.path.clone()), Limits::client())?;
    let connection = endpoint.connect(holder, &seat.authority().channel_key).await?;
    let answer = ask(&connection, seat).await;
    endpoint.close().await;
    answer
}

fn told_by(answer: Result<(Standing, Clock), JoinFault>, ours: Timestamp) -> Vec<Finding> {
    match answer {
        Ok((standing, clock)) => {
            let theirs = clock.now();
            let (end, left) = (told(standing.deadline), until(theirs, standing.deadline));
            let verbs = standing.menu.len();
            let what = format!(
                "the daemon gives the seat: {verbs} verbs, until {end} (in {left}, by its clock)"
            );
            vec![Finding::ok(what), skew(ours, theirs)]
        }
        Err(JoinFault::Refused(Refusal::NoSeat)) => vec![
            Finding::new(
                Level::Warning,
                "the daemon does not know this machine's key as the seat's holder",
                "if you have used this handle here before, ask the owner for a new one; if not, `list` takes the seat",
            ),
            not_compared("the daemon did not answer", "look again after `list`"),
        ],
        Err(fault) => vec![
            Finding::of(&not_joined(&fault), "try again"),
            not_compared("the daemon did not answer", "see to that first"),
        ],
    }
}

fn not_compared(why: &str, remedy: &str) -> Finding {
    Finding::new(Level::Note, format!("this machine's clock was not compared: {why}"), remedy)
}

/// What was under way is not added to the daemon's time, and is far below what counts here.
fn skew(ours: Timestamp, theirs: Timestamp) -> Finding {
    let (away, side) = if ours >= theirs {
        (ours.since(theirs), "ahead of")
    } else {
        (theirs.since(ours), "behind")
    };
    if away <= SKEW {
        let limit = SKEW.as_secs();
        return Finding::ok(format!(
            "this machine's clock agrees with the daemon's, within {limit} s"
        ));
    }
    let told = humantime::format_duration(Duration::from_secs(away.as_secs()));
    let what = format!("this machine's clock is {told} {side} the daemon's");
    let remedy = "set it; until then handles seem to end at another time than they do";
    Finding::new(Level::Warning, what, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_may_be_away_as_far_as_the_limit_and_not_a_moment_more() {
        let noon = Timestamp(1_000_000_000);
        let limit = u64::try_from(SKEW.as_millis()).unwrap();
        for (away, level) in [
            (0, Level::Ok),
            (limit - 1, Level::Ok),
            (limit, Level::Ok),
            (limit + 1, Level::Warning),
        ] {
            assert_eq!(skew(Timestamp(noon.0 + away), noon).level, level, "{away} ms ahead");
            assert_eq!(skew(Timestamp(noon.0 - away), noon).level, level, "{away} ms behind");
        }
        let said = skew(Timestamp(noon.0 + 90_000), noon).to_string();
        assert!(said.contains("is 1m 30s ahead of the daemon's"), "{said}");
    }

    #[test]
    fn a_seat_that_this_key_does_not_hold_is_no_failure_and_an_impostor_is() {
        let of = |fault| told_by(Err(fault), Timestamp(0)).remove(0).level;
        assert_eq!(of(JoinFault::Refused(Refusal::NoSeat)), Level::Warning);
        assert_eq!(of(JoinFault::Forged(None)), Level::Fails);
        assert_eq!(of(JoinFault::TimedOut), Level::Fails);
    }
}
