//! The perf harness of causeway: measures, and says what it measured on.
//!
//! One test so far: [`pipeline`], the way of a frame through one core in memory, with no NIC and no
//! kernel. It runs the appliance's own code: the frames of a batch go through
//! [`causeway::lan_to_wan`] into runs of sealed datagrams, or datagrams through
//! [`causeway::wan_to_lan`] into frames; only the two ends, port and socket, are memory.
//!
//! [`report`] makes a page with plots of what such tests have written.
//!
//! [`output`] prints the figures and writes them as JSON, with what [`machine`] says of the machine.

mod compare;
mod error;
mod filter;
mod interrupt;
mod machine;
mod output;
mod pipeline;
mod progress;
mod report;
mod rig;
mod sizes;
mod traffic;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
    /// One HTML page with plots from the JSON files of other tests.
    Report(report::Options),
    /// The XDP program of the lan port: what each verdict costs, by the kernel's test-run.
    Filter(filter::Options),
    /// causeway and what a user would pick instead, in turns on one rig.
    Compare(compare::Options),
    /// Keeps a CPU from halting.
    #[command(hide = true)]
    IdleLoop(rig::idle::Options),
    /// Sends test frames.
    Generate(traffic::generate::Options),
    /// Receives test frames, and says what became of them on the way.
    Sink(traffic::receive::Options),
    /// The tests of RFC 2544, sections 26.1 to 26.4, between two ports of this machine.
    Rfc2544(traffic::rfc2544::Options),
    /// A load for hours, which fails as soon as too much went wrong.
    Soak(traffic::soak::Options),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    interrupt::install();
    let result = match cli.test {
        Test::Pipeline(options) => pipeline::run(&options),
        Test::Report(options) => report::run(&options),
        Test::Filter(options) => filter::run(&options),
        Test::Compare(options) => compare::run(&options),
        Test::IdleLoop(options) => {
            rig::idle::run(&options);
            Ok(())
        }
        Test::Generate(options) => traffic::generate::run(&options),
        Test::Sink(options) => traffic::receive::run(&options),
        Test::Rfc2544(options) => traffic::rfc2544::run(&options),
        Test::Soak(options) => traffic::soak::run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("causeway-perf: {error}");
            error.exit_code()
        }
    }
}
