//! Whose handle is it? Nothing is sent before somebody has said so.

use std::io;

use policy::DaemonName;
use wire::fingerprint::{Claim, Fingerprint};

use crate::known_daemons::{Knowledge, KnownDaemons, KnownFault};
use crate::seat::Seat;
use crate::tty::Person;

/// Why the client does not go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unconfirmed {
    /// The pin is another daemon's.
    #[error("the handle is not from the daemon that `--fingerprint` names: it is from {found}")]
    WrongPin {
        /// Whose the handle is.
        found: Fingerprint,
    },
    /// The name had another key.
    #[error(
        "THE KEY OF DAEMON `{name}` HAS CHANGED: it was {known}, and this handle is signed by {found}. Somebody may be impersonating it"
    )]
    Changed {
        /// The daemon.
        name: DaemonName,
        /// The key that was confirmed before.
        known: Fingerprint,
        /// The key now.
        found: Fingerprint,
        /// Where the old one is kept.
        place: String,
    },
    /// Nobody has said that the key is right, and nobody is there to ask.
    #[error("nobody has confirmed the fingerprint of daemon `{name}`: {found} ({})", .found.words().join(" "))]
    Nobody {
        /// The daemon.
        name: DaemonName,
        /// Its key.
        found: Fingerprint,
    },
    /// The person said no.
    #[error("the fingerprint was not confirmed")]
    Denied,
    /// The person cannot be asked.
    #[error("cannot ask at the terminal")]
    Ask(#[source] io::Error),
    /// The file cannot be used.
    #[error(transparent)]
    Known(#[from] KnownFault),
}

impl Unconfirmed {
    /// What to do about it.
    pub(crate) fn remedy(&self) -> String {
        match self {
            Self::WrongPin { .. } | Self::Denied => {
                "ask the owner, by another way, for the fingerprint and for the handle again".to_owned()
            }
            Self::Changed { place, .. } => format!(
                "ask the owner, by another way; only if the daemon was set up anew, remove {place}"
            ),
            Self::Nobody { .. } => {
                "compare it with the owner, by another way, and give it with `--fingerprint`, or run this at a terminal".to_owned()
            }
            Self::Ask(_) => "give the fingerprint with `--fingerprint`".to_owned(),
            Self::Known(_) => "mend the file; it is not taken for empty".to_owned(),
        }
    }
}

/// Confirms by the pin, by what is known, or by the person; what a person confirms is remembered.
///
/// A pin is not remembered: one that travels with the handle shows only that the two belong together.
///
/// # Errors
/// With none of the three, and always when the daemon's key has changed.
pub(crate) fn confirm(
    seat: &Seat,
    pin: Option<&Claim>,
    known: Option<&KnownDaemons>,
    person: Option<&mut dyn Person>,
) -> Result<(), Unconfirmed> {
    let (name, found) = (&seat.authority().daemon, seat.fingerprint());
    let knowledge = known.map_or(Ok(Knowledge::Unknown), |known| known.knows(name, found))?;
    match (knowledge, pin) {
        (Knowledge::Changed { known: old, line }, _) => {
            let file = known.map(|file| file.path().display().to_string()).unwrap_or_default();
            let place = format!("line {line} of `{file}`");
            Err(Unconfirmed::Changed { name: name.clone(), known: old, found, place })
        }
        (_, Some(pin)) if !found.confirms(pin) => Err(Unconfirmed::WrongPin { found }),
        (Knowledge::Same, _) | (Knowledge::Unknown, Some(_)) => Ok(()),
        (Knowledge::Unknown, None) => match person {
            None => Err(Unconfirmed::Nobody { name: name.clone(), found }),
            Some(person) => {
                ask(name, found, &seat.authority().owner, person)?;
                known.map_or(Ok(()), |known| known.remember(name, found)).map_err(Unconfirmed::from)
            }
        },
    }
}

fn ask(
    name: &DaemonName,
    found: Fingerprint,
    owner: &str,
    person: &mut dyn Person,
) -> Result<(), Unconfirmed> {
    let owner = crate::neutral::one_line(owner, 64);
    let words = found.words().join(" ");
    let mut question = format!(
        "The handle says that it is from daemon `{name}`, shared by `{owner}`.\n\
         Its fingerprint is {found}\n\
         in words:          {words}\n\
         Compare it with the owner, by another way than the handle came.\n\
         Is it the same (yes/no, or type the fingerprint or words that the owner said)? "
    );
    loop {
        let answer = person.ask(&question).map_err(Unconfirmed::Ask)?;
        match (answer.to_ascii_lowercase().as_str(), answer.parse::<Claim>()) {
            ("yes", _) => return Ok(()),
            ("no" | "n" | "", _) => return Err(Unconfirmed::Denied),
            (_, Ok(claim)) if found.confirms(&claim) => return Ok(()),
            (_, Ok(_)) => return Err(Unconfirmed::WrongPin { found }),
            (_, Err(fault)) => {
                question = format!("{fault}\nPlease answer `yes`, `no`, or with the fingerprint: ");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use zeroize::Zeroizing;

    struct Says(Vec<&'static str>);

    impl Person for Says {
        fn ask(&mut self, _: &str) -> io::Result<String> {
            self.0.pop().map(str::to_owned).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
        }

        fn ask_hidden(&mut self, _: &str) -> io::Result<Zeroizing<String>> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    fn pin(seat: &Seat) -> Claim {
        seat.fingerprint().to_string().parse().unwrap()
    }

    #[test]
    fn pp3_the_right_fingerprint_is_taken_and_another_and_none_are_not() {
        let (seat, other) = (sample::seat(), sample::seat_of_daemon(5));
        assert!(confirm(&seat, Some(&pin(&seat)), None, None).is_ok());
        let words: Claim = seat.fingerprint().words().join(" ").parse().unwrap();
        assert!(confirm(&seat, Some(&words), None, None).is_ok());
        let wrong = confirm(&seat, Some(&pin(&other)), None, Some(&mut Says(vec!["yes"])));
        assert!(matches!(wrong, Err(Unconfirmed::WrongPin { .. })));
        assert!(matches!(confirm(&seat, None, None, None), Err(Unconfirmed::Nobody { .. })));
    }

    #[test]
    fn a_person_confirms_once_and_is_not_asked_again() {
        let home = tempfile::tempdir().unwrap();
        let known = KnownDaemons::within(home.path());
        let seat = sample::seat();
        confirm(&seat, None, Some(&known), Some(&mut Says(vec!["yes"]))).unwrap();
        confirm(&seat, None, Some(&known), None).unwrap();
    }

    #[test]
    fn a_person_may_type_the_words_that_the_owner_said() {
        let seat = sample::seat();
        let words: &'static str = seat.fingerprint().words().join("-").leak();
        assert!(confirm(&seat, None, None, Some(&mut Says(vec![words, "what?"]))).is_ok());
        let other: &'static str = sample::seat_of_daemon(5).fingerprint().words().join(" ").leak();
        let wrong = confirm(&seat, None, None, Some(&mut Says(vec![other])));
        assert!(matches!(wrong, Err(Unconfirmed::WrongPin { .. })));
    }

    #[test]
    fn a_person_who_says_no_or_nothing_ends_it_and_nothing_is_remembered() {
        let home = tempfile::tempdir().unwrap();
        let known = KnownDaemons::within(home.path());
        for answer in ["no", "n", ""] {
            let said = confirm(&sample::seat(), None, Some(&known), Some(&mut Says(vec![answer])));
            assert!(matches!(said, Err(Unconfirmed::Denied)), "{answer}");
        }
        assert!(!known.path().exists());
    }

    #[test]
    fn a_changed_key_is_refused_even_with_its_pin_and_a_person_who_says_yes() {
        let home = tempfile::tempdir().unwrap();
        let known = KnownDaemons::within(home.path());
        let (first, second) = (sample::seat(), sample::seat_of_daemon(5));
        confirm(&first, None, Some(&known), Some(&mut Says(vec!["yes"]))).unwrap();
        let changed =
            confirm(&second, Some(&pin(&second)), Some(&known), Some(&mut Says(vec!["yes"])));
        assert!(matches!(changed, Err(Unconfirmed::Changed { .. })));
    }

    #[test]
    fn a_pin_is_not_remembered() {
        let home = tempfile::tempdir().unwrap();
        let known = KnownDaemons::within(home.path());
        let seat = sample::seat();
        confirm(&seat, Some(&pin(&seat)), Some(&known), None).unwrap();
        assert!(!known.path().exists());
    }
}
