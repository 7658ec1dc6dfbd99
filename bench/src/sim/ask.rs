//! `adit-bench sim`: runs a world from its seed and says how it went.

use super::chance::Odds;
use super::collisions::{Act, SETTINGS, collide_all};
use super::crowd::{self, Plan, Report};
use super::host::Fault;
use super::settings::Version;
use clap::Args;
use std::process::ExitCode;

/// A crowd in a simulated world; the same seed and numbers give the same run, to the last message.
#[derive(Debug, Args)]
pub(crate) struct Ask {
    /// Says everything that happens
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many log in
    #[arg(long, default_value_t = 1000)]
    initiators: usize,
    /// Share of datagrams that an access line loses, each way
    #[arg(long, default_value_t = Odds::per_mille(20))]
    loss: Odds,
    /// Share that it delivers twice
    #[arg(long, default_value_t = Odds::per_mille(20))]
    duplication: Odds,
    /// Share that it delays by up to three seconds
    #[arg(long, default_value_t = Odds::per_mille(20))]
    straggling: Odds,
    /// Share of initiators that come by IKEv1
    #[arg(long, default_value_t = Odds::NEVER)]
    ikev1: Odds,
    /// Write down the messages of this initiator, counted from 0
    #[arg(long)]
    follow: Option<usize>,
    /// Let the headend make a mistake, which must be found
    #[arg(long)]
    fault: Option<Fault>,
    /// Instead of a crowd: two ends that start any two things at once, with each message lost in turn
    #[arg(long)]
    collisions: bool,
    /// So many seeds, from --seed on
    #[arg(long, default_value_t = 1)]
    runs: u64,
}

/// Runs what is asked for; fails if anything was found.
pub(crate) fn main(ask: &Ask) -> ExitCode {
    if ask.collisions {
        return collisions(if ask.ikev1 == Odds::NEVER { Version::V2 } else { Version::V1 });
    }
    let mut sound = true;
    for seed in (ask.seed..).zip(0..ask.runs).map(|(seed, _)| seed) {
        let started = quanta::Instant::now();
        match crowd::run(&ask.plan(seed)) {
            Ok(report) => {
                println!("{report}wall time         {:.1} s\n", started.elapsed().as_secs_f64());
                sound &= report.findings.is_empty();
            }
            Err(errors) => {
                eprintln!("{errors}");
                return ExitCode::FAILURE;
            }
        }
    }
    if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn collisions(version: Version) -> ExitCode {
    let configs = match SETTINGS.configs() {
        Ok(configs) => configs,
        Err(errors) => {
            eprintln!("{errors}");
            return ExitCode::FAILURE;
        }
    };
    let (mut cases, mut wrong) = (0, 0);
    for act in Act::of(version) {
        collide_all(*act, version, &configs, |case, outcome| {
            cases += 1;
            if !outcome.findings.is_empty() {
                wrong += 1;
                println!("{case:?}");
                outcome.ladder.iter().for_each(|rung| println!("{rung}"));
                outcome.findings.iter().for_each(|finding| println!("  {finding}"));
            }
        });
    }
    println!("{cases} cases, {wrong} went wrong");
    if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl Ask {
    fn plan(&self, seed: u64) -> Plan {
        Plan {
            loss: self.loss,
            duplication: self.duplication,
            straggling: self.straggling,
            ikev1: self.ikev1,
            follow: self.follow,
            fault: self.fault,
            ..Plan::new(seed, self.initiators)
        }
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (tally, deeds) = (&self.tally, &self.deeds);
        for rung in &self.ladder {
            writeln!(f, "{rung}")?;
        }
        writeln!(f, "seed              {}", self.seed)?;
        writeln!(f, "trace             {}", self.trace)?;
        writeln!(f, "virtual time      {:.0} s", self.virtual_time.as_secs_f64())?;
        writeln!(f, "sessions          {} logins, at most {} at once", self.logins, self.most_sessions)?;
        writeln!(
            f,
            "people            {} called, {} again, {} added a child SA, {} hung up, {} died, {} rebooted, {} rebound",
            deeds.calls,
            deeds.calls_again,
            deeds.children_added,
            deeds.hung_up,
            deeds.died,
            deeds.rebooted,
            deeds.rebound
        )?;
        writeln!(f, "sent              {} IKE, {} ESP, {} keepalives", tally.ike, tally.esp, tally.keepalives)?;
        writeln!(
            f,
            "on the way        {} lost, {} doubled, {} blocked, {} unheard; of ESP {} taken, {} late",
            tally.lost, tally.duplicated, tally.blocked, tally.unheard, tally.esp_good, tally.esp_late
        )?;
        match self.findings.as_slice() {
            [] => writeln!(f, "found             nothing wrong"),
            findings => {
                writeln!(f, "found             {} wrong:", findings.len())?;
                findings.iter().try_for_each(|finding| writeln!(f, "  {finding}"))
            }
        }
    }
}
