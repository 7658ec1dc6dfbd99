//! A scenario's folder, read and checked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

/// How long a scenario may take if its settings do not say.
const TIMEOUT: Duration = Duration::from_secs(120);

/// One scenario.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    /// The folder's name.
    pub(crate) name: String,
    /// Where it is, absolute.
    pub(crate) folder: PathBuf,
    /// One line.
    pub(crate) title: String,
    /// How long it may take, without clearing up.
    pub(crate) timeout: Duration,
    /// Whether nothing else may run beside it.
    pub(crate) exclusive: bool,
    /// Programs that it needs beyond what every rig needs.
    pub(crate) programs: Vec<String>,
    /// What its script finds in its environment: CLIENTS, NAT, SECOND_NAT, SNAPLEN.
    pub(crate) environment: BTreeMap<String, String>,
}

/// What is wrong with a folder.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FolderError {
    #[error("{}: {source}", .path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}: the first line must be `# ` and a title", .0.display())]
    NoTitle(PathBuf),
    #[error("{}:{line}: {what}", .path.display())]
    Setting { path: PathBuf, line: usize, what: String },
    #[error("{}: not there, so nothing must hold", .0.display())]
    NoScript(PathBuf),
}

/// Every folder below `place` is a scenario; in the order of their names.
///
/// # Errors
/// One of them is not whole.
pub(crate) fn discover(place: &Path) -> Result<Vec<Scenario>, FolderError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| FolderError::Read { path, source }
    };
    let place = place.canonicalize().map_err(failed(place))?;
    let mut scenarios = Vec::new();
    for entry in fs::read_dir(&place).map_err(failed(&place))? {
        let folder = entry.map_err(failed(&place))?.path();
        if folder.is_dir() {
            scenarios.push(read(folder)?);
        }
    }
    scenarios.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(scenarios)
}

fn read(folder: PathBuf) -> Result<Scenario, FolderError> {
    let description = folder.join("description.md");
    let text =
        fs::read_to_string(&description).map_err(|source| FolderError::Read { path: description.clone(), source })?;
    let title = text.lines().next().and_then(|line| line.strip_prefix("# ")).unwrap_or_default().trim();
    if title.is_empty() {
        return Err(FolderError::NoTitle(description));
    }
    let script = folder.join("must-hold.sh");
    if !script.is_file() {
        return Err(FolderError::NoScript(script));
    }
    let mut scenario = Scenario {
        name: folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        title: title.to_owned(),
        timeout: TIMEOUT,
        exclusive: false,
        programs: Vec::new(),
        environment: BTreeMap::new(),
        folder,
    };
    let path = scenario.folder.join("settings");
    match fs::read_to_string(&path) {
        Ok(text) => settle(&mut scenario, &text).map_err(|(line, what)| FolderError::Setting { path, line, what })?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(FolderError::Read { path, source }),
    }
    Ok(scenario)
}

/// Reads `KEY=value` lines; `#` begins a comment line.
fn settle(scenario: &mut Scenario, text: &str) -> Result<(), (usize, String)> {
    for (index, line) in text.lines().enumerate() {
        let wrong = |what: &str| (index + 1, what.to_owned());
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = line.split_once('=').ok_or_else(|| wrong("expected KEY=value"))?;
        match key {
            "TIMEOUT" => {
                let seconds = value.parse().ok().filter(|seconds| (1..=1800).contains(seconds));
                let seconds = seconds.ok_or_else(|| wrong("TIMEOUT is a number of seconds, 1 to 1800"))?;
                scenario.timeout = Duration::from_secs(seconds);
            }
            "EXCLUSIVE" => {
                scenario.exclusive = match value {
                    "yes" => true,
                    "no" => false,
                    _ => return Err(wrong("EXCLUSIVE is yes or no")),
                }
            }
            "PROGRAMS" => scenario.programs = value.split_whitespace().map(str::to_owned).collect(),
            "CLIENTS" | "NAT" | "SECOND_NAT" | "SNAPLEN" => {
                scenario.environment.insert(key.to_owned(), value.to_owned());
            }
            _ => return Err(wrong("known are CLIENTS, NAT, SECOND_NAT, SNAPLEN, TIMEOUT, EXCLUSIVE and PROGRAMS")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(files: &[(&str, &str)]) -> (tempfile::TempDir, Result<Vec<Scenario>, FolderError>) {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("one")).unwrap();
        for (name, text) in files {
            fs::write(place.path().join("one").join(name), text).unwrap();
        }
        let found = discover(place.path());
        (place, found)
    }

    #[test]
    fn a_folder_with_a_title_and_a_script_is_a_scenario() {
        let settings = "# why\nCLIENTS=2\nTIMEOUT=7\nEXCLUSIVE=yes\nPROGRAMS=tshark bc\n\n";
        let (_place, found) =
            folder_with(&[("description.md", "# A title\n\nProse.\n"), ("must-hold.sh", ""), ("settings", settings)]);
        let [scenario] = &found.unwrap()[..] else { panic!("one scenario") };
        assert_eq!((scenario.name.as_str(), scenario.title.as_str()), ("one", "A title"));
        assert_eq!((scenario.timeout, scenario.exclusive), (Duration::from_secs(7), true));
        assert_eq!(scenario.programs, ["tshark", "bc"]);
        assert_eq!(scenario.environment.get("CLIENTS").map(String::as_str), Some("2"));
    }

    #[test]
    fn a_folder_that_is_not_whole_is_an_error_and_not_one_scenario_less() {
        let title = ("description.md", "# A title");
        let script = ("must-hold.sh", "");
        for (files, what) in [
            (vec![script], "description.md"),
            (vec![title], "must-hold.sh"),
            (vec![("description.md", "A title"), script], "first line"),
            (vec![title, script, ("settings", "CLIENTS=1\nCLIENT=2")], "settings:2: known are"),
            (vec![title, script, ("settings", "TIMEOUT=0")], "settings:1: TIMEOUT"),
            (vec![title, script, ("settings", "EXCLUSIVE=true")], "settings:1: EXCLUSIVE"),
            (vec![title, script, ("settings", "NAT")], "settings:1: expected KEY=value"),
        ] {
            let (_place, found) = folder_with(&files);
            let error = found.unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
    }

    #[test]
    fn the_scenarios_of_this_project_are_whole() {
        let scenarios = discover(&Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")).unwrap();
        assert!(scenarios.iter().any(|scenario| scenario.name == "plain"));
        for scenario in scenarios {
            // Whoever is the headend: strongSwan is where our own client is what is looked at.
            let headends = ["aditd.toml", "headend.swanctl.conf"];
            assert!(headends.iter().any(|file| scenario.folder.join(file).is_file()), "{}", scenario.name);
        }
    }
}
