//! What a handle says of itself, before anything is sent to anybody.

use policy::{Passport, Timestamp};
use wire::fingerprint::Claim;
use wire::handle::Handle;

use crate::cli::Options;
use crate::clock::{now, told, until};
use crate::environment::Environment;
use crate::exit::Exit;
use crate::failure::{Failure, chain};
use crate::finding::{Finding, Level};
use crate::handle_text::{given, open, refused};
use crate::inspect::{further, made_smaller};
use crate::keys::Seats;
use crate::known_daemons::{Knowledge, KnownDaemons};
use crate::protection::Protection;
use crate::seat::Seat;
use crate::start::{as_person, no_key};
use crate::tty::Tty;

/// For a handle that does not say what to do about it.
const ANOTHER: &str = "ask the owner for the handle again, and give all of it";

pub(super) struct Looked {
    pub(super) findings: Vec<Finding>,
    /// Where the handle is good, in time, and from a daemon that was confirmed.
    pub(super) seat: Option<Seat>,
}

pub(super) fn look(options: &Options, environment: &Environment) -> Result<Looked, Failure> {
    let pin = options.fingerprint.as_deref().map(str::parse::<Claim>).transpose();
    let pin = pin.map_err(|fault| Failure::of(Exit::USAGE, "usage", &fault))?;
    Ok(match opened(options, environment) {
        Ok((handle, passport)) => {
            of_passport(handle, &passport, pin.as_ref(), options, environment)
        }
        Err(failure) => Looked { findings: vec![Finding::of(&failure, ANOTHER)], seat: None },
    })
}

fn opened(options: &Options, environment: &Environment) -> Result<(Handle, Passport), Failure> {
    let mut tty = Tty::open();
    let text = given(options, environment, None)?;
    let (handle, _) = open(&text, options, environment, as_person(&mut tty))?;
    let passport = handle.verify().map_err(|fault| refused(&fault))?;
    Ok((handle, passport))
}

fn of_passport(
    handle: Handle,
    passport: &Passport,
    pin: Option<&Claim>,
    options: &Options,
    environment: &Environment,
) -> Looked {
    let now = now();
    let mut findings = vec![whole(passport), time(passport.not_after(), now)];
    findings.extend(options.secret_file.is_some().then(bearer));
    let known = environment.config.as_deref().map(KnownDaemons::within);
    let confirmed = fingerprint(&handle, passport, pin, known.as_ref());
    let is_confirmed = confirmed.level == Level::Ok;
    findings.push(confirmed);
    let seat = Seat::verified(handle, now).ok();
    findings.extend(seat.as_ref().map(|seat| holder_key(seat, environment)));
    Looked { findings, seat: seat.filter(|_| is_confirmed) }
}

fn whole(passport: &Passport) -> Finding {
    let (share, daemon) = (passport.authority().share, &passport.authority().daemon);
    let (made, further) = (made_smaller(passport), further(passport.depth()));
    let what = format!("the handle opens and is whole: {share} on {daemon}, {made}, {further}");
    if passport.blocks().is_empty() {
        return Finding::ok(what);
    }
    Finding::new(Level::Note, what, "`inspect` shows what each step left of it")
}

fn time(end: Timestamp, now: Timestamp) -> Finding {
    if now < end {
        let left = until(now, end);
        return Finding::ok(format!(
            "the handle ends at {} (in {left}, by this machine's clock)",
            told(end)
        ));
    }
    let what = format!(
        "the handle has expired: it ended at {}, and this machine's clock says {}",
        told(end),
        told(now)
    );
    let remedy = "ask the owner to share again; if this machine's clock is ahead, set it";
    Finding::new(Level::Fails, what, remedy)
}

fn bearer() -> Finding {
    let what = "it is a bearer handle: whoever has both parts and comes first has the seat";
    Finding::new(Level::Note, what, "use it soon, and keep the two parts apart")
}

/// Only an `ok` is a confirmation.
fn fingerprint(
    handle: &Handle,
    passport: &Passport,
    pin: Option<&Claim>,
    known: Option<&KnownDaemons>,
) -> Finding {
    let (name, found) = (&passport.authority().daemon, handle.fingerprint());
    let knowledge = known.map_or(Ok(Knowledge::Unknown), |known| known.knows(name, found));
    let other_way = "ask the owner, by another way, for the fingerprint and for the handle again";
    match (knowledge, pin) {
        (Err(fault), _) => {
            Finding::new(Level::Fails, chain(&fault), "mend the file; it is not taken for empty")
        }
        (Ok(Knowledge::Changed { known, line }), _) => Finding::new(
            Level::Fails,
            format!(
                "THE KEY OF DAEMON `{name}` HAS CHANGED: line {line} of `known_daemons` has {known}, and the handle is signed by {found}"
            ),
            "ask the owner, by another way; only if the daemon was set up anew, remove that line",
        ),
        (Ok(_), Some(pin)) if !found.confirms(pin) => Finding::new(
            Level::Fails,
            format!(
                "the handle is not from the daemon that `--fingerprint` names: it is from {found}"
            ),
            other_way,
        ),
        (Ok(Knowledge::Same), _) => {
            Finding::ok(format!("the fingerprint of {name} was confirmed here before: {found}"))
        }
        (Ok(Knowledge::Unknown), Some(_)) => Finding::ok(format!(
            "the fingerprint of {name} is the one that `--fingerprint` names, and is not remembered: {found}"
        )),
        (Ok(Knowledge::Unknown), None) => Finding::new(
            Level::Warning,
            format!(
                "nobody has confirmed the fingerprint of {name} here: {found} ({})",
                found.words().join(" ")
            ),
            "compare it with the owner, by another way, and give it with `--fingerprint`, or run `list` at a terminal",
        ),
    }
}

fn holder_key(seat: &Seat, environment: &Environment) -> Finding {
    let Some(state) = environment.state.as_deref() else {
        let what = "the seat's key has no place: there is no state directory";
        return Finding::new(Level::Fails, what, "set HOME");
    };
    let seats = Seats::within(state);
    let path = seats.path(seat);
    match (seats.known(seat), Protection::of_secret(&path)) {
        (Err(fault), _) => Finding::of(&no_key(&fault), ANOTHER),
        (Ok(Some(_)), Ok(protection)) => match protection.remedy(&path) {
            None => Finding::ok("the seat's key is on this machine, and yours alone"),
            Some(remedy) => {
                let what = format!("the seat's key {}: {protection}", path.display());
                Finding::new(Level::Warning, what, remedy)
            }
        },
        (Ok(_), _) if seat.handle().redeem.is_some() => Finding::new(
            Level::Note,
            "the seat was not used from this machine: its key is made when it is",
            "`list` takes the seat; from then on it is this machine's",
        ),
        (Ok(_), _) => Finding::new(
            Level::Fails,
            "this handle was narrowed for whoever holds the seat already, and that key is not here",
            "use it as the same user on the same machine, or ask for a handle that is handed on to your key",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    const END: u64 = 1_000_000;

    #[test]
    fn a_handle_is_in_time_until_the_moment_at_which_it_ends() {
        assert_eq!(time(Timestamp(END), Timestamp(END - 1)).level, Level::Ok);
        assert_eq!(time(Timestamp(END), Timestamp(END)).level, Level::Fails);
    }

    #[test]
    fn pp3_only_a_known_fingerprint_or_the_right_pin_is_a_confirmation() {
        let home = tempfile::tempdir().unwrap();
        let known = KnownDaemons::within(home.path());
        let seat = sample::seat();
        let pin = |seat: &Seat| seat.fingerprint().to_string().parse::<Claim>().unwrap();
        let level = |pin: Option<&Claim>| {
            fingerprint(seat.handle(), seat.passport(), pin, Some(&known)).level
        };
        let other = sample::seat_of_daemon(5);
        assert_eq!(level(None), Level::Warning);
        assert_eq!(level(Some(&pin(&seat))), Level::Ok);
        assert_eq!(level(Some(&pin(&other))), Level::Fails);
        known.remember(&seat.authority().daemon, seat.fingerprint()).unwrap();
        assert_eq!(level(None), Level::Ok);
        assert_eq!(level(Some(&pin(&other))), Level::Fails);
        let changed =
            fingerprint(other.handle(), other.passport(), Some(&pin(&other)), Some(&known));
        assert_eq!(changed.level, Level::Fails);
    }

    #[test]
    fn a_handle_that_was_made_smaller_is_worth_a_note() {
        assert_eq!(whole(sample::seat().passport()).level, Level::Ok);
        let said = whole(sample::narrowed().passport());
        assert_eq!(said.level, Level::Note);
        assert!(said.to_string().contains("made smaller once, may not be handed on"), "{said}");
    }

    #[test]
    fn a_seats_key_is_here_not_yet_or_needed() {
        let home = tempfile::tempdir().unwrap();
        let environment =
            Environment { state: Some(home.path().to_owned()), ..Environment::default() };
        let level = |seat: &Seat| holder_key(seat, &environment).level;
        assert_eq!(
            (level(&sample::seat()), level(&sample::narrowed())),
            (Level::Note, Level::Fails)
        );
        assert!(home.path().read_dir().unwrap().next().is_none(), "nothing is made");
        Seats::within(home.path()).holder(&sample::seat(), Timestamp(0)).unwrap();
        assert_eq!((level(&sample::seat()), level(&sample::narrowed())), (Level::Ok, Level::Ok));
        let nowhere = holder_key(&sample::seat(), &Environment::default());
        assert_eq!(nowhere.level, Level::Fails);
    }
}
