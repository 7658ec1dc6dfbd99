//! What the daemon says at one time.

use crate::api::views::{StatusView, WorkerView};
use crate::cli::client::{self, AskError, encoded, get};
use crate::flows::{InnerFlowView, InnerFlowsView};
use crate::runtime::clock;
use crate::session::SessionView;
use serde::Serialize;
use std::path::Path;
use std::time::Duration;

/// All that is shown.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Picture {
    /// Since some moment; rates come from it.
    #[serde(skip)]
    pub(super) at: Duration,
    pub(super) status: StatusView,
    pub(super) workers: Vec<WorkerView>,
    pub(super) sessions: Vec<SessionView>,
    /// Of one session, if anybody wants them.
    pub(super) flows: Flows,
}

/// The flows of one session.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Flows {
    pub(super) of: Option<String>,
    pub(super) flows: Vec<InnerFlowView>,
    /// Why there are none, if that is not because nothing flows.
    pub(super) none: Option<String>,
}

impl Picture {
    pub(super) fn take(socket: &Path, flows_of: Option<&str>) -> Result<Self, AskError> {
        let sessions = serde_json::Value::Array(client::list(socket, "/v1/sessions", "sessions")?);
        let sessions = serde_json::from_value(sessions).map_err(|error| client::strange(socket, &error))?;
        Ok(Self {
            at: Duration::from_nanos(clock::now().as_nanos()),
            status: get(socket, "/v1/status")?,
            workers: get(socket, "/v1/workers")?,
            sessions,
            flows: flows_of.map(|session| Flows::take(socket, session)).transpose()?.unwrap_or_default(),
        })
    }
}

impl Flows {
    /// The first thousand: nobody reads more.
    fn take(socket: &Path, session: &str) -> Result<Self, AskError> {
        let of = Some(session.to_owned());
        match get::<InnerFlowsView>(socket, &format!("/v1/flows?limit=1000&session={}", encoded(session))) {
            Ok(page) => Ok(Self { of, flows: page.flows, none: None }),
            Err(AskError::Refused(why)) => Ok(Self { of, flows: Vec::new(), none: Some(why) }),
            Err(error) => Err(error),
        }
    }
}
