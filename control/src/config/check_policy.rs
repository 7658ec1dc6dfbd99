//! What sessions may: from what the file says to what cannot be wrong.

use super::check::{narrow, unique_names};
use super::checked::{Class, Rules};
use super::error::{Problem, nearest};
use super::file;
use super::section::{Located, Source};
use crate::aaa::Limits;
use std::num::NonZeroU32;
use std::time::Duration;

pub(super) fn classes(source: &Source<'_>, file: &[file::Class]) -> Vec<Class> {
    unique_names(source, file.iter().map(|class| (class.title.as_str(), class.name.as_ref())));
    let class = |class: &file::Class| Class {
        name: class.name.as_ref().map(|name| name.value.clone()).unwrap_or_default(),
        up: class.rate_up.as_ref().map(|rate| rate.value),
        down: class.rate_down.as_ref().map(|rate| rate.value),
        burst: class.burst.as_ref().map_or(Class::BURST, |burst| burst.value),
    };
    file.iter().map(class).collect()
}

/// What a connection's sessions may.
pub(super) fn rules(source: &Source<'_>, connection: &file::Connection, classes: &[file::Class]) -> Rules {
    let file::Rules { class, max_logins, at_max_logins, idle_timeout, session_timeout } = &connection.rules;
    Rules {
        class: class.as_ref().and_then(|class| index(source, connection, class, classes)),
        limits: Limits { session: limit(session_timeout.as_ref()), idle: limit(idle_timeout.as_ref()) },
        max_logins: NonZeroU32::new(narrow(max_logins.as_ref(), 0)),
        when_full: at_max_logins.as_ref().map(|what| what.value).unwrap_or_default(),
    }
}

fn index(
    source: &Source<'_>,
    connection: &file::Connection,
    named: &Located<String>,
    classes: &[file::Class],
) -> Option<usize> {
    let names = || classes.iter().filter_map(|class| Some(class.name.as_ref()?.value.as_str()));
    let index = classes.iter().position(|class| class.name.as_ref().is_some_and(|name| name.value == named.value));
    if index.is_none() {
        let problem = Problem::UnknownClass {
            name: named.value.clone(),
            nearest: nearest(&named.value, names()),
            known: names().map(|name| format!("\"{name}\"")).collect(),
        };
        source.error(named.line, format!("{} class", connection.title), problem);
    }
    index
}

/// Zero is none.
fn limit(key: Option<&Located<Duration>>) -> Option<Duration> {
    key.map(|key| key.value).filter(|time| !time.is_zero())
}
