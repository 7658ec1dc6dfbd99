//! The walls of docs/architecture.md, checked on the source itself.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

/// What control may name of the dataplane.
const CONTRACT: [&str; 3] = ["contract", "wire", "time"];
/// The composition root also starts workers and opens doors.
const RUNTIME: &str = "runtime";

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn control_names_only_the_contract_of_the_dataplane() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&source, &mut files);
    assert!(files.len() > 10, "the source is where it is looked for");
    let mut breaches = Vec::new();
    for file in files {
        let inside = file.strip_prefix(&source).unwrap();
        if inside.starts_with(RUNTIME) {
            continue;
        }
        for (number, line) in fs::read_to_string(&file).unwrap().lines().enumerate() {
            for named in line.split("adit_dataplane::").skip(1) {
                let module: String = named.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if !CONTRACT.contains(&module.as_str()) {
                    breaches.push(format!("{}:{}: {}", inside.display(), number + 1, line.trim()));
                }
            }
        }
    }
    assert!(breaches.is_empty(), "control looks behind the contract:\n{}", breaches.join("\n"));
}
