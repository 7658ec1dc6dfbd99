//! The configuration file: the command line's options by their names, without dashes before them. What is typed counts more.

use super::{ClientArgs, ClientError};
use adit_control::config::flat::{Given, Kind, load_flat};
use adit_control::config::{ConfigErrors, Problem};
use clap::error::ErrorKind;
use clap::{ArgAction, CommandFactory, Parser};
use std::ffi::OsString;
use std::path::Path;

/// Options alone. One that stands twice counts the second time.
#[derive(Debug, Parser)]
#[command(name = "adit-bench client", no_binary_name = true, args_override_self = true)]
pub(super) struct Line {
    #[command(flatten)]
    pub(super) args: ClientArgs,
}

/// What is no option of a file.
const ONLY_TYPED: [&str; 2] = ["config", "help"];
/// Whose values are files, relative to the one that they stand in.
const FILES: [&str; 4] = ["secret-file", "password-file", "hybrid-ca", "socket"];

/// What the file says, then what was typed.
pub(super) fn read(file: &Path, typed: &[OsString]) -> Result<ClientArgs, ClientError> {
    let said = given(file)?;
    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let folder = absolute.parent().unwrap_or(Path::new(""));
    let said = said.iter().filter(|given| !is_typed(&given.key, typed)).flat_map(|given| options(given, folder));
    Ok(Line::try_parse_from(said.chain(typed.iter().cloned()))?.args)
}

/// What is typed stands in the place of what the file says, lists as well.
fn is_typed(key: &str, typed: &[OsString]) -> bool {
    let option = format!("--{key}");
    typed.iter().filter_map(|typed| typed.to_str()).any(|typed| {
        let typed = typed.split_once('=').map_or(typed, |(option, _)| option);
        typed == option
    })
}

fn given(file: &Path) -> Result<Vec<Given>, ConfigErrors> {
    let command = Line::command();
    let known: Vec<(&str, Kind)> = command
        .get_arguments()
        .filter_map(|argument| Some((argument.get_long()?, kind(argument.get_action()))))
        .filter(|(name, _)| !ONLY_TYPED.contains(name))
        .collect();
    load_flat(file, &known, fits)
}

fn kind(action: &ArgAction) -> Kind {
    match action {
        ArgAction::SetTrue | ArgAction::SetFalse => Kind::Switch,
        ArgAction::Append => Kind::List,
        _ => Kind::One,
    }
}

/// As one would type it.
fn options(given: &Given, folder: &Path) -> Vec<OsString> {
    let name = &given.key;
    if given.values.is_empty() {
        return vec![format!("--{name}").into()];
    }
    let typed = |value: &String| {
        let mut option = OsString::from(format!("--{name}="));
        match FILES.contains(&&**name) {
            true => option.push(folder.join(value)),
            false => option.push(value),
        }
        option
    };
    given.values.iter().map(typed).collect()
}

/// Whether the option takes this value. What options need of each other is seen later, with those that are typed.
fn fits(given: &Given) -> Result<(), Problem> {
    let Err(error) = Line::try_parse_from(options(given, Path::new(""))) else { return Ok(()) };
    if !matches!(error.kind(), ErrorKind::ValueValidation | ErrorKind::InvalidValue) {
        return Ok(());
    }
    let said = error.to_string();
    let why = said.lines().find_map(|line| match line.trim() {
        possible if possible.starts_with('[') => Some(possible),
        line => line.split_once("': ").map(|(_, why)| why),
    });
    Err(Problem::Misfit {
        expected: format!("what --{} takes", given.key),
        found: format!("\"{}\"", given.values.join("\", \"")),
        hint: why.map(|why| why.trim_matches(['[', ']']).to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::args::{Transport, Version};
    use std::path::PathBuf;

    struct File(PathBuf);

    impl File {
        fn new(name: &str, text: &str) -> Self {
            let path = std::env::temp_dir().join(format!("adit-client-{}-{name}.toml", std::process::id()));
            std::fs::write(&path, text).unwrap();
            Self(path)
        }

        fn read(&self, typed: &[&str]) -> Result<ClientArgs, ClientError> {
            read(&self.0, &typed.iter().map(OsString::from).collect::<Vec<_>>())
        }
    }

    impl Drop for File {
        fn drop(&mut self) {
            let _gone = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn what_a_file_says_is_as_if_it_were_typed_and_what_is_typed_counts_more() {
        let file = File::new(
            "whole",
            "server = \"198.51.100.2\"\nike = 2\nid = \"alice@rig\"\nsecret-file = \"psk\"\nmtu = 1300\ntransport = \"esp\"\n\
             route = [\"10.0.0.0/8\", \"fd20::/64\"]\n",
        );
        let args = file.read(&["--mtu", "1280", "--log", "debug"]).unwrap();
        assert_eq!((args.server.as_deref(), args.ike), (Some("198.51.100.2"), Version::V2));
        assert_eq!(args.transport, [Transport::Esp]);
        assert_eq!((args.mtu, &*args.log, args.route.len()), (1280, "debug", 2));
        assert_eq!(args.secret_file, Some(file.0.with_file_name("psk")), "beside the file");
        args.check().unwrap();
        let args = file.read(&["--transport=ctcp,nat-t", "--route", "10.20.0.0/24"]).unwrap();
        assert_eq!(args.transport, [Transport::Ctcp, Transport::NatT]);
        assert_eq!(args.route.len(), 1, "a list gives way as a whole");
        assert!(matches!(file.read(&["--group", "staff"]), Err(ClientError::CommandLine(_))), "one of the two");
    }

    #[test]
    fn numbers_may_have_a_point_and_what_options_need_of_each_other_may_stand_in_either_place() {
        let file = File::new("half", "next-after = 0.5\nserver-id = \"vpn.example.org\"\ngroup = \"staff\"\n");
        let args = file.read(&["--server", "198.51.100.2", "--user", "alice", "--hybrid-ca", "ca.pem"]).unwrap();
        assert_eq!(args.next_after.as_millis(), 500);
        args.check().unwrap();
    }

    #[test]
    fn a_file_without_a_folder_is_in_this_one_and_so_is_what_it_names() {
        let here = std::env::current_dir().unwrap();
        let name = format!("adit-client-{}-here.toml", std::process::id());
        let file = File(here.join(&name));
        std::fs::write(&file.0, "socket = \"c.sock\"\n").unwrap();
        let args = read(Path::new(&name), &[]).unwrap();
        assert_eq!(args.socket, here.join("c.sock"));
    }

    #[test]
    fn every_mistake_is_named_with_file_line_and_key() {
        let file = File::new("wrong", "serer = \"a\"\nmtu = 100\ntransport = \"tpc\"\nlegacy = 1\nlog = \"verbose\"\n");
        let said = file.read(&[]).unwrap_err().to_string();
        let name = file.0.display();
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines.len(), 5, "{said}");
        assert_eq!(lines[0], format!("{name}:1: serer: unknown key; did you mean \"server\"?"));
        assert!(lines[1].starts_with(&format!("{name}:2: mtu: expected what --mtu takes, found \"100\" (")), "{said}");
        assert!(lines[1].contains("576"), "{said}");
        assert!(lines[2].starts_with(&format!("{name}:3: transport: expected what --transport takes, found \"tpc\"")));
        assert!(lines[2].contains("nat-t"), "{said}");
        assert_eq!(lines[3], format!("{name}:4: legacy: expected true or false, found integer"));
        assert!(
            lines[4].starts_with(&format!("{name}:5: log: expected what --log takes, found \"verbose\" (not error, "))
        );
        assert!(matches!(read(Path::new("/nowhere/client.toml"), &[]), Err(ClientError::Config(_))));
    }

    /// No secret can stand in it, and the file cannot name another.
    #[test]
    fn a_file_knows_every_option_but_those_that_are_typed() {
        for key in ["config = \"x\"", "help = true", "secret = \"x\"", "password = \"x\""] {
            let file = File::new("unknown", key);
            assert!(file.read(&[]).unwrap_err().to_string().contains("unknown key"), "{key}");
        }
    }
}
