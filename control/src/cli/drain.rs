//! `aditctl drain`.

use super::client::{self, AskError};
use super::tables;
use crate::api::views::StatusView;
use clap::Args;
use hyper::Method;
use std::path::Path;
use std::time::Duration;

/// A week.
const LONGEST: Duration = Duration::from_secs(604_800);

/// New clients hear nothing, as if the headend were gone; those who are here stay, with their rekeys and moves.
#[derive(Debug, Clone, Args)]
pub(super) struct Drain {
    /// Tell those to go who are still here after so long, such as 90s, 10m or 1h
    #[arg(long, value_name = "TIME", value_parser = time)]
    within: Option<Duration>,
    /// End aditd when nobody is left
    #[arg(long)]
    stop: bool,
    /// Let everybody in again
    #[arg(long, conflicts_with_all = ["within", "stop"])]
    cancel: bool,
}

fn time(text: &str) -> Result<Duration, String> {
    crate::config::duration(text)
        .filter(|time| time.subsec_nanos() == 0 && *time <= LONGEST)
        .ok_or_else(|| "expected whole seconds with a unit, up to a week, such as 90s, 10m or 1h".to_owned())
}

impl Drain {
    pub(super) fn run(&self, socket: &Path, json: bool) -> Result<String, AskError> {
        let method = if self.cancel { Method::DELETE } else { Method::POST };
        let within = self.within.map(|within| format!("&within={}", within.as_secs())).unwrap_or_default();
        let path = match self.cancel {
            true => "/v1/drain".to_owned(),
            false => format!("/v1/drain?stop={}{within}", self.stop),
        };
        let body = client::ask(socket, method, &path)?;
        if json {
            return String::from_utf8(body).map(|text| text + "\n").map_err(|error| client::strange(socket, &error));
        }
        let view: StatusView = serde_json::from_slice(&body).map_err(|error| client::strange(socket, &error))?;
        Ok(tables::status(&view))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit_and_an_end() {
        for (text, seconds) in [("90s", 90), ("10m", 600), ("0s", 0), ("168h", 604_800)] {
            assert_eq!(time(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["10", "", "1500ms", "169h", "-1s"] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
