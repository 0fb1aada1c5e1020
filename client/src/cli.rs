//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

const EXAMPLES: &str = "\
Examples:
  openscope-reflect-client --passport @handle list
  openscope-reflect-client --passport @handle call log.tail service=web lines=50
  openscope-reflect-client --passport osp1_… --fingerprint SHA256:… call disk.use
  openscope-reflect-client inspect --passport @handle
  openscope-reflect-client keygen

Exit status: that of the verb's program, else 2 usage, 124 timed out, 125 failed before the verb ran,
126 refused, 127 no such verb, 128+n ended by signal n, 255 no session or the share is over.";

/// Calls the verbs that somebody has shared with you.
#[derive(Debug, Parser)]
#[command(name = "openscope-reflect-client", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub options: Options,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What every command takes.
#[derive(Args, Debug)]
pub struct Options {
    /// The handle that the owner gave you: itself, `@FILE`, or `-` for standard input [env: OPENSCOPE_PASSPORT]
    #[arg(long, global = true, value_name = "HANDLE|@FILE|-")]
    pub passport: Option<OsString>,
    /// The daemon's fingerprint as the owner told it: `SHA256:…` or the eight words
    #[arg(long, global = true, value_name = "SHA256:…|WORDS")]
    pub fingerprint: Option<String>,
    /// Your key: an age identity file or an OpenSSH private key [default: the one that `keygen` made, then ~/.ssh/id_ed25519]
    #[arg(long, global = true, value_name = "FILE")]
    pub identity: Vec<PathBuf>,
    /// The second value of a bearer handle, in a file, or `-` for standard input
    #[arg(long, global = true, value_name = "FILE|-", conflicts_with = "identity")]
    pub secret_file: Option<PathBuf>,
    /// Write JSON, one value a line, on standard output
    #[arg(long, global = true)]
    pub json: bool,
    /// Say only what goes wrong
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say what happens; twice: say more
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show what may be called
    List,
    /// Call a verb: its output is passed through, and so is its exit status
    Call(CallArguments),
    /// Show what the handle holds, without talking to anybody
    Inspect,
    /// Make a key for others to share with, and print its public part
    Keygen {
        /// Where to put it [default: where this program looks for it]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Call verbs at a prompt; the default at a terminal
    Prompt,
    /// Print a shell's completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

/// One call.
#[derive(Args, Debug)]
pub struct CallArguments {
    /// The verb, `app.action`
    pub verb: String,
    /// Its arguments
    #[arg(value_name = "NAME=VALUE")]
    pub arguments: Vec<OsString>,
    /// The id of a call that was made before: it never runs twice, and its outcome is told again
    #[arg(long, value_name = "HEX")]
    pub id: Option<String>,
    /// Ask even for a verb that the share does not list; its values are sent as text
    #[arg(long)]
    pub unlisted: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
