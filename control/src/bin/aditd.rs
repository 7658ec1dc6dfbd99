//! The daemon.

fn main() -> std::process::ExitCode {
    adit_control::cli::aditd::run()
}
