//! What is printed: a line for each scenario as it ends, and the sum as the last line.

use super::run::Outcome;
use std::process::ExitCode;
use std::sync::Mutex;

/// How a scenario ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All held.
    Passed,
    /// Something did not, or could not be found out.
    Failed(String),
    /// This machine cannot run it.
    Skipped(String),
}

/// The counts so far.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Sums {
    passed: usize,
    failed: usize,
    skipped: usize,
}

/// Prints and counts, from any thread.
#[derive(Debug)]
pub(crate) struct Report {
    /// Whether a skipped one counts as failed.
    strict: bool,
    sums: Mutex<Sums>,
}

impl Report {
    /// With `strict`, what cannot run has failed.
    pub(crate) fn new(strict: bool) -> Self {
        Self { strict, sums: Mutex::default() }
    }

    /// A scenario ended, or never began.
    pub(crate) fn add(&self, name: &str, verdict: &Verdict, outcome: Option<&Outcome>) {
        let Ok(mut sums) = self.sums.lock() else { return };
        match verdict {
            Verdict::Passed => {
                sums.passed += 1;
                println!("ok {name} ({:.1} s)", outcome.map_or(0.0, |outcome| outcome.took.as_secs_f64()));
            }
            Verdict::Skipped(why) if !self.strict => {
                sums.skipped += 1;
                println!("skipped {name}: {why}");
            }
            Verdict::Skipped(reason) | Verdict::Failed(reason) => {
                sums.failed += 1;
                println!("FAILED {name}: {reason}");
                let Some(logs) = outcome.and_then(|outcome| outcome.logs.as_ref()) else { return };
                for line in &logs.last_lines {
                    println!("    {line}");
                }
                println!("    logs and capture: {}", logs.folder.display());
            }
        }
    }

    /// Prints the sum; the exit status says whether any failed.
    pub(crate) fn close(self) -> ExitCode {
        let sums = self.sums.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        println!("{} passed, {} failed, {} skipped", sums.passed, sums.failed, sums.skipped);
        if sums.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
