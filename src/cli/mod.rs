//! The command line: parse, ask the appliance, print, and say by an exit code how it went.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::config::{self, Flag, Loaded};
use client::{Absent, Client, Target};
use failure::Failure;
use printer::{Form, Printer};

mod audit;
mod backup;
mod bench;
mod client;
mod clock;
mod completions;
mod doctor;
mod document;
mod event;
mod failure;
mod healthcheck;
mod key;
mod manual;
mod moving;
mod openapi;
mod printer;
mod prove;
mod restore;
mod retention;
mod run;
mod secret;
mod serve;
mod settings;
mod setup_link;
mod sse;
mod storage;
mod tenant;
mod user;
mod version;
mod workflow;

/// Workflow automation in one binary: events in, durable runs out, with retries and automatic undo.
#[derive(Debug, Parser)]
#[command(name = "ergane", version, disable_help_subcommand = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// Flags of every command.
#[derive(Debug, Args)]
struct Common {
    /// The configuration file [default: ./config.toml, then /etc/ergane/config.toml]
    #[arg(long, global = true, env = "ERGANE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The directory that holds everything [default: ./ergane-data]
    #[arg(long, global = true, value_name = "DIRECTORY")]
    data_dir: Option<String>,
    /// Asks the server at this address, with the key in ERGANE_KEY
    #[arg(long, global = true, env = "ERGANE_URL")]
    url: Option<String>,
    /// Trusts the certificates in this file too when it asks over https
    #[arg(long, global = true, env = "ERGANE_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Acts in this tenant instead of the key's own
    #[arg(long, global = true)]
    tenant: Option<String>,
    /// Prints JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the appliance
    Serve(serve::ServeArguments),
    /// Definitions as files, for git
    #[command(subcommand)]
    Workflow(workflow::WorkflowCommand),
    /// Sends events and explains what they did
    #[command(subcommand)]
    Event(event::EventCommand),
    /// Shows, stops and retries runs
    #[command(subcommand)]
    Run(run::RunCommand),
    /// API keys
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// The key that secrets are sealed with
    #[command(subcommand)]
    Secret(secret::SecretCommand),
    /// People who sign in
    #[command(subcommand)]
    User(user::UserCommand),
    /// Makes a one-time link whose holder becomes an owner
    SetupLink,
    /// The machine's clock, and whether it is believed
    #[command(subcommand)]
    Clock(clock::ClockCommand),
    /// Who changed what
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Takes a backup, of a running server or of a data directory
    Backup(backup::BackupArguments),
    /// Makes a data directory of a backup
    Restore(restore::RestoreArguments),
    /// Lets a restored appliance go on; --tenant or --run limit it
    Resume(restore::ResumeArguments),
    /// How much of the disk everything takes
    Storage,
    /// Writes the store's file anew, without what is free in it, while it serves
    Compact,
    /// For how long what is over is kept
    #[command(subcommand)]
    Retention(retention::RetentionCommand),
    /// The organizations of this appliance
    #[command(subcommand)]
    Tenant(tenant::TenantCommand),
    /// The settings and their origin
    #[command(subcommand)]
    Config(settings::ConfigCommand),
    /// Examines everything that tends to go wrong; exits with 1 when something fails
    Doctor(doctor::Doctor),
    /// What is the matter, and whether somebody is told of it
    Alerts(doctor::Alerts),
    /// What the server logs
    Logs(doctor::Logs),
    /// Exits with 0 when the server takes work, else with 75
    Healthcheck,
    /// Prints the description of the API
    Openapi,
    /// Measures this build on this machine
    Bench(bench::BenchArguments),
    /// Proves on your own disk that nothing is lost
    #[command(subcommand)]
    Prove(prove::ProveCommand),
    /// Prints the version
    Version,
    /// Writes the manual: `ergane man | man -l -`
    Man(manual::ManualArguments),
    /// Prints what a shell needs to complete commands
    Completions {
        /// Which shell
        shell: completions::Shell,
    },
}

/// What a command that talks to the appliance works with.
pub struct Session<'a> {
    client: Client,
    printer: Printer<'a>,
}

/// Parses the arguments of the process, does what they say and returns the exit code.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print(); // Nobody is left to tell when this fails.
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let form = if cli.common.json { Form::Json } else { Form::People };
    match perform(cli, form) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report(&failure, form),
    }
}

fn report(failure: &Failure, form: Form) -> ExitCode {
    let code = failure.exit_code();
    if code != 0 {
        let _ = match form {
            Form::People => writeln!(io::stderr(), "ergane: {failure}"),
            Form::Json => writeln!(io::stderr(), "{:#}", failure.to_json()),
        };
    }
    ExitCode::from(code)
}

fn perform(cli: Cli, form: Form) -> Result<(), Failure> {
    let mut out = io::stdout();
    let mut printer = Printer::new(form, &mut out);
    let command = match cli.command {
        Command::Version => return version::run(&mut printer),
        Command::Completions { shell } => {
            return Ok(printer.text(&completions::script(shell, Cli::command()))?);
        }
        Command::Man(arguments) => {
            return manual::run(&arguments, Cli::command(), &mut printer);
        }
        Command::Bench(arguments) => {
            return runtime()?.block_on(bench::run(arguments, &mut printer));
        }
        Command::Prove(command) => {
            return runtime()?.block_on(prove::run(command, &mut printer));
        }
        other => other,
    };
    if let Command::Serve(arguments) = command {
        let loaded = load(&cli.common, arguments.flags())?;
        return serve::run(&loaded, &mut out);
    }
    if let Command::Workflow(workflow::WorkflowCommand::Test(files)) = &command {
        return workflow::test(files, &mut printer);
    }
    let loaded = load(&cli.common, Vec::new())?;
    if let Command::Config(command) = &command {
        return settings::run(command, &loaded, &mut printer);
    }
    match &command {
        Command::Restore(arguments) => return restore::run(arguments, &loaded, &mut printer),
        Command::Backup(arguments) => {
            if let Some(file) = arguments.verified() {
                return backup::verify(file, &mut printer);
            }
            let has_server = cli.common.url.is_some() || client::is_served(&loaded);
            if !has_server {
                return backup::run_alone(arguments, &loaded, &mut printer);
            }
        }
        _ => {} // Every other command speaks to an appliance.
    }
    runtime()?.block_on(speak(command, cli.common, &loaded, printer))
}

/// Performs what an appliance is asked for: the one that serves, else one that is started for it.
async fn speak(
    command: Command,
    common: Common,
    loaded: &Loaded,
    printer: Printer<'_>,
) -> Result<(), Failure> {
    let absent = match &command {
        Command::Healthcheck
        | Command::Logs(_)
        | Command::Alerts(_)
        | Command::Event(event::EventCommand::Tail(_)) => Absent::Refuse,
        _ => Absent::Start, // Everything else can be done without a server.
    };
    let tenant = common.tenant;
    // A tenant that is to go on is no tenant to act in.
    let acts_in = tenant.clone().filter(|_| !matches!(command, Command::Resume(_)));
    let target = Target {
        url: common.url,
        key: client::key_from_environment()?,
        ca_file: common.ca_file,
        tenant: acts_in,
    };
    let client = client::connect(target, loaded, absent).await?;
    let mut session = Session { client, printer };
    let outcome = converse(command, tenant, &mut session).await;
    session.client.close();
    outcome
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

async fn converse(
    command: Command,
    tenant: Option<String>,
    session: &mut Session<'_>,
) -> Result<(), Failure> {
    match command {
        Command::Backup(arguments) => backup::run(arguments, session).await,
        Command::Resume(arguments) => restore::resume(arguments, tenant, session).await,
        Command::Workflow(command) => workflow::run(command, session).await,
        Command::Event(command) => event::run(command, session).await,
        Command::Run(command) => run::run(command, session).await,
        Command::Key(command) => key::run(command, session).await,
        Command::Secret(command) => secret::run(command, session).await,
        Command::User(command) => user::run(command, session).await,
        Command::SetupLink => setup_link::run(session).await,
        Command::Audit(command) => audit::run(command, session).await,
        Command::Storage => storage::show(session).await,
        Command::Compact => storage::compact(session).await,
        Command::Retention(command) => retention::run(command, session).await,
        Command::Clock(command) => clock::run(command, session).await,
        Command::Tenant(command) => tenant::run(command, session).await,
        Command::Doctor(wish) => doctor::doctor(&wish, session).await,
        Command::Alerts(wish) => doctor::alerts(&wish, session).await,
        Command::Logs(wish) => doctor::logs(&wish, session).await,
        Command::Healthcheck => healthcheck::run(session).await,
        Command::Openapi => openapi::run(session).await,
        Command::Serve(_)
        | Command::Config(_)
        | Command::Restore(_)
        | Command::Version
        | Command::Man(_)
        | Command::Bench(_)
        | Command::Prove(_)
        | Command::Completions { .. } => {
            unreachable!("these commands were done before a server was looked for")
        }
    }
}

fn load(common: &Common, mut flags: Vec<Flag>) -> Result<Loaded, Failure> {
    if let Some(directory) = &common.data_dir {
        flags.push(Flag { key: "data_dir", name: "--data-dir", value: directory.clone() });
    }
    let loaded = config::load(common.config.as_deref(), &flags);
    Ok(loaded.map_err(anyhow::Error::new)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_of_commands_is_sound() {
        Cli::command().debug_assert();
    }
}
