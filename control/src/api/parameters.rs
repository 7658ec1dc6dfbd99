//! Parameters in paths and queries: what is wrong with them is a [`Problem`], too.

use super::problem::{Kind, Problem};
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use std::str::FromStr;

/// The query of a request. Parameters that nobody knows are refused: who misspells a filter must not get everything.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(error) => Err(Problem::new(Kind::BadParameter, error.body_text())),
        }
    }
}

/// The one name in a path.
pub(super) struct Named<T>(pub(super) T);

impl<T: FromStr<Err: std::fmt::Display>, S: Send + Sync> FromRequestParts<S> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let bad = |why: String| Problem::new(Kind::BadParameter, why);
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(text)) => text.parse().map(Self).map_err(|error: T::Err| bad(error.to_string())),
            Err(error) => Err(bad(error.body_text())),
        }
    }
}

/// Lines of a page if nobody says otherwise.
const LIMIT: usize = 100;
/// Lines of a page at most.
const MOST: usize = 1000;

/// As many lines as somebody asks for.
///
/// # Errors
/// None, or too many.
pub(super) fn limit(asked: Option<usize>) -> Result<usize, Problem> {
    match asked {
        None => Ok(LIMIT),
        Some(limit @ 1..=MOST) => Ok(limit),
        Some(_) => Err(Problem::new(Kind::BadParameter, format!("limit: a page has 1 to {MOST} lines"))),
    }
}

/// A parameter that is a name of something.
///
/// # Errors
/// It is none.
pub(super) fn named<T: FromStr<Err: std::fmt::Display>>(
    key: &str,
    text: Option<&String>,
) -> Result<Option<T>, Problem> {
    let parse = |text: &String| {
        text.parse().map_err(|error: T::Err| Problem::new(Kind::BadParameter, format!("{key}: {error}")))
    };
    text.map(parse).transpose()
}
