//! A file of keys without sections, for tools whose command line has options of the same names. What a value may be, beyond its kind,
//! is for the tool to say.

use super::error::{ConfigError, ConfigErrors, Problem, nearest};
use super::section::Source;
use super::{opened, syntax};
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// What kind of value a key has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A text or a number.
    One,
    /// A list of them; one may stand without brackets.
    List,
    /// `true` or `false`.
    Switch,
}

/// A key that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// Its name.
    pub key: String,
    /// Counted from 1.
    pub line: usize,
    /// Its values, as one would type them; none for a switch, which is on.
    pub values: Vec<String>,
}

/// Reads a file whose keys are `known`. What a key's value has to be beyond that is asked of `fits`.
///
/// # Errors
/// Every mistake in it. If it is not TOML, those mistakes alone.
pub fn load_flat(
    path: &Path,
    known: &[(&str, Kind)],
    fits: impl Fn(&Given) -> Result<(), Problem>,
) -> Result<Vec<Given>, ConfigErrors> {
    let name = path.display().to_string();
    let (text, _metadata) = opened(path, &name)?;
    read_flat(&name, &text, known, fits)
}

fn read_flat(
    name: &str,
    text: &str,
    known: &[(&str, Kind)],
    fits: impl Fn(&Given) -> Result<(), Problem>,
) -> Result<Vec<Given>, ConfigErrors> {
    let source = Source::new(name, text);
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return Err(ConfigErrors(syntax::explain(name, text, &errors)));
    }
    let mut given = Vec::new();
    for (key, value) in table.get_ref() {
        let (key, line): (&str, _) = (key.get_ref(), source.line(&key.span()));
        let Some((_, kind)) = known.iter().find(|(name, _)| *name == key) else {
            let names = known.iter().map(|(name, _)| *name);
            let problem = Problem::UnknownKey {
                nearest: nearest(key, names.clone()),
                elsewhere: None,
                known: names.map(str::to_owned).collect(),
            };
            source.error(line, key.to_owned(), problem);
            continue;
        };
        match values(value.get_ref(), *kind) {
            Ok(None) => {}
            Ok(Some(values)) => {
                let one = Given { key: key.to_owned(), line, values };
                match fits(&one) {
                    Ok(()) => given.push(one),
                    Err(problem) => source.error(line, key.to_owned(), problem),
                }
            }
            Err(problem) => source.error(line, key.to_owned(), problem),
        }
    }
    given.sort_by_key(|one| one.line);
    let errors: Vec<ConfigError> = source.into_errors();
    if errors.is_empty() { Ok(given) } else { Err(ConfigErrors(errors)) }
}

/// `None` is a switch that is off.
fn values(value: &DeValue<'_>, kind: Kind) -> Result<Option<Vec<String>>, Problem> {
    let misfit = |expected: &str| {
        let found = value.type_str().to_owned();
        Problem::Misfit { expected: expected.to_owned(), found, hint: None }
    };
    let one = |value: &DeValue<'_>| match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.as_str().to_owned()),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    };
    match (kind, value) {
        (Kind::Switch, DeValue::Boolean(on)) => Ok(on.then(Vec::new)),
        (Kind::Switch, _) => Err(misfit("true or false")),
        (Kind::One, value) => one(value).map(|text| Some(vec![text])).ok_or_else(|| misfit("a text or a number")),
        (Kind::List, DeValue::Array(list)) => {
            let texts: Option<Vec<String>> = list.iter().map(|element| one(element.get_ref())).collect();
            texts.map(Some).ok_or_else(|| misfit("a list of texts"))
        }
        (Kind::List, value) => one(value).map(|text| Some(vec![text])).ok_or_else(|| misfit("a list of texts")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [(&str, Kind); 4] =
        [("server", Kind::One), ("port", Kind::One), ("route", Kind::List), ("legacy", Kind::Switch)];

    fn errors(text: &str) -> String {
        let fits = |given: &Given| match &given.values[..] {
            [value] if given.key == "port" && value.parse::<u16>().is_err() => {
                Err(Problem::Misfit { expected: "a port".to_owned(), found: value.clone(), hint: None })
            }
            _ => Ok(()),
        };
        read_flat("client.toml", text, &KNOWN, fits).unwrap_err().to_string()
    }

    #[test]
    fn what_is_given_comes_in_the_order_of_its_lines_as_one_would_type_it() {
        let text = "server = \"198.51.100.2\"\nroute = [\"10.0.0.0/8\", \"fd20::/64\"]\nport = 500\nlegacy = true\n";
        let given = read_flat("client.toml", text, &KNOWN, |_| Ok(())).unwrap();
        let seen: Vec<(&str, usize, usize)> = given.iter().map(|one| (&*one.key, one.line, one.values.len())).collect();
        assert_eq!(seen, [("server", 1, 1), ("route", 2, 2), ("port", 3, 1), ("legacy", 4, 0)]);
        assert_eq!(given[2].values, ["500"]);
        let one = read_flat("client.toml", "route = \"10.0.0.0/8\"", &KNOWN, |_| Ok(())).unwrap();
        assert_eq!(one[0].values, ["10.0.0.0/8"]);
        let half = read_flat("client.toml", "port = 0.5", &KNOWN, |_| Ok(())).unwrap();
        assert_eq!(half[0].values, ["0.5"]);
        assert!(read_flat("client.toml", "legacy = false", &KNOWN, |_| Ok(())).unwrap().is_empty());
    }

    #[test]
    fn every_mistake_is_named_with_its_line_and_what_was_probably_meant() {
        let said = errors("sever = \"a\"\nlegacy = \"yes\"\nport = 70000\nroute = [true]\n");
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(
            lines,
            [
                "client.toml:1: sever: unknown key; did you mean \"server\"?",
                "client.toml:2: legacy: expected true or false, found string",
                "client.toml:3: port: expected a port, found 70000",
                "client.toml:4: route: expected a list of texts, found array",
            ]
        );
        assert!(errors("server = \n").starts_with("client.toml:1: "));
    }
}
