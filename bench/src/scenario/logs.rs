//! What stays of a scenario that failed.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// Lines of the script's output that are shown at once.
const SHOWN: usize = 25;

/// Logs and capture of a failed scenario.
#[derive(Debug)]
pub(crate) struct Kept {
    /// Where they are.
    pub(crate) folder: PathBuf,
    /// The end of the script's output.
    pub(crate) last_lines: Vec<String>,
}

/// Copies a run's folder, without the random payloads and the sockets, to `place`/`name`; replaces what an earlier run
/// left there.
///
/// # Errors
/// It cannot be written.
pub(crate) fn keep(run: &Path, place: &Path, name: &str) -> io::Result<Kept> {
    fs::create_dir_all(place)?;
    let folder = place.canonicalize()?.join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    copy(run, &folder)?;
    let text = fs::read(run.join("must-hold.log")).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    let last_lines = lines.iter().skip(lines.len().saturating_sub(SHOWN)).map(|line| (*line).to_owned()).collect();
    Ok(Kept { folder, last_lines })
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()))?;
        } else if kind.is_file() && !entry.file_name().to_string_lossy().starts_with("payload-") {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}
