//! Logs: text for people or JSON for machines, to standard error.

mod line;

use crate::config::checked::{Log, LogFormat};
use line::{JsonLine, TextLine};
use std::io::IsTerminal;
use tracing::level_filters::LevelFilter;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::{DefaultFields, JsonFields};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::{EnvFilter, Registry, reload};

/// The variable that wins over `[log] level`.
pub const LEVEL_VARIABLE: &str = "ADIT_LOG";

/// Whether `text` is a level or a filter that `tracing` reads.
pub fn is_filter(text: &str) -> bool {
    let is_level = ["error", "warn", "info", "debug", "trace", "off"].contains(&text);
    // A lone word that is no level would name a module, and silence everything else.
    is_level || text.contains(['=', ',']) && EnvFilter::try_new(text).is_ok()
}

/// What is logged, to be changed while the process runs.
#[derive(Debug, Clone, Default)]
pub struct LogLevel(Option<reload::Handle<EnvFilter, Registry>>);

impl LogLevel {
    /// From now on. The variable wins, as at start.
    pub fn set(&self, level: &str) {
        let Self(Some(handle)) = self else { return };
        if std::env::var(LEVEL_VARIABLE).is_ok_and(|text| is_filter(&text)) {
            return tracing::warn!("{LEVEL_VARIABLE} wins over [log] level, which changes nothing");
        }
        if let Err(error) = handle.reload(EnvFilter::new(level)) {
            tracing::error!("the log level stays as it is: {error}");
        }
    }
}

/// Starts logging, once in a process; later calls change nothing.
pub fn start(log: &Log) -> LogLevel {
    let wanted = std::env::var(LEVEL_VARIABLE).ok();
    let (level, ignored) = match wanted {
        Some(text) if is_filter(&text) => (text, None),
        other => (log.level.clone(), other),
    };
    let colours = std::io::stderr().is_terminal();
    let (subscriber, handle) = subscriber(&Log { level, format: log.format }, std::io::stderr, colours);
    let started = tracing::subscriber::set_global_default(subscriber);
    if let Some(text) = ignored {
        tracing::warn!("{LEVEL_VARIABLE}={text:?} is neither a level nor a filter; [log] level stands");
    }
    LogLevel(started.is_ok().then_some(handle))
}

type Logging = (Box<dyn Subscriber + Send + Sync>, reload::Handle<EnvFilter, Registry>);

fn subscriber<W>(log: &Log, writer: W, colours: bool) -> Logging
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // The level is about events. Spans stay on: without its span a warning would not say whose session it is about.
    let is_span = filter_fn(|metadata: &Metadata<'_>| metadata.is_span()).with_max_level_hint(LevelFilter::INFO);
    let (level, handle) = reload::Layer::new(EnvFilter::new(&log.level));
    let filter = level.or(is_span);
    let layer = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(colours);
    let subscriber: Box<dyn Subscriber + Send + Sync> = match log.format {
        LogFormat::Text => {
            let layer = layer.fmt_fields(DefaultFields::new()).event_format(TextLine);
            Box::new(Registry::default().with(layer.with_filter(filter)))
        }
        LogFormat::Json => {
            let layer = layer.fmt_fields(JsonFields::new()).event_format(JsonLine);
            Box::new(Registry::default().with(layer.with_ansi(false).with_filter(filter)))
        }
    };
    (subscriber, handle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(octets)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: &str, format: LogFormat, body: impl FnOnce()) -> Vec<String> {
        let memory = Memory::default();
        let writer = memory.clone();
        let log = Log { level: level.to_owned(), format };
        tracing::subscriber::with_default(subscriber(&log, move || writer.clone(), false).0, body);
        let text = String::from_utf8(memory.0.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    fn a_session() {
        tracing::info!("serving");
        let _span = tracing::info_span!("session", session = %crate::session::SessionId(7)).entered();
        tracing::info!(identity = "alice@rig", packets = 3_u64, "login");
        tracing::warn!(cause = "wrong_psk", "login refused");
        tracing::debug!("asking whether the peer lives");
    }

    #[test]
    fn a_session_is_named_on_every_line_about_it() {
        let lines = logged("debug", LogFormat::Text, a_session);
        let ends: Vec<&str> = lines.iter().map(|line| line.split_once("Z ").unwrap().1).collect();
        assert_eq!(
            ends,
            [
                " INFO serving",
                " INFO session=s7 login identity=\"alice@rig\" packets=3",
                " WARN session=s7 login refused cause=\"wrong_psk\"",
                "DEBUG session=s7 asking whether the peer lives",
            ]
        );
    }

    #[test]
    fn a_json_line_is_one_flat_object() {
        let lines = logged("info", LogFormat::Json, a_session);
        let lines: Vec<serde_json::Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[0]["message"], "serving");
        assert_eq!(lines[0].get("session"), None);
        for (key, value) in [("level", "info"), ("session", "s7"), ("message", "login"), ("identity", "alice@rig")] {
            assert_eq!(lines[1][key], value);
        }
        assert_eq!(lines[1]["packets"], 3);
        assert!(lines[1]["time"].as_str().unwrap().ends_with('Z'));
        assert_eq!((&lines[2]["level"], &lines[2]["cause"]), (&"warn".into(), &"wrong_psk".into()));
    }

    #[test]
    fn a_warning_names_its_session_even_where_only_warnings_are_logged() {
        let lines = logged("warn", LogFormat::Text, a_session);
        let [line] = &lines[..] else { panic!("one line: {lines:?}") };
        assert!(line.ends_with(" WARN session=s7 login refused cause=\"wrong_psk\""), "{line}");
    }

    #[test]
    fn a_level_that_is_set_while_the_process_runs_counts_from_then_on() {
        let memory = Memory::default();
        let writer = memory.clone();
        let log = Log { level: "info".to_owned(), format: LogFormat::Text };
        let (subscriber, handle) = subscriber(&log, move || writer.clone(), false);
        let level = LogLevel(Some(handle));
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!("before");
            level.set("debug");
            tracing::debug!("between");
            level.set("warn");
            tracing::info!("after");
            tracing::warn!("in the end");
        });
        let text = String::from_utf8(memory.0.lock().unwrap().clone()).unwrap();
        let said: Vec<&str> = text.lines().map(|line| line.split_once("Z ").unwrap().1).collect();
        assert_eq!(said, ["DEBUG between", " WARN in the end"]);
    }

    #[test]
    fn octets_from_the_network_cannot_forge_a_line() {
        let forge = || tracing::info!(identity = "a\nINFO session=s1 login", "login\x1b[2J");
        for format in [LogFormat::Text, LogFormat::Json] {
            let lines = logged("info", format, forge);
            assert_eq!(lines.len(), 1, "{lines:?}");
            assert!(!lines[0].contains('\x1b'), "{lines:?}");
        }
    }

    #[test]
    fn levels_and_filters_are_told_from_other_words() {
        for text in ["error", "warn", "info", "debug", "trace", "off", "info,adit_control::ike=debug", "a=warn"] {
            assert!(is_filter(text), "{text}");
        }
        for text in ["", "verbose", "INFO!", "a=loud", "info,a=[b"] {
            assert!(!is_filter(text), "{text}");
        }
    }
}
