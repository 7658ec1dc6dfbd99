//! What connections by IKEv2 mean for each other: IKE_SA_INIT is the same for all of them, for nobody knows yet whose the client is.

use super::checked::{Connection, LoginV2, Transport};
use super::error::Warning;
use super::file;
use super::section::Source;
use crate::ike::propose::in_common;

/// Warns of those whose clients another connection may keep out.
pub(super) fn check(source: &Source<'_>, connections: &[(&file::Connection, Connection)], warnings: &mut Vec<Warning>) {
    let by_v2: Vec<(&file::Connection, &Connection, &LoginV2)> =
        connections.iter().filter_map(|(file, connection)| Some((*file, connection, connection.v2()?))).collect();
    let mut warn = |file: &file::Connection, key: &str, line: Option<usize>, sentence: String| {
        let line = line.or_else(|| file.name.as_ref().map(|name| name.line)).unwrap_or(1);
        warnings.push(Warning { file: source.name().to_owned(), line, key: format!("{} {key}", file.title), sentence });
    };
    for (place, (file, _, login)) in by_v2.iter().enumerate() {
        let apart = |other: &LoginV2| in_common(&[&login.ike_proposals, &other.ike_proposals]).is_empty();
        if let Some((_, other, _)) = by_v2.iter().take(place).find(|(_, _, other)| apart(other)) {
            let sentence = format!(
                "nothing is in common with connection {:?}: of a client that offers algorithms of both it may take the other's, and the client is refused then",
                other.name
            );
            warn(file, "ike_proposals", file.ike_proposals.as_ref().map(|list| list.line), sentence);
        }
    }
    let Some((_, without, _)) = by_v2.iter().find(|(_, one, _)| !one.transports.contains(Transport::Esp)) else {
        return;
    };
    for (file, connection, _) in &by_v2 {
        if connection.transports.contains(Transport::Esp) && !connection.transports.contains(Transport::NatT) {
            let sentence = format!(
                "every client is made to see a NAT, because connection {:?} is without \"esp\": by UDP no client of this one gets ESP unless it has \"nat-t\"",
                without.name
            );
            warn(file, "transports", file.transports.as_ref().map(|list| list.line), sentence);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Surroundings, read};

    /// The warnings of a file with two connections of which these are lines.
    fn warnings(one: &str, other: &str) -> Vec<String> {
        let connection = |name: &str, lines: &str| {
            format!(
                "[[connection]]\nname = \"{name}\"\nremote_ids = [\"*@{name}\"]\npsk = \"a key that is long enough\"\n\
                 pools = [\"office\"]\nnetworks = [\"10.20.0.0/24\"]\n{lines}\n"
            )
        };
        let pool = "[node]\nidentity = \"a.b\"\n[[pool]]\nname = \"office\"\naddresses = [\"10.30.0.0/16\"]\n";
        let text = format!("{pool}{}{}", connection("one", one), connection("other", other));
        let (_, warnings) = read("test", &text, &Surroundings { folder: "/".into(), cores: vec![0] }).unwrap();
        warnings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn lists_of_algorithms_without_one_in_common_are_warned_of() {
        assert_eq!(warnings("", ""), [""; 0]);
        assert_eq!(warnings("ike_proposals = [\"aes256-sha256-modp2048\"]", ""), [""; 0]);
        let said = warnings("", "ike_proposals = [\"aes256-sha1-modp2048\"]");
        assert_eq!(said.len(), 1);
        let begins =
            "test:19: [[connection]] \"other\" ike_proposals: warning: nothing is in common with connection \"one\"";
        assert!(said[0].starts_with(begins), "{said:?}");
        assert!(
            warnings("ike_proposals = [\"aes256-sha1-modp2048\"]", "")[0]
                .starts_with("test:14: [[connection]] \"other\"")
        );
    }

    #[test]
    fn native_esp_alone_beside_a_connection_without_it_is_warned_of() {
        let (esp, both, natt) =
            ("transports = [\"esp\"]", "transports = [\"esp\", \"nat-t\"]", "transports = [\"nat-t\"]");
        for (one, other) in [(esp, both), (both, natt), (esp, esp), (natt, natt)] {
            assert_eq!(warnings(one, other), [""; 0], "{one} {other}");
        }
        let said = warnings(esp, natt);
        assert_eq!(said.len(), 1);
        let begins = "test:12: [[connection]] \"one\" transports: warning: every client is made to see a NAT, because connection \"other\"";
        assert!(said[0].starts_with(begins), "{said:?}");
        let by_v1 = "ike = \"v1\"\nauth = \"psk\"\ntransports = [\"nat-t\"]";
        assert_eq!(warnings(esp, by_v1), [""; 0], "IKEv1 has first messages of its own");
    }
}
