//! Users of our own, through the real `aditctl`: a hash made, a login tried.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs::{self, Permissions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn aditctl(arguments: &[&str], typed: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_aditctl"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Who refuses the question may be gone before anything is typed.
    match child.stdin.take().unwrap().write_all(typed.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => panic!("{error}"),
        _ => {}
    }
    child.wait_with_output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn configuration(folder: &Path, hash: &str) -> String {
    let text = format!(
        "[node]\nidentity = \"headend.rig\"\n[[pool]]\nname = \"p\"\naddresses = [\"10.30.0.0/16\"]\n\
         [[user]]\nname = \"alice\"\npassword_hash = \"{hash}\"\naddress = \"10.30.7.7\"\n\
         [[user]]\nname = \"mallory\"\npassword_hash = \"{hash}\"\nlocked = true\n\
         [[connection]]\nname = \"site\"\nremote_ids = [\"*\"]\npsk = \"a key that is long enough\"\n\
         pools = [\"p\"]\nnetworks = [\"0.0.0.0/0\"]\n\
         [[connection]]\nname = \"ezvpn\"\nike = \"v1\"\nauth = \"xauth-psk\"\nusers = \"local\"\n\
         remote_ids = [\"keyid:g\"]\npsk = \"a key that is long enough\"\npools = [\"p\"]\nnetworks = [\"0.0.0.0/0\"]\n"
    );
    let path = folder.join("aditd.toml");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_hash_made_by_aditctl_lets_its_user_in_and_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let hash = aditctl(&["hash-password"], "alice-pass\n");
    assert_eq!(hash.status.code(), Some(0));
    let hash = said(&hash);
    assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
    let file = configuration(folder.path(), hash.trim());
    let login = |user: &str, password: &str| {
        let output = aditctl(&["aaa", "test", "--config", &file, user], password);
        (output.status.code(), said(&output))
    };
    let welcome = "accept: local user\naddress: 10.30.7.7\ninterim records: every 600 s\n";
    assert_eq!(login("alice", "alice-pass\n"), (Some(0), welcome.to_owned()));
    assert_eq!(login("alice", "alice-pas\n"), (Some(1), "reject: wrong password\n".to_owned()));
    assert_eq!(login("alice", ""), (Some(1), "reject: wrong password\n".to_owned()));
    assert_eq!(login("mallory", "alice-pass\n"), (Some(1), "reject: the user is locked\n".to_owned()));
    assert_eq!(login("bob", "alice-pass\n"), (Some(1), "reject: no such user\n".to_owned()));
}

#[test]
fn a_test_says_what_is_wrong_with_the_question() {
    let folder = tempfile::tempdir().unwrap();
    let hash = said(&aditctl(&["hash-password"], "x\n"));
    let file = configuration(folder.path(), hash.trim());
    for (arguments, words) in [
        (&["--connection", "site", "alice"][..], "no users log in by connection \"site\""),
        (&["--connection", "other", "alice"][..], "there is no connection \"other\""),
        (&["a\nb"][..], "a user's name is text without control characters"),
    ] {
        let output = aditctl(&[&["aaa", "test", "--config", &file][..], arguments].concat(), "x\n");
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains(words), "{output:?}");
    }
}

#[test]
fn an_empty_password_has_no_hash() {
    let output = aditctl(&["hash-password"], "\n");
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
}
