//! The control API's doors and who may use them: from what the file says to what cannot be wrong.

use super::check::each_once;
use super::checked::{Api, ApiTcp, Operator};
use super::error::Problem;
use super::file;
use super::psk;
use super::section::{Located, Source};
use crate::api::access::Role;
use crate::api::tls::{self, TlsProblem};
use nix::unistd::User;
use sha2::{Digest as _, Sha256};
use std::net::SocketAddr;
use std::path::Path;

const SOCKET: &str = "/run/adit/aditd.sock";

pub(super) fn api(source: &Source<'_>, file: &file::Api, operators: &[file::Operator], folder: &Path) -> Api {
    let listen = file.listen.as_ref().filter(|listen| !listen.value.is_empty());
    let tcp = match listen {
        Some(listen) => server(source, file, listen, folder),
        None => {
            refuse_without_listen(source, file, operators);
            None
        }
    };
    Api {
        socket: file.socket.as_ref().map_or(SOCKET, |path| &path.value).into(),
        admins: file.admins.iter().flat_map(|admins| &admins.value).filter_map(|name| uid(source, name)).collect(),
        tcp,
        operators: known(source, file, operators),
    }
}

/// What is for TCP alone is of no use without: better said than found out.
fn refuse_without_listen(source: &Source<'_>, file: &file::Api, operators: &[file::Operator]) {
    let keys = [("certificate", &file.certificate), ("private_key", &file.private_key), ("client_ca", &file.client_ca)];
    let keys = keys.into_iter().filter_map(|(name, key)| Some((format!("[api] {name}"), key.as_ref()?.line)));
    let operators = operators.iter().map(|operator| (operator.title.clone(), operator.line));
    for (key, line) in keys.chain(operators) {
        let (needs, found) = ("with addresses in [api] listen".to_owned(), "none".to_owned());
        source.error(line, key, Problem::Misplaced { needs, found });
    }
}

fn uid(source: &Source<'_>, name: &Located<String>) -> Option<u32> {
    match User::from_name(&name.value) {
        Ok(Some(user)) => Some(user.uid.as_raw()),
        Ok(None) | Err(_) => {
            let expected = "names of users of this system".to_owned();
            let problem = Problem::Misfit { expected, found: format!("{:?}", name.value), hint: None };
            source.error(name.line, "[api] admins".to_owned(), problem);
            None
        }
    }
}

fn server(
    source: &Source<'_>,
    file: &file::Api,
    listen: &Located<Vec<Located<SocketAddr>>>,
    folder: &Path,
) -> Option<ApiTcp> {
    let want = |key: &file::Key<String>, name: &str, what: &str| {
        if key.is_none() {
            source.error(
                listen.line,
                format!("[api] {name}"),
                Problem::Missing(format!("{what}, as there is [api] listen")),
            );
        }
    };
    want(&file.certificate, "certificate", "the path of a file with our certificates (PEM)");
    want(&file.private_key, "private_key", "the path of a file with our private key (PEM)");
    let (chain, key) = (file.certificate.as_ref()?, file.private_key.as_ref()?);
    let read = |key: &Located<String>, name: &str, what: &'static str| {
        let path = folder.join(&key.value);
        let pem = match std::fs::metadata(&path) {
            Ok(metadata) if metadata.len() > psk::MAX_PEM => Err(format!("it has more than {} octets", psk::MAX_PEM)),
            Ok(_) => std::fs::read(&path).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let refuse = |error| {
            source.error(key.line, format!("[api] {name}"), Problem::Certificate { what, path, error });
        };
        pem.map_err(refuse).ok()
    };
    let private_key = psk::private_key(source, "[api] private_key", key, folder)?;
    let certificates = read(chain, "certificate", "our certificates")?;
    let authorities = match &file.client_ca {
        Some(file) => Some(read(file, "client_ca", "certificates of those who sign operators'")?),
        None => None,
    };
    match tls::server(&certificates, &private_key, authorities.as_deref()) {
        Ok(tls) => Some(ApiTcp {
            listen: each_once(source, "[api] listen", &listen.value),
            tls,
            certificate: tls::named(&certificates)?,
            chain: Sha256::digest(&certificates).into(),
            client_ca: authorities.map(|authorities| Sha256::digest(authorities).into()),
        }),
        Err(problem) => {
            let (key, name, what) = match problem {
                TlsProblem::Authorities(_) => {
                    (file.client_ca.as_ref()?, "client_ca", "certificates of those who sign operators'")
                }
                TlsProblem::Own(_) => (chain, "certificate", "our certificates, and their key in private_key"),
            };
            let (path, error) = (folder.join(&key.value), problem.to_string());
            source.error(key.line, format!("[api] {name}"), Problem::Certificate { what, path, error });
            None
        }
    }
}

fn known(source: &Source<'_>, file: &file::Api, operators: &[file::Operator]) -> Vec<Operator> {
    let mut known: Vec<Operator> = Vec::new();
    let mut lines: Vec<(&str, usize)> = Vec::new();
    for operator in operators {
        let Some(name) = &operator.name else { continue };
        if let Some((_, line)) = lines.iter().find(|(other, _)| *other == name.value) {
            let problem = Problem::DuplicateName { name: name.value.clone(), line: *line };
            source.error(name.line, format!("{} name", operator.title), problem);
        }
        lines.push((&name.value, name.line));
        if let (Some(certificate), None) = (&operator.certificate_name, &file.client_ca) {
            let (needs, found) = ("with a client_ca in [api]".to_owned(), "none".to_owned());
            source.error(
                certificate.line,
                format!("{} certificate_name", operator.title),
                Problem::Misplaced { needs, found },
            );
        }
        known.push(Operator {
            name: name.value.clone(),
            role: operator.role.as_ref().map_or(Role::Read, |role| role.value),
            token: operator.token_hash.as_ref().map(|hash| hash.value.clone()),
            certificate_name: operator.certificate_name.as_ref().map(|name| name.value.clone()),
        });
    }
    known
}
