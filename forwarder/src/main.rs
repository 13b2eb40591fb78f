//! The appliance's program; everything is in the library.

fn main() -> std::process::ExitCode {
    causeway::cli::main()
}
