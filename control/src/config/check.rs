//! From what the file says to what cannot be wrong: defaults, references between sections, contradictions.

use super::check_connections::{Around, connections};
use super::check_policy;
use super::check_users;
use super::checked::{
    Config, Ctcp, Esp, Events, Flows, Ike, Listen, Log, NatTraversal, NatTraversals, NativeEsp, Pool, Rekey, Sizes,
    SocketBuffers, State, Tun, Workers,
};
use super::error::{Problem, Warning};
use super::file;
use super::section::{Located, Source};
use crate::lease::headend_address;
use adit_dataplane::contract::TunnelRules;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

/// What a file is checked against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surroundings {
    /// Paths in the file that are not absolute start here.
    pub folder: PathBuf,
    /// Cores that the process may run on, in order.
    pub cores: Vec<usize>,
}

/// That of Cisco's own headends.
const CISCO_UDP_PORT: u16 = 10_000;
/// As Cisco has it.
const CTCP_PORT: u16 = 10_000;
/// RFC 9329 section 2.
const TCP_ENCAPSULATION_PORT: u16 = 4500;
/// As many as Cisco takes.
const MOST_CTCP_PORTS: usize = 10;

/// The checked config, as far as the file allows one; mistakes go to `source`.
pub(super) fn check(
    source: &Source<'_>,
    file: file::Config,
    around: &Surroundings,
    warnings: &mut Vec<Warning>,
) -> Option<Config> {
    let listen = listen(source, &file.listen);
    let workers = workers(source, &file.workers, &around.cores);
    let pools = pools(source, &file.pools);
    tun_mtu(source, file.tun.mtu.as_ref(), &pools);
    let classes = check_policy::classes(source, &file.classes);
    let users = check_users::users(source, &file.users, &pools, warnings);
    let radius = check_users::radius(source, &file.radius, &around.folder, warnings);
    let certificate = check_users::certificate(source, &file, &around.folder);
    let connections = connections(source, &file, &Around { surroundings: around, listen: &listen }, warnings);
    check_users::addresses(source, &file.users, &pools, &connections, warnings);
    Some(Config {
        identity: file.identity?.value,
        certificate,
        listen,
        ctcp: ctcp(&file.ctcp),
        workers,
        flows: flows(&file.flows),
        tun: Tun {
            name: file.tun.name.map_or_else(|| "adit0".to_owned(), |name| name.value),
            mtu: narrow(file.tun.mtu.as_ref(), 1400),
        },
        io: file.io.backend.map(|backend| backend.value).unwrap_or_default(),
        socket_buffers: SocketBuffers {
            receive: narrow(file.io.receive_buffer.as_ref(), SocketBuffers::default().receive),
            send: narrow(file.io.send_buffer.as_ref(), SocketBuffers::default().send),
        },
        crypto: file.crypto.map(|backend| backend.value).unwrap_or_default(),
        log: Log {
            level: file.log.level.map_or_else(|| "info".to_owned(), |level| level.value),
            format: file.log.format.map(|format| format.value).unwrap_or_default(),
        },
        api: super::check_api::api(source, &file.api, &file.operators, &around.folder),
        events: Events { keep: narrow(file.events_keep.as_ref(), Events::default().keep) },
        state: state(&file.state),
        ike: ike(source, &file.ike, warnings),
        esp: esp(&file.esp),
        sizes: sizes(&file.sizes),
        pools,
        classes,
        users,
        radius,
        connections,
    })
}

/// The kernel takes no IPv6 address on an interface whose packets are smaller than this (RFC 8200 section 5).
const LEAST_IPV6_MTU: u64 = 1280;

fn tun_mtu(source: &Source<'_>, mtu: Option<&Located<u64>>, pools: &[Pool]) {
    let Some(mtu) = mtu.filter(|mtu| mtu.value < LEAST_IPV6_MTU) else { return };
    if let Some(pool) = pools.iter().find(|pool| pool.v6.is_some()) {
        let problem = Problem::Misfit {
            expected: format!("at least {LEAST_IPV6_MTU} octets where a [[pool]] has IPv6 addresses"),
            found: mtu.value.to_string(),
            hint: Some(format!("[[pool]] \"{}\" has", pool.name)),
        };
        source.error(mtu.line, "[tun] mtu".to_owned(), problem);
    }
}

/// The number, or the default. Shapes have bounded it already: what does not fit cannot come here.
pub(super) fn narrow<T: TryFrom<u64>>(key: Option<&Located<u64>>, default: T) -> T {
    key.and_then(|key| T::try_from(key.value).ok()).unwrap_or(default)
}

fn sizes(file: &file::Sizes) -> Sizes {
    let Sizes { path_mtu, rules } = Sizes::default();
    Sizes {
        path_mtu: narrow(file.path_mtu.as_ref(), path_mtu),
        rules: TunnelRules {
            df: file.outer_df.as_ref().map_or(rules.df, |key| key.value),
            dscp: file.dscp.as_ref().map_or(rules.dscp, |key| key.value),
            ecn: file.ecn.as_ref().map_or(rules.ecn, |key| key.value),
            mss: file.mss_clamp.as_ref().map_or(rules.mss, |key| key.value),
        },
    }
}

fn listen(source: &Source<'_>, file: &file::Listen) -> Listen {
    let (ike_port, natt_port) = (narrow(file.ike_port.as_ref(), 500), narrow(file.natt_port.as_ref(), 4500));
    if ike_port == natt_port {
        let line = file.natt_port.as_ref().or(file.ike_port.as_ref()).map_or(1, |port| port.line);
        source.error(
            line,
            "[listen] natt_port".to_owned(),
            Problem::Misfit {
                expected: "a port other than ike_port".to_owned(),
                found: natt_port.to_string(),
                hint: None,
            },
        );
    }
    let addresses = match &file.addresses {
        None => vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()],
        Some(list) => {
            no_address_beside_all(source, &list.value);
            each_once(source, "[listen] addresses", &list.value)
        }
    };
    let cisco_udp_port = Some(narrow(file.cisco_udp_port.as_ref(), CISCO_UDP_PORT)).filter(|port| *port != 0);
    if cisco_udp_port.is_some_and(|port| port == ike_port || port == natt_port) {
        let line = [&file.cisco_udp_port, &file.natt_port, &file.ike_port].into_iter().flatten().next();
        source.error(
            line.map_or(1, |port| port.line),
            "[listen] cisco_udp_port".to_owned(),
            Problem::Misfit {
                expected: "a port other than ike_port and natt_port, or 0 for none".to_owned(),
                found: cisco_udp_port.unwrap_or_default().to_string(),
                hint: None,
            },
        );
    }
    let native_esp = match file.native_esp.as_ref().is_none_or(|native| native.value) {
        true => NativeEsp::Carried,
        false => NativeEsp::Refused,
    };
    let nat_traversals = nat_traversals(source, file);
    let ctcp_ports = ctcp_ports(source, file);
    let ctcp_mode = file.ctcp_mode.as_ref().map(|mode| mode.value).unwrap_or_default();
    let tcp_port = Some(narrow(file.tcp_port.as_ref(), TCP_ENCAPSULATION_PORT)).filter(|port| *port != 0);
    if let Some(port) = tcp_port.filter(|port| ctcp_ports.contains(port)) {
        let line = file.tcp_port.as_ref().map(|port| port.line).or(file.ctcp_ports.as_ref().map(|ports| ports.line));
        let expected = "a port that is not among ctcp_ports, which take RFC 9329 anyway, or 0 for none".to_owned();
        let problem = Problem::Misfit { expected, found: port.to_string(), hint: None };
        source.error(line.unwrap_or(1), "[listen] tcp_port".to_owned(), problem);
    }
    Listen {
        addresses,
        ike_port,
        natt_port,
        cisco_udp_port,
        native_esp,
        nat_traversals,
        ctcp_ports,
        ctcp_mode,
        tcp_port,
    }
}

/// A wildcard's sockets are those of each address, too: it would be in use, and what comes without a port comes twice.
fn no_address_beside_all(source: &Source<'_>, list: &[Located<IpAddr>]) {
    for address in list.iter().filter(|address| !address.value.is_unspecified()) {
        let is_wildcard =
            |all: &&Located<IpAddr>| all.value.is_unspecified() && all.value.is_ipv4() == address.value.is_ipv4();
        let Some(all) = list.iter().find(is_wildcard) else { continue };
        let family = if all.value.is_ipv4() { "IPv4" } else { "IPv6" };
        let expected =
            format!("{}, which is every {family} address of this host, or some of them without it", all.value);
        let found = format!("{} beside {}", address.value, all.value);
        let problem = Problem::Misfit { expected, found, hint: None };
        source.error(address.line, "[listen] addresses".to_owned(), problem);
    }
}

fn nat_traversals(source: &Source<'_>, file: &file::Listen) -> NatTraversals {
    let Some(list) = &file.nat_traversals else { return NatTraversals::ALL };
    let quoted = |version: &Located<NatTraversal>| format!("\"{}\"", version.value.key());
    let named = list.value.iter().map(|version| Located { line: version.line, value: quoted(version) });
    each_once(source, "[listen] nat_traversals", &named.collect::<Vec<_>>());
    list.value.iter().map(|version| version.value).collect()
}

fn ctcp(file: &file::Ctcp) -> Ctcp {
    let usual = Ctcp::default();
    let stall_after = file.stall_after.as_ref().map_or(usual.stall_after, |key| Some(key.value));
    Ctcp {
        stall_after: stall_after.filter(|after| !after.is_zero()),
        hold_lease: duration(file.hold_lease.as_ref(), usual.hold_lease),
        ring: narrow(file.ring.as_ref(), usual.ring),
        memory: narrow(file.memory.as_ref(), usual.memory),
    }
}

fn state(file: &file::State) -> State {
    let usual = State::default();
    let directory = file.directory.as_ref().map(|key| key.value.as_str());
    State {
        directory: directory.filter(|path| !path.is_empty()).map(PathBuf::from),
        hold_leases: duration(file.hold_leases.as_ref(), usual.hold_leases),
    }
}

fn ctcp_ports(source: &Source<'_>, file: &file::Listen) -> Vec<u16> {
    const KEY: &str = "[listen] ctcp_ports";
    let Some(list) = &file.ctcp_ports else { return vec![CTCP_PORT] };
    let ports = each_once(source, KEY, &list.value);
    if ports.len() > MOST_CTCP_PORTS {
        let (expected, found) = (format!("up to {MOST_CTCP_PORTS} ports"), ports.len().to_string());
        source.error(list.line, KEY.to_owned(), Problem::Misfit { expected, found, hint: None });
    }
    ports.into_iter().filter_map(|port| u16::try_from(port).ok()).collect()
}

fn workers(source: &Source<'_>, file: &file::Workers, available: &[usize]) -> Workers {
    let most = adit_dataplane::contract::WorkerId::MAX_WORKERS;
    let cores = match (&file.cores, &file.count) {
        (Some(cores), count) => {
            if let Some(count) = count {
                let problem = Problem::Both { this: "count", other: "cores", line: cores.line };
                source.error(count.line, "[workers] count".to_owned(), problem);
            }
            named_cores(source, cores, available, most)
        }
        // More workers than cores is allowed, but then none is pinned: the scheduler must be free to share.
        (None, Some(count)) => {
            let count = usize::try_from(count.value).unwrap_or(most);
            let pinned = count <= available.len();
            (0..count).map(|index| available.get(index).copied().filter(|_| pinned)).collect()
        }
        (None, None) if available.is_empty() => vec![None],
        (None, None) => available.iter().copied().take(most).map(Some).collect(),
    };
    Workers {
        cores,
        burst: narrow(file.burst.as_ref(), 64),
        spin: duration(file.spin.as_ref(), Duration::ZERO),
        coalesce: duration(file.coalesce.as_ref(), Duration::from_millis(1)),
        buffers: narrow(file.buffers.as_ref(), 4096),
    }
}

fn flows(file: &file::Flows) -> Flows {
    let Flows { table, limit, sample } = Flows::default();
    Flows {
        table: file.table.as_ref().map_or(table, |key| key.value),
        limit: narrow(file.limit.as_ref(), limit),
        sample: narrow(file.sample.as_ref(), sample),
    }
}

fn named_cores(
    source: &Source<'_>,
    list: &Located<Vec<Located<u64>>>,
    available: &[usize],
    most: usize,
) -> Vec<Option<usize>> {
    const KEY: &str = "[workers] cores";
    if list.value.len() > most {
        source.error(
            list.line,
            KEY.to_owned(),
            Problem::Misfit {
                expected: format!("at most {most} cores"),
                found: list.value.len().to_string(),
                hint: Some("each core named gets one worker".to_owned()),
            },
        );
    }
    for core in &list.value {
        let number = usize::try_from(core.value).unwrap_or(usize::MAX);
        if !available.contains(&number) {
            let available = available.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            source.error(core.line, KEY.to_owned(), Problem::NoSuchCore { found: number, available });
        }
    }
    each_once(source, KEY, &list.value).into_iter().map(|core| usize::try_from(core).ok()).collect()
}

pub(super) fn each_once<T: Clone + PartialEq + ToString>(
    source: &Source<'_>,
    key: &str,
    list: &[Located<T>],
) -> Vec<T> {
    let mut seen = Vec::with_capacity(list.len());
    for element in list {
        if seen.contains(&element.value) {
            source.error(element.line, key.to_owned(), Problem::Twice(element.value.to_string()));
        } else {
            seen.push(element.value.clone());
        }
    }
    seen
}

fn duration(key: Option<&Located<Duration>>, default: Duration) -> Duration {
    key.map_or(default, |key| key.value)
}

fn ike(source: &Source<'_>, file: &file::Ike, warnings: &mut Vec<Warning>) -> Ike {
    let half_open_limit = narrow(file.half_open_limit.as_ref(), 4096);
    if let Some(threshold) = file.cookie_threshold.as_ref().filter(|threshold| threshold.value > half_open_limit as u64)
    {
        warnings.push(Warning {
            file: source.name().to_owned(),
            line: threshold.line,
            key: "[ike] cookie_threshold".to_owned(),
            sentence: format!("above half_open_limit = {half_open_limit}, so nobody is ever asked for a cookie"),
        });
    }
    Ike {
        dpd_delay: duration(file.dpd_delay.as_ref(), Duration::from_secs(30)),
        retransmit_initial: duration(file.retransmit_initial.as_ref(), Duration::from_secs(2)),
        retransmit_factor: file.retransmit_factor.as_ref().map_or(1.8, |factor| factor.value),
        retransmit_tries: narrow(file.retransmit_tries.as_ref(), 5),
        half_open_timeout: duration(file.half_open_timeout.as_ref(), Duration::from_secs(30)),
        half_open_limit,
        half_open_limit_per_source: narrow(file.half_open_limit_per_source.as_ref(), 1024),
        cookie_threshold: narrow(file.cookie_threshold.as_ref(), 128),
        cookie_threshold_per_source: narrow(file.cookie_threshold_per_source.as_ref(), 16),
        fragment_size: narrow(file.fragment_size.as_ref(), 1280),
        session_limit: narrow(file.session_limit.as_ref(), 65_536),
        natt_keepalive: duration(file.natt_keepalive.as_ref(), Duration::from_secs(20)),
        rekey_grace: duration(file.rekey_grace.as_ref(), Duration::from_secs(5)),
        children_limit: narrow(file.children_limit.as_ref(), 4),
        rekey_time: duration(file.rekey_time.as_ref(), Duration::from_secs(4 * 3600)),
        over_time: duration(file.over_time.as_ref(), Duration::from_secs(24 * 60)),
    }
}

fn esp(file: &file::Esp) -> Esp {
    let limit = |key: &Option<Located<u64>>| key.as_ref().map(|key| key.value).filter(|value| *value > 0);
    Esp {
        replay_window: narrow(file.replay_window.as_ref(), 1024),
        rekey: Rekey {
            time: Some(duration(file.rekey_time.as_ref(), Duration::from_secs(3600))).filter(|time| !time.is_zero()),
            octets: limit(&file.rekey_bytes),
            packets: limit(&file.rekey_packets),
        },
        hard_factor: file.hard_factor.as_ref().map_or(1.25, |factor| factor.value),
        moves_per_minute: narrow(file.moves_per_minute.as_ref(), 60),
    }
}

fn pools(source: &Source<'_>, file: &[file::Pool]) -> Vec<Pool> {
    unique_names(source, file.iter().map(|pool| (pool.title.as_str(), pool.name.as_ref())));
    let mut seen: Vec<(IpNet, &str, usize)> = Vec::new();
    let mut pools = Vec::with_capacity(file.len());
    for pool in file {
        let key = format!("{} addresses", pool.title);
        let name = pool.name.as_ref().map_or("", |name| &name.value);
        let (mut v4, mut v6): (Option<Ipv4Net>, Option<Ipv6Net>) = (None, None);
        for range in pool.addresses.iter().flat_map(|list| &list.value) {
            let net = range.value;
            let error = |problem| source.error(range.line, key.clone(), problem);
            if headend_address(net).is_none() {
                error(Problem::Misfit {
                    expected: "a range with room for the headend and a client".to_owned(),
                    found: net.to_string(),
                    hint: None,
                });
            }
            if let Some((other, pool, line)) = seen.iter().find(|(other, ..)| overlap(*other, net)) {
                error(Problem::OverlappingPools {
                    found: net.to_string(),
                    other: other.to_string(),
                    pool: (*pool).to_owned(),
                    line: *line,
                });
            }
            seen.push((net, name, range.line));
            let first = match net {
                IpNet::V4(net) => v4.replace(net).map(|first| ("IPv4", first.to_string())),
                IpNet::V6(net) => v6.replace(net).map(|first| ("IPv6", first.to_string())),
            };
            if let Some((family, first)) = first {
                error(Problem::SecondRange { family, found: net.to_string(), first });
            }
        }
        let servers = pool.netbios_name_servers.as_ref();
        let servers =
            servers.map(|list| each_once(source, &format!("{} netbios_name_servers", pool.title), &list.value));
        let dns = pool.dns.as_ref().map(|list| each_once(source, &format!("{} dns", pool.title), &list.value));
        pools.push(Pool {
            name: name.to_owned(),
            v4,
            v6,
            dns: dns.unwrap_or_default(),
            netbios_name_servers: servers.unwrap_or_default(),
        });
    }
    pools
}

fn overlap(one: IpNet, other: IpNet) -> bool {
    one.contains(&other) || other.contains(&one)
}

pub(super) fn unique_names<'a>(
    source: &Source<'_>,
    sections: impl Iterator<Item = (&'a str, Option<&'a Located<String>>)>,
) {
    let mut seen: Vec<&Located<String>> = Vec::new();
    for (title, name) in sections {
        let Some(name) = name else { continue };
        match seen.iter().find(|other| other.value == name.value) {
            Some(other) => {
                let problem = Problem::DuplicateName { name: name.value.clone(), line: other.line };
                source.error(name.line, format!("{title} name"), problem);
            }
            None => seen.push(name),
        }
    }
}

pub(super) fn values<T: Clone>(list: Option<&Located<Vec<Located<T>>>>) -> Vec<T> {
    list.into_iter().flat_map(|list| &list.value).map(|element| element.value.clone()).collect()
}
