//! Logs: text for people or JSON for machines, to standard error.

use crate::config::checked::{Log, LogFormat};
use tracing_subscriber::EnvFilter;

/// The variable that wins over `[log] level`.
pub const LEVEL_VARIABLE: &str = "ADIT_LOG";

/// Whether `text` is a level or a filter that `tracing` reads.
pub fn is_filter(text: &str) -> bool {
    let is_level = ["error", "warn", "info", "debug", "trace", "off"].contains(&text);
    // A lone word that is no level would name a module, and silence everything else.
    is_level || text.contains(['=', ',']) && EnvFilter::try_new(text).is_ok()
}

/// Starts logging, once. `None` is before the configuration is known.
pub fn start(log: &Log) {
    let from_environment = std::env::var(LEVEL_VARIABLE).ok().filter(|text| is_filter(text));
    let filter = EnvFilter::new(from_environment.as_deref().unwrap_or(&log.level));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let _already_started = match log.format {
        LogFormat::Text => {
            let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
            subscriber.with_ansi(colours).try_init()
        }
        LogFormat::Json => subscriber.json().flatten_event(true).with_span_list(false).try_init(),
    };
}
