//! The program from its command line to its exit status.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use tokio::sync::watch;
use wire::channel::HolderKey;
use wire::fingerprint::Claim;
use wire::frame::Refusal;
use wire::handle::RecipientKey;

use crate::cli::{Cli, Command, Options};
use crate::clock::now;
use crate::confirm::confirm;
use crate::environment::Environment;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::handle_text::{given, open, refused, takes_stdin};
use crate::held::{self, Held, Sharing};
use crate::join::{JoinFault, Stage};
use crate::keygen::keygen;
use crate::keys::{KeyFault, Seats};
use crate::known_daemons::KnownDaemons;
use crate::relays::RelayFault;
use crate::seat::Seat;
use crate::session::{Over, Session};
use crate::tty::{Person, Tty};
use crate::waiting::Line;
use crate::{
    doctor, follow, forward, generated, inspect, key_list, list, mcp, narrow, note_command,
    one_call, prompt, request, setup, status, transfer,
};

/// A lost channel is made again for so long under a single call.
pub(crate) const CALL_PATIENCE: Duration = Duration::from_mins(1);
/// As long as hosts commonly wait for an answer.
const MCP_PATIENCE: Duration = Duration::from_secs(25);
/// At a prompt, until every share is over.
const PROMPT_PATIENCE: Duration = Duration::from_hours(1);

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(fault) => {
            let _unread = fault.print();
            return if fault.use_stderr() { Exit::USAGE.into() } else { Exit::DONE.into() };
        }
    };
    let environment = Environment::read();
    start_log(&cli.options, &environment);
    if let Err(fault) = forbid_dumps() {
        tracing::warn!(%fault, "a crash would leave keys in a core file");
    }
    match run(&cli, &environment) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            if cli.options.json {
                print(&failure.json().to_string());
            }
            say(&failure.to_string());
            failure.exit.into()
        }
    }
}

fn run(cli: &Cli, environment: &Environment) -> Result<Exit, Failure> {
    let options = &cli.options;
    check_persist(cli)?;
    match &cli.command {
        Some(Command::Keygen { out }) => keygen(out.as_deref(), environment),
        Some(Command::Completions { shell }) => {
            generated::completions(*shell);
            Ok(Exit::DONE)
        }
        Some(Command::Man { directory }) => generated::man(directory.as_deref()),
        Some(Command::Hold) => Ok(held::run(environment)),
        Some(Command::Inspect) => inspect_handle(options, environment),
        Some(Command::Narrow(what)) => {
            let (seat, own) = confirmed_seat(options, environment, Tty::open())?;
            narrow::run(&seat, own.as_ref(), what, options, (environment, now()))
        }
        Some(Command::List) => with_channel(options, environment, async |session| {
            let (seat, view) = (session.seat(), session.view());
            let text = if options.json {
                list::as_json(seat, &view).to_string()
            } else {
                list::as_text(seat, &view)
            };
            print(&text);
            Ok(Exit::DONE)
        }),
        Some(Command::Status) => {
            with_session(options, environment, CALL_PATIENCE, async |session| {
                let view = session.view();
                let text = if options.json {
                    status::as_json(session, &view).to_string()
                } else {
                    status::as_text(session, &view)
                };
                print(&text);
                Ok(Exit::DONE)
            })
        }
        Some(Command::Keys) => key_list::run(options, environment),
        Some(Command::Doctor) => doctor::run(options, environment),
        Some(Command::Call(what)) => {
            let job = one_call::Job::of(what, options, environment)?;
            with_channel(options, environment, async |session| job.run(session, environment).await)
        }
        Some(Command::Follow(what)) => {
            let job = follow::Job::of(what, options, environment)?;
            with_channel(options, environment, async |session| job.run(session).await)
        }
        Some(Command::Request(what)) => {
            with_session(options, environment, CALL_PATIENCE, async |session| {
                request::run(session, what, options).await
            })
        }
        Some(Command::Note(what)) => with_channel(options, environment, async |session| {
            note_command::leave(session, what, options).await
        }),
        Some(Command::Notes(what)) => {
            with_session(options, environment, PROMPT_PATIENCE, async |session| {
                note_command::show(session, what, options).await
            })
        }
        Some(Command::Get(what)) => with_channel(options, environment, async |session| {
            transfer::get(session, what, options).await
        }),
        Some(Command::Put(what)) => with_channel(options, environment, async |session| {
            transfer::put(session, what, options).await
        }),
        Some(Command::Forward(what)) => {
            with_session(options, environment, PROMPT_PATIENCE, async |session| {
                forward::run(session, what, (options.json, options.quiet)).await
            })
        }
        Some(Command::Prompt) => start_prompt(options, environment),
        None if io::stdin().is_terminal() && io::stdout().is_terminal() => {
            start_prompt(options, environment)
        }
        Some(Command::Setup(what)) => {
            let (seat, _) = confirmed_seat(options, environment, Tty::open())?;
            setup::run(&seat, what, options, environment)
        }
        Some(Command::Mcp(what)) => match what.http {
            None => start_mcp(what.patience, options, environment),
            Some(listen) => {
                let token_file = what.token_file.clone();
                let at = mcp::At { listen, token_file, json: options.json };
                with_session(options, environment, PROMPT_PATIENCE, async |session| {
                    mcp::run_at(session, what.patience, &at).await
                })
            }
        },
        None if !(io::stdin().is_terminal() || io::stdout().is_terminal()) => {
            start_mcp(MCP_PATIENCE, options, environment)
        }
        None => {
            Err(Failure::new(Exit::USAGE, "usage", "no command given, and this is not a terminal")
                .hint("say `list` or `call VERB name=value …`; `--help` shows the rest"))
        }
    }
}

/// What a host says comes on standard input: nothing else may.
fn start_mcp(
    patience: Duration,
    options: &Options,
    environment: &Environment,
) -> Result<Exit, Failure> {
    if takes_stdin(options, environment) {
        let what = "standard input is the host's: neither a handle nor a secret can come that way";
        return Err(Failure::new(Exit::USAGE, "usage", what).hint("give `@FILE`"));
    }
    // The terminal, if there is one, is the host's.
    let (seat, _) = confirmed_seat(options, environment, None)?;
    at_seat(seat, (options, environment), PROMPT_PATIENCE, async |session| {
        mcp::run(session, patience).await
    })
}

fn start_prompt(options: &Options, environment: &Environment) -> Result<Exit, Failure> {
    if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
        return Err(Failure::new(Exit::USAGE, "usage", "the prompt needs a terminal")
            .hint("say `list` or `call VERB name=value …`"));
    }
    with_session(options, environment, PROMPT_PATIENCE, async |session| {
        prompt::run(session, environment, options.quiet).await
    })
}

/// What lasts has a channel of its own.
fn check_persist(cli: &Cli) -> Result<(), Failure> {
    let shares = matches!(
        cli.command,
        Some(
            Command::List
                | Command::Call(_)
                | Command::Follow(_)
                | Command::Note(_)
                | Command::Get(_)
                | Command::Put(_)
        )
    );
    if cli.options.persist.is_none() || shares {
        return Ok(());
    }
    Err(Failure::new(
        Exit::USAGE,
        "usage",
        "only `list`, `call`, `follow`, `note`, `get` and `put` keep a channel",
    )
    .hint("leave out `--persist`"))
}

/// Takes the seat of the handle, does the work, and says goodbye however the work went.
fn with_session(
    options: &Options,
    environment: &Environment,
    patience: Duration,
    work: impl AsyncFnOnce(&Session) -> Result<Exit, Failure>,
) -> Result<Exit, Failure> {
    let (seat, _) = confirmed_seat(options, environment, Tty::open())?;
    at_seat(seat, (options, environment), patience, work)
}

/// The same over the channel that is held for this seat, if there is one or shall be.
fn with_channel(
    options: &Options,
    environment: &Environment,
    work: impl AsyncFnOnce(&Session) -> Result<Exit, Failure>,
) -> Result<Exit, Failure> {
    let (seat, _) = confirmed_seat(options, environment, Tty::open())?;
    let taking = Taking::of(&seat, environment, options.quiet)?;
    runtime()?.block_on(async {
        let sharing = (Sharing::of(options.persist), options.quiet);
        let seat = Arc::new(seat);
        let session = match Held::find(&seat, environment, sharing).await? {
            Some(held) => taking.share(held, seat)?,
            None => taking.take(seat, CALL_PATIENCE).await?,
        };
        let exit = work(&session).await;
        taking.leave(session).await;
        exit
    })
}

fn at_seat(
    seat: Seat,
    (options, environment): (&Options, &Environment),
    patience: Duration,
    work: impl AsyncFnOnce(&Session) -> Result<Exit, Failure>,
) -> Result<Exit, Failure> {
    let taking = Taking::of(&seat, environment, options.quiet)?;
    runtime()?.block_on(async {
        let session = taking.take(Arc::new(seat), patience).await?;
        let exit = work(&session).await;
        taking.leave(session).await;
        exit
    })
}

/// One thread, for whatever waits for others.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|fault| Failure::of(Exit::NOT_RUN, "machine", &fault))
}

/// A seat's key, and where it is kept.
pub(crate) struct Taking {
    seats: Seats,
    holder: HolderKey,
    line: Line,
}

impl Taking {
    /// With the key that this user holds the seat with, or a new one.
    pub(crate) fn of(seat: &Seat, environment: &Environment, quiet: bool) -> Result<Self, Failure> {
        let (seats, holder) = holder(seat, environment)?;
        Ok(Self { seats, holder, line: Line::of(environment, quiet) })
    }

    /// Takes the seat.
    pub(crate) async fn take(
        &self,
        seat: Arc<Seat>,
        patience: Duration,
    ) -> Result<Session, Failure> {
        let (told, stages) = watch::channel(Stage::Relay);
        let waits = |stage| {
            told.send_replace(stage);
        };
        let joining = Session::join_telling(Arc::clone(&seat), self.key(), patience, waits);
        let joined = self.line.during(stages, joining).await;
        joined.map_err(|fault| {
            // A seat that is not there, or is another's, is so for good: its key opens nothing.
            // A narrowed handle says nothing of the seat: the key is its holder's, who may well go on.
            let for_good =
                matches!(fault, JoinFault::Ended(_) | JoinFault::Refused(Refusal::NoSeat));
            if for_good && seat.handle().redeem.is_some() {
                self.seats.forget(&seat);
            }
            not_joined(&fault)
        })
    }

    /// Uses the channel on which it is taken.
    fn share(&self, held: Held, seat: Arc<Seat>) -> Result<Session, Failure> {
        Session::on(held, seat, self.key(), CALL_PATIENCE).map_err(|fault| not_joined(&fault))
    }

    /// Says goodbye.
    pub(crate) async fn leave(&self, session: Session) {
        if matches!(session.view().over(), Some(Over::Ended(_))) {
            self.seats.forget(session.seat());
        }
        session.close().await;
    }

    fn key(&self) -> HolderKey {
        HolderKey::from_seed(*self.holder.seed())
    }
}

/// Everything that is checked before anything is sent to anybody.
fn confirmed_seat(
    options: &Options,
    environment: &Environment,
    mut tty: Option<Tty>,
) -> Result<(Seat, Option<RecipientKey>), Failure> {
    let pin = options.fingerprint.as_deref().map(str::parse::<Claim>).transpose();
    let pin = pin.map_err(|fault| Failure::of(Exit::USAGE, "usage", &fault))?;
    let text = given(options, environment, as_person(&mut tty))?;
    let (handle, own) = open(&text, options, environment, as_person(&mut tty))?;
    let seat = Seat::verified(handle, now()).map_err(|fault| refused(&fault))?;
    let known = environment.config.as_deref().map(KnownDaemons::within);
    confirm(&seat, pin.as_ref(), known.as_ref(), as_person(&mut tty))
        .map_err(|fault| Failure::of(Exit::NOT_RUN, "fingerprint", &fault).hint(fault.remedy()))?;
    Ok((seat, own))
}

pub(crate) fn as_person(tty: &mut Option<Tty>) -> Option<&mut dyn Person> {
    tty.as_mut().map(|tty| tty as &mut dyn Person)
}

fn holder(seat: &Seat, environment: &Environment) -> Result<(Seats, HolderKey), Failure> {
    let seats = Seats::within(environment.state.as_deref().ok_or_else(no_state)?);
    if seat.handle().redeem.is_some() {
        let holder = seats.holder(seat, now()).map_err(|fault| no_key(&fault))?;
        return Ok((seats, holder));
    }
    let known = seats.known(seat).map_err(|fault| no_key(&fault))?;
    let holder = known.ok_or_else(|| {
        Failure::new(
            Exit::NOT_RUN,
            "holder_key",
            "this handle was narrowed for whoever holds the seat already, and that key is not here",
        )
        .hint("use it as the same user on the same machine, or ask for a handle that is handed on to your key")
    })?;
    Ok((seats, holder))
}

pub(crate) fn no_state() -> Failure {
    Failure::new(Exit::NOT_RUN, "machine", "neither XDG_STATE_HOME nor HOME says where keys belong")
        .hint("set HOME")
}

pub(crate) fn no_key(fault: &KeyFault) -> Failure {
    Failure::of(Exit::NOT_RUN, "holder_key", fault).hint(
        "the seat can be used only with its key: mend the file, or ask the owner to share again",
    )
}

pub(crate) fn not_joined(fault: &JoinFault) -> Failure {
    match fault {
        JoinFault::Ended(end) => Failure::of(Exit::GONE, crate::told::share_end_kind(end), fault)
            .hint("ask the owner to share again"),
        JoinFault::Refused(refusal) => {
            let exit = match Exit::of_refusal(refusal) {
                Exit::REFUSED => Exit::REFUSED,
                _ => Exit::GONE,
            };
            Failure::of(exit, crate::told::refusal_kind(refusal), fault).hint(crate::told::remedy(refusal))
        }
        JoinFault::Channel(wire::channel::ChannelFault::WrongChannelKey) | JoinFault::Forged(_) => {
            Failure::of(Exit::GONE, "impostor", fault)
                .hint("somebody stands between you and the daemon: tell the owner")
        }
        JoinFault::Relay(RelayFault::Dial(_)) => Failure::of(Exit::GONE, "unreachable", fault).hint(
            "ask the owner whether the share is still open, or see whether this network lets UDP through to the relay",
        ),
        JoinFault::Relay(_)
        | JoinFault::Channel(_)
        | JoinFault::Stream(_)
        | JoinFault::Write(_)
        | JoinFault::TimedOut
        | JoinFault::Statement(_)
        | JoinFault::Frame(_)
        | JoinFault::Random(_)
        | JoinFault::Told(_)
        | JoinFault::Closed => Failure::of(Exit::GONE, "unreachable", fault)
            .hint("try again; if it stays so, ask the owner whether the share is still open"),
    }
}

fn inspect_handle(options: &Options, environment: &Environment) -> Result<Exit, Failure> {
    let mut tty = Tty::open();
    let text = given(options, environment, as_person(&mut tty))?;
    let (handle, _) = open(&text, options, environment, as_person(&mut tty))?;
    let passport = handle.verify().map_err(|fault| refused(&fault))?;
    let now = now();
    if options.json {
        print(&inspect::as_json(&handle, &passport, now).to_string());
    } else {
        print(&inspect::as_text(&handle, &passport, now));
    }
    Ok(Exit::DONE)
}

/// Keys are in this memory: no core file, and no reading by others of the same user.
fn forbid_dumps() -> io::Result<()> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    Ok(())
}

fn start_log(options: &Options, environment: &Environment) {
    let filter = match (options.verbose, &environment.log) {
        (0, None) => return,
        (0, Some(filter)) => filter.clone(),
        (1, _) => "warn,client=info,wire=info,relay=info".to_owned(),
        (_, _) => "info,client=debug,wire=debug,relay=debug".to_owned(),
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(false)
        .init();
}

/// Data, on standard output.
pub(crate) fn print(text: &str) {
    let _unread = writeln!(io::stdout(), "{text}");
}

/// Words, on standard error.
pub(crate) fn say(text: &str) {
    let _unread = writeln!(io::stderr(), "{text}");
}
