//! The command line of `openscope-relay`.

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

mod keygen;
mod serve;
mod token;

/// The blind relay of `OpenScope`: pairs daemons and recipients, moves their packets, can read none of them.
#[derive(Parser)]
#[command(name = "openscope-relay", version, args_conflicts_with_subcommands = true)]
struct Cli {
    /// The configuration file.
    #[arg(long, value_name = "FILE", default_value = "/etc/openscope/openscope-relay.toml")]
    config: PathBuf,
    /// Check the configuration and the key files it names, print what it means, and exit.
    #[arg(long)]
    check_config: bool,
    /// Print data as JSON.
    #[arg(long, global = true)]
    json: bool,
    /// How the log is written (to stderr). `RUST_LOG` chooses what is.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Make the operator's key and the relay's.
    Keygen(keygen::Keygen),
    /// Deployment tokens: what lets a daemon use the relay.
    #[command(subcommand)]
    Token(token::Token),
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

/// How data is printed.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Output {
    Text,
    Json,
}

/// Runs the program: 0 when all went well, 1 when not, 2 when the command line is wrong.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let output = if cli.json { Output::Json } else { Output::Text };
    let done = match cli.command {
        Some(Command::Keygen(keygen)) => keygen.run(output),
        Some(Command::Token(token)) => token.run(output),
        None if cli.check_config => serve::check(&cli.config, output),
        None => serve::serve(&cli.config, cli.log_format),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            complain(failure.as_ref());
            ExitCode::FAILURE
        }
    }
}

/// The error and its causes, on stderr. Where stderr is gone there is nobody to tell.
fn complain(failure: &dyn Error) {
    let mut text = format!("error: {failure}");
    let mut cause = failure.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    let _ = writeln!(io::stderr(), "{text}");
}

/// Prints data, as text or as one line of JSON.
fn print(output: Output, text: &str, json: &serde_json::Value) -> Result<(), Box<dyn Error>> {
    match output {
        Output::Text => writeln!(io::stdout(), "{text}")?,
        Output::Json => writeln!(io::stdout(), "{json}")?,
    }
    Ok(())
}
