//! `openscope`: what an owner opens, watches and ends, at a command line.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::exit::Exit;

mod audit;
mod capabilities;
mod completions;
mod consent;
mod contact;
mod doctor;
mod fault;
mod man;
mod output;
mod policy;
mod reload;
mod share;
mod shown;
mod socket;
mod status;
mod table;
mod tour;
mod ttl;
mod when;

use fault::Fault;
use output::{Format, Output};
use socket::Daemon;

const ABOUT: &str = "Share a few of your own actions with an outsider, for a few minutes";

const HELP: &str = "\
{about-with-newline}
{before-help}{usage-heading} {usage}

{all-args}{after-help}";

const EXAMPLES: &str = "\
Examples:
  openscope try
  openscope contact add vendor-b @vendor.pub
  openscope share open --verb ssh.tail_logs:service=web --to vendor-b --ttl 30m
  openscope share list
  openscope share revoke osp_0123456789abcdef --reason 'thank you'";

const STATUSES: &str = "\
Exit status:
  0 done · 1 failed · 2 asked wrongly · 125 the daemon cannot do it now
  126 refused by policy or a limit · 255 the daemon cannot be reached";

#[derive(Debug, Parser)]
#[command(
    name = "openscope",
    version,
    about = ABOUT,
    before_help = EXAMPLES,
    after_help = STATUSES,
    help_template = HELP,
    propagate_version = true,
    disable_help_subcommand = true
)]
struct Cli {
    #[command(flatten)]
    everywhere: Everywhere,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Everywhere")]
struct Everywhere {
    #[command(flatten)]
    socket: socket::Chosen,
    /// One JSON document on stdout, with a versioned `schema`
    #[arg(long, global = true)]
    json: bool,
    /// Nothing on stderr but errors and what is shown only once
    #[arg(long, short, global = true)]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Open, watch and end shares
    #[command(subcommand, help_template = HELP)]
    Share(share::Share),
    /// What waits for consent: yours, and what you are asked
    #[command(help_template = HELP, before_help = consent::EXAMPLES)]
    Requests(consent::Requests),
    /// Consent to a request
    #[command(help_template = HELP)]
    Approve(consent::Approval),
    /// Refuse a request
    #[command(help_template = HELP)]
    Deny(consent::Denial),
    /// The recipients that you can share with
    #[command(subcommand, help_template = HELP)]
    Contact(contact::Contact),
    /// What you could share, as `--verb` takes it
    #[command(help_template = HELP)]
    Capabilities(capabilities::Capabilities),
    /// How the daemon does: its fingerprint, its relays, what does not hold here
    #[command(help_template = HELP)]
    Status,
    /// Look at all that your verbs take: what would fail, and why
    #[command(help_template = HELP, before_help = doctor::EXAMPLES)]
    Doctor(doctor::Doctor),
    /// Let the daemon read its configuration again (admins); a bad file changes nothing
    #[command(help_template = HELP)]
    Reload,
    /// Read what policy means: test, explain, lint, diff
    #[command(subcommand, help_template = HELP)]
    Policy(policy::PolicyCommand),
    /// Read and verify the audit log
    #[command(subcommand, help_template = HELP)]
    Audit(audit::Audit),
    /// The two-minute tour: everything on this machine, no root, no configuration
    #[command(help_template = HELP, before_help = tour::HELP)]
    Try(tour::Try),
    /// Print a completion script for a shell
    #[command(help_template = HELP, before_help = completions::EXAMPLES)]
    Completions(completions::Completions),
    /// Write the man pages into a directory
    #[command(help_template = HELP)]
    Man(man::Man),
}

/// Does what the command line says.
#[must_use]
pub fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => run(cli).into(),
        Err(error) => misread(&error).into(),
    }
}

/// Help and version are answers; everything else that clap has to say is a usage error.
fn misread(error: &clap::Error) -> Exit {
    // Nothing is left to be done when the terminal that should read this is gone.
    let _ = error.print();
    if error.use_stderr() { Exit::Usage } else { Exit::Done }
}

fn run(cli: Cli) -> Exit {
    let format = if cli.everywhere.json { Format::Json } else { Format::Text };
    let mut out = Output::of_process(format, cli.everywhere.quiet);
    match dispatch(cli.command, &cli.everywhere.socket, &mut out) {
        Ok(exit) => exit,
        Err(fault) => out.fault(&fault),
    }
}

fn dispatch(command: Command, chosen: &socket::Chosen, out: &mut Output) -> Result<Exit, Fault> {
    let daemon = || Daemon::at(chosen);
    match command {
        Command::Share(share) => share.run(&daemon(), out),
        Command::Requests(requests) => requests.run(&daemon(), out),
        Command::Approve(approval) => approval.run(&daemon(), out),
        Command::Deny(denial) => denial.run(&daemon(), out),
        Command::Contact(contact) => contact.run(&daemon(), out),
        Command::Capabilities(capabilities) => capabilities.run(&daemon(), out),
        Command::Status => status::run(&daemon(), out),
        Command::Doctor(doctor) => doctor.run(&daemon(), out),
        Command::Reload => reload::run(&daemon(), out),
        Command::Policy(policy) => policy.run(chosen, out),
        Command::Audit(audit) => audit.run(chosen, out),
        Command::Try(tour) => tour.run(out),
        Command::Completions(completions) => completions.run(out),
        Command::Man(man) => man.run(out),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
