//! The command line.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{compare, filter, interrupt, pipeline, report, rig, traffic};

/// Measures causeway.
#[derive(Parser)]
#[command(name = "causeway-perf", version)]
struct Cli {
    #[command(subcommand)]
    test: Test,
}

#[derive(Subcommand)]
enum Test {
    /// Frames in memory through the data path of one core, without NIC or kernel.
    Pipeline(pipeline::Options),
    /// The XDP program of the lan port: what each verdict costs, by the kernel's test-run.
    Filter(filter::Options),
    /// Sends test frames.
    Generate(traffic::generate::Options),
    /// Receives test frames, and says what became of them on the way.
    Sink(traffic::receive::Options),
    /// The tests of RFC 2544, sections 26.1 to 26.4, between two ports of this machine.
    Rfc2544(traffic::rfc2544::Options),
    /// A load for hours, which fails as soon as too much went wrong.
    Soak(traffic::soak::Options),
    /// causeway and what a user would pick instead, in turns on one rig.
    Compare(compare::Options),
    /// One HTML page with plots from the JSON files of other tests.
    Report(report::Options),
    /// Keeps a CPU from halting.
    #[command(hide = true)]
    IdleLoop(rig::idle::Options),
}

/// Does what the command line says.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    interrupt::install();
    let result = match cli.test {
        Test::Pipeline(options) => pipeline::run(&options),
        Test::Filter(options) => filter::run(&options),
        Test::Generate(options) => traffic::generate::run(&options),
        Test::Sink(options) => traffic::receive::run(&options),
        Test::Rfc2544(options) => traffic::rfc2544::run(&options),
        Test::Soak(options) => traffic::soak::run(&options),
        Test::Compare(options) => compare::run(&options),
        Test::Report(options) => report::run(&options),
        Test::IdleLoop(options) => {
            rig::idle::run(&options);
            Ok(())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("causeway-perf: {error}");
            error.exit_code()
        }
    }
}
