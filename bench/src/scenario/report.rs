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
    /// What failed at first, and why.
    unsteady: Mutex<Vec<(String, String)>>,
}

impl Report {
    /// With `strict`, what cannot run has failed.
    pub(crate) fn new(strict: bool) -> Self {
        Self { strict, sums: Mutex::default(), unsteady: Mutex::default() }
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
                if let Ok(mut unsteady) = self.unsteady.lock() {
                    unsteady.retain(|(other, _)| other != name);
                }
                evidence(outcome);
            }
        }
    }

    /// A scenario has failed and is to be run again: counted is what comes of that.
    pub(crate) fn unsteady(&self, name: &str, reason: &str, outcome: &Outcome) {
        println!("failed at first {name}: {reason}");
        evidence(Some(outcome));
        if let Ok(mut unsteady) = self.unsteady.lock() {
            unsteady.push((name.to_owned(), reason.to_owned()));
        }
    }

    /// Prints the sum; the exit status says whether any failed. What held only at the second try is named.
    pub(crate) fn close(self) -> ExitCode {
        for (name, reason) in self.unsteady.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
            println!("unsteady {name}: {reason}");
        }
        let sums = self.sums.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        println!("{} passed, {} failed, {} skipped", sums.passed, sums.failed, sums.skipped);
        if sums.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// What a failed run has left to look at.
fn evidence(outcome: Option<&Outcome>) {
    let Some(logs) = outcome.and_then(|outcome| outcome.logs.as_ref()) else { return };
    for line in &logs.last_lines {
        println!("    {line}");
    }
    println!("    logs and capture: {}", logs.folder.display());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_fails_at_first_counts_as_what_comes_of_it_then_and_is_named_if_it_passes() {
        let report = Report::new(true);
        let failed = Verdict::Failed("too slow".to_owned());
        let outcome = Outcome { verdict: failed.clone(), took: Duration::ZERO, logs: None };
        for name in ["steadies", "fails"] {
            report.unsteady(name, "too slow", &outcome);
        }
        report.add("steadies", &Verdict::Passed, None);
        report.add("fails", &failed, None);
        assert_eq!(*report.sums.lock().unwrap(), Sums { passed: 1, failed: 1, skipped: 0 });
        assert_eq!(*report.unsteady.lock().unwrap(), [("steadies".to_owned(), "too slow".to_owned())]);
    }
}
