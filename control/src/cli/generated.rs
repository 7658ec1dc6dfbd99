//! `aditctl completions` and `aditctl man`: made from the same definitions as the command line itself.

use clap::{Args, Command};
use clap_complete::Shell;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// For which shell.
#[derive(Debug, Clone, Args)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

/// Where to.
#[derive(Debug, Clone, Args)]
pub(super) struct Man {
    /// Write a page for each command into this folder; without it aditctl's own is printed
    folder: Option<PathBuf>,
}

impl Completions {
    pub(super) fn run(&self, mut command: Command) -> ExitCode {
        let mut text = Vec::new();
        let name = command.get_name().to_owned();
        clap_complete::generate(self.shell, &mut command, name, &mut text);
        finish(io::stdout().write_all(&text))
    }
}

impl Man {
    pub(super) fn run(&self, command: Command) -> ExitCode {
        finish(match &self.folder {
            None => clap_mangen::Man::new(command).render(&mut io::stdout()),
            Some(folder) => pages(command, folder),
        })
    }
}

/// `aditctl.1`, `aditctl-sessions.1`, …
fn pages(command: Command, folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    clap_mangen::generate_to(command.disable_help_subcommand(true), folder)
}

fn finish(written: io::Result<()>) -> ExitCode {
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("aditctl: {error}");
            ExitCode::FAILURE
        }
    }
}
