//! Values as the file spells them.

use crate::config::quantity::{show_duration, show_rate, show_size};
use std::fmt::Display;
use std::time::Duration;

pub(super) fn plain<T: Display>(value: &T) -> String {
    value.to_string()
}

pub(super) fn quoted<T: Display>(value: &T) -> String {
    format!("\"{value}\"")
}

pub(super) fn time(value: &Duration) -> String {
    show_duration(*value)
}

/// Without it, `0s`.
pub(super) fn maybe_time(value: &Option<Duration>) -> String {
    show_duration(value.unwrap_or_default())
}

/// Without it, `none`.
pub(super) fn maybe_rate(bits: &Option<u64>) -> String {
    bits.map_or_else(|| "none".to_owned(), show_rate)
}

pub(super) fn size(value: &usize) -> String {
    show_size(*value as u64)
}

/// Without it, `none`.
pub(super) fn maybe<T: Display>(value: &Option<T>) -> String {
    value.as_ref().map_or_else(|| "none".to_owned(), plain)
}

pub(super) fn list<'a, T: Display + 'a>(values: impl IntoIterator<Item = &'a T>) -> String {
    let values: Vec<String> = values.into_iter().map(plain).collect();
    if values.is_empty() { "none".to_owned() } else { values.join(", ") }
}
