//! The stall matrix: boxes that stand between a client and the headend, loss on each leg, both modes and both manners of a
//! client, each in network namespaces with real programs; what arrives, and when it stops.

mod cell;
mod html;

use crate::scenario::{Headend, Place, Rig, RunArguments, Scenario, ScenarioError, Stop, Verdict, discover};
use cell::{Aim, Cell, Client, Direction, Leg, Measured, Middlebox, Mode};
use clap::Args;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;

/// What to measure. Every option takes a list; what is not given stands for all.
#[derive(Debug, Clone, Args)]
pub(crate) struct StallArgs {
    /// Boxes
    #[arg(long = "box", value_enum, value_delimiter = ',')]
    boxes: Vec<Middlebox>,
    /// Legs on which segments are lost
    #[arg(long = "leg", value_enum, value_delimiter = ',')]
    legs: Vec<Leg>,
    /// Percent that are lost; 0 is measured once, whatever the legs
    #[arg(long = "loss", value_delimiter = ',', default_values_t = [0.0, 0.5, 2.0], value_parser = percent)]
    losses: Vec<f64>,
    /// The headend's modes
    #[arg(long = "mode", value_enum, value_delimiter = ',')]
    modes: Vec<Mode>,
    /// The client's manners
    #[arg(long = "client", value_enum, value_delimiter = ',')]
    clients: Vec<Client>,
    /// Which way packets go
    #[arg(long = "direction", value_enum, value_delimiter = ',')]
    directions: Vec<Direction>,
    /// Packets a second, each way; where the line is a long one it is 1000
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=5000))]
    rate: u32,
    /// Seconds that each cell is measured
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(5..=60))]
    seconds: u32,
    /// How many cells run at once
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=16))]
    jobs: u8,
    /// Measure what missed its aim once more, alone, when all others are done; what reaches it only then is named
    #[arg(long)]
    again: bool,
    /// One JSON object per cell and line instead of a table
    #[arg(long)]
    json: bool,
    /// A page with the table and pictures of what arrived over time
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Where the cell's script is
    #[arg(long, value_name = "DIR", default_value = "bench/stall")]
    place: PathBuf,
    /// Where the logs of cells go that could not be measured
    #[arg(long, value_name = "DIR", default_value = ".logs/stall")]
    keep_logs: PathBuf,
    /// Where aditd and aditctl are; beside this program if not given
    #[arg(long, value_name = "DIR")]
    binaries: Option<PathBuf>,
}

/// Why there is no matrix.
#[derive(Debug, thiserror::Error)]
enum StallError {
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    #[error("{}: no cell", .0.display())]
    NoCell(PathBuf),
    #[error("{0}")]
    Folder(std::io::Error),
    #[error("{}: {source}", .path.display())]
    Html { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// Measures and prints. Exit status 0: every cell was measured and reached its aim; 1: some did not; 2: nothing could be measured.
pub(crate) fn main(args: &StallArgs) -> ExitCode {
    run(args).unwrap_or_else(|error| {
        eprintln!("adit-bench stall: {error}");
        ExitCode::from(2)
    })
}

fn run(args: &StallArgs) -> Result<ExitCode, StallError> {
    let arguments = RunArguments {
        name: "*".to_owned(),
        place: Place { scenarios: args.place.clone() },
        jobs: args.jobs,
        again: args.again,
        keep_logs: args.keep_logs.clone(),
        binaries: args.binaries.clone(),
        headend: Headend::Adit,
    };
    let rig = Rig::new(&arguments)?;
    let mut folders = discover(&args.place).map_err(ScenarioError::from)?;
    let scenario = folders.pop().ok_or_else(|| StallError::NoCell(args.place.clone()))?;
    let stop = Stop::on_signals().map_err(ScenarioError::Signals)?;
    let results = tempfile::tempdir().map_err(StallError::Folder)?;
    let cells = cells(args);
    let total = cells.len();
    let place = Workplace { args, rig: &rig, scenario: &scenario, results: results.path(), stop: &stop };
    let mut done = place.measure(cells.into_iter().enumerate().collect(), args.jobs, total);
    if args.again {
        let (missed, mut kept): (Vec<_>, Vec<_>) =
            done.into_iter().partition(|(.., measured)| is_missed(measured) && !stop.asked());
        let again = place.measure(missed.iter().map(|(number, cell, _)| (*number, *cell)).collect(), 1, total);
        for (number, cell, measured) in &again {
            let before = missed.iter().find(|(other, ..)| other == number).map(|(.., measured)| measured);
            if let (Some(before), false) = (before, is_missed(measured)) {
                let before = before.as_ref().map_or_else(Clone::clone, |before| before.row().join(" "));
                eprintln!("unsteady {cell}: {before}");
            }
        }
        kept.extend(again);
        done = kept;
    }
    done.sort_by_key(|(number, ..)| *number);
    let measured: Vec<Measured> = done.iter().filter_map(|(_, _, measured)| measured.clone().ok()).collect();
    report(args, &measured)?;
    let all = measured.len() == total && measured.iter().all(|cell| cell.aim() != Aim::Missed);
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A cell's place in the table, and what came of it, or why it could not be measured.
type Done = (usize, Cell, Result<Measured, String>);

fn is_missed(measured: &Result<Measured, String>) -> bool {
    measured.as_ref().is_ok_and(|cell| cell.aim() == Aim::Missed) || measured.is_err()
}

/// What measuring needs.
struct Workplace<'a> {
    args: &'a StallArgs,
    rig: &'a Rig,
    scenario: &'a Scenario,
    results: &'a std::path::Path,
    stop: &'a Stop,
}

impl Workplace<'_> {
    /// Measures these, `jobs` at a time, until it is to stop.
    fn measure(&self, cells: VecDeque<(usize, Cell)>, jobs: u8, total: usize) -> Vec<Done> {
        let waiting = Mutex::new(cells);
        let done = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..jobs {
                scope.spawn(|| {
                    while let Some((number, cell)) = waiting.lock().ok().and_then(|mut waiting| waiting.pop_front()) {
                        if self.stop.asked() {
                            break;
                        }
                        let out = self.results.join(number.to_string());
                        let outcome = self.rig.run(&of_cell(self.scenario, &cell, self.args, &out), self.stop);
                        let measured = measured(&outcome.verdict, &out);
                        match &measured {
                            Err(why) => eprintln!("{cell}: not measured: {why}"),
                            Ok(measured) => eprintln!("{} of {total}: {cell}: {:?}", number + 1, measured.aim()),
                        }
                        if let Ok(mut done) = done.lock() {
                            done.push((number, cell, measured));
                        }
                    }
                });
            }
        });
        done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Every combination that was asked for, without loss first.
fn cells(args: &StallArgs) -> Vec<Cell> {
    let mut cells = Vec::new();
    for r#box in some_or_all(&args.boxes) {
        for mode in some_or_all(&args.modes) {
            for client in some_or_all(&args.clients) {
                for direction in some_or_all(&args.directions) {
                    let cell = |leg, loss| Cell { r#box, leg, loss, mode, client, direction };
                    for &loss in &args.losses {
                        match loss > 0.0 {
                            true => cells.extend(some_or_all(&args.legs).into_iter().map(|leg| cell(Some(leg), loss))),
                            false => cells.push(cell(None, 0.0)),
                        }
                    }
                }
            }
        }
    }
    cells
}

fn some_or_all<T: clap::ValueEnum + Copy>(some: &[T]) -> Vec<T> {
    if some.is_empty() { T::value_variants().to_vec() } else { some.to_vec() }
}

/// The script's environment for one cell.
fn of_cell(scenario: &Scenario, cell: &Cell, args: &StallArgs, out: &std::path::Path) -> Scenario {
    let mut scenario = scenario.clone();
    let line = cell.line(args.rate);
    let settings = [
        ("STALL_BOX", cell.r#box.to_string()),
        ("STALL_LEG", cell.leg.map_or_else(|| "none".to_owned(), |leg| leg.to_string())),
        ("STALL_LOSS", cell.loss.to_string()),
        ("STALL_MODE", cell.mode.to_string()),
        ("STALL_CLIENT", cell.client.to_string()),
        ("STALL_DIRECTION", cell.direction.to_string()),
        ("STALL_RATE", line.rate.to_string()),
        ("STALL_FAR", line.far.to_string()),
        ("STALL_SECONDS", args.seconds.to_string()),
        ("STALL_OUT", out.display().to_string()),
    ];
    scenario.name = cell.to_string().replace(' ', "-");
    scenario.environment.extend(settings.map(|(key, value)| (key.to_owned(), value)));
    scenario
}

fn measured(verdict: &Verdict, out: &std::path::Path) -> Result<Measured, String> {
    match verdict {
        Verdict::Passed => {}
        Verdict::Failed(why) | Verdict::Skipped(why) => return Err(why.clone()),
    }
    let text = std::fs::read_to_string(out).map_err(|error| error.to_string())?;
    serde_json::from_str(&text).map_err(|error| error.to_string())
}

fn report(args: &StallArgs, measured: &[Measured]) -> Result<(), StallError> {
    match args.json {
        true => {
            for cell in measured {
                println!("{}", serde_json::to_string(cell)?);
            }
        }
        false => println!("{}", table(measured)),
    }
    let Some(path) = &args.html else { return Ok(()) };
    std::fs::write(path, html::page(measured)).map_err(|source| StallError::Html { path: path.clone(), source })
}

fn table(measured: &[Measured]) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::ASCII_MARKDOWN);
    table.set_header([
        "box",
        "loss",
        "mode",
        "client",
        "direction",
        "up %",
        "down %",
        "longest gap s",
        "dead at s",
        "ended at s",
        "headend s",
        "aim",
    ]);
    for cell in measured {
        table.add_row(cell.row());
    }
    table
}

fn percent(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|percent| (0.0..=50.0).contains(percent))
        .ok_or_else(|| "a percentage from 0 to 50".to_owned())
}

#[cfg(test)]
mod tests;
