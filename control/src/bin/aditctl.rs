//! The operator's tool.

fn main() -> std::process::ExitCode {
    adit_control::cli::aditctl::run()
}
