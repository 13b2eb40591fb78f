//! See the library.

fn main() -> std::process::ExitCode {
    causeway_perf::cli::main()
}
