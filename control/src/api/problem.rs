//! What is answered when something is wrong: RFC 9457, with stable names.

use super::ask::NoAnswer;
use crate::capture::NoCapture;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

macro_rules! problems {
    ($($variant:ident $status:ident $name:literal $title:literal,)+) => {
        /// What can be wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Kind {
            $(#[doc = $title] $variant,)+
        }

        impl Kind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The stable word.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// In words.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)+ }
            }

            /// HTTP's.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)+ }
            }
        }
    };
}

problems! {
    NoSuchPath NOT_FOUND "no_such_path" "There is no such path",
    NoSuchSession NOT_FOUND "no_such_session" "There is no such session",
    NoSuchConnection NOT_FOUND "no_such_connection" "There is no such connection",
    NoSuchCapture NOT_FOUND "no_such_capture" "There is no such capture",
    WrongMethod METHOD_NOT_ALLOWED "wrong_method" "This path has no such method",
    BadParameter BAD_REQUEST "bad_parameter" "A parameter is wrong",
    NotCounted CONFLICT "not_counted" "The configuration has this turned off",
    TooManyCaptures CONFLICT "too_many_captures" "As many captures run as may",
    NotWritten SERVICE_UNAVAILABLE "not_written" "The disk does not take or give what it should",
    NoOtherTransport CONFLICT "no_other_transport" "The session can use no other transport",
    NotUp CONFLICT "not_up" "The session is not up",
    WhoAreYou UNAUTHORIZED "who_are_you" "Nobody is answered here without a token or a certificate",
    ReadOnly FORBIDDEN "read_only" "Who may only look may not do this",
    CrossSite FORBIDDEN "cross_site" "Another site's page may not ask for this",
    WrongHost MISDIRECTED_REQUEST "wrong_host" "Nobody of this name is here",
    Busy SERVICE_UNAVAILABLE "busy" "Too much is asked at a time",
    TooLate SERVICE_UNAVAILABLE "too_late" "No answer came in time",
    Ending SERVICE_UNAVAILABLE "ending" "aditd is ending",
}

/// Something is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    kind: Kind,
    detail: String,
}

/// As it is answered, as `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemView {
    /// `urn:adit:problem:` and a stable word.
    #[serde(rename = "type")]
    pub kind: String,
    /// The same for each problem of this type.
    pub title: String,
    /// HTTP's status.
    pub status: u16,
    /// What is wrong here and what to do about it.
    pub detail: String,
}

impl Problem {
    /// With a sentence for people.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }

    /// As it is answered.
    pub fn view(&self) -> ProblemView {
        ProblemView {
            kind: format!("urn:adit:problem:{}", self.kind.name()),
            title: self.kind.title().to_owned(),
            status: self.kind.status().as_u16(),
            detail: self.detail.clone(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self.view()).unwrap_or_default();
        let mut answer = (self.kind.status(), body).into_response();
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.kind == Kind::WhoAreYou {
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        answer
    }
}

impl From<NoAnswer> for Problem {
    fn from(none: NoAnswer) -> Self {
        let kind = match none {
            NoAnswer::Busy | NoAnswer::BusyElsewhere(_) => Kind::Busy,
            NoAnswer::TooLate | NoAnswer::TooLateElsewhere(_) | NoAnswer::StillReloading => Kind::TooLate,
            NoAnswer::Gone => Kind::Ending,
        };
        Self::new(kind, none.to_string())
    }
}

impl From<NoCapture> for Problem {
    fn from(none: NoCapture) -> Self {
        let kind = match none {
            NoCapture::Unknown => Kind::NoSuchCapture,
            NoCapture::TooMany => Kind::TooManyCaptures,
            NoCapture::NoFolder => Kind::NotCounted,
            NoCapture::Limit(_) => Kind::BadParameter,
            NoCapture::File { .. } => Kind::NotWritten,
            NoCapture::Busy => Kind::Busy,
            NoCapture::Gone => Kind::Ending,
        };
        Self::new(kind, none.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_problem_has_a_word_of_its_own_and_a_status_that_is_an_error() {
        let names: BTreeSet<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), Kind::ALL.len());
        for kind in Kind::ALL {
            assert!(kind.status().is_client_error() || kind.status().is_server_error(), "{kind:?}");
        }
    }
}
