//! The command line.

mod station;

use std::{path::PathBuf, process::ExitCode};

use causeway_tunnel::identity::PrivateKey;
use clap::{Args, Parser, Subcommand, ValueEnum};
use tracing_subscriber::EnvFilter;

use crate::{
    appliance,
    config::Config,
    control::api,
    doctor::{
        self,
        options::{DoctorArgs, Wanted},
    },
    keys,
    options::RunOptions,
    stations::Role,
};

/// Exit code of a command line or configuration that cannot be run.
const EXIT_USAGE: u8 = 2;

/// Stretches a LAN over an encrypted UDP path, so that VMs keep their MAC and IP when they move.
#[derive(Debug, Parser)]
#[command(name = "causeway", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a private key; its public key is printed
    Keygen(KeygenArgs),
    /// Print the public key that belongs to a private key
    Pubkey(PubkeyArgs),
    /// Run one end of the tunnel
    Run(Box<RunArgs>),
    /// Say whether a configuration is right, without touching anything
    CheckConfig(Box<RunArgs>),
    /// Show how a running appliance is doing
    Status(StatusArgs),
    /// Find out which setting keeps frames from a LAN port, by a few ARP probes
    Doctor(DoctorArgs),
    /// List, add, remove and move stations of a running appliance
    Station(station::StationArgs),
}

#[derive(Debug, Args)]
struct KeygenArgs {
    /// New file for the private key, made with mode 0600; an existing one is never overwritten
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Debug, Args)]
struct PubkeyArgs {
    /// File with the private key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

#[derive(Debug, Args)]
struct RunArgs {
    /// TOML file with any of the options below, named without the dashes; flags win
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// How much to log to stderr; RUST_LOG, if set, goes further
    #[arg(long, value_enum, default_value_t = LogLevel::Info)]
    log: LogLevel,

    #[command(flatten)]
    options: RunOptions,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

#[derive(Debug, Args)]
struct StatusArgs {
    /// Everything, as JSON
    #[arg(long)]
    json: bool,

    /// Every counter, as metrics in Prometheus's text format
    #[arg(long, conflicts_with = "json")]
    prometheus: bool,

    /// Name of the control socket that the appliance was started with
    #[arg(long, value_name = "NAME", default_value = "causeway")]
    control: String,
}

/// A failure: one line for stderr, and the exit code.
struct Failure {
    text: String,
    code: u8,
}

impl Failure {
    fn usage(error: impl ToString) -> Self {
        Self {
            text: error.to_string(),
            code: EXIT_USAGE,
        }
    }

    fn running(error: impl ToString) -> Self {
        Self {
            text: error.to_string(),
            code: 1,
        }
    }
}

/// Runs the command of the process's arguments.
pub fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Keygen(args) => keygen(&args),
        Command::Pubkey(args) => pubkey(&args),
        Command::Run(args) => run(*args),
        Command::CheckConfig(args) => check_config(*args),
        Command::Status(args) => status(&args),
        Command::Doctor(args) => match examine(&args) {
            Ok(code) => return ExitCode::from(code),
            Err(failure) => Err(failure),
        },
        Command::Station(args) => station::station(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("causeway: {}", failure.text);
            ExitCode::from(failure.code)
        }
    }
}

fn keygen(args: &KeygenArgs) -> Result<(), Failure> {
    let key = PrivateKey::generate();
    keys::write_new(&args.out, &key).map_err(Failure::running)?;
    print_line(&key.public().to_string())
}

fn pubkey(args: &PubkeyArgs) -> Result<(), Failure> {
    let key = keys::read(&args.key).map_err(Failure::running)?;
    print_line(&key.public().to_string())
}

fn run(args: RunArgs) -> Result<(), Failure> {
    start_log(args.log);
    let config = load(args)?;
    let key = config.private_key().map_err(Failure::usage)?;
    let _in_use = keys::InUse::mark(&config.key);
    appliance::run(config, &key).map_err(Failure::running)
}

fn check_config(args: RunArgs) -> Result<(), Failure> {
    let config = load(args)?;
    let key = config.private_key().map_err(Failure::usage)?;
    let role = match config.role {
        Role::Site => "site",
        Role::Cloud => "cloud",
    };
    print_line(&format!(
        "ok: {role} with {} peer(s), {} station(s), lan port {}, public key {}",
        config.peers.len(),
        config.stations.len(),
        config.lan,
        key.public()
    ))
}

fn load(args: RunArgs) -> Result<Config, Failure> {
    Config::load(args.options, args.config.as_deref()).map_err(Failure::usage)
}

fn status(args: &StatusArgs) -> Result<(), Failure> {
    let status = api::query_status(&args.control).map_err(Failure::running)?;
    if args.prometheus {
        return print_line(status.to_prometheus(&args.control).trim_end());
    }
    if !args.json {
        return print_line(status.to_text().trim_end());
    }
    let json = serde_json::to_string_pretty(&status).map_err(Failure::running)?;
    print_line(&json)
}

/// Gives the exit code.
fn examine(args: &DoctorArgs) -> Result<u8, Failure> {
    let wanted = Wanted::load(args).map_err(Failure::usage)?;
    let report = doctor::run(args, &wanted).map_err(Failure::running)?;
    if args.json {
        print_line(&serde_json::to_string_pretty(&report).map_err(Failure::running)?)?;
    } else {
        print_line(report.to_text().trim_end())?;
    }
    Ok(report.exit_code())
}

/// Prints to stdout; a reader that has gone (`| head`) is no failure worth words.
fn print_line(text: &str) -> Result<(), Failure> {
    use std::io::{ErrorKind, Write};
    match writeln!(std::io::stdout(), "{text}") {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::running(format!("cannot write to stdout: {e}")))
        }
        _ => Ok(()),
    }
}

fn start_log(level: LogLevel) {
    let default = match level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "causeway=debug,causeway_tunnel=debug,info",
        LogLevel::Trace => "causeway=trace,causeway_tunnel=trace,debug",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_target(false)
        .init();
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
