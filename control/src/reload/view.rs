//! A plan as the API shows it.

use super::{Plan, Step, Verdict};
use crate::config::checked::Config;
use crate::config::difference::{Setting, settings};
use crate::config::{ConfigErrors, Warning};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use utoipa::ToSchema;

/// What a reload has done, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlanView {
    /// The file that was read.
    pub file: String,
    /// What came of it.
    pub outcome: Outcome,
    /// In a sentence.
    pub summary: String,
    /// Each change, in the order of the documented file.
    pub changes: Vec<ChangeView>,
    /// The sessions that end, each once.
    pub ends: Vec<EndedView>,
    /// What is wrong with the file; then there are no changes.
    pub mistakes: Vec<MistakeView>,
    /// What is right and probably not meant.
    pub warnings: Vec<String>,
}

/// `GET /v1/config`: the configuration in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfigView {
    /// The file that it was read from.
    pub file: String,
    /// Every key, in the order of the documented file.
    pub settings: Vec<SettingView>,
}

/// One key and its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SettingView {
    /// Section, with its name where there are several: `[workers]`, `[[pool]] office`.
    pub section: String,
    /// The key; empty for a section of which nothing is shown.
    pub key: String,
    /// As the file spells it, but for the brackets of lists; null for secrets and what belongs to them.
    pub value: Option<String>,
}

impl ConfigView {
    /// Of this file.
    pub fn new(file: &str, config: &Config) -> Self {
        let view = |Setting { section, key, value }| SettingView { section, key: key.to_owned(), value };
        Self { file: file.to_owned(), settings: settings(config).into_iter().map(view).collect() }
    }
}

/// What came of a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The file says what is in force.
    NothingToDo,
    /// It can be applied; nothing was asked for but the plan.
    Planned,
    /// It is in force.
    Applied,
    /// Some of it needs a restart, so nothing was applied.
    NeedsRestart,
    /// The file is wrong, so nothing was applied.
    Invalid,
    /// The system refused something that it needs, so nothing was applied.
    Failed,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangeView {
    /// Section, with its name where there are several: `[workers]`, `[[pool]] office`.
    pub section: String,
    /// The key; empty if the section itself came or went.
    pub key: String,
    /// As it was; empty for secrets and sections.
    pub from: String,
    /// As it is to be; of a secret only that it changed.
    pub to: String,
    /// `at-once`, `new-logins`, `next-keys`, `sessions` or `restart`.
    pub effect: String,
    /// What that means, in words.
    pub sentence: String,
    /// Names of the sessions that it ends.
    pub ends: Vec<String>,
}

/// A session that ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EndedView {
    /// Its name.
    pub session: String,
    /// Whose it is.
    pub identity: String,
    /// Name of its connection.
    pub connection: String,
}

/// A mistake in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MistakeView {
    /// Line, counted from 1; 0 if it is about the whole file.
    pub line: usize,
    /// Section and key; empty if it is about no key.
    pub key: String,
    /// File, line, key, what was expected and the nearest valid key, as `aditd --check` says it.
    pub text: String,
}

impl PlanView {
    /// Of a plan, that was carried out if `outcome` says so.
    pub fn of(file: &str, plan: &Plan, outcome: Outcome, warnings: &[Warning]) -> Self {
        let mut ids = BTreeSet::new();
        let all = plan.steps.iter().flat_map(|step| &step.ends).filter(|session| ids.insert(session.id));
        let ends: Vec<EndedView> = all
            .map(|session| EndedView {
                session: session.id.to_string(),
                identity: session.identity.clone(),
                connection: session.connection.clone(),
            })
            .collect();
        let changes: Vec<ChangeView> = plan.steps.iter().map(ChangeView::from).collect();
        let counted = format!("{}, {}", counted(changes.len(), "change"), counted(ends.len(), "session"));
        let restarts = changes.iter().filter(|change| change.effect == "restart").count();
        let summary = match outcome {
            Outcome::NothingToDo => "nothing to do: the file says what is in force".to_owned(),
            Outcome::Planned => format!("{counted} to end; nothing is applied yet"),
            Outcome::Applied => format!("applied: {counted} ended"),
            Outcome::NeedsRestart => {
                format!(
                    "nothing is applied: {restarts} of {} need a restart of aditd",
                    self::counted(changes.len(), "change")
                )
            }
            Outcome::Invalid | Outcome::Failed => "nothing is applied".to_owned(),
        };
        let warnings = warnings.iter().map(ToString::to_string).collect();
        Self { file: file.to_owned(), outcome, summary, changes, ends, mistakes: Vec::new(), warnings }
    }

    /// Of a file that is wrong.
    pub fn of_mistakes(file: &str, errors: &ConfigErrors) -> Self {
        let mistake = |error: &crate::config::ConfigError| MistakeView {
            line: error.line.unwrap_or_default(),
            key: error.key.clone(),
            text: error.to_string(),
        };
        let mistakes: Vec<MistakeView> = errors.0.iter().map(mistake).collect();
        let summary = format!("nothing is applied: the file has {}", counted(mistakes.len(), "mistake"));
        Self { mistakes, summary, ..Self::failed(file, "") }.with(Outcome::Invalid)
    }

    /// The system refused something, or there is no file.
    pub fn failed(file: &str, why: &str) -> Self {
        Self {
            file: file.to_owned(),
            outcome: Outcome::Failed,
            summary: format!("nothing is applied: {why}"),
            changes: Vec::new(),
            ends: Vec::new(),
            mistakes: Vec::new(),
            warnings: Vec::new(),
        }
    }

    fn with(self, outcome: Outcome) -> Self {
        Self { outcome, ..self }
    }
}

impl ChangeView {
    /// A line for people: what, from what to what, and what that means.
    pub fn text(&self) -> String {
        let Self { section, key, from, to, sentence, .. } = self;
        let what = match (key.as_str(), from.as_str()) {
            ("", _) => format!("{section} {to}"),
            (key, "") => format!("{section} {key} {to}"),
            (key, from) => format!("{section} {key}: {from} → {to}"),
        };
        format!("{what}: {sentence}")
    }
}

impl From<Verdict> for Outcome {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::NothingToDo => Self::NothingToDo,
            Verdict::Ready => Self::Planned,
            Verdict::NeedsRestart => Self::NeedsRestart,
        }
    }
}

impl From<&Step> for ChangeView {
    fn from(step: &Step) -> Self {
        let change = &step.change;
        Self {
            section: change.section.clone(),
            key: change.key.to_owned(),
            from: change.from.clone(),
            to: change.to.clone(),
            effect: change.effect.name().to_owned(),
            sentence: step.sentence(),
            ends: step.ends.iter().map(|session| session.id.to_string()).collect(),
        }
    }
}

fn counted(count: usize, what: &str) -> String {
    match count {
        0 => format!("no {what}"),
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}
