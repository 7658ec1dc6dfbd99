//! Configuration in two types: what the file says ([`file::Config`]), and what has been checked and cannot be wrong
//! ([`checked::Config`]). All mistakes of a file are reported at once.

mod check;
pub mod checked;
pub mod error;
pub mod file;
mod legacy;
mod proposal;
mod psk;
mod quantity;
mod section;
mod shape;
mod syntax;

pub use check::{DEFAULT_ESP_PROPOSALS, DEFAULT_IKE_PROPOSALS, Surroundings};
pub use error::{ConfigError, ConfigErrors, Problem, Warning};
pub use proposal::ProposalTextError;

use checked::Config;
use section::Source;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use toml::de::DeTable;

/// No sensible file is longer, in octets.
const MAX_FILE: u64 = 4 << 20;

/// The built-in configuration, for a start without a file. It takes its key from `psk` in the state directory.
pub const BUILT_IN: &str = include_str!("built_in.toml");
/// What error messages call it.
pub const BUILT_IN_NAME: &str = "built-in configuration";

/// Reads and checks a file. `cores` are those that the process may run on.
///
/// # Errors
/// Every mistake in it. If it is not TOML, those mistakes alone: what the rest means is unsure then.
pub fn load(path: &Path, cores: Vec<usize>) -> Result<(Config, Vec<Warning>), ConfigErrors> {
    let name = path.display().to_string();
    let unreadable = |why: String| {
        ConfigErrors(vec![ConfigError {
            file: name.clone(),
            line: None,
            key: String::new(),
            problem: Problem::Unreadable(why),
        }])
    };
    let mut opened = std::fs::File::open(path).map_err(|error| unreadable(error.to_string()))?;
    let metadata = opened.metadata().map_err(|error| unreadable(error.to_string()))?;
    if metadata.len() > MAX_FILE {
        return Err(unreadable(format!("it has {} octets, at most {MAX_FILE} are allowed", metadata.len())));
    }
    let mut text = String::new();
    opened.by_ref().take(MAX_FILE).read_to_string(&mut text).map_err(|error| unreadable(error.to_string()))?;
    let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
    let (config, mut warnings) = read(&name, &text, &Surroundings { folder, cores })?;
    if metadata.mode() & 0o044 != 0 && psk_line(&text).is_some() {
        warnings.push(Warning {
            file: name,
            line: psk_line(&text).unwrap_or(1),
            key: "[[connection]] psk".to_owned(),
            sentence: "the file holds a pre-shared key and others can read it; run `chmod 600` on it or use psk_file"
                .to_owned(),
        });
    }
    Ok((config, warnings))
}

/// Checks a text; `name` is what messages call it.
///
/// # Errors
/// As [`load`].
pub fn read(name: &str, text: &str, around: &Surroundings) -> Result<(Config, Vec<Warning>), ConfigErrors> {
    let source = Source::new(name, text);
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return Err(ConfigErrors(syntax::explain(name, text, &errors)));
    }
    let mut warnings = Vec::new();
    let config = check::check(&source, file::read(&source, table.get_ref()), around, &mut warnings);
    match (source.into_errors(), config) {
        (errors, Some(config)) if errors.is_empty() => Ok((config, warnings)),
        (errors, _) => Err(ConfigErrors(errors)),
    }
}

/// Line of the first `psk = …`.
fn psk_line(text: &str) -> Option<usize> {
    let is_psk = |line: &str| line.split_once('=').is_some_and(|(key, _)| key.trim() == "psk");
    text.lines().position(is_psk).map(|index| index + 1)
}
