//! Reads one table of the file: typed values with their lines, every mistake noted, every key that was not asked
//! for reported as unknown.

use super::error::{ConfigError, Problem, nearest};
use super::shape::{Misfit, Shape};
use std::cell::RefCell;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located<T> {
    /// What is there.
    pub value: T,
    /// Counted from 1.
    pub line: usize,
}

/// A file's lines and the mistakes found in it so far.
pub(super) struct Source<'a> {
    name: &'a str,
    /// Where lines end.
    ends: Vec<usize>,
    errors: RefCell<Vec<ConfigError>>,
}

impl<'a> Source<'a> {
    pub(super) fn new(name: &'a str, text: &str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, octet)| *octet == b'\n').map(|(at, _)| at).collect();
        Self { name, ends, errors: RefCell::default() }
    }

    pub(super) fn line(&self, span: &Range<usize>) -> usize {
        1 + self.ends.partition_point(|end| *end < span.start)
    }

    pub(super) fn name(&self) -> &'a str {
        self.name
    }

    pub(super) fn error(&self, line: usize, key: String, problem: Problem) {
        let file = self.name.to_owned();
        self.errors.borrow_mut().push(ConfigError { file, line: Some(line), key, problem });
    }

    /// All mistakes, in the order of lines.
    pub(super) fn into_errors(self) -> Vec<ConfigError> {
        let mut errors = self.errors.into_inner();
        errors.sort_by_key(|error| error.line);
        errors
    }
}

/// One table being read. A section that the file does not have reads as an empty one.
pub(super) struct Section<'a> {
    source: &'a Source<'a>,
    title: String,
    line: usize,
    table: Option<&'a DeTable<'a>>,
    asked: Vec<&'static str>,
}

impl<'a> Section<'a> {
    pub(super) fn new(source: &'a Source<'a>, title: String, line: usize, table: Option<&'a DeTable<'a>>) -> Self {
        Self { source, title, line, table, asked: Vec::new() }
    }

    /// The line of its header.
    pub(super) fn line(&self) -> usize {
        self.line
    }

    /// Adds its name to its title, so that errors tell two `[[pool]]`s apart.
    pub(super) fn call_it(&mut self, name: &str) {
        self.title = format!("{} \"{name}\"", self.title);
    }

    /// As in error messages.
    pub(super) fn title(&self) -> &str {
        &self.title
    }

    /// The value of `key`, if it is there and fits.
    pub(super) fn get<S: Shape>(&mut self, key: &'static str, shape: &S) -> Option<Located<S::Value>> {
        let value = self.find(key)?;
        self.read(key, value, shape)
    }

    /// As [`Section::get`]; its absence is a mistake.
    pub(super) fn want<S: Shape>(&mut self, key: &'static str, shape: &S) -> Option<Located<S::Value>> {
        if self.find(key).is_none() {
            self.missing(key, shape.expected());
        }
        self.get(key, shape)
    }

    /// A list of values that have one shape. Elements that do not fit are reported and left out.
    pub(super) fn list<S: Shape>(&mut self, key: &'static str, shape: &S) -> Option<Located<Vec<Located<S::Value>>>> {
        let value = self.find(key)?;
        let line = self.source.line(&value.span());
        let Some(list) = value.get_ref().as_array() else {
            let hint = value.get_ref().is_str().then(|| "write it in brackets, even if it is only one".to_owned());
            let expected = format!("a list, each {}", shape.expected());
            let found = shape.show(value.get_ref());
            self.error(line, key, Problem::Misfit { expected, found, hint });
            return None;
        };
        let value = list.iter().filter_map(|element| self.read(key, element, shape)).collect();
        Some(Located { value, line })
    }

    /// As [`Section::list`]; nothing in it is a mistake.
    pub(super) fn some_list<S: Shape>(
        &mut self,
        key: &'static str,
        shape: &S,
    ) -> Option<Located<Vec<Located<S::Value>>>> {
        let value = self.find(key)?;
        if value.get_ref().as_array().is_some_and(|list| list.is_empty()) {
            let expected = format!("a list, each {}", shape.expected());
            let problem = Problem::Misfit { expected, found: "an empty list".to_owned(), hint: None };
            self.error(self.source.line(&value.span()), key, problem);
        }
        self.list(key, shape)
    }

    /// As [`Section::some_list`]; its absence is a mistake.
    pub(super) fn want_list<S: Shape>(
        &mut self,
        key: &'static str,
        shape: &S,
    ) -> Option<Located<Vec<Located<S::Value>>>> {
        if self.find(key).is_none() {
            self.missing(key, format!("a list, each {}", shape.expected()));
        }
        self.some_list(key, shape)
    }

    /// As [`Section::some_list`]; one value may stand without brackets.
    pub(super) fn one_or_list<S: Shape>(
        &mut self,
        key: &'static str,
        shape: &S,
    ) -> Option<Located<Vec<Located<S::Value>>>> {
        let value = self.find(key)?;
        if value.get_ref().as_array().is_some() {
            return self.some_list(key, shape);
        }
        let one = self.read(key, value, shape)?;
        Some(Located { line: one.line, value: vec![one] })
    }

    /// Reports a key that must not be there: it fits only where `needs` says.
    pub(super) fn refuse(&mut self, key: &'static str, needs: &str, found: &str) {
        if let Some(value) = self.find(key) {
            let line = self.source.line(&value.span());
            self.error(line, key, Problem::Misplaced { needs: needs.to_owned(), found: found.to_owned() });
        }
    }

    /// Whether the key is there, right or wrong.
    pub(super) fn has(&mut self, key: &'static str) -> bool {
        self.find(key).is_some()
    }

    pub(super) fn missing(&self, key: &'static str, expected: String) {
        self.error(self.line, key, Problem::Missing(expected));
    }

    pub(super) fn error(&self, line: usize, key: &str, problem: Problem) {
        self.source.error(line, format!("{} {key}", self.title), problem);
    }

    /// Whatever was not asked for is unknown. `belongs` finds the section that has a key of this name.
    pub(super) fn finish(self, belongs: impl Fn(&str) -> Option<String>) -> Vec<&'static str> {
        for (key, _value) in self.table.into_iter().flatten() {
            let name: &str = key.get_ref();
            if !self.asked.contains(&name) {
                let problem = Problem::UnknownKey {
                    nearest: nearest(name, self.asked.iter().copied()),
                    elsewhere: belongs(name),
                    known: self.asked.iter().map(|key| (*key).to_owned()).collect(),
                };
                self.error(self.source.line(&key.span()), name, problem);
            }
        }
        self.asked
    }

    fn find(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
        self.table?.get(key)
    }

    fn read<S: Shape>(&self, key: &str, value: &Spanned<DeValue<'_>>, shape: &S) -> Option<Located<S::Value>> {
        let line = self.source.line(&value.span());
        match shape.read(value.get_ref()) {
            Ok(value) => Some(Located { value, line }),
            Err(misfit) => {
                let problem = match misfit {
                    Misfit::Kind { hint } => {
                        Problem::Misfit { expected: shape.expected(), found: shape.show(value.get_ref()), hint }
                    }
                    Misfit::Problem(problem) => problem,
                };
                self.error(line, key, problem);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_counted_from_1_and_its_end_is_still_in_it() {
        let source = Source::new("a", "a\n\nbc\n");
        let lines: Vec<usize> = (0..8).map(|at| source.line(&(at..at))).collect();
        assert_eq!(lines, [1, 1, 2, 3, 3, 3, 4, 4]);
        assert_eq!(Source::new("a", "").line(&(0..0)), 1);
    }
}
