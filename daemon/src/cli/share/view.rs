//! A share, for eyes and for scripts.

use bytesize::ByteSize;
use policy::{Approve, Budget};
use serde_json::{Value, json};
use wire::control::{RunningView, SeatView, ShareView, SubHolderView};

use super::plan;
use crate::cli::{shown, when};
use crate::clock::rfc3339;

/// The part that every document with a share in it has in common.
pub(super) fn json(share: &ShareView) -> Value {
    json!({
        "id": share.id.to_string(),
        "user": share.user,
        "agent": share.agent.to_string(),
        "opened": rfc3339(share.opened),
        "deadline": rfc3339(share.deadline),
        "hard_stop": rfc3339(share.hard_stop),
        "now": rfc3339(share.now),
        "verbs": verbs(share),
        "seats": share.seats.iter().map(seat_json).collect::<Vec<_>>(),
        "calls": share.calls,
        "bytes": share.bytes,
        "max_calls": share.budget.calls,
        "max_bytes": share.budget.bytes,
        "approve": share.approve,
        "redelegate": share.redelegate,
        "refused": share.refused,
        "second_redeemers": share.second_redeemers,
        "running": share.running.iter().map(running_json).collect::<Vec<_>>(),
    })
}

fn seat_json(seat: &SeatView) -> Value {
    json!({
        "seat": seat.id.0,
        "to": seat.alias.as_ref().map(ToString::to_string),
        "holder": seat.holder,
        "connected": seat.connected,
        "ended": seat.ended,
        "handed_on": seat.handed_on.iter().map(sub_holder_json).collect::<Vec<_>>(),
    })
}

fn sub_holder_json(sub: &SubHolderView) -> Value {
    json!({ "holder": sub.holder, "by": sub.by, "connected": sub.connected })
}

fn running_json(call: &RunningView) -> Value {
    json!({ "id": call.id, "call": call.call, "started": rfc3339(call.started) })
}

/// What is shared, as `--verb` takes it.
pub(super) fn verbs(share: &ShareView) -> Vec<String> {
    share.scope.capabilities().iter().map(ToString::to_string).collect()
}

/// A seat's recipient.
pub(super) fn recipient(seat: &SeatView) -> String {
    seat.alias.as_ref().map_or_else(|| "bearer".to_owned(), ToString::to_string)
}

/// Every recipient of the share.
pub(super) fn recipients(share: &ShareView) -> String {
    share.seats.iter().map(recipient).collect::<Vec<_>>().join(", ")
}

/// Somebody else tried the handle: the owner must hear of it wherever the share is shown.
pub(super) fn warning(share: &ShareView) -> Option<String> {
    (share.second_redeemers > 0).then(|| {
        format!(
            "{}: a second key asked for a seat that is taken, {} times: the handle may have leaked",
            share.id, share.second_redeemers
        )
    })
}

/// The share in full, a fact per line.
pub(super) fn text(share: &ShareView) -> String {
    let mut lines = vec![
        format!("{}", share.id),
        fact("owner", &format!("{} as {}", shown::line(&share.user), share.agent)),
        fact(
            "opened",
            &format!("{} ({})", when::second(share.opened), when::ago(share.opened, share.now)),
        ),
        fact("ends", &when::full(share.deadline, share.now)),
        fact("hard stop", &when::second(share.hard_stop)),
        fact("calls", &format!("{} made, {} refused", share.calls, share.refused)),
    ];
    if share.budget != Budget::default() {
        let used = format!("{} calls, {} of output", share.calls, ByteSize(share.bytes));
        lines.push(fact("used", &format!("{used}, of {}", plan::budget(&share.budget))));
    }
    if share.approve != Approve::Never {
        lines.push(fact("consent", &format!("to calls: {}, beyond policy", share.approve)));
    }
    if share.redelegate > 0 {
        lines.push(fact("hand on", &format!("{} times", share.redelegate)));
    }
    lines.extend(warning(share).map(|warning| fact("WARNING", &warning)));
    lines.extend(verbs(share).iter().map(|verb| fact("may", &shown::line(verb))));
    for seat in &share.seats {
        lines.push(fact("to", &seat_text(seat)));
        lines.extend(seat.handed_on.iter().map(|sub| fact("handed on", &sub_holder_text(sub))));
    }
    lines.extend(share.running.iter().map(|call| fact("running", &running_text(call, share))));
    lines.join("\n")
}

fn fact(name: &str, value: &str) -> String {
    format!("  {name:<10} {value}")
}

fn seat_text(seat: &SeatView) -> String {
    let state = match (&seat.holder, seat.connected) {
        _ if seat.ended => "ended by `share kick`".to_owned(),
        (None, _) => "not redeemed yet".to_owned(),
        (Some(holder), true) => format!("connected now, holder {}", shown::line(holder)),
        (Some(holder), false) => format!("redeemed, not connected, holder {}", shown::line(holder)),
    };
    format!("{}: {state}", recipient(seat))
}

fn sub_holder_text(sub: &SubHolderView) -> String {
    let state = if sub.connected { "connected now" } else { "not connected" };
    format!("to holder {} by {}: {state}", shown::line(&sub.holder), shown::line(&sub.by))
}

fn running_text(call: &RunningView, share: &ShareView) -> String {
    format!("{} (started {})", shown::line(&call.call), when::ago(call.started, share.now))
}

#[cfg(test)]
pub(super) mod tests {
    use policy::{Scope, SeatId, Timestamp};

    use super::*;

    /// A share of `ssh.tail_logs:service=web` to `vendor-b` with 12 minutes left.
    pub(in crate::cli::share) fn share() -> ShareView {
        let verb = "ssh.tail_logs".parse().unwrap();
        let web = policy::Constraint::exact(policy::Value::text("web").unwrap());
        let scope =
            Scope::new([policy::Capability::new(verb, [("service".parse().unwrap(), web)])]);
        ShareView {
            id: "osp_0123456789abcdef".parse().unwrap(),
            user: "alice".to_owned(),
            agent: "you".parse().unwrap(),
            opened: Timestamp(1_800_000_000_000),
            deadline: Timestamp(1_800_000_780_000),
            hard_stop: Timestamp(1_800_001_800_000),
            now: Timestamp(1_800_000_060_000),
            budget: Budget::default(),
            bytes: 0,
            approve: Approve::Never,
            redelegate: 0,
            scope,
            seats: vec![SeatView {
                id: SeatId(0),
                alias: Some("vendor-b".parse().unwrap()),
                holder: None,
                connected: false,
                ended: false,
                handed_on: Vec::new(),
            }],
            calls: 3,
            refused: 1,
            second_redeemers: 0,
            running: Vec::new(),
        }
    }

    #[test]
    fn a_share_says_what_is_shared_with_whom_and_for_how_long() {
        let text = text(&share());
        for expected in [
            "osp_0123456789abcdef",
            "ssh.tail_logs:service=web",
            "vendor-b: not redeemed yet",
            "(in 12 min)",
            "alice as you",
        ] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
    }

    #[test]
    fn se10_a_second_redeemer_is_reported_to_the_owner() {
        let quiet = share();
        let leaked = ShareView { second_redeemers: 2, ..share() };
        assert!(!text(&quiet).contains("WARNING"));
        assert!(text(&leaked).contains("2 times: the handle may have leaked"), "{}", text(&leaked));
    }

    #[test]
    fn what_a_recipient_passed_to_a_running_call_cannot_draw_on_the_terminal() {
        let mut share = share();
        share.running.push(RunningView {
            id: "00".to_owned(),
            call: "x.y z=\u{1b}[2J\n  to  root: connected".to_owned(),
            started: share.opened,
        });
        let text = text(&share);
        assert!(!text.contains('\u{1b}'), "{text}");
        assert_eq!(text.lines().count(), 9, "{text}");
    }

    #[test]
    fn whoever_a_seat_was_handed_on_to_is_shown_beneath_it() {
        let mut share = share();
        share.seats[0].handed_on = vec![SubHolderView {
            holder: "SHA256:agent".to_owned(),
            by: "SHA256:vendor".to_owned(),
            connected: true,
        }];
        let told = text(&share);
        assert!(told.contains("handed on  to holder SHA256:agent by SHA256:vendor: connected now"));
        assert_eq!(json(&share)["seats"][0]["handed_on"][0]["holder"], "SHA256:agent");
    }
}
