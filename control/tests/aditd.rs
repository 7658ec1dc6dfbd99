//! The daemon's program, as far as it goes without privileges: no test here opens a door. A live control socket
//! where the daemon wants its own stops it before that.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

struct Place {
    folder: tempfile::TempDir,
    _other_daemon: UnixListener,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let other = UnixListener::bind(folder.path().join("aditd.sock")).unwrap();
        Self { folder, _other_daemon: other }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts aditd, which finds another one at its socket and ends.
    fn start(&self, arguments: &[&Path]) -> Output {
        let socket = self.path("aditd.sock");
        let output = aditd().arg("--socket").arg(&socket).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", err(&output));
        assert!(err(&output).contains("another aditd answers on "), "{}", err(&output));
        output
    }
}

fn aditd() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aditd"));
    command.env_remove("ADIT_LOG");
    command
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn without_a_config_the_key_is_printed_once_and_never_logged() {
    let place = Place::new();
    let state = place.path("state");
    let arguments = [Path::new("--state-dir"), &state];

    let first = place.start(&arguments);
    let key = fs::read_to_string(state.join("psk")).unwrap().trim().to_owned();
    assert_eq!(key.len(), 64);
    assert_eq!(out(&first).matches(&key).count(), 1);
    assert!(out(&first).contains("remote_ts = 10.66.0.0/16, fd66:adad::/64"));
    assert_eq!(state.join("psk").metadata().unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(state.metadata().unwrap().permissions().mode() & 0o7777, 0o700);

    let second = place.start(&arguments);
    assert_eq!(out(&second), "");
    assert_eq!(fs::read_to_string(state.join("psk")).unwrap().trim(), key);
    for output in [&first, &second] {
        assert!(!err(output).contains(&key), "the key is in the log");
    }
}

#[test]
fn a_key_in_the_state_directory_that_others_can_read_is_refused() {
    let place = Place::new();
    let state = place.path("state");
    let arguments = [Path::new("--state-dir"), &state];
    place.start(&arguments);
    fs::set_permissions(state.join("psk"), Permissions::from_mode(0o644)).unwrap();
    let output = aditd().args(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = err(&output);
    assert!(said.contains("built-in configuration:13: [[connection]] \"default\" psk_file: expected"), "{said}");
    assert!(said.contains("others can read it (mode 0644); run `chmod 600` on it"), "{said}");
}

#[test]
fn a_state_directory_that_cannot_be_made_is_named() {
    let place = Place::new();
    let file = place.path("file");
    fs::write(&file, "").unwrap();
    let output = aditd().arg("--state-dir").arg(file.join("state")).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("file/state: making the directory: "), "{}", err(&output));
}

#[test]
fn a_wrong_config_stops_the_start_with_its_messages() {
    let place = Place::new();
    let file = place.path("a.toml");
    fs::write(&file, "[ike]\ndpd_dealy = \"1s\"\n").unwrap();
    let output = aditd().arg("--config").arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("a.toml:2: [ike] dpd_dealy: unknown key; did you mean \"dpd_delay\"?"));
}

#[test]
fn a_config_with_a_file_never_prints_a_welcome() {
    let place = Place::new();
    let file = place.path("a.toml");
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/aditd.toml")).unwrap();
    fs::write(&file, text.replace("#format = \"text\"", "format = \"json\"")).unwrap();
    let output = place.start(&[Path::new("--config"), &file]);
    assert_eq!(out(&output), "");
    for line in err(&output).lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["level"].is_string() && line["message"].is_string() && line["time"].is_string(), "{line}");
    }
}

#[test]
fn the_version_is_told_and_contradictory_arguments_are_refused() {
    let output = aditd().arg("--version").output().unwrap();
    assert_eq!(out(&output), format!("aditd {}\n", env!("CARGO_PKG_VERSION")));
    for arguments in [&["--config", "a", "--check", "b"][..], &["--nonsense"], &["--config"]] {
        assert_eq!(aditd().args(arguments).output().unwrap().status.code(), Some(2), "{arguments:?}");
    }
}
