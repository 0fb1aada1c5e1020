//! `openscope share open`: a share, and what the owner gives away.

use policy::{AgentName, Alias, Approve, Budget};
use serde_json::{Value, json};
use wire::control::{self, Opened, Reply, Request, SeatHandle, To};

use super::{Ttl, plan, view};
use crate::cli::fault::Fault;
use crate::cli::output::{Format, Output};
use crate::cli::socket::Daemon;
use crate::cli::{shown, when};
use crate::exit::Exit;

pub(super) const EXAMPLES: &str = "\
Examples:
  openscope share open --verb ssh.tail_logs:service=web --to vendor-b
  openscope share open --agent you --verb 'log.follow:service=web|db' --verb 'log.tail:lines<=100' \\
      --to vendor-b vendor-c --ttl 15m
  openscope share open --verb disk.usage --bearer --json
  openscope share open --verb service.restart:service=web --to vendor-b --approve each --once
  openscope share open --verb log.tail --to vendor-b --plan

A pin narrows a parameter: service=web one value, service=web|db one of these, lines<=100 or
lines=1..100 a range. A parameter that is not pinned stays as wide as you hold it.
";

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("recipient").required(true))]
pub(in crate::cli) struct Open {
    /// A verb to share, with pins; give it once per verb
    #[arg(long = "verb", required = true, value_name = "APP.ACTION[:PIN,…]")]
    verbs: Vec<String>,
    /// Who gets a seat; contacts of yours or of the system's
    #[arg(long, num_args = 1.., value_delimiter = ',', value_name = "ALIAS", group = "recipient")]
    to: Vec<Alias>,
    /// For whoever holds the handle and a second value
    #[arg(long, group = "recipient")]
    bearer: bool,
    /// As which of your agents [default: your own name]
    #[arg(long)]
    agent: Option<AgentName>,
    /// How long: 90s, 30m [default: the daemon's, at most 30m]
    #[arg(long, allow_hyphen_values = true)]
    ttl: Option<Ttl>,
    /// How often a recipient may hand on less of it, as far as policy lets them
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    redelegate: u8,
    /// Ask for consent to calls even where policy does not
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = When::Never, hide_default_value = true)]
    approve: When,
    /// Calls that it may make in its life
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "once")]
    max_calls: Option<u64>,
    /// Output that all its calls together may have: 64KiB, 10MiB
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_bytes: Option<u64>,
    /// For one call, and no more
    #[arg(long)]
    once: bool,
    /// Say what it would let them do, and open nothing
    #[arg(long)]
    plan: bool,
    /// Only if it is exactly what `--plan` has shown
    #[arg(long, value_name = "HASH")]
    expect: Option<String>,
}

/// When a call waits for consent.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum When {
    /// When policy says so
    Never,
    /// The first call of each verb
    Once,
    /// Every call
    Each,
}

fn size(text: &str) -> Result<u64, String> {
    let size = text.parse::<bytesize::ByteSize>().map(|size| size.as_u64());
    size.ok()
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| "write a size such as 64KiB or 10MiB".to_owned())
}

impl Open {
    pub(super) fn run(self, daemon: &Daemon, out: &mut Output) -> Result<Exit, Fault> {
        if self.plan {
            return show_plan(daemon.ask(&Request::Plan(self.request()))?, out);
        }
        let question = Request::Open(self.request());
        let wait = |word: &Reply| tell_pending(word, out);
        let Reply::Opened(opened) = daemon.ask_and_wait(&question, wait)? else {
            return Err(Fault::unfitting());
        };
        match out.format() {
            Format::Json => out.json(&document(&opened))?,
            Format::Text => tell(&opened, out)?,
        }
        Ok(Exit::Done)
    }

    fn request(self) -> control::Open {
        let to = if self.bearer { To::Bearer } else { To::Contacts(self.to) };
        control::Open {
            agent: self.agent,
            verbs: self.verbs,
            to,
            ttl_ms: self.ttl.map(Ttl::millis),
            redelegate: self.redelegate,
            approve: match self.approve {
                When::Never => Approve::Never,
                When::Once => Approve::Once,
                When::Each => Approve::Each,
            },
            budget: Budget {
                calls: if self.once { Some(1) } else { self.max_calls },
                bytes: self.max_bytes,
            },
            expect: self.expect,
        }
    }
}

fn show_plan(reply: Reply, out: &mut Output) -> Result<Exit, Fault> {
    let Reply::Plan(plan) = reply else { return Err(Fault::unfitting()) };
    match out.format() {
        Format::Json => {
            out.json(&json!({ "schema": "openscope.share.plan/1", "plan": plan::json(&plan) }))?;
        }
        Format::Text => out.data(&plan::text(&plan))?,
    }
    Ok(Exit::Done)
}

/// The answer takes other people: whoever waits should know for whom.
fn tell_pending(word: &Reply, out: &mut Output) {
    let Reply::Pending(request) = word else { return };
    out.aside(&format!(
        "waits for consent, request {}: {} ({}), until {}; Ctrl+C gives it up",
        request.id,
        shown::line(&request.approvers),
        shown::line(&request.rule),
        when::full(request.until, request.now)
    ));
}

/// The recipient's complete command. It is what goes to stdout, so that it can be piped into a message as it is.
fn command(opened: &Opened, seat: &SeatHandle) -> String {
    let second = if seat.second.is_some() { " --identity SECOND-VALUE-FILE" } else { "" };
    format!(
        "openscope-reflect-client --passport {} --fingerprint {}{second}",
        seat.handle, opened.fingerprint
    )
}

fn recipient(opened: &Opened, seat: &SeatHandle) -> String {
    let known = opened.share.seats.iter().find(|view| view.id == seat.seat);
    known.map_or_else(|| format!("seat {}", seat.seat), view::recipient)
}

fn document(opened: &Opened) -> Value {
    let recipients: Vec<_> =
        opened.handles.iter().map(|seat| recipient_json(opened, seat)).collect();
    json!({
        "schema": "openscope.share.open/1",
        "share": view::json(&opened.share),
        "fingerprint": opened.fingerprint,
        "words": opened.words,
        "warnings": opened.warnings,
        "recipients": recipients,
    })
}

fn recipient_json(opened: &Opened, seat: &SeatHandle) -> Value {
    let known = opened.share.seats.iter().find(|view| view.id == seat.seat);
    json!({
        "seat": seat.seat.0,
        "to": known.and_then(|view| view.alias.as_ref()).map(ToString::to_string),
        "handle": seat.handle,
        "second": seat.second,
        "command": command(opened, seat),
    })
}

fn tell(opened: &Opened, out: &mut Output) -> Result<(), Fault> {
    let share = &opened.share;
    out.aside(&format!(
        "{} is open: ends {}, hard stop {}",
        share.id,
        when::full(share.deadline, share.now),
        when::second(share.hard_stop)
    ));
    for seat in &opened.handles {
        let paint = out.paint();
        let to = recipient(opened, seat);
        out.aside(&format!("\n{}\n", paint.strong(&format!("Forward to {to}, as one message:"))));
        out.data(&command(opened, seat))?;
        if let Some(second) = &seat.second {
            out.once(&format!("\n{}\n\n  {}", paint.strong(SECOND), shown::line(second)));
        }
    }
    for warning in &opened.warnings {
        out.aside(&format!("\nwarning: {}", shown::line(warning)));
    }
    let words = opened.words.iter().map(|word| shown::line(word)).collect::<Vec<_>>().join(" ");
    out.aside(&format!("\n{}\n\n  {words}", out.paint().strong(WORDS)));
    Ok(())
}

const SECOND: &str = "\
Send this second value by another way than the message: whoever has both holds the share.
The recipient keeps it in a file (mode 0600), SECOND-VALUE-FILE in the command:";

const WORDS: &str = "\
Say these words by another way (a phone call); the recipient sees the same, or the message is not yours:";

#[cfg(test)]
mod tests {
    use policy::SeatId;

    use super::*;
    use crate::cli::output::tests::heard;
    use crate::cli::socket::tests::daemon;

    fn opened(second: Option<&str>) -> Opened {
        let mut share = view::tests::share();
        if second.is_some() {
            share.seats[0].alias = None;
        }
        Opened {
            share,
            handles: vec![SeatHandle {
                seat: SeatId(0),
                handle: "osp1_abc".to_owned(),
                second: second.map(str::to_owned),
            }],
            fingerprint: "SHA256:xyz".to_owned(),
            words: ["one", "two"].map(str::to_owned).to_vec(),
            warnings: Vec::new(),
        }
    }

    fn open() -> Open {
        Open {
            verbs: vec!["ssh.tail_logs:service=web".to_owned()],
            to: vec!["vendor-b".parse().unwrap()],
            bearer: false,
            agent: Some("you".parse().unwrap()),
            ttl: Some("30m".parse().unwrap()),
            redelegate: 0,
            approve: When::Each,
            max_calls: None,
            max_bytes: Some(1 << 20),
            once: true,
            plan: false,
            expect: Some("ab12".to_owned()),
        }
    }

    fn said(opened: Opened, format: Format, quiet: bool) -> (String, String, Request) {
        let (daemon, asked, _home) = daemon(Reply::Opened(Box::new(opened)));
        let (mut out, data, aside) = heard(format, quiet);
        assert_eq!(open().run(&daemon, &mut out).unwrap(), Exit::Done);
        (data.text(), aside.text(), asked.join().unwrap())
    }

    #[test]
    fn stdout_is_the_message_to_forward_and_nothing_else() {
        let (data, aside, _) = said(opened(None), Format::Text, false);
        assert_eq!(data, "openscope-reflect-client --passport osp1_abc --fingerprint SHA256:xyz\n");
        assert!(!aside.contains("osp1_abc"), "{aside}");
    }

    #[test]
    fn the_words_are_apart_from_the_message_that_carries_the_pin() {
        let (data, aside, _) = said(opened(None), Format::Text, false);
        assert!(aside.contains("one two") && aside.contains("another way"), "{aside}");
        assert!(!data.contains("one two"));
    }

    #[test]
    fn se2_a_bearers_second_value_is_apart_from_the_message_and_survives_quiet() {
        let (data, aside, _) = said(opened(Some("AGE-SECRET-KEY-1X")), Format::Text, true);
        assert!(!data.contains("AGE-SECRET-KEY"), "{data}");
        assert!(aside.contains("AGE-SECRET-KEY-1X") && aside.contains("another way"), "{aside}");
        assert!(data.contains("--identity"), "{data}");
    }

    #[test]
    fn the_request_is_what_was_typed() {
        let (_, _, asked) = said(opened(None), Format::Text, false);
        let expected = control::Open {
            agent: Some("you".parse().unwrap()),
            verbs: vec!["ssh.tail_logs:service=web".to_owned()],
            to: To::Contacts(vec!["vendor-b".parse().unwrap()]),
            ttl_ms: Some(1_800_000),
            redelegate: 0,
            approve: Approve::Each,
            budget: Budget { calls: Some(1), bytes: Some(1 << 20) },
            expect: Some("ab12".to_owned()),
        };
        assert_eq!(asked, Request::Open(expected));
    }

    #[test]
    fn a_plan_opens_nothing_and_shows_its_hash() {
        let (daemon, asked, _home) = daemon(Reply::Plan(Box::new(plan::tests::plan())));
        let (mut out, data, _) = heard(Format::Json, false);
        Open { plan: true, ..open() }.run(&daemon, &mut out).unwrap();
        let document: Value = serde_json::from_str(&data.text()).unwrap();
        assert_eq!(document["schema"], "openscope.share.plan/1");
        assert_eq!(document["plan"]["hash"], "ab12");
        assert!(matches!(asked.join().unwrap(), Request::Plan(_)));
    }

    #[test]
    fn a_size_needs_a_number_above_zero() {
        assert_eq!(size("64KiB"), Ok(65_536));
        assert_eq!(size("1"), Ok(1));
        for wrong in ["0", "0MiB", "", "-1", "many"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_document_has_for_each_recipient_what_to_send() {
        let (data, _, _) = said(opened(None), Format::Json, false);
        let document: Value = serde_json::from_str(&data).unwrap();
        assert_eq!(document["schema"], "openscope.share.open/1");
        assert_eq!(document["recipients"][0]["to"], "vendor-b");
        assert_eq!(document["recipients"][0]["handle"], "osp1_abc");
        assert_eq!(document["share"]["verbs"][0], "ssh.tail_logs:service=web");
        assert_eq!(document["share"]["deadline"], "2027-01-15T08:13:00.000Z");
    }
}
