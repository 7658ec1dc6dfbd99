//! Scenarios: real peers in network namespaces, and what must hold.
//!
//! A scenario is a folder: `description.md` (the first line is its title), `aditd.toml`, the peers' configurations,
//! `must-hold.sh`, and `settings` if it needs any. This module runs them; what a script can say is in
//! `bench/scenarios/rig.sh`.

mod folder;
mod glob;
mod logs;
mod report;
mod run;
mod stop;

pub(crate) use folder::{Scenario, discover};
pub(crate) use report::Verdict;
pub(crate) use run::Rig;
pub(crate) use stop::Stop;

use clap::{Args, Subcommand, ValueEnum};
use report::Report;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;

/// What can be asked about scenarios.
#[derive(Debug, Subcommand)]
pub(crate) enum Ask {
    /// List the scenarios, one line each
    List(Place),
    /// Run those that match; exit status 0 if none failed
    Run(RunArguments),
}

#[derive(Debug, Args)]
pub(crate) struct Place {
    /// Where the scenarios are
    #[arg(long, value_name = "DIR", default_value = "bench/scenarios")]
    pub(crate) scenarios: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    /// Names to run; * and ? stand for anything
    #[arg(value_name = "GLOB", default_value = "*")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) place: Place,
    /// How many run at once
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub(crate) jobs: u8,
    /// Run what failed once more, alone, when all others have ended; what holds only then is named
    #[arg(long)]
    pub(crate) again: bool,
    /// Where the logs and captures of failed ones go
    #[arg(long, value_name = "DIR", default_value = ".logs/scenarios")]
    pub(crate) keep_logs: PathBuf,
    /// Where aditd, aditctl and adit-bench are; beside this program if not given
    #[arg(long, value_name = "DIR")]
    pub(crate) binaries: Option<PathBuf>,
    /// Who plays the headend: strongSwan tells a wrong scenario from a wrong daemon
    #[arg(long, value_enum, default_value_t = Headend::Adit)]
    pub(crate) headend: Headend,
}

/// Who plays the headend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Headend {
    /// aditd
    Adit,
    /// The reference in its place
    Strongswan,
}

/// Answers, and says by exit status whether all is well.
pub(crate) fn main(ask: &Ask) -> ExitCode {
    let done = match ask {
        Ask::List(place) => list(place),
        Ask::Run(arguments) => run_all(arguments),
    };
    done.unwrap_or_else(|error| {
        eprintln!("adit-bench: {error}");
        ExitCode::from(2)
    })
}

/// Why nothing could be run at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScenarioError {
    #[error(transparent)]
    Folder(#[from] folder::FolderError),
    #[error("no scenario is called {0}; `make scenarios` lists them")]
    NoneMatches(String),
    #[error("{}: {source}", .path.display())]
    Place { path: PathBuf, source: std::io::Error },
    #[error("{} is not there; `cargo build --release` makes it", .0.display())]
    NoBinary(PathBuf),
    #[error("cannot listen for signals: {0}")]
    Signals(std::io::Error),
}

fn list(place: &Place) -> Result<ExitCode, ScenarioError> {
    let scenarios = folder::discover(&place.scenarios)?;
    let width = scenarios.iter().map(|scenario| scenario.name.len()).max().unwrap_or_default();
    for scenario in scenarios {
        println!("{:width$}  {}", scenario.name, scenario.title);
    }
    Ok(ExitCode::SUCCESS)
}

fn run_all(arguments: &RunArguments) -> Result<ExitCode, ScenarioError> {
    let mut scenarios = folder::discover(&arguments.place.scenarios)?;
    scenarios.retain(|scenario| glob::matches(&arguments.name, &scenario.name));
    if scenarios.is_empty() {
        return Err(ScenarioError::NoneMatches(arguments.name.clone()));
    }
    let rig = Rig::new(arguments)?;
    rig.remove_orphans();
    let stop = Stop::on_signals().map_err(ScenarioError::Signals)?;
    let report = Report::new(in_ci());
    let (alone, together): (Vec<_>, Vec<_>) = scenarios.into_iter().partition(|scenario| scenario.exclusive);
    let first = if arguments.again { Try::First } else { Try::Last };
    let mut failed = share_out(together, arguments.jobs, first, &rig, &stop, &report);
    failed.extend(share_out(alone, 1, first, &rig, &stop, &report));
    share_out(failed, 1, Try::Last, &rig, &stop, &report);
    Ok(report.close())
}

/// Whether what fails gets another chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Try {
    First,
    Last,
}

/// Runs the scenarios, `jobs` at a time, and returns those that are to be run again. After a stop, those that have not begun count as
/// skipped.
fn share_out(scenarios: Vec<Scenario>, jobs: u8, which: Try, rig: &Rig, stop: &Stop, report: &Report) -> Vec<Scenario> {
    let waiting = Mutex::new(VecDeque::from(scenarios));
    let again = Mutex::new(Vec::new());
    let next = || waiting.lock().ok().and_then(|mut waiting| waiting.pop_front());
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some(scenario) = next() {
                    if stop.asked() {
                        report.add(&scenario.name, &Verdict::Skipped("stopped before it began".to_owned()), None);
                        continue;
                    }
                    let outcome = rig.run(&scenario, stop);
                    match (&outcome.verdict, which, again.lock()) {
                        (Verdict::Failed(reason), Try::First, Ok(mut again)) if !stop.asked() => {
                            report.unsteady(&scenario.name, reason, &outcome);
                            again.push(scenario);
                        }
                        _counts => report.add(&scenario.name, &outcome.verdict, Some(&outcome)),
                    }
                }
            });
        }
    });
    again.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// In CI, what cannot run has failed.
fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| value == "true" || value == "1")
}
