//! What the engine and the worker are told: a headend's configuration that nobody can log into, and one call.

use super::args::{Behaviour, PhaseOne, Way};
use super::secrets::Secrets;
use super::{ClientArgs, ClientError};
use adit_control::config::checked::{AuthV1, Config, IdPattern, Login, UserSource, Xauth};
use adit_control::config::{Surroundings, read};
use adit_control::ike::engine::{Call, CallV1, Carriage, Contact, Credentials, CtcpManner, Mode};
use adit_control::ike::wire::{Id, IdKind};
use adit_control::lease::{Ask, Want};
use adit_control::pki::Authorities;
use adit_dataplane::contract::Path;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, ToSocketAddrs, UdpSocket};
use std::sync::Arc;

const IKE_PORT: u16 = 500;
const NATT_PORT: u16 = 4500;
const CISCO_UDP_PORT: u16 = 10_000;

/// Both ends' addresses, and our port for cTCP.
pub(super) struct Ends {
    server: Ipv4Addr,
    local: Ipv4Addr,
    ctcp_port: Option<u16>,
}

/// Asks the resolver and the routes.
pub(super) fn ends(args: &ClientArgs) -> Result<Ends, ClientError> {
    let failed = |source| ClientError::Server { server: args.server.clone(), source };
    let addresses = (args.server.as_str(), args.first_port()).to_socket_addrs().map_err(failed)?;
    let server = addresses.filter_map(|address| match address.ip() {
        IpAddr::V4(v4) => Some(v4),
        IpAddr::V6(_) => None,
    });
    let server = server.into_iter().next().ok_or_else(|| ClientError::NoIpv4(args.server.clone()))?;
    let local = own_address(server).map_err(|source| ClientError::NoRoute { server, source })?;
    let ctcp_port = match args.transport {
        Way::Ctcp => Some(free_port(local).map_err(ClientError::NoPort)?),
        Way::Esp | Way::NatT | Way::CiscoUdp => None,
    };
    Ok(Ends { server, local, ctcp_port })
}

/// The address that packets to `server` have.
fn own_address(server: Ipv4Addr) -> std::io::Result<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect((server, IKE_PORT))?;
    match socket.local_addr()?.ip() {
        IpAddr::V4(v4) => Ok(v4),
        IpAddr::V6(_) => Err(std::io::ErrorKind::AddrNotAvailable.into()),
    }
}

/// One that nobody has; it is taken for good when the doors open.
fn free_port(local: Ipv4Addr) -> std::io::Result<u16> {
    Ok(TcpListener::bind((local, 0))?.local_addr()?.port())
}

/// A headend's configuration for one worker and one connection, whose networks are everything: the routes of the interface decide.
pub(super) fn config(args: &ClientArgs, ends: &Ends, secrets: &Secrets) -> Result<Config, ClientError> {
    let text = |value: &str| serde_json::Value::from(value).to_string();
    let transport = match args.transport {
        Way::Esp => "esp",
        Way::NatT => "nat-t",
        Way::CiscoUdp => "cisco-udp",
        Way::Ctcp => "ctcp",
    };
    let rekey =
        args.esp_rekey.map_or_else(String::new, |seconds| format!("rekey_time = \"{seconds}s\"\nhard_factor = 10.0\n"));
    let config = format!(
        "[node]\nidentity = \"keyid:client\"\n\
         [listen]\naddresses = [\"{local}\"]\nike_port = {IKE_PORT}\nnatt_port = {NATT_PORT}\n\
         cisco_udp_port = {cisco}\nnative_esp = {native}\nctcp_ports = {ctcp:?}\n\
         [workers]\ncount = 1\n\
         [tun]\nname = {tun}\nmtu = {mtu}\n\
         [log]\nlevel = \"warn\"\n\
         [api]\nsocket = {socket}\n\
         [ike]\nretransmit_initial = \"1s\"\nretransmit_tries = 4\n\
         [esp]\n{rekey}\
         [[pool]]\nname = \"none\"\naddresses = [\"192.0.2.0/24\"]\n\
         [[connection]]\nname = \"headend\"\nike = \"v1\"\nauth = \"psk\"\nremote_ids = [{server_id}]\n\
         psk = \"stands in for the one that is no text\"\npools = [\"none\"]\n\
         networks = [\"0.0.0.0/0\"]\ntransports = [\"{transport}\"]\n\
         ike_proposals = [{ike}]\nesp_proposals = [{esp}]\nlegacy = true\n",
        local = ends.local,
        cisco = if args.transport == Way::CiscoUdp { CISCO_UDP_PORT } else { 0 },
        native = args.transport == Way::Esp,
        ctcp = ends.ctcp_port.into_iter().collect::<Vec<_>>(),
        tun = text(&args.tun),
        mtu = args.mtu,
        socket = text(&args.socket.to_string_lossy()),
        server_id = text(args.server_id()),
        ike = text(&args.ike_proposal),
        esp = text(&args.esp_proposal),
    );
    let around = Surroundings { folder: "/".into(), cores: vec![0] };
    let (mut config, _about_the_stand_ins) = read("command line", &config, &around)?;
    config.workers.cores = vec![None];
    config.pools.clear();
    for connection in &mut config.connections {
        connection.pools.clear();
        connection.remote_ids = vec![pattern(args.server_id())?];
        if let Login::V1(login) = &mut connection.login {
            let secret = secrets.group.clone();
            // For those who answer: we are the one who is asked.
            let xauth =
                Xauth { users: vec![UserSource::Local], prompt: String::new(), max_logins: None, interim: None };
            login.auth = match &args.hybrid_ca {
                None => AuthV1::XauthPsk { secret, xauth },
                Some(_) => AuthV1::Hybrid { secret, xauth },
            };
        }
    }
    Ok(config)
}

/// The one call.
pub(super) fn call(args: &ClientArgs, ends: &Ends, secrets: Secrets) -> Result<Call, ClientError> {
    let identity = match (&args.id, &args.group) {
        (Some(id), _) => Id::parse(id).map_err(|source| ClientError::Identity { option: "--id", source })?,
        (None, group) => Id { kind: IdKind::KeyId, bytes: group.clone().unwrap_or_default().into_bytes() },
    };
    let path = |ours: u16, theirs: u16| Path {
        local: SocketAddr::from((ends.local, ours)),
        peer: SocketAddr::from((ends.server, theirs)),
    };
    let authorities = args.hybrid_ca.as_ref().map(|file| {
        let pem = std::fs::read(file).map_err(|source| ClientError::File {
            option: "--hybrid-ca",
            path: file.clone(),
            source,
        })?;
        let failed = |source| ClientError::Authorities { path: file.clone(), source };
        Authorities::from_pem(&pem).map(Arc::new).map_err(failed)
    });
    Ok(Call {
        connection: 0,
        identity,
        path: path(ends.ctcp_port.unwrap_or(IKE_PORT), args.first_port()),
        natt: path(NATT_PORT, NATT_PORT),
        want: Want { v4: Ask::Any, v6: Ask::Nothing },
        contact: Contact::Initial,
        carriage: match args.transport {
            Way::Esp | Way::NatT => Carriage::Detected,
            Way::CiscoUdp => Carriage::CiscoUdp,
            Way::Ctcp => Carriage::Ctcp,
        },
        v1: CallV1 {
            mode: match args.mode {
                PhaseOne::Aggressive => Mode::Aggressive,
                PhaseOne::Main => Mode::Main,
            },
            user: Some(Credentials { user: args.user.clone(), password: secrets.password, passcode: None }),
            authorities: authorities.transpose()?,
            ctcp: match args.behaviour() {
                Behaviour::Ours => CtcpManner::Ours,
                Behaviour::Legacy => CtcpManner::Legacy,
            },
        },
    })
}

fn pattern(text: &str) -> Result<IdPattern, ClientError> {
    IdPattern::parse(text).map_err(|source| ClientError::Identity { option: "--server-id", source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use adit_control::config::checked::Transport;
    use adit_crypto::secret::SecretBytes;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: ClientArgs,
    }

    fn parsed(more: &[&str]) -> Result<ClientArgs, clap::Error> {
        let usual = ["client", "--server", "198.51.100.2", "--user", "alice"];
        Line::try_parse_from(usual.iter().chain(more)).map(|line| line.args)
    }

    fn made(args: &ClientArgs) -> (Config, Call) {
        let ctcp_port = (args.transport == Way::Ctcp).then_some(40_001);
        let ends = Ends { server: Ipv4Addr::new(198, 51, 100, 2), local: Ipv4Addr::new(10, 99, 1, 2), ctcp_port };
        let secrets = Secrets { group: SecretBytes::from(&b"s3cret"[..]), password: SecretBytes::from(&b"pa55"[..]) };
        let config = config(args, &ends, &secrets).unwrap();
        (config, call(args, &ends, secrets).unwrap())
    }

    #[test]
    fn each_transport_makes_a_configuration_for_it_alone_that_nobody_can_log_into() {
        for (word, transport, carriage, ports) in [
            ("esp", Transport::Esp, Carriage::Detected, (500, 500)),
            ("nat-t", Transport::NatT, Carriage::Detected, (500, 500)),
            ("cisco-udp", Transport::CiscoUdp, Carriage::CiscoUdp, (500, 500)),
            ("ctcp", Transport::Ctcp, Carriage::Ctcp, (40_001, 10_000)),
        ] {
            let (config, call) = made(&parsed(&["--group", "staff", "--transport", word]).unwrap());
            let [connection] = &config.connections[..] else { panic!("one connection") };
            let carried = connection.transports.and(config.listen.transports());
            assert_eq!(
                Transport::ALL.into_iter().filter(|one| carried.contains(*one)).collect::<Vec<_>>(),
                [transport]
            );
            assert!(config.pools.is_empty() && connection.pools.is_empty());
            let Login::V1(login) = &connection.login else { panic!("IKEv1") };
            assert_eq!(login.auth.secret().unwrap().expose(), b"s3cret");
            assert_eq!((call.path.local.port(), call.path.peer.port()), ports);
            assert_eq!((call.carriage, call.v1.mode), (carriage, Mode::Aggressive));
            assert_eq!(call.identity, Id { kind: IdKind::KeyId, bytes: b"staff".to_vec() });
        }
    }

    #[test]
    fn what_is_typed_is_text_and_not_configuration() {
        let (config, _) = made(&parsed(&["--group", "a", "--socket", "/tmp/a\"b\\c.sock", "--tun", "x\"y"]).unwrap());
        assert_eq!(config.api.socket.to_str(), Some("/tmp/a\"b\\c.sock"));
        assert_eq!(config.tun.name, "x\"y");
    }

    #[test]
    fn who_calls_must_be_named_and_in_hybrid_mode_who_is_called_too() {
        assert!(parsed(&[]).is_err());
        assert!(parsed(&["--group", "a", "--id", "b"]).is_err());
        assert!(parsed(&["--group", "a", "--hybrid-ca", "ca.pem"]).is_err());
        assert!(parsed(&["--group", "a", "--hybrid-ca", "ca.pem", "--server-id", "vpn.example.org"]).is_ok());
        let (_, call) = made(&parsed(&["--id", "alice@rig", "--mode", "main"]).unwrap());
        assert_eq!((call.identity, call.v1.mode), (Id::parse("alice@rig").unwrap(), Mode::Main));
    }
}
