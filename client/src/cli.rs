//! The command line.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::setup::Host;

const EXAMPLES: &str = "\
Examples:
  openscope-reflect-client --passport @handle list
  openscope-reflect-client --passport @handle call log.tail service=web lines=50
  openscope-reflect-client --passport @handle call db.load table=items < items.csv
  openscope-reflect-client --passport osp1_… --fingerprint SHA256:… call disk.use
  openscope-reflect-client --passport @handle --persist 2m call log.tail service=web
  openscope-reflect-client --passport @handle follow log.follow service=web --until 'listening on'
  openscope-reflect-client --passport @handle forward web --listen 127.0.0.1:8080
  openscope-reflect-client --passport @handle request service.restart:service=web --reason 'it hangs'
  openscope-reflect-client inspect --passport @handle
  openscope-reflect-client doctor --passport @handle
  openscope-reflect-client narrow --passport @handle --verb log.tail:service=web --ttl 5m --to age1…
  openscope-reflect-client keygen

A verb that has the terminal is left by `~.` at the beginning of a line.

Exit status: that of the verb's program, else 2 usage, 124 timed out, 125 failed before the verb ran,
126 refused, 127 no such verb, 128+n ended by signal n, 255 no session or the share is over.";

/// Calls the verbs that somebody has shared with you.
#[derive(Debug, Parser)]
#[command(name = "openscope-reflect-client", version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) options: Options,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What every command takes.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The handle that the owner gave you: itself, `@FILE`, or `-` for standard input (or the environment: `OPENSCOPE_PASSPORT`)
    #[arg(long, global = true, value_name = "HANDLE|@FILE|-")]
    pub(crate) passport: Option<OsString>,
    /// The daemon's fingerprint as the owner told it: `SHA256:…` or the eight words
    #[arg(long, global = true, value_name = "SHA256:…|WORDS")]
    pub(crate) fingerprint: Option<String>,
    /// Your key: an age identity file, which may name a plugin's key in hardware, or an OpenSSH private key [default: the one that `keygen` made, then `~/.ssh/id_ed25519`]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) identity: Vec<PathBuf>,
    /// The second value of a bearer handle, in a file, or `-` for standard input
    #[arg(long, global = true, value_name = "FILE|-", conflicts_with = "identity")]
    pub(crate) secret_file: Option<PathBuf>,
    /// Keep the channel for the commands that follow, until none has used it for so long; `0s` ends it (`list`, `call`, `follow`, `note`, `get`, `put`)
    #[arg(long, global = true, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) persist: Option<Duration>,
    /// Write JSON, one value a line, on standard output
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say only what goes wrong
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say what happens; twice: say more
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show what may be called
    List,
    /// Show whose share it is, how long it lasts, and how it is reached
    #[command(after_help = STATUS_EXAMPLES)]
    Status,
    /// Call a verb: its output is passed through, and so is its exit status
    Call(CallArguments),
    /// Follow what a verb prints, until it ends, you do, or the share is over
    Follow(FollowArguments),
    /// Fetch a file: it is here once all of it is, and is what the owner's side has read
    Get(GetArguments),
    /// Hand the owner a file: it is there once all of it is, and is what was meant
    Put(PutArguments),
    /// Have a service of the owner's at an address of this machine, until the share is over
    Forward(ForwardArguments),
    /// Ask the owner for more of the share, and wait for what they say
    Request(RequestArguments),
    /// Leave the owner a note, where the share has notes
    Note(NoteArguments),
    /// Show what you and the owner have said to each other
    #[command(after_help = NOTES_EXAMPLES)]
    Notes(NotesArguments),
    /// Show what the handle holds, without talking to anybody
    Inspect,
    /// Make a smaller handle, without asking anybody: for yourself, or to hand on
    Narrow(NarrowArguments),
    /// Make a key for others to share with, and print its public part
    Keygen {
        /// Where to put it [default: where this program looks for it]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Show which keys this program uses, and how each is protected
    #[command(after_help = KEYS_EXAMPLES)]
    Keys,
    /// Look for what would fail: keys, the handle, the way to the daemon, this machine's clock
    #[command(after_help = DOCTOR_EXAMPLES)]
    Doctor,
    /// Call verbs at a prompt; the default at a terminal
    Prompt,
    /// Be a server of the Model Context Protocol on standard input and output; the default where neither is a terminal
    Mcp(McpArguments),
    /// Have an agent's host start `mcp` for this handle
    Setup(SetupArguments),
    /// Print a shell's completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write a page for each command into a directory
    Man {
        /// Where to; made when it is not there
        directory: Option<PathBuf>,
    },
    /// Hold a channel; `--persist` starts it
    #[command(hide = true)]
    Hold,
}

const STATUS_EXAMPLES: &str = "\
The seat is taken for that, as by `list`; `inspect` talks to nobody.

Examples:
  openscope-reflect-client --passport @handle status
  openscope-reflect-client --passport @handle status --json";

const KEYS_EXAMPLES: &str = "\
Shows the keys that open handles, the plugins that keep those in hardware, and the keys of the
seats that were taken from here. What is secret is not shown, and no plugin is run.

Examples:
  openscope-reflect-client keys
  openscope-reflect-client --identity ~/.ssh/work keys --json";

const DOCTOR_EXAMPLES: &str = "\
Without a handle it looks at this machine alone. With one it tries each relay, once the
fingerprint is confirmed; the seat is not taken. Each finding is `ok`, `note`, `warning` or
`FAILS`, with what to do.

Examples:
  openscope-reflect-client doctor
  openscope-reflect-client --passport @handle doctor
  openscope-reflect-client --passport @handle --fingerprint SHA256:… doctor --json

Exit status: 0 where nothing would fail, 1 where something would.";

/// One call.
#[derive(Args, Debug)]
#[command(after_help = CALL_EXAMPLES)]
pub(crate) struct CallArguments {
    /// The verb, `app.action`
    pub(crate) verb: String,
    #[command(flatten)]
    pub(crate) given: Given,
    /// Give the verb no standard input, also where it takes some
    #[arg(long, short = 'n')]
    pub(crate) no_stdin: bool,
    /// The id of a call that was made before: it never runs twice, and its outcome is told again
    #[arg(long, value_name = "HEX")]
    pub(crate) id: Option<String>,
    /// Ask even for a verb that the share does not list; its values are sent as text
    #[arg(long, conflicts_with = "json_arguments")]
    pub(crate) unlisted: bool,
    /// Pass the verb's output on byte by byte, for a file or a pipe; refused where a terminal would act on it
    #[arg(long)]
    pub(crate) raw: bool,
}

/// What a verb is called with.
#[derive(Args, Debug)]
pub(crate) struct Given {
    /// Its arguments
    #[arg(value_name = "NAME=VALUE")]
    pub(crate) arguments: Vec<OsString>,
    /// Its arguments as one JSON object, in a file, or `-` for standard input
    #[arg(
        long = "arguments",
        value_name = "FILE|-",
        conflicts_with = "arguments",
        id = "json_arguments"
    )]
    pub(crate) json: Option<PathBuf>,
}

const CALL_EXAMPLES: &str = "\
A list is `services=web,db`, or a JSON array. `--arguments -` leaves the verb no standard input.

Examples:
  openscope-reflect-client --passport @handle call log.tail service=web lines=50
  openscope-reflect-client --passport @handle call db.load table=items < items.csv
  echo '{\"service\": \"web\", \"lines\": 50}' | openscope-reflect-client --passport @handle call log.tail --arguments -
  openscope-reflect-client --passport @handle --json call --no-stdin log.tail service=web";

/// What is followed.
#[derive(Args, Debug)]
#[command(after_help = FOLLOW_EXAMPLES)]
pub(crate) struct FollowArguments {
    /// The verb, `app.action`
    pub(crate) verb: String,
    #[command(flatten)]
    pub(crate) given: Given,
    /// Until a line of its standard output has this in it
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) until: Option<String>,
    /// For so long at most
    #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) time: Option<Duration>,
}

const FOLLOW_EXAMPLES: &str = "\
A verb that only reads is called again when its own time is up, and begins anew then. It is given
no standard input.

Examples:
  openscope-reflect-client --passport @handle follow log.follow service=web
  openscope-reflect-client --passport @handle follow log.follow service=web --until ready --for 2m
  openscope-reflect-client --passport @handle --json follow log.follow service=web lines=0

Exit status: that of the verb's program; with `--until` 0 once it was seen, and 124 if it was not in
the time of `--for`; without it 0 after that time.";

/// A host's server.
#[derive(Args, Debug)]
#[command(after_help = MCP_EXAMPLES)]
pub(crate) struct McpArguments {
    /// How long an answer may take: a call that goes on is then asked about by its id
    #[arg(long, value_name = "TIME", default_value = "25s", value_parser = humantime::parse_duration)]
    pub(crate) patience: Duration,
    /// Serve at this address of this machine in place of standard input and output; port 0 takes any that is free
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) http: Option<SocketAddr>,
    /// The token that whoever asks there has to show [default: a new one, which is printed]
    #[arg(long, value_name = "FILE", requires = "http")]
    pub(crate) token_file: Option<PathBuf>,
}

const MCP_EXAMPLES: &str = "\
The daemon's fingerprint must have been confirmed before, by any other command, or be given with `--fingerprint`: nobody can be
asked here.

Examples:
  openscope-reflect-client --passport @/home/you/web.handle mcp
  openscope-reflect-client --passport @/home/you/web.handle mcp --patience 50s
  openscope-reflect-client --passport @/home/you/web.handle mcp --http 127.0.0.1:0";

/// A host's file.
#[derive(Args, Debug)]
#[command(after_help = SETUP_EXAMPLES)]
pub(crate) struct SetupArguments {
    /// Which host
    pub(crate) host: Host,
    /// What it calls this [default: the daemon's name]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Write nothing: print what belongs into the host's file, or, with `--skill`, the skill
    #[arg(long)]
    pub(crate) print: bool,
    /// Install a short skill as well: how an agent is to use the tools
    #[arg(long)]
    pub(crate) skill: bool,
}

const SETUP_EXAMPLES: &str = "\
What the host's file holds already stays. An entry that has the name is replaced.

Examples:
  openscope-reflect-client --passport @web.handle setup claude --skill
  openscope-reflect-client --passport @web.handle setup codex --name web --print";

/// A file to fetch.
#[derive(Args, Debug)]
#[command(after_help = GET_EXAMPLES)]
pub(crate) struct GetArguments {
    /// The verb that fetches files
    pub(crate) verb: String,
    /// Its arguments
    #[arg(value_name = "NAME=VALUE")]
    pub(crate) arguments: Vec<OsString>,
    /// Where it goes: a file, a directory, or `-` for standard output [default: the same name, here]
    #[arg(long, short, value_name = "FILE|-")]
    pub(crate) output: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(long)]
    pub(crate) force: bool,
}

const GET_EXAMPLES: &str = "\
Until all of it has come it is in FILE.openscope-part. If it is cut, the same command goes on from there.

Examples:
  openscope-reflect-client --passport @handle get files.get path=/srv/reports/may.csv
  openscope-reflect-client --passport @handle get files.get path=/srv/dump.gz --output /tmp/dump.gz
  openscope-reflect-client --passport @handle get files.get path=/srv/dump.gz --output - | zcat";

/// A file to hand over.
#[derive(Args, Debug)]
#[command(after_help = PUT_EXAMPLES)]
pub(crate) struct PutArguments {
    /// The verb that takes files
    pub(crate) verb: String,
    /// The file, or `-` for standard input
    pub(crate) file: PathBuf,
    /// The verb's arguments, but for `sha256`
    #[arg(value_name = "NAME=VALUE")]
    pub(crate) arguments: Vec<OsString>,
}

const PUT_EXAMPLES: &str = "\
The file's SHA-256 goes before it: what arrives otherwise, or only in part, is not kept.

Examples:
  openscope-reflect-client --passport @handle put files.put fix.sql path=/srv/inbox/fix.sql
  tar c etc | openscope-reflect-client --passport @handle put files.put - path=/srv/inbox/etc.tar";

/// A service at an address of this machine.
#[derive(Args, Debug)]
#[command(after_help = FORWARD_EXAMPLES)]
pub(crate) struct ForwardArguments {
    /// The verb that reflects the service, or its app where it is the only one
    pub(crate) verb: String,
    /// Where local programs find it; port 0 takes any that is free
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
    /// Tell of each request on standard error, or with `--json` on standard output; `r 12` typed asks #12 again
    #[arg(long)]
    pub(crate) inspect: bool,
}

const FORWARD_EXAMPLES: &str = "\
The address is printed once it answers. Every program and every user of this machine reaches it, and acts as you while the
share lasts; pages of other sites are turned away.

Examples:
  openscope-reflect-client --passport @handle forward web --listen 127.0.0.1:8080
  openscope-reflect-client --passport @handle forward db.connect --listen 127.0.0.1:5432";

/// More of the share.
#[derive(Args, Debug)]
#[command(after_help = REQUEST_EXAMPLES)]
pub(crate) struct RequestArguments {
    /// A verb to ask for, with its pins: `service.restart:service=web`
    #[arg(value_name = "VERB[:PINS]", required = true)]
    pub(crate) verbs: Vec<String>,
    /// Why, for the owner
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

const REQUEST_EXAMPLES: &str = "\
The owner sees what the share would gain, and why you say that you need it, and says yes or no; Ctrl+C takes it back. What they could
not add by themselves is refused at once. Exit status 0 is granted, 126 refused.

Examples:
  openscope-reflect-client --passport @handle request service.restart:service=web --reason 'it hangs since the deployment'
  openscope-reflect-client --passport @handle request log.tail:service=db disk.use --reason 'the disk is said to be full'";

/// A word to the owner.
#[derive(Args, Debug)]
#[command(after_help = NOTE_EXAMPLES)]
pub(crate) struct NoteArguments {
    /// What to say
    #[arg(value_name = "TEXT", required = true)]
    pub(crate) text: Vec<String>,
    /// By which verb, where several leave notes
    #[arg(long, value_name = "VERB")]
    pub(crate) verb: Option<String>,
}

const NOTE_EXAMPLES: &str = "\
The owner reads it with `openscope share notes`. It is signed with your key; the record keeps its hash.

Examples:
  openscope-reflect-client --passport @handle note 'restarting web now'
  openscope-reflect-client --passport @handle --json note done";

/// What was said.
#[derive(Args, Debug)]
pub(crate) struct NotesArguments {
    /// Go on until the share is over
    #[arg(long, short)]
    pub(crate) follow: bool,
}

const NOTES_EXAMPLES: &str = "\
The daemon keeps the last 64 notes of a seat, in memory alone.

Examples:
  openscope-reflect-client --passport @handle notes
  openscope-reflect-client --passport @handle --json notes --follow";

/// A smaller handle.
#[derive(Args, Debug)]
#[command(after_help = NARROW_EXAMPLES)]
pub(crate) struct NarrowArguments {
    /// A verb to keep, with its pins: `log.tail:service=web,lines<=100` [default: all that the handle permits]
    #[arg(long, value_name = "VERB[:PINS]")]
    pub(crate) verb: Vec<String>,
    /// How long from now, as in `5m` or `90s` [default: as long as the handle]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = humantime::parse_duration)]
    pub(crate) ttl: Option<Duration>,
    /// Hand it on: to whom, as an `age1…` (`age1tag1…` and `age1yubikey1…` too), `ssh-ed25519 …` or `ssh-rsa …` key, or `@FILE` with one [default: for whoever holds the seat already]
    #[arg(long, value_name = "KEY|@FILE")]
    pub(crate) to: Option<String>,
    /// How often it may be handed on further [default: not at all; for yourself: as often as the handle]
    #[arg(long, value_name = "N")]
    pub(crate) depth: Option<u8>,
    /// Why, for the owner's record
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// Write the handle to this new file, and name the file in the command
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

const NARROW_EXAMPLES: &str = "\
Without `--to` the new handle works only with the key that holds the seat already, on this machine. With `--to` it is
for another key, an agent's or a colleague's, if the owner lets the seat be handed on; the owner's record names all of you.

Examples:
  openscope-reflect-client narrow --passport @handle --verb log.tail:service=web --ttl 5m --output agent.handle
  openscope-reflect-client narrow --passport @handle --verb disk.use --to @colleague.pub --reason 'on call tonight'";

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
