//! Whether the time that an answer takes tells what the answer hides: which users and groups there are.
//!
//! In the number: the headend's own work, from the question to the answer, in memory. Out of it: the network and the
//! kernel, which add noise and nothing that depends on the secret. Cases take turns in an order drawn for each round, so
//! that other load on the machine hits all of them alike. Each case is compared with the first by their ranks
//! (Mann-Whitney): a share of 0.500 is what two measurements of the same thing give, 1.000 or 0.000 tells them apart each
//! time.

mod first_message;
mod password;
mod rank_sum;

use adit_control::config::{ConfigErrors, Surroundings, read};
use adit_crypto::random::{SecretRandom, SeededRandom};
use clap::Args;
use rank_sum::RankSum;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// What to measure.
#[derive(Debug, Clone, Args)]
pub(crate) struct TellArgs {
    /// Rounds over first messages of aggressive mode
    #[arg(long, default_value_t = 3000, value_parser = clap::value_parser!(u32).range(10..=20_000))]
    messages: u32,
    /// Rounds over passwords; each is an Argon2 computation for every case
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(10..=10_000))]
    passwords: u32,
}

/// Why there is no measurement.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TellError {
    /// The bench's own configuration is wrong: a bug.
    #[error("{0}")]
    Config(#[from] ConfigErrors),
    /// What is measured would not be what a peer sees.
    #[error("the measurement would be void: {0}")]
    Void(&'static str),
}

/// Something that a peer may try, and how long the answer took each time.
pub(crate) struct Tried {
    name: &'static str,
    took: Vec<Duration>,
}

/// Measures and prints.
pub(crate) fn main(args: &TellArgs) -> ExitCode {
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("adit-bench tell: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &TellArgs) -> Result<(), TellError> {
    print("first message of aggressive mode, until its answer", &first_message::measure(args.messages)?);
    print("a user's password, until the verdict", &password::measure(args.passwords)?);
    Ok(())
}

/// Plays all cases once in each round, in an order of its own. `play` is told the round; the first does not count.
pub(crate) fn rounds<const N: usize>(
    names: [&'static str; N],
    rounds: u32,
    mut play: impl FnMut(usize, u32) -> Result<Duration, TellError>,
) -> Result<Vec<Tried>, TellError> {
    let mut random = SeededRandom::new(1);
    let mut tried = Vec::from(names.map(|name| Tried { name, took: Vec::new() }));
    for round in 0..=rounds {
        let mut chance = [0; N];
        random.fill(&mut chance);
        let mut order: Vec<usize> = (0..N).collect();
        order.sort_by_key(|case| chance[*case]);
        for case in order {
            let took = play(case, round)?;
            if round > 0 {
                tried[case].took.push(took);
            }
        }
    }
    Ok(tried)
}

/// A configuration, from what an operator would write.
pub(crate) fn config(text: &str) -> Result<Arc<adit_control::config::checked::Config>, TellError> {
    let around = Surroundings { folder: std::path::PathBuf::new(), cores: Vec::new() };
    let (config, _warnings) = read("bench configuration", text, &around)?;
    Ok(Arc::new(config))
}

fn print(what: &str, tried: &[Tried]) {
    println!("{what}, in microseconds:\n");
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::ASCII_MARKDOWN);
    table.set_header(["case", "times", "quartile", "median", "quartile", "share above the first", "z"]);
    for one in tried {
        let mut sorted = one.took.clone();
        sorted.sort_unstable();
        let at = |share: usize| {
            let micros = sorted.get(sorted.len() * share / 4).map_or(0.0, |took| took.as_secs_f64() * 1e6);
            format!("{micros:.1}")
        };
        let ranks = tried.first().map(|first| RankSum::of(&first.took, &one.took)).unwrap_or_default();
        table.add_row([
            one.name.to_owned(),
            sorted.len().to_string(),
            at(1),
            at(2),
            at(3),
            format!("{:.3}", ranks.share),
            format!("{:+.1}", ranks.z),
        ]);
    }
    println!("{table}\n");
}
