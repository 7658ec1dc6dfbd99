//! `aditctl reload`, `aditctl config` and `aditctl check`: the configuration.

use super::client::{self, AskError};
use crate::reload::{ChangeView, ConfigView, Outcome, PlanView};
use clap::Args;
use hyper::{Method, StatusCode};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Where the unit has it.
const USUAL_FILE: &str = "/etc/adit/aditd.toml";

/// Exit status: 0 applied, or nothing to do; 1 refused, and nothing has changed.
#[derive(Debug, Clone, Args)]
pub(super) struct Reload {
    /// Only show what would change
    #[arg(long)]
    dry_run: bool,
}

/// Exit status: 0 if it is right, 2 if not.
#[derive(Debug, Clone, Args)]
pub(super) struct Check {
    /// The configuration
    #[arg(value_name = "FILE", default_value = USUAL_FILE)]
    file: PathBuf,
}

/// Of secrets nothing is shown.
#[derive(Debug, Clone, Args)]
pub(super) struct ShowConfig {
    /// Only keys whose section or name has this in it: `ike`, `office`, `timeout`
    #[arg(value_name = "WORD")]
    word: Option<String>,
}

impl ShowConfig {
    pub(super) fn run(&self, socket: &Path, json: bool) -> Result<String, AskError> {
        let mut view: ConfigView = client::get(socket, "/v1/config")?;
        if let Some(word) = &self.word {
            view.settings.retain(|setting| setting.section.contains(word) || setting.key.contains(word));
        }
        if json { client::as_json(socket, &view) } else { Ok(settings(&view)) }
    }
}

/// Sections and their keys, as a file has them.
fn settings(view: &ConfigView) -> String {
    let mut text = format!("# {}\n", view.file);
    let mut section = "";
    for setting in &view.settings {
        // Writing into a string does not fail.
        if setting.section != section {
            section = &setting.section;
            let _ = write!(text, "\n{section}\n");
        }
        let value = setting.value.as_deref().unwrap_or("(not shown)");
        let _ = match setting.key.as_str() {
            "" => writeln!(text, "{value}"),
            key => writeln!(text, "{key} = {value}"),
        };
    }
    text
}

impl Reload {
    pub(super) fn run(&self, socket: &Path, json: bool) -> Result<ExitCode, AskError> {
        let path = if self.dry_run { "/v1/reload?dry_run=true" } else { "/v1/reload" };
        let (status, body) = client::ask_for_any(socket, Method::POST, path)?;
        let has_plan = [StatusCode::OK, StatusCode::CONFLICT, StatusCode::UNPROCESSABLE_ENTITY].contains(&status);
        if !has_plan {
            return Err(client::refusal(socket, status, &body));
        }
        let view: PlanView = serde_json::from_slice(&body).map_err(|error| client::strange(socket, &error))?;
        let text = match json {
            true => String::from_utf8_lossy(&body).into_owned() + "\n",
            false => shown(&view),
        };
        super::aditctl::print(&text);
        Ok(match view.outcome {
            Outcome::NothingToDo | Outcome::Planned | Outcome::Applied => ExitCode::SUCCESS,
            Outcome::NeedsRestart | Outcome::Invalid | Outcome::Failed => ExitCode::FAILURE,
        })
    }
}

impl Check {
    pub(super) fn run(&self) -> ExitCode {
        super::aditd::check(&self.file)
    }
}

/// A line for each change, mistake and warning; what came of it at the end.
fn shown(view: &PlanView) -> String {
    let PlanView { file: _, outcome: _, summary, changes, ends: _, mistakes, warnings } = view;
    let lines = mistakes.iter().map(|mistake| mistake.text.clone());
    let lines = lines.chain(warnings.iter().cloned()).chain(changes.iter().map(ChangeView::text));
    let mut text = String::new();
    for line in lines {
        // Writing into a string does not fail.
        let _ = writeln!(text, "{line}");
    }
    let _ = writeln!(text, "{summary}");
    text
}
