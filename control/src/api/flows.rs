//! `GET /v1/flows`: flows inside tunnels.

use super::ask::Question;
use super::routes::{Sources, refuse};
use crate::flows::{FlowCursor, NoFlows, Wanted};
use crate::session::SessionId;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use serde::Deserialize;

/// What may be asked for. All of it is text, so that what does not fit is refused in our words.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FlowsQuery {
    /// Flows of this session alone: `s1`.
    session: Option<String>,
    /// The `next` of the page before.
    after: Option<String>,
    /// Flows at most: 1 to 1000, 100 if nothing is said.
    limit: Option<String>,
}

pub(super) async fn flows(State(sources): State<Sources>, Query(query): Query<FlowsQuery>) -> Response {
    let wanted = match query.wanted() {
        Ok(wanted) => wanted,
        Err(wrong) => return refuse(StatusCode::BAD_REQUEST, wrong),
    };
    match sources.asker.ask(|answer| Question::InnerFlows(wanted, answer)).await {
        Ok(Ok(view)) => Json(view).into_response(),
        Ok(Err(none @ NoFlows::NoSuchSession)) => refuse(StatusCode::NOT_FOUND, &none.to_string()),
        Ok(Err(none @ NoFlows::Off)) => refuse(StatusCode::CONFLICT, &none.to_string()),
        Ok(Err(none @ NoFlows::Busy)) => refuse(StatusCode::SERVICE_UNAVAILABLE, &none.to_string()),
        Err(none) => none.into_response(),
    }
}

impl FlowsQuery {
    fn wanted(&self) -> Result<Wanted, &'static str> {
        let session = self.session.as_ref().map(|name| session(name).ok_or("a session's name looks like \"s1\""));
        let after = self.after.as_ref().map(|text| {
            text.parse::<FlowCursor>().map_err(|_| "after is the \"next\" of the page before: it looks like \"w0-128\"")
        });
        let limit = self.limit.as_ref().map(|text| {
            let limit = text.parse().ok().filter(|limit| (1..=Wanted::MOST).contains(limit));
            limit.ok_or("limit is a number from 1 to 1000")
        });
        Ok(Wanted {
            session: session.transpose()?,
            after: after.transpose()?,
            limit: limit.transpose()?.unwrap_or(Wanted::USUAL),
        })
    }
}

fn session(name: &str) -> Option<SessionId> {
    name.strip_prefix('s')?.parse().ok().map(SessionId)
}

#[cfg(test)]
mod tests {
    use super::*;
    use adit_dataplane::contract::WorkerId;

    fn query(session: &str, after: &str, limit: &str) -> Result<Wanted, &'static str> {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        FlowsQuery { session: some(session), after: some(after), limit: some(limit) }.wanted()
    }

    #[test]
    fn what_is_asked_for_is_understood_or_refused_in_words() {
        assert_eq!(query("", "", ""), Ok(Wanted { session: None, after: None, limit: 100 }));
        let after = Some(FlowCursor { worker: WorkerId(1), place: 7 });
        assert_eq!(query("s3", "w1-7", "1000"), Ok(Wanted { session: Some(SessionId(3)), after, limit: 1000 }));
        for (session, after, limit, word) in [
            ("3", "", "", "session"),
            ("sx", "", "", "session"),
            ("", "7", "", "after"),
            ("", "", "0", "limit"),
            ("", "", "1001", "limit"),
            ("", "", "many", "limit"),
        ] {
            assert!(query(session, after, limit).unwrap_err().contains(word), "{session} {after} {limit}");
        }
    }
}
