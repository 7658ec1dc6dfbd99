//! Configuration in two types: what the file says ([`file::Config`]), and what has been checked and cannot be wrong
//! ([`checked::Config`]). All mistakes of a file are reported at once.

mod check;
mod check_api;
mod check_connections;
mod check_policy;
mod check_together;
mod check_users;
mod check_v1;
pub mod checked;
pub mod difference;
pub mod error;
pub mod file;
pub mod flat;
mod legacy;
mod phase_1;
mod proposal;
mod psk;
mod quantity;
mod renumbering;
mod section;
mod shape;
mod syntax;

pub use check::Surroundings;
pub use check_connections::{DEFAULT_ESP_PROPOSALS, DEFAULT_IKE_PROPOSALS};
pub use check_v1::{DEFAULT_PHASE_1_PROPOSALS, DEFAULT_V1_ESP_PROPOSALS};
pub use error::{ConfigError, ConfigErrors, Problem, Warning};
pub use proposal::ProposalTextError;
pub use psk::{private_file, secret_file, secret_text};
pub(crate) use quantity::parse_duration as duration;
pub use renumbering::Renumbering;

use checked::Config;
use section::Source;
use std::fs::Metadata;
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
    let (text, metadata) = opened(path, &name)?;
    let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
    let (config, mut warnings) = read(&name, &text, &Surroundings { folder, cores })?;
    if let Some((line, key)) = secret_line(&text).filter(|_| metadata.mode() & 0o044 != 0) {
        let (key, what, or) = match key {
            Secret::Psk => ("[[connection]] psk", "a pre-shared key", " or use psk_file"),
            Secret::Radius => ("[[radius]] secret", "a shared secret", " or use secret_file"),
            Secret::Hash => ("[[user]] password_hash", "hashes of passwords", ""),
        };
        let sentence = format!("the file holds {what} and others can read it; run `chmod 600` on it{or}");
        warnings.push(Warning { file: name, line, key: key.to_owned(), sentence });
    }
    Ok((config, warnings))
}

/// What is in a file, and whose it is; `name` is what messages call it.
fn opened(path: &Path, name: &str) -> Result<(String, Metadata), ConfigErrors> {
    let unreadable = |why: String| {
        let (file, problem) = (name.to_owned(), Problem::Unreadable(why));
        ConfigErrors(vec![ConfigError { file, line: None, key: String::new(), problem }])
    };
    let mut opened = std::fs::File::open(path).map_err(|error| unreadable(error.to_string()))?;
    let metadata = opened.metadata().map_err(|error| unreadable(error.to_string()))?;
    if metadata.len() > MAX_FILE {
        return Err(unreadable(format!("it has {} octets, at most {MAX_FILE} are allowed", metadata.len())));
    }
    let mut text = String::new();
    opened.by_ref().take(MAX_FILE).read_to_string(&mut text).map_err(|error| unreadable(error.to_string()))?;
    Ok((text, metadata))
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

/// What nobody else should read.
enum Secret {
    Psk,
    Radius,
    Hash,
}

/// The first line that holds a secret: pre-shared keys before the others.
fn secret_line(text: &str) -> Option<(usize, Secret)> {
    let line = |key: &str| {
        let is_key = |line: &str| line.split_once('=').is_some_and(|(found, _)| found.trim() == key);
        text.lines().position(is_key).map(|index| index + 1)
    };
    let found = [("psk", Secret::Psk), ("secret", Secret::Radius), ("password_hash", Secret::Hash)];
    found.into_iter().find_map(|(key, secret)| Some((line(key)?, secret)))
}
