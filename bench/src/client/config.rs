//! What the engine and the worker are told: a headend's configuration that nobody can log into, and one call.

use super::args::{Behaviour, IKE_PORT, PhaseOne, Version, Way};
use super::secrets::Secrets;
use super::{ClientArgs, ClientError};
use adit_control::config::checked::{AuthV1, Config, IdPattern, Login, UserSource, Xauth};
use adit_control::config::{Surroundings, read};
use adit_control::ike::engine::{Call, CallV1, Carriage, Contact, Credentials, CtcpManner, Mode};
use adit_control::ike::wire::{Id, IdKind};
use adit_control::lease::{Ask, Want};
use adit_control::pki::Authorities;
use adit_dataplane::contract::Path;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs, UdpSocket};
use std::sync::Arc;

const NATT_PORT: u16 = 4500;
const CISCO_UDP_PORT: u16 = 10_000;
/// What Cisco's headends take.
const IKE_V1: &str = "aes256-aes128-sha256-sha1-modp2048";
const ESP_V1: &str = "aes256-aes128-sha256-sha1";

/// Both ends' addresses, and our ports for cTCP and for RFC 9329.
pub(super) struct Ends {
    server: IpAddr,
    local: IpAddr,
    ctcp_port: Option<u16>,
    tcp_port: Option<u16>,
}

/// Asks the resolver and the routes.
pub(super) fn ends(args: &ClientArgs) -> Result<Ends, ClientError> {
    let server = args.server()?;
    let failed = |source| ClientError::Server { server: server.to_owned(), source };
    let addresses = (server, IKE_PORT).to_socket_addrs().map_err(failed)?;
    let mut nowhere = None;
    let reached = addresses.into_iter().find_map(|address| match own_address(address.ip()) {
        Ok(local) => Some((address.ip(), local)),
        Err(source) => {
            nowhere.get_or_insert(ClientError::NoRoute { server: address.ip(), source });
            None
        }
    });
    let Some((server, local)) = reached else {
        return Err(nowhere.unwrap_or_else(|| ClientError::NoAddress(server.to_owned())));
    };
    let port_for = |way| match args.ways().contains(&way) {
        true => free_port(local).map(Some).map_err(ClientError::NoPort),
        false => Ok(None),
    };
    Ok(Ends { server, local, ctcp_port: port_for(Way::Ctcp)?, tcp_port: port_for(Way::Tcp)? })
}

/// The address that packets to `server` have.
fn own_address(server: IpAddr) -> std::io::Result<IpAddr> {
    let any = match server {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect((server, IKE_PORT))?;
    Ok(socket.local_addr()?.ip())
}

/// One that nobody has; it is taken for good when the doors open.
fn free_port(local: IpAddr) -> std::io::Result<u16> {
    Ok(TcpListener::bind((local, 0))?.local_addr()?.port())
}

/// Everything that can be wrong in what is typed, before anybody is asked for a secret.
pub(super) fn check(args: &ClientArgs) -> Result<(), ClientError> {
    args.server()?;
    identity(args)?;
    pattern(args.server_id())?;
    let local = Ipv4Addr::LOCALHOST.into();
    let port_for = |way, port| args.ways().contains(&way).then_some(port);
    // They stand in for what the resolver and the kernel say.
    let (ctcp_port, tcp_port) = (port_for(Way::Ctcp, 40_001), port_for(Way::Tcp, 40_002));
    stand_in(args, &Ends { server: local, local, ctcp_port, tcp_port }).map(drop)
}

/// A headend's configuration for one worker and a connection for each way, whose networks are everything: the routes of the interface
/// decide.
pub(super) fn config(args: &ClientArgs, ends: &Ends, secrets: &Secrets) -> Result<Config, ClientError> {
    let mut config = stand_in(args, ends)?;
    for connection in &mut config.connections {
        let secret = secrets.group.clone();
        match &mut connection.login {
            Login::V1(login) => {
                // For those who answer: we are the one who is asked.
                let xauth = Xauth { users: vec![UserSource::Local], prompt: String::new(), interim: None };
                login.auth = match &args.hybrid_ca {
                    None => AuthV1::XauthPsk { secret, xauth },
                    Some(_) => AuthV1::Hybrid { secret, xauth },
                };
            }
            Login::V2(login) => login.psk = secret,
        }
    }
    Ok(config)
}

/// The same, with a secret that stands in for the real one.
fn stand_in(args: &ClientArgs, ends: &Ends) -> Result<Config, ClientError> {
    let text = |value: &str| serde_json::Value::from(value).to_string();
    let ways = args.ways();
    let rekey = |seconds: Option<u32>, more: &str| {
        seconds.map_or_else(String::new, |seconds| format!("rekey_time = \"{seconds}s\"\n{more}"))
    };
    let proposals = |key: &str, given: &Option<String>, usual: Option<&str>| {
        let proposal = given.as_deref().or(usual);
        proposal.map_or_else(String::new, |proposal| format!("{key} = [{}]\n", text(proposal)))
    };
    let (ike_usual, esp_usual, of_version) = match args.ike {
        Version::V1 => {
            (Some(IKE_V1), Some(ESP_V1), "ike = \"v1\"\nauth = \"psk\"\nlegacy = true\nnetworks = [\"0.0.0.0/0\"]\n")
        }
        Version::V2 => (None, None, "ike = \"v2\"\nnetworks = [\"0.0.0.0/0\", \"::/0\"]\n"),
    };
    let connection = |way: &Way| {
        format!(
            "[[connection]]\nname = \"headend by {way}\"\nremote_ids = [{server_id}]\n\
             psk = \"stands in for the one that is no text\"\npools = [\"none\"]\n\
             transports = [\"{way}\"]\n{ike}{esp}{of_version}",
            way = way.name(),
            server_id = text(args.server_id()),
            ike = proposals("ike_proposals", &args.ike_proposal, ike_usual),
            esp = proposals("esp_proposals", &args.esp_proposal, esp_usual),
        )
    };
    let connections: String = ways.iter().map(connection).collect();
    let config = format!(
        "[node]\nidentity = \"keyid:client\"\n\
         [listen]\naddresses = [\"{local}\"]\nike_port = {IKE_PORT}\nnatt_port = {NATT_PORT}\n\
         cisco_udp_port = {cisco}\nnative_esp = {native}\nctcp_ports = {ctcp:?}\ntcp_port = {tcp}\n\
         [workers]\ncount = 1\n\
         [tun]\nname = {tun}\nmtu = {mtu}\n\
         [log]\nlevel = \"warn\"\n\
         [api]\nsocket = {socket}\n\
         [ike]\nretransmit_initial = \"1s\"\nretransmit_tries = 4\n{ike_rekey}\
         [esp]\n{esp_rekey}\
         [[pool]]\nname = \"none\"\naddresses = [\"192.0.2.0/24\"]\n{connections}",
        local = ends.local,
        cisco = if ways.contains(&Way::CiscoUdp) { CISCO_UDP_PORT } else { 0 },
        native = ways.contains(&Way::Esp),
        ctcp = ends.ctcp_port.into_iter().collect::<Vec<_>>(),
        tcp = ends.tcp_port.unwrap_or_default(),
        tun = text(args.tun()),
        mtu = args.mtu,
        socket = text(&std::path::absolute(&args.socket).unwrap_or_else(|_| args.socket.clone()).to_string_lossy()),
        ike_rekey = rekey(args.ike_rekey, "over_time = \"10m\"\n"),
        esp_rekey = rekey(args.esp_rekey, "hard_factor = 10.0\n"),
    );
    let around = Surroundings { folder: "/".into(), cores: vec![0] };
    let (mut config, _about_the_stand_ins) = read("command line", &config, &around)?;
    config.workers.cores = vec![None];
    config.pools.clear();
    match args.behaviour() {
        Behaviour::Ours => {}
        // Cisco's asks only whether the headend lives, and much later.
        Behaviour::Legacy => config.ctcp.stall_after = None,
    }
    for connection in &mut config.connections {
        connection.pools.clear();
        connection.remote_ids = vec![pattern(args.server_id())?];
    }
    Ok(config)
}

/// A call for each way, in their order.
pub(super) fn calls(args: &ClientArgs, ends: &Ends, secrets: Secrets) -> Result<Vec<Call>, ClientError> {
    let identity = identity(args)?;
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
    let anyway = Call {
        connection: 0,
        identity,
        path: path(IKE_PORT, IKE_PORT),
        natt: path(NATT_PORT, NATT_PORT),
        want: match args.ike {
            Version::V1 => Want { v4: Ask::Any, v6: Ask::Nothing },
            Version::V2 => Want { v4: Ask::Any, v6: Ask::Any },
        },
        contact: Contact::Initial,
        carriage: Carriage::Detected,
        v1: CallV1 {
            mode: match args.mode.unwrap_or_default() {
                PhaseOne::Aggressive => Mode::Aggressive,
                PhaseOne::Main => Mode::Main,
            },
            user: args.user.clone().zip(secrets.password).map(|(user, password)| Credentials {
                user,
                password,
                passcode: None,
            }),
            authorities: authorities.transpose()?,
            ctcp: match args.behaviour() {
                Behaviour::Ours => CtcpManner::Ours,
                Behaviour::Legacy => CtcpManner::Legacy,
            },
        },
    };
    let way = |(connection, way): (usize, Way)| Call {
        connection,
        path: match way {
            Way::Ctcp => path(ends.ctcp_port.unwrap_or_default(), args.first_port(way)),
            Way::Tcp => path(ends.tcp_port.unwrap_or_default(), args.first_port(way)),
            Way::Esp | Way::NatT | Way::CiscoUdp => path(IKE_PORT, args.first_port(way)),
        },
        carriage: match way {
            Way::Esp | Way::NatT => Carriage::Detected,
            Way::CiscoUdp => Carriage::CiscoUdp,
            Way::Ctcp => Carriage::Ctcp,
            Way::Tcp => Carriage::Tcp,
        },
        ..anyway.clone()
    };
    Ok(args.ways().into_iter().enumerate().map(way).collect())
}

fn identity(args: &ClientArgs) -> Result<Id, ClientError> {
    match (&args.id, &args.group) {
        (Some(id), _) => Id::parse(id).map_err(|source| ClientError::Identity { option: "--id", source }),
        (None, group) => Ok(Id { kind: IdKind::KeyId, bytes: group.clone().unwrap_or_default().into_bytes() }),
    }
}

fn pattern(text: &str) -> Result<IdPattern, ClientError> {
    IdPattern::parse(text).map_err(|source| ClientError::Identity { option: "--server-id", source })
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::file::Line;
    use super::*;
    use adit_control::config::checked::Transport;
    use adit_crypto::secret::SecretBytes;
    use clap::Parser;

    fn parsed(more: &[&str]) -> Result<ClientArgs, clap::Error> {
        let usual = ["--server", "198.51.100.2", "--user", "alice"];
        Line::try_parse_from(usual.iter().chain(more)).map(|line| line.args)
    }

    fn parsed_v2(more: &[&str]) -> Result<ClientArgs, clap::Error> {
        let usual = ["--server", "198.51.100.2", "--ike", "2"];
        Line::try_parse_from(usual.iter().chain(more)).map(|line| line.args)
    }

    fn made(args: &ClientArgs) -> (Config, Call) {
        let (config, calls) = made_all(args);
        let [call] = <[Call; 1]>::try_from(calls).unwrap();
        (config, call)
    }

    /// By IKEv2, by these transports.
    pub(in crate::client) fn setup_of(transports: &str) -> (Config, Vec<Call>) {
        made_all(&parsed_v2(&["--id", "alice@rig", "--transport", transports]).unwrap())
    }

    pub(in crate::client) fn calls_of(transports: &str) -> Vec<Call> {
        setup_of(transports).1
    }

    fn made_all(args: &ClientArgs) -> (Config, Vec<Call>) {
        let ctcp_port = args.ways().contains(&Way::Ctcp).then_some(40_001);
        let tcp_port = args.ways().contains(&Way::Tcp).then_some(40_002);
        let ends = Ends { server: [198, 51, 100, 2].into(), local: [10, 99, 1, 2].into(), ctcp_port, tcp_port };
        let secrets =
            Secrets { group: SecretBytes::from(&b"s3cret"[..]), password: Some(SecretBytes::from(&b"pa55"[..])) };
        let config = config(args, &ends, &secrets).unwrap();
        (config, calls(args, &ends, secrets).unwrap())
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
    fn what_is_wrong_is_found_before_a_secret_is_asked_for_and_is_the_command_lines_fault() {
        let right = ["--group", "a"];
        check(&parsed(&right).unwrap()).unwrap();
        check(&parsed(&[&right[..], &["--socket", "beside.sock", "--transport", "auto"]].concat()).unwrap()).unwrap();
        for wrong in [
            &["--id", "*@rig"][..],
            &["--group", "a", "--server-id", "10.*.0.1"],
            &["--group", "a", "--ike-proposal", "aes512"],
            &["--group", "a", "--esp-proposal", "rot13"],
            &["--group", "a", "--tun", "far-too-long-for-an-interface"],
        ] {
            let error = check(&parsed(wrong).unwrap()).unwrap_err();
            assert_eq!(error.code(), 2, "{wrong:?}: {error}");
        }
        let nobody = Line::try_parse_from(["--group", "a", "--user", "alice"]).unwrap().args;
        assert!(matches!(check(&nobody), Err(ClientError::NoServer)));
    }

    #[test]
    fn what_is_typed_is_text_and_not_configuration() {
        let (config, _) = made(&parsed(&["--group", "a", "--socket", "/tmp/a\"b\\c.sock", "--tun", "x\"y"]).unwrap());
        assert_eq!(config.api.socket.to_str(), Some("/tmp/a\"b\\c.sock"));
        assert_eq!(config.tun.name, "x\"y");
    }

    #[test]
    fn who_calls_must_be_named_and_in_hybrid_mode_who_is_called_too() {
        assert!(matches!(parsed(&[]).unwrap().check(), Err(ClientError::NoIdentity)));
        assert!(parsed(&["--group", "a", "--id", "b"]).is_err());
        let hybrid = ["--group", "a", "--hybrid-ca", "ca.pem"];
        assert!(matches!(parsed(&hybrid).unwrap().check(), Err(ClientError::NoServerId)));
        parsed(&[&hybrid[..], &["--server-id", "vpn.example.org"]].concat()).unwrap().check().unwrap();
        let (_, call) = made(&parsed(&["--id", "alice@rig", "--mode", "main"]).unwrap());
        assert_eq!((call.identity, call.v1.mode), (Id::parse("alice@rig").unwrap(), Mode::Main));
    }

    #[test]
    fn by_ikev2_there_is_a_key_and_no_user_and_both_families_are_asked_for() {
        let args = parsed_v2(&["--id", "alice@rig", "--transport", "esp", "--ike-rekey", "20"]).unwrap();
        args.check().unwrap();
        let (config, call) = made(&args);
        let Login::V2(login) = &config.connections[0].login else { panic!("IKEv2") };
        assert_eq!(login.psk.expose(), b"s3cret");
        assert_eq!(config.ike.rekey_time.as_secs(), 20);
        assert_eq!(call.want, Want { v4: Ask::Any, v6: Ask::Any });
        assert_eq!(config.connections[0].networks.len(), 2);
        for wrong in
            [&["--user", "a"][..], &["--mode", "main"], &["--transport", "cisco-udp"], &["--password-file", "f"]]
        {
            let args = parsed_v2(&[&["--id", "alice@rig"], wrong].concat()).unwrap();
            assert!(matches!(args.check(), Err(ClientError::OtherVersion { version: 2, .. })), "{wrong:?}");
        }
        let args = parsed(&["--group", "a", "--ike-rekey", "20"]).unwrap();
        assert!(matches!(args.check(), Err(ClientError::OtherVersion { version: 1, .. })));
    }

    #[test]
    fn several_transports_are_a_connection_and_a_call_each_and_cisco_udp_stands_alone() {
        let ports = |calls: &[Call]| -> Vec<(u16, u16, Carriage)> {
            calls.iter().map(|call| (call.path.local.port(), call.path.peer.port(), call.carriage)).collect()
        };
        let args = parsed_v2(&["--id", "a@b", "--transport", "auto", "--port", "443"]).unwrap();
        args.check().unwrap();
        let (config, calls) = made_all(&args);
        assert_eq!(ports(&calls), [(500, 500, Carriage::Detected), (40_001, 443, Carriage::Ctcp)]);
        let carried: Vec<Vec<Transport>> =
            config.connections.iter().map(|connection| connection.transports.iter().collect()).collect();
        assert_eq!(carried, [[Transport::NatT], [Transport::Ctcp]]);
        assert_eq!(calls.iter().map(|call| call.connection).collect::<Vec<_>>(), [0, 1]);
        let args = parsed_v2(&["--id", "a@b", "--transport", "ctcp,nat-t,ctcp,esp"]).unwrap();
        assert_eq!(args.ways(), [Way::Ctcp, Way::NatT, Way::Esp]);
        let args = parsed_v2(&["--id", "a@b", "--transport", "tcp,nat-t,ctcp", "--port", "443"]).unwrap();
        args.check().unwrap();
        let (config, calls) = made_all(&args);
        let every_way = [(40_002, 4500, Carriage::Tcp), (500, 500, Carriage::Detected), (40_001, 443, Carriage::Ctcp)];
        assert_eq!(ports(&calls), every_way);
        assert_eq!(config.listen.tcp_port, Some(40_002));
        let args = parsed(&["--group", "staff", "--transport", "tcp"]).unwrap();
        assert!(matches!(args.check(), Err(ClientError::OtherVersion { version: 1, .. })), "IKEv2 alone");
        let args = parsed(&["--group", "a", "--transport", "nat-t,cisco-udp"]).unwrap();
        assert!(matches!(args.check(), Err(ClientError::CiscoUdpAlone)));
        assert!(parsed(&["--group", "a", "--next-after", "0"]).is_err());
    }

    #[test]
    fn by_ikev1_there_must_be_a_user() {
        for version in [&[][..], &["--ike", "1"]] {
            let line = [&["--server", "198.51.100.2", "--group", "a"], version].concat();
            let args = Line::try_parse_from(line).unwrap().args;
            assert!(matches!(args.check(), Err(ClientError::NoUser)));
        }
    }
}
