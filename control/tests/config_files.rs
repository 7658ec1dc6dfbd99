//! Configuration files through the real `aditd --check`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn check(folder: &Path, file: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_aditd")).current_dir(folder).args(["--check", file]).output().unwrap()
}

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A copy of `bad-configs`, so that file modes do not depend on how the source was checked out.
fn bad_configs() -> (tempfile::TempDir, Vec<String>) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join("bad-configs");
    let copy = tempfile::tempdir().unwrap();
    let mut names = Vec::new();
    for entry in fs::read_dir(source).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let target = copy.path().join(&name);
        fs::copy(&path, &target).unwrap();
        let mode = if name.ends_with(".psk") { 0o644 } else { 0o600 };
        fs::set_permissions(target, Permissions::from_mode(mode)).unwrap();
        names.extend(name.strip_suffix(".toml").map(str::to_owned));
    }
    names.sort();
    (copy, names)
}

#[test]
fn each_bad_config_is_refused_in_the_words_beside_it() {
    let (folder, names) = bad_configs();
    assert!(names.len() >= 12, "there are only {} bad configs", names.len());
    for name in names {
        let output = check(folder.path(), &format!("{name}.toml"));
        let said = String::from_utf8(output.stderr).unwrap();
        let expected = fs::read_to_string(folder.path().join(format!("{name}.expected")))
            .unwrap_or_else(|_| panic!("{name}.expected is missing; aditd says:\n{said}"));
        let cores = adit_control::runtime::host::cores();
        let cores = cores.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        assert_eq!(said, expected.replace("{cores}", &cores), "{name}");
        assert_eq!(output.status.code(), Some(2), "{name}");
        assert!(output.stdout.is_empty(), "{name}");
    }
}

#[test]
fn every_message_names_file_line_key_and_what_is_expected() {
    let (folder, names) = bad_configs();
    for name in names {
        let output = check(folder.path(), &format!("{name}.toml"));
        for line in String::from_utf8(output.stderr).unwrap().lines() {
            let mut parts = line.splitn(3, ':');
            assert_eq!(parts.next(), Some(format!("{name}.toml").as_str()), "{line}");
            assert!(parts.next().unwrap().parse::<usize>().unwrap() > 0, "{line}");
            let rest = parts.next().unwrap();
            let says_what = ["expected", "did you mean", "it belongs in", "not TOML"];
            assert!(says_what.iter().any(|words| rest.contains(words)), "{line}");
        }
    }
}

#[test]
fn no_message_shows_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let lines = [
        "psk = \"hunter2\\q\"",
        "psk = hunter2",
        "psk = [\"hunter2\"]",
        "psk = { secret = \"hunter2\" }",
        "psk = \"0xhunter2\"",
        "psk = \"0shunter2!\"",
        "psk = \"hunter2",
        "[[radius]]\naddress = \"192.0.2.1\"\nsecret = \"0xhunter2\"",
        "[[radius]]\naddress = \"192.0.2.1\"\nsecret = 0xhunter2",
        "[[user]]\nname = \"alice\"\npassword_hash = \"hunter2\"",
        "[[user]]\nname = \"alice\"\npassword_hash = [\"hunter2\"]",
        "[[user]]\nname = \"alice\"\npassword_hash = hunter2",
        "[[user]]\nname = \"alice\"\npassword = \"hunter2\"",
        "[[operator]]\nname = \"alice\"\ntoken_hash = \"hunter2\"",
        "[[operator]]\nname = \"alice\"\ntoken_hash = [\"hunter2\"]",
        "[[operator]]\nname = \"alice\"\ntoken = \"hunter2\"",
    ];
    for line in lines {
        let text = format!("[node]\nidentity = \"a.b\"\n[[connection]]\nname = \"staff\"\n{line}\n");
        fs::write(folder.path().join("a.toml"), text).unwrap();
        let output = check(folder.path(), "a.toml");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{line}");
        assert!(!said.contains("hunter2"), "{line} leads to {said}");
    }
}

/// The documented file as an operator should leave it: with secrets of his own.
fn documented() -> String {
    let text = fs::read_to_string(project().join("deploy").join("aditd.toml")).unwrap();
    text.replace("\"change me: openssl rand -hex 32\"", "\"a secret that is long enough\"")
}

#[test]
fn the_documented_file_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("aditd.toml");
    fs::write(&path, documented()).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let output = check(folder.path(), "aditd.toml");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "aditd.toml: ok\n");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn secrets_that_stand_in_the_documented_file_are_a_warning_each() {
    let folder = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(project().join("deploy").join("aditd.toml")).unwrap();
    let path = folder.path().join("a.toml");
    // One of them from a file.
    fs::write(folder.path().join("staff.psk"), "change me: openssl rand -hex 32\n").unwrap();
    fs::set_permissions(folder.path().join("staff.psk"), Permissions::from_mode(0o600)).unwrap();
    let first = "\npsk = \"change me: openssl rand -hex 32\"";
    fs::write(&path, text.replacen(first, "\npsk_file = \"staff.psk\"", 1)).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let output = check(folder.path(), "a.toml");
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8(output.stdout).unwrap();
    let keys: Vec<&str> = said
        .lines()
        .filter_map(|line| line.split_once(": warning: this is the documented file's example, which everybody knows"))
        .filter_map(|(place, _)| Some(place.split_once(": ")?.1))
        .collect();
    let known =
        ["[[radius]] \"10.20.0.5\" secret", "[[connection]] \"staff\" psk_file", "[[connection]] \"ezvpn\" psk"];
    assert_eq!(keys, known, "{said}");
    assert_eq!(said.lines().count(), 4, "{said}");
}

/// The documented file with every `#key = …` made active.
fn with_defaults_written_out() -> String {
    let text = fs::read_to_string(project().join("deploy").join("aditd.toml")).unwrap();
    // Prose has one space after the #, a list's inner lines have four.
    let is_prose = |line: &str| line == "#" || line.starts_with("# ") && !line.starts_with("#  ");
    let is_off = |line: &str| line.starts_with('#') && !is_prose(line);
    let line = |line: &str| if is_off(line) { line[1..].to_owned() } else { line.to_owned() };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_defaults_in_the_documented_file_are_the_defaults() {
    use adit_control::config::{self, Surroundings};
    let around = Surroundings { folder: PathBuf::new(), cores: vec![0, 1] };
    // These exclude each other or have no default.
    let without_default = [
        "certificate = \"headend.pem\"",
        "private_key = \"headend.key\"",
        "psk_file = \"staff.psk\"",
        "secret_file = \"radius.secret\"",
        "address = \"10.30.7.7\"",
        "ca = \"clients-ca.pem\"",
        "class = \"bronze\"",
        "banner = \"Welcome\"",
        "default_domain = \"example.org\"",
        "cisco_udp_port = 10000\n# Whether each",
        "count = 2",
        "certificate = \"api.pem\"",
        "private_key = \"api.key\"",
        "client_ca = \"operators-ca.pem\"",
        "[[operator]]",
        "name = \"prometheus\"",
        "role = \"read\"",
        "token_hash = \"sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"",
        "certificate_name = \"alice\"",
    ];
    let written = without_default.iter().fold(with_defaults_written_out(), |text, key| {
        assert!(text.contains(key), "{key}");
        // In its place a comment: the last but one of them ends in the middle of one.
        text.replace(key, "#")
    });
    let (written, _) = config::read("written", &written, &around).unwrap();
    let text = fs::read_to_string(project().join("deploy").join("aditd.toml")).unwrap();
    let (plain, _) = config::read("plain", &text, &around).unwrap();
    assert_eq!(format!("{plain:#?}"), format!("{written:#?}"));
}

#[test]
fn every_key_that_is_known_is_documented() {
    let written = with_defaults_written_out();
    let mut documented = Vec::new();
    let mut section = String::new();
    for line in written.lines() {
        if line.starts_with('[') {
            section = line.to_owned();
        } else if let Some((key, _)) = line.split_once(" = ").filter(|(key, _)| !key.contains([' ', '#', '"'])) {
            documented.push((section.clone(), key.to_owned()));
        }
    }
    let known = adit_control::config::file::known_keys();
    assert!(known.len() > 30, "{known:?}");
    for (section, key) in &known {
        assert!(documented.contains(&(section.clone(), (*key).to_owned())), "{section} {key} is not documented");
    }
    for (section, key) in &documented {
        assert!(known.contains(&(section.clone(), key.as_str())), "{section} {key} is documented and not known");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let output = check(folder.path(), "none.toml");
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, "none.toml: cannot be read: No such file or directory (os error 2)\n");
}

#[test]
fn a_cookie_threshold_that_is_never_reached_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(project().join("deploy").join("aditd.toml")).unwrap();
    let path = folder.path().join("a.toml");
    fs::write(&path, text.replace("[ike]\n", "[ike]\nhalf_open_limit = 64\ncookie_threshold = 65\n")).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let output = check(folder.path(), "a.toml");
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("[ike] cookie_threshold: warning: above half_open_limit = 64"), "{said}");
}

#[test]
fn what_works_but_is_probably_not_meant_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let text = documented();
    let path = folder.path().join("a.toml");
    fs::write(&path, text.replacen("\npsk = \"a secret that is long enough\"", "\npsk = \"short\"", 1)).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let output = check(folder.path(), "a.toml");
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].contains("[[connection]] \"staff\" psk: warning: a pre-shared key of 5 octets"), "{said}");
    assert!(lines[1].contains("warning: the file holds a pre-shared key and others can read it"), "{said}");
    assert_eq!(lines[2..], ["a.toml: ok"]);
}

#[test]
fn weak_algorithms_that_were_asked_for_are_a_warning_that_names_the_connection() {
    let folder = tempfile::tempdir().unwrap();
    let text = documented();
    let path = folder.path().join("a.toml");
    let warned = |more: &str| {
        fs::write(&path, text.replacen("#legacy = false\n", more, 1)).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let output = check(folder.path(), "a.toml");
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let line = text.lines().position(|line| line == "#legacy = false").unwrap() + 3;
    assert_eq!(
        warned("ike_proposals = [\"3des-md5-modp2048\"]\nesp_proposals = [\"null-md5\"]\nlegacy = true\n"),
        format!(
            "a.toml:{line}: [[connection]] \"staff\" legacy: warning: clients may use \
             3des (its blocks of 64 bits leak after some gigabytes under one key), md5 (MD5 has been broken since 2004), \
             null (it encrypts nothing)\na.toml: ok\n"
        )
    );
    assert_eq!(
        warned("\n\nlegacy = true\n"),
        format!(
            "a.toml:{line}: [[connection]] \"staff\" legacy: warning: \
             no proposal of this connection needs it; take it away\na.toml: ok\n"
        )
    );
}

#[test]
fn what_legacy_lets_ikev1_clients_use_by_default_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(project().join("deploy").join("aditd.toml")).unwrap();
    let (staff, ezvpn) = text.split_at(text.find("name = \"ezvpn\"").unwrap());
    let path = folder.path().join("a.toml");
    fs::write(&path, format!("{staff}{}", ezvpn.replace("#legacy = false", "legacy = true"))).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let output = check(folder.path(), "a.toml");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("[[connection]] \"ezvpn\" legacy: warning: clients may use 3des ("), "{said}");
    assert!(said.contains("md5 (") && said.contains("modp1024 ("), "{said}");
    assert!(!said.contains("modp768"), "{said}");
}

#[test]
fn users_who_are_told_apart_by_time_and_guessable_secrets_are_warnings() {
    let folder = tempfile::tempdir().unwrap();
    let text = documented();
    let user = |name: &str, cost: &str| {
        format!(
            "[[user]]\nname = \"{name}\"\npassword_hash = \
             \"$argon2id$v=19${cost}$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA\"\n"
        )
    };
    let text = text.replacen("secret = \"a secret that is long enough\"", "secret = \"short\"", 1);
    let text = format!("{text}{}{}", user("bob", "m=19456,t=2,p=1"), user("carol", "m=64,t=1,p=1"));
    let path = folder.path().join("a.toml");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let output = check(folder.path(), "a.toml");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].contains("[[user]] \"carol\" password_hash: warning: it is checked faster"), "{said}");
    assert!(lines[1].contains("[[radius]] \"10.20.0.5\" secret: warning: a shared secret of 5 octets"), "{said}");
    assert_eq!(lines[2..], ["a.toml: ok"]);
}

#[test]
fn an_address_that_its_user_cannot_get_is_a_warning() {
    use adit_control::config::{Surroundings, read};
    let user = "[[user]]\nname = \"alice\"\naddress = \"10.31.0.7\"\npassword_hash = \
                \"$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA\"\n";
    let text = |pools: &str| {
        format!(
            "[node]\nidentity = \"headend.rig\"\n[[pool]]\nname = \"p\"\naddresses = [\"10.30.0.0/16\"]\n\
             [[pool]]\nname = \"q\"\naddresses = [\"10.31.0.0/16\"]\n{user}[[connection]]\nname = \"ezvpn\"\n\
             ike = \"v1\"\nauth = \"xauth-psk\"\nusers = \"local\"\nremote_ids = [\"keyid:g\"]\n\
             psk = \"a key that is long enough\"\npools = [{pools}]\nnetworks = [\"0.0.0.0/0\"]\n\
             [[connection]]\nname = \"site\"\nremote_ids = [\"*\"]\npsk = \"a key that is long enough\"\n\
             pools = [\"q\"]\nnetworks = [\"0.0.0.0/0\"]\n"
        )
    };
    let warnings = |pools: &str| {
        let (_, warnings) = read("a.toml", &text(pools), &Surroundings { folder: "/".into(), cores: vec![0] }).unwrap();
        warnings.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let said = warnings("\"p\"");
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].starts_with("a.toml:11: [[user]] \"alice\" address: warning: no [[connection]] with users"),
        "{said:?}"
    );
    assert!(warnings("\"p\", \"q\"").is_empty());
}

#[test]
fn a_server_that_is_waited_for_longer_than_a_login_is_a_warning_where_there_is_another() {
    use adit_control::config::{Surroundings, read};
    let text = documented();
    let server = |address: &str, timeout: &str| {
        format!(
            "[[radius]]\naddress = \"{address}\"\nsecret = \"a secret that is long enough\"\ntimeout = \"{timeout}\"\ntries = 3\n"
        )
    };
    let warnings = |servers: &str| {
        let around = Surroundings { folder: "/".into(), cores: vec![0, 1] };
        let (_, warnings) = read("a.toml", &format!("{text}{servers}"), &around).unwrap();
        warnings.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert!(warnings(&server("10.20.0.6", "9s")).is_empty());
    let said = warnings(&server("10.20.0.6", "10s"));
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0]
            .contains("[[radius]] \"10.20.0.6\" tries: warning: 3 tries of 10 s take as long as a login waits (30 s)"),
        "{said:?}"
    );
}

/// Whatever it says, each line is one of the text's.
fn read_any(text: &str) {
    use adit_control::config::{self, Surroundings};
    let around = Surroundings { folder: PathBuf::from("/nonexistent"), cores: vec![0, 1] };
    if let Err(errors) = config::read("any", text, &around) {
        assert!(!errors.0.is_empty(), "refused without a reason");
        let lines = text.split('\n').count();
        for error in &errors.0 {
            assert!(error.line.is_none_or(|line| (1..=lines).contains(&line)), "{error} of {lines} lines");
        }
    }
}

#[test]
fn any_text_is_a_configuration_or_is_refused_with_its_lines() {
    bolero::check!().for_each(|bytes: &[u8]| read_any(&String::from_utf8_lossy(bytes)));
}

#[test]
fn the_documented_file_with_any_octets_changed_is_right_or_is_refused_with_its_lines() {
    let text = with_defaults_written_out().into_bytes();
    bolero::check!().with_type::<Vec<(u16, u8)>>().with_max_len(64).for_each(|changes| {
        let mut text = text.clone();
        for (at, octet) in changes {
            let at = usize::from(*at) % text.len();
            text[at] = *octet;
        }
        read_any(&String::from_utf8_lossy(&text));
    });
}
