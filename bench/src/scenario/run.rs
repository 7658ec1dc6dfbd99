//! One scenario's run: a folder and a prefix of its own, a time limit, and nothing left afterwards.

use super::folder::Scenario;
use super::logs::{self, Kept};
use super::report::Verdict;
use super::stop::Stop;
use super::{Headend, RunArguments, ScenarioError};
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// What every rig needs.
const PROGRAMS: [&str; 13] = [
    "bash",
    "ip",
    "ss",
    "nft",
    "sysctl",
    "ping",
    "tcpdump",
    "tshark",
    "socat",
    "jq",
    "swanctl",
    "charon-systemd",
    "sha256sum",
];
/// Where they are, also for a root whose PATH lacks the system's folders.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The script's way to say that this machine cannot run it.
const CANNOT: i32 = 77;
/// How often a running script is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// What the runs have in common.
#[derive(Debug)]
pub(crate) struct Rig {
    /// Holds the folders of all runs on this machine.
    runs: PathBuf,
    /// Removes a run by its prefix.
    down: PathBuf,
    aditd: PathBuf,
    aditctl: PathBuf,
    bench: PathBuf,
    headend: Headend,
    keep_logs: PathBuf,
    runs_begun: AtomicU32,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// What to count.
    pub(crate) verdict: Verdict,
    /// With everything removed.
    pub(crate) took: Duration,
    /// Of a failed one.
    pub(crate) logs: Option<Kept>,
}

/// How a script ended.
enum End {
    Exited(ExitStatus),
    TimedOut,
    Stopped,
}

impl Rig {
    /// Finds what the runs need.
    ///
    /// # Errors
    /// The binaries under test are not built, or the rig's scripts are not there.
    pub(crate) fn new(arguments: &RunArguments) -> Result<Self, ScenarioError> {
        let found =
            |path: &Path| path.canonicalize().map_err(|source| ScenarioError::Place { path: path.to_owned(), source });
        let beside = std::env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_owned)).unwrap_or_default();
        let binaries = arguments.binaries.clone().unwrap_or(beside);
        let rig = Self {
            runs: std::env::temp_dir().join("adit-scenario"),
            down: found(&arguments.place.scenarios.join("../../deploy/rig/down.sh"))?,
            aditd: binaries.join("aditd"),
            aditctl: binaries.join("aditctl"),
            bench: binaries.join("adit-bench"),
            headend: arguments.headend,
            keep_logs: arguments.keep_logs.clone(),
            runs_begun: AtomicU32::new(0),
        };
        let missing = [&rig.aditd, &rig.aditctl, &rig.bench].into_iter().find(|binary| !binary.is_file()).cloned();
        match missing {
            Some(missing) if rig.headend == Headend::Adit => Err(ScenarioError::NoBinary(missing)),
            _ => Ok(rig),
        }
    }

    /// Removes what runners left that were killed too hard to do it themselves.
    pub(crate) fn remove_orphans(&self) {
        let Ok(entries) = fs::read_dir(&self.runs) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            // adit-<the runner's pid>-<number>
            let pid = name.split('-').nth(1).and_then(|pid| pid.parse::<u32>().ok());
            if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
                println!("removing {name}, which a killed runner left");
                let removed = self.tear_down(&name).and_then(|()| fs::remove_dir_all(entry.path()));
                if let Err(error) = removed {
                    println!("cannot remove {name}: {error}");
                }
            }
        }
    }

    /// Runs a scenario and removes everything that it made, however it ends.
    pub(crate) fn run(&self, scenario: &Scenario, stop: &Stop) -> Outcome {
        let begin = now();
        if let Err(why) = can_run(scenario) {
            return Outcome { verdict: Verdict::Skipped(why), took: begin.elapsed(), logs: None };
        }
        let prefix = format!("adit-{}-{}", std::process::id(), self.runs_begun.fetch_add(1, Relaxed));
        let run = self.runs.join(&prefix);
        let verdict = self.verdict(scenario, stop, &prefix, &run);
        let logs = match verdict {
            Verdict::Failed(_) => logs::keep(&run, &self.keep_logs, &scenario.name)
                .inspect_err(|error| eprintln!("cannot keep the logs of {}: {error}", scenario.name))
                .ok(),
            Verdict::Passed | Verdict::Skipped(_) => None,
        };
        if let Err(error) = fs::remove_dir_all(&run) {
            eprintln!("{}: {error}", run.display());
        }
        Outcome { verdict, took: begin.elapsed(), logs }
    }

    fn verdict(&self, scenario: &Scenario, stop: &Stop, prefix: &str, run: &Path) -> Verdict {
        let end = self.start(scenario, prefix, run).and_then(|mut script| {
            let end = attend(&mut script, scenario.timeout, stop);
            // The script carries the mark too: if it still runs, it is removed like all that it started.
            let removed = self.tear_down(prefix);
            script.wait()?;
            removed.and(end)
        });
        let reason = || fs::read_to_string(run.join("reason")).map(|text| text.trim().to_owned()).unwrap_or_default();
        match end {
            Err(error) => Verdict::Failed(error.to_string()),
            Ok(End::Stopped) => Verdict::Failed("stopped".to_owned()),
            Ok(End::TimedOut) => Verdict::Failed(format!(
                "took longer than {} s; the last line: {}",
                scenario.timeout.as_secs(),
                last(run)
            )),
            Ok(End::Exited(status)) if status.success() && holds(run) == 0 => {
                Verdict::Failed("it holds nothing".to_owned())
            }
            Ok(End::Exited(status)) if status.success() => Verdict::Passed,
            Ok(End::Exited(status)) if status.code() == Some(CANNOT) => Verdict::Skipped(reason()),
            Ok(End::Exited(status)) => match reason() {
                reason if reason.is_empty() => Verdict::Failed(format!("must-hold.sh: {status}")),
                reason => Verdict::Failed(reason),
            },
        }
    }

    fn start(&self, scenario: &Scenario, prefix: &str, run: &Path) -> io::Result<Child> {
        // Keys and traffic are in there: for root alone.
        DirBuilder::new().recursive(true).mode(0o700).create(run)?;
        let log = File::create(run.join("must-hold.log"))?;
        let headend = match self.headend {
            Headend::Adit => "adit",
            Headend::Strongswan => "strongswan",
        };
        Command::new("bash")
            .arg(scenario.folder.join("must-hold.sh"))
            .current_dir(&scenario.folder)
            .envs(&scenario.environment)
            .env("LC_ALL", "C")
            .env("PATH", PATH)
            .env("ADIT_RIG", prefix)
            .env("ADIT_RUN_DIR", run)
            .env("ADIT_SCENARIO", &scenario.folder)
            .env("ADIT_HEADEND", headend)
            .env("ADITD", &self.aditd)
            .env("ADITCTL", &self.aditctl)
            .env("ADIT_BENCH", &self.bench)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // A terminal's Ctrl-C reaches only this runner, which then clears up in order.
            .process_group(0)
            .spawn()
    }

    fn tear_down(&self, prefix: &str) -> io::Result<()> {
        let output = Command::new("bash")
            .arg(&self.down)
            .arg(prefix)
            .env_remove("ADIT_RIG")
            .env("PATH", PATH)
            .stdin(Stdio::null())
            .process_group(0)
            .output()?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(io::Error::other(format!("not everything could be removed: {said}")))
    }
}

/// Whether this machine has what the scenario needs.
fn can_run(scenario: &Scenario) -> Result<(), String> {
    let there = |program: &&str| std::env::split_paths(PATH).any(|folder| folder.join(program).is_file());
    let needed = PROGRAMS.into_iter().chain(scenario.programs.iter().map(String::as_str));
    let missing: Vec<_> = needed.filter(|program| !there(program)).collect();
    if !missing.is_empty() {
        return Err(format!("needs {}; deploy/install-peers.sh installs it", missing.join(", ")));
    }
    if !Path::new("/dev/net/tun").exists() {
        return Err("there is no /dev/net/tun".to_owned());
    }
    // The owner of a process's own files in /proc is who it runs as.
    match std::os::unix::fs::MetadataExt::uid(&fs::metadata("/proc/self").map_err(|error| error.to_string())?) {
        0 => Ok(()),
        _ => Err("only root can make network namespaces".to_owned()),
    }
}

/// Waits for the script's end, at most for the time limit.
#[expect(clippy::disallowed_methods, reason = "a tool that waits for real processes in real time")]
fn attend(script: &mut Child, limit: Duration, stop: &Stop) -> io::Result<End> {
    let begin = now();
    loop {
        if let Some(status) = script.try_wait()? {
            return Ok(End::Exited(status));
        }
        if stop.asked() {
            return Ok(End::Stopped);
        }
        if begin.elapsed() > limit {
            return Ok(End::TimedOut);
        }
        std::thread::sleep(LOOK);
    }
}

#[expect(clippy::disallowed_methods, reason = "a tool that times real processes")]
fn now() -> Instant {
    Instant::now()
}

/// How many assertions held.
fn holds(run: &Path) -> usize {
    lines(run).iter().filter(|line| line.starts_with("holds: ")).count()
}

fn last(run: &Path) -> String {
    lines(run).pop().unwrap_or_default()
}

fn lines(run: &Path) -> Vec<String> {
    let text = fs::read(run.join("must-hold.log")).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
