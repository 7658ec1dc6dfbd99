//! Longer than 400 lines, so that the keys of all sections that stand once are in one place: type, section, shape, range.
//!
//! What the file says: the TOML with the line of every value. Each value is right by itself; whether the values fit
//! together is the business of [`super::check`].

mod api;
mod class;
mod connection;
mod radius;
mod state;
mod user;

pub use api::{Api, Operator};
pub use class::Class;
pub use connection::{Auth, Connection, Rules, V1, Version};
pub use radius::Radius;
pub use state::State;
pub use user::User;

use super::checked::{CtcpMode, FlowTable, IoBackend, LogFormat};
use super::error::{Problem, nearest};
use super::section::{Located, Section, Source};
use super::shape::{
    Count, DscpOrCopy, Factor, Identity, MultipleOf, Network, OneOf, Parsed, Size, Text, Time, YesOrNo,
};
use crate::ike::v1::wire::NatTraversal;
use crate::ike::wire::Id;
use adit_crypto::esp_cipher::Backend;
use adit_dataplane::contract::{EcnMode, MssClamp, OuterDf, OuterDscp};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value that need not be there.
pub type Key<T> = Option<Located<T>>;
/// A list that need not be there, each element with its line.
pub type List<T> = Option<Located<Vec<Located<T>>>>;

/// The whole file. `None` is a key that is not there or did not fit (which is reported).
#[derive(Debug)]
pub struct Config {
    /// `[node] identity`
    pub identity: Key<Id>,
    /// `[node] certificate`
    pub certificate: Key<String>,
    /// `[node] private_key`
    pub private_key: Key<String>,
    /// `[listen]`
    pub listen: Listen,
    /// `[ctcp]`
    pub ctcp: Ctcp,
    /// `[workers]`
    pub workers: Workers,
    /// `[flows]`
    pub flows: Flows,
    /// `[tun]`
    pub tun: Tun,
    /// `[io]`
    pub io: Io,
    /// `[crypto] backend`
    pub crypto: Key<Backend>,
    /// `[log]`
    pub log: Log,
    /// `[api]`
    pub api: Api,
    /// `[events] keep`
    pub events_keep: Key<u64>,
    /// `[state]`
    pub state: State,
    /// `[ike]`
    pub ike: Ike,
    /// `[esp]`
    pub esp: Esp,
    /// `[esp]`, sizes and outer headers
    pub sizes: Sizes,
    /// `[[pool]]`
    pub pools: Vec<Pool>,
    /// `[[class]]`
    pub classes: Vec<Class>,
    /// `[[user]]`
    pub users: Vec<User>,
    /// `[[operator]]`
    pub operators: Vec<Operator>,
    /// `[[radius]]`
    pub radius: Vec<Radius>,
    /// `[[connection]]`
    pub connections: Vec<Connection>,
}

/// `[listen]`
#[derive(Debug)]
pub struct Listen {
    /// Outer addresses.
    pub addresses: List<IpAddr>,
    /// UDP port of bare IKE.
    pub ike_port: Key<u64>,
    /// UDP port of IKE and ESP behind NAT.
    pub natt_port: Key<u64>,
    /// UDP port of Cisco's IPsec over UDP; 0 for none.
    pub cisco_udp_port: Key<u64>,
    /// ESP as IP protocol 50.
    pub native_esp: Key<bool>,
    /// What IKEv1 clients may pass a NAT by.
    pub nat_traversals: List<NatTraversal>,
    /// TCP ports of cTCP; none for no cTCP.
    pub ctcp_ports: List<u64>,
    /// How cTCP is treated.
    pub ctcp_mode: Key<CtcpMode>,
    /// TCP port of RFC 9329 alone; 0 for none.
    pub tcp_port: Key<u64>,
}

/// `[ctcp]`
#[derive(Debug)]
pub struct Ctcp {
    /// Until a connection that brings nothing is over; zero for never.
    pub stall_after: Key<Duration>,
    /// Until somebody else may have its session's addresses.
    pub hold_lease: Key<Duration>,
    /// Octets that one connection keeps for sending again.
    pub ring: Key<u64>,
    /// Octets that all connections of a worker hold.
    pub memory: Key<u64>,
}

/// `[workers]`
#[derive(Debug)]
pub struct Workers {
    /// One worker on each.
    pub cores: List<u64>,
    /// Or so many workers.
    pub count: Key<u64>,
    /// Packets.
    pub burst: Key<u64>,
    /// Before an idle worker sleeps.
    pub spin: Key<Duration>,
    /// Before a sleeping worker wakes.
    pub coalesce: Key<Duration>,
    /// Packets.
    pub buffers: Key<u64>,
}

/// `[flows]`
#[derive(Debug)]
pub struct Flows {
    /// Whether there is a table.
    pub table: Key<FlowTable>,
    /// Flows.
    pub limit: Key<u64>,
    /// Packets of which one is looked at.
    pub sample: Key<u64>,
}

/// `[tun]`
#[derive(Debug)]
pub struct Tun {
    /// Of the interface.
    pub name: Key<String>,
    /// Octets.
    pub mtu: Key<u64>,
}

/// `[io]`
#[derive(Debug)]
pub struct Io {
    /// Which system calls.
    pub backend: Key<IoBackend>,
    /// Octets per socket.
    pub receive_buffer: Key<u64>,
    /// Octets per socket.
    pub send_buffer: Key<u64>,
}

/// `[log]`
#[derive(Debug)]
pub struct Log {
    /// A level or a filter.
    pub level: Key<String>,
    /// Shape of a line.
    pub format: Key<LogFormat>,
}

/// `[ike]`
#[derive(Debug)]
pub struct Ike {
    /// Quiet time before a peer is asked.
    pub dpd_delay: Key<Duration>,
    /// First retransmission.
    pub retransmit_initial: Key<Duration>,
    /// Of each wait to the one before.
    pub retransmit_factor: Key<f64>,
    /// Retransmissions.
    pub retransmit_tries: Key<u64>,
    /// Lifetime of an unfinished login.
    pub half_open_timeout: Key<Duration>,
    /// Unfinished logins.
    pub half_open_limit: Key<u64>,
    /// Unfinished logins of one source.
    pub half_open_limit_per_source: Key<u64>,
    /// Unfinished logins from which on everybody is asked for a cookie.
    pub cookie_threshold: Key<u64>,
    /// The same for one source.
    pub cookie_threshold_per_source: Key<u64>,
    /// Octets of an IP packet.
    pub fragment_size: Key<u64>,
    /// Sessions.
    pub session_limit: Key<u64>,
    /// Behind a NAT of our own.
    pub natt_keepalive: Key<Duration>,
    /// For what is under way.
    pub rekey_grace: Key<Duration>,
    /// In a session.
    pub children_limit: Key<u64>,
    /// Of an IKE SA.
    pub rekey_time: Key<Duration>,
    /// After that.
    pub over_time: Key<Duration>,
}

/// `[esp]`, sizes and outer headers
#[derive(Debug)]
pub struct Sizes {
    /// Octets of the largest outer packet.
    pub path_mtu: Key<u64>,
    /// Of outer IPv4 headers.
    pub outer_df: Key<OuterDf>,
    /// Of outer headers.
    pub dscp: Key<OuterDscp>,
    /// Of outer headers.
    pub ecn: Key<EcnMode>,
    /// Of TCP inside.
    pub mss_clamp: Key<MssClamp>,
}

/// `[esp]`
#[derive(Debug)]
pub struct Esp {
    /// Packets.
    pub replay_window: Key<u64>,
    /// Age of a child SA that is to be replaced.
    pub rekey_time: Key<Duration>,
    /// Octets, each direction.
    pub rekey_bytes: Key<u64>,
    /// Packets, each direction.
    pub rekey_packets: Key<u64>,
    /// From the limits for replacing to those that end an SA.
    pub hard_factor: Key<f64>,
    /// Of one client's outer address by ESP.
    pub moves_per_minute: Key<u64>,
}

/// `[[pool]]`
#[derive(Debug)]
pub struct Pool {
    /// Of its header.
    pub line: usize,
    /// In error messages.
    pub title: String,
    /// Unique.
    pub name: Key<String>,
    /// At most one range of each family.
    pub addresses: List<IpNet>,
    /// Name servers.
    pub dns: List<IpAddr>,
    /// Name servers for NetBIOS.
    pub netbios_name_servers: List<Ipv4Addr>,
}

/// Sections that stand once.
const SINGLE: [&str; 14] = [
    "node", "listen", "ctcp", "workers", "flows", "tun", "io", "crypto", "log", "api", "events", "state", "ike", "esp",
];
/// Sections that stand any number of times.
const REPEATED: [&str; 6] = ["operator", "pool", "class", "user", "radius", "connection"];

/// Every key that a file may have, with its section: `("[ike]", "dpd_delay")`.
pub fn known_keys() -> Vec<(String, &'static str)> {
    let empty = DeTable::new();
    let source = Source::new("", "");
    let mut known = Vec::new();
    for name in SINGLE {
        let mut section = Section::new(&source, format!("[{name}]"), 1, None);
        let mut scratch = Config::empty();
        read_single(&mut scratch, name, &mut section);
        known.extend(section.finish(|_key| None).into_iter().map(|key| (format!("[{name}]"), key)));
    }
    for name in REPEATED {
        let mut section = Section::new(&source, format!("[[{name}]]"), 1, Some(&empty));
        match name {
            "operator" => drop(Operator::read(&mut section)),
            "pool" => drop(Pool::read(&mut section)),
            "class" => drop(Class::read(&mut section)),
            "user" => drop(User::read(&mut section)),
            "radius" => drop(Radius::read(&mut section)),
            _connection => drop(Connection::read(&mut section)),
        }
        known.extend(section.finish(|_key| None).into_iter().map(|key| (format!("[[{name}]]"), key)));
    }
    known
}

/// Reads all of `table`; mistakes go to `source`.
pub(super) fn read(source: &Source<'_>, table: &DeTable<'_>) -> Config {
    for (key, value) in table {
        check_section(source, key, value);
    }
    let mut config = Config::empty();
    for name in SINGLE {
        let found = table.get(name).and_then(|value| Some((value.span(), value.get_ref().as_table()?)));
        let line = found.as_ref().map_or(1, |(span, _)| source.line(span));
        let mut section = Section::new(source, format!("[{name}]"), line, found.map(|(_, table)| table));
        read_single(&mut config, name, &mut section);
        let _asked = section.finish(section_of);
    }
    for mut section in repeated(source, table, "operator") {
        config.operators.push(Operator::read(&mut section));
        let _asked = section.finish(section_of);
    }
    for mut section in repeated(source, table, "pool") {
        config.pools.push(Pool::read(&mut section));
        let _asked = section.finish(section_of);
    }
    for mut section in repeated(source, table, "class") {
        config.classes.push(Class::read(&mut section));
        let _asked = section.finish(section_of);
    }
    for mut section in repeated(source, table, "user") {
        config.users.push(User::read(&mut section));
        let _asked = section.finish(section_of);
    }
    for mut section in repeated(source, table, "radius") {
        config.radius.push(Radius::read(&mut section));
        let _asked = section.finish(section_of);
    }
    for mut section in repeated(source, table, "connection") {
        config.connections.push(Connection::read(&mut section));
        let _asked = section.finish(section_of);
    }
    config
}

fn repeated<'a>(
    source: &'a Source<'a>,
    table: &'a DeTable<'a>,
    name: &'static str,
) -> impl Iterator<Item = Section<'a>> {
    let elements = table.get(name).and_then(|value| value.get_ref().as_array());
    elements.into_iter().flat_map(|list| list.iter()).map(move |element| {
        Section::new(source, format!("[[{name}]]"), source.line(&element.span()), element.get_ref().as_table())
    })
}

/// The section that has a key of this name.
fn section_of(key: &str) -> Option<String> {
    known_keys().into_iter().find(|(_, known)| *known == key).map(|(section, _)| section)
}

fn check_section(source: &Source<'_>, key: &Spanned<std::borrow::Cow<'_, str>>, value: &Spanned<DeValue<'_>>) {
    let name: &str = key.get_ref();
    let line = source.line(&key.span());
    let (single, repeats) = (SINGLE.contains(&name), REPEATED.contains(&name));
    let is_list_of_tables = value.get_ref().as_array().is_some_and(|list| list.iter().all(|e| e.get_ref().is_table()));
    let problem = match (single, repeats) {
        (true, _) if value.get_ref().is_table() => return,
        (_, true) if is_list_of_tables => return,
        (true, _) => {
            let found = if value.get_ref().is_array() { "a list of sections [[…]]" } else { "a value" };
            Problem::SectionKind { expected: format!("one section [{name}]"), found }
        }
        (_, true) => {
            let found = if value.get_ref().is_table() { "one section […]" } else { "a value" };
            Problem::SectionKind { expected: format!("sections [[{name}]] in double brackets, one for each"), found }
        }
        (false, false) if !value.get_ref().is_table() && section_of(name).is_some() => {
            Problem::UnknownKey { nearest: None, elsewhere: section_of(name), known: Vec::new() }
        }
        (false, false) => {
            let sections = || SINGLE.into_iter().chain(REPEATED);
            Problem::UnknownSection {
                nearest: nearest(name, sections()),
                known: sections().map(str::to_owned).collect(),
            }
        }
    };
    let key = match value.get_ref() {
        DeValue::Table(_) => format!("[{name}]"),
        _value if is_list_of_tables => format!("[[{name}]]"),
        _value => name.to_owned(),
    };
    source.error(line, key, problem);
}

fn read_single(config: &mut Config, name: &str, section: &mut Section<'_>) {
    match name {
        "node" => {
            config.identity = section.want("identity", &Identity);
            config.certificate = section.get("certificate", &Text("the path of a file with our certificates (PEM)"));
            config.private_key = section.get("private_key", &Text("the path of a file with our private key (PEM)"));
        }
        "listen" => config.listen = Listen::read(section),
        "ctcp" => config.ctcp = Ctcp::read(section),
        "workers" => config.workers = Workers::read(section),
        "flows" => config.flows = Flows::read(section),
        "tun" => config.tun = Tun::read(section),
        "io" => config.io = Io::read(section),
        "crypto" => config.crypto = section.get("backend", &CRYPTO_BACKEND),
        "log" => config.log = Log::read(section),
        "api" => config.api = Api::read(section),
        "events" => config.events_keep = section.get("keep", &EVENTS),
        "state" => config.state = State::read(section),
        "ike" => config.ike = Ike::read(section),
        _esp => {
            config.esp = Esp::read(section);
            config.sizes = Sizes::read(section);
        }
    }
}

const CRYPTO_BACKEND: OneOf<Backend> = OneOf(&[
    ("auto", Backend::Auto),
    ("aws-lc", Backend::AwsLc),
    ("ring", Backend::Ring),
    ("rustcrypto", Backend::RustCrypto),
]);
const IO_BACKEND: OneOf<IoBackend> =
    OneOf(&[("auto", IoBackend::Auto), ("io-uring", IoBackend::IoUring), ("system-calls", IoBackend::SystemCalls)]);
const LOG_FORMAT: OneOf<LogFormat> = OneOf(&[("text", LogFormat::Text), ("json", LogFormat::Json)]);
const REPLAY_WINDOW: MultipleOf = MultipleOf { step: 64, of: "a number of packets", range: 64..=65_536 };
/// None at all is a threshold, too: then everybody is always asked.
const LOGINS: Count = Count { of: "a number of logins", range: 0..=1_000_000 };
const EVENTS: Count = Count { of: "a number of events", range: 64..=1_000_000 };
const OUTER_DF: OneOf<OuterDf> = OneOf(&[("clear", OuterDf::Clear), ("copy", OuterDf::Copy), ("set", OuterDf::Set)]);
const ECN: OneOf<EcnMode> = OneOf(&[("normal", EcnMode::Normal), ("compatibility", EcnMode::Compatibility)]);
const MSS_CLAMP: OneOf<MssClamp> = OneOf(&[("on", MssClamp::ToTunnel), ("off", MssClamp::Off)]);
const TCP_PORT_OR_OFF: Count = Count { of: "a TCP port or 0 for none", range: 0..=65_535 };
const TCP_PORT: Count = Count { of: "a TCP port", range: 1..=65_535 };
const FLOW_TABLE: OneOf<FlowTable> = OneOf(&[("on", FlowTable::On), ("off", FlowTable::Off)]);
const CTCP_MODE: OneOf<CtcpMode> = OneOf(&[("adaptive", CtcpMode::Adaptive), ("stateless", CtcpMode::Stateless)]);
const NAT_TRAVERSAL: OneOf<NatTraversal> = OneOf(&[
    ("rfc3947", NatTraversal::Rfc3947),
    ("draft-03", NatTraversal::Draft03),
    ("draft-02", NatTraversal::Draft02),
    ("draft-01", NatTraversal::Draft01),
    ("draft-00", NatTraversal::Draft00),
]);
const PORT: Count = Count { of: "a UDP port", range: 1..=65_535 };
const PORT_OR_OFF: Count = Count { of: "a UDP port, or 0 for none", range: 0..=65_535 };
const SOCKET_BUFFER: Size = Size { range: 64 << 10..=1 << 30, example: "8MiB" };
const ADDRESS: Parsed<IpAddr> =
    Parsed { expected: "an IPv4 or IPv6 address such as \"192.0.2.1\"", parse: |text| text.parse().ok() };
const V4_ADDRESS: Parsed<Ipv4Addr> =
    Parsed { expected: "an IPv4 address such as \"192.0.2.1\"", parse: |text| text.parse().ok() };
/// The kernel's address of a Unix socket holds 108 octets, the last is zero (unix(7)).
const SOCKET: Parsed<String> = Parsed {
    expected: "an absolute path of at most 107 octets such as \"/run/adit/aditd.sock\"",
    parse: |text| (text.starts_with('/') && text.len() <= 107 && !text.contains('\0')).then(|| text.to_owned()),
};
/// IFNAMSIZ is 16 with the final zero; the rest is what the kernel's dev_valid_name refuses.
const INTERFACE: Parsed<String> = Parsed {
    expected: "an interface name of 1 to 15 octets such as \"adit0\", without space, slash, colon or percent sign",
    parse: |text| {
        let fits = (1..=15).contains(&text.len()) && text != "." && text != "..";
        let clean = text.bytes().all(|octet| octet.is_ascii_graphic() && !b"/:%".contains(&octet));
        (fits && clean).then(|| text.to_owned())
    },
};
const LOG_LEVEL: Parsed<String> = Parsed {
    expected: "\"error\", \"warn\", \"info\", \"debug\", \"trace\" or a filter such as \"info,adit_control::ike=debug\"",
    parse: |text| crate::telemetry::is_filter(text).then(|| text.to_owned()),
};

const fn seconds(low: u64, high: u64, example: &'static str) -> Time {
    Time { range: Duration::from_secs(low)..=Duration::from_secs(high), example }
}

const fn millis(low: u64, high: u64, example: &'static str) -> Time {
    Time { range: Duration::from_millis(low)..=Duration::from_millis(high), example }
}

impl Config {
    fn empty() -> Self {
        let source = Source::new("", "");
        let nothing = &mut Section::new(&source, String::new(), 1, None);
        Self {
            identity: None,
            certificate: None,
            private_key: None,
            listen: Listen::read(nothing),
            ctcp: Ctcp::read(nothing),
            workers: Workers::read(nothing),
            flows: Flows::read(nothing),
            tun: Tun::read(nothing),
            io: Io::read(nothing),
            crypto: None,
            log: Log::read(nothing),
            api: Api::read(nothing),
            events_keep: None,
            state: State::read(nothing),
            ike: Ike::read(nothing),
            esp: Esp::read(nothing),
            sizes: Sizes::read(nothing),
            pools: Vec::new(),
            classes: Vec::new(),
            users: Vec::new(),
            operators: Vec::new(),
            radius: Vec::new(),
            connections: Vec::new(),
        }
    }
}

impl Listen {
    fn read(section: &mut Section<'_>) -> Self {
        Self {
            addresses: section.some_list("addresses", &ADDRESS),
            ike_port: section.get("ike_port", &PORT),
            natt_port: section.get("natt_port", &PORT),
            cisco_udp_port: section.get("cisco_udp_port", &PORT_OR_OFF),
            native_esp: section.get("native_esp", &YesOrNo),
            nat_traversals: section.some_list("nat_traversals", &NAT_TRAVERSAL),
            ctcp_ports: section.list("ctcp_ports", &TCP_PORT),
            ctcp_mode: section.get("ctcp_mode", &CTCP_MODE),
            tcp_port: section.get("tcp_port", &TCP_PORT_OR_OFF),
        }
    }
}

impl Ctcp {
    fn read(section: &mut Section<'_>) -> Self {
        let or_never = Time { range: Duration::ZERO..=Duration::from_secs(600), example: "10s" };
        Self {
            stall_after: section.get("stall_after", &or_never),
            hold_lease: section
                .get("hold_lease", &Time { range: Duration::ZERO..=Duration::from_secs(86_400), example: "5m" }),
            ring: section.get("ring", &Size { range: 16 << 10..=4 << 20, example: "512KiB" }),
            memory: section.get("memory", &Size { range: 1 << 20..=64 << 30, example: "256MiB" }),
        }
    }
}

impl Workers {
    fn read(section: &mut Section<'_>) -> Self {
        Self {
            cores: section.some_list("cores", &Count { of: "a core's number", range: 0..=65_535 }),
            count: section.get("count", &Count { of: "a number of workers", range: 1..=64 }),
            burst: section.get("burst", &Count { of: "a number of packets", range: 1..=1024 }),
            spin: section.get("spin", &Time { range: Duration::ZERO..=Duration::from_secs(1), example: "50us" }),
            coalesce: section
                .get("coalesce", &Time { range: Duration::ZERO..=Duration::from_millis(10), example: "1ms" }),
            buffers: section.get("buffers", &Count { of: "a number of packets", range: 256..=1 << 20 }),
        }
    }
}

impl Flows {
    fn read(section: &mut Section<'_>) -> Self {
        Self {
            table: section.get("table", &FLOW_TABLE),
            limit: section.get("limit", &Count { of: "a number of flows", range: 100..=10_000_000 }),
            sample: section.get("sample", &Count { of: "a number of packets", range: 1..=10_000 }),
        }
    }
}

impl Tun {
    fn read(section: &mut Section<'_>) -> Self {
        Self {
            name: section.get("name", &INTERFACE),
            mtu: section.get("mtu", &Size { range: 576..=9000, example: "1400" }),
        }
    }
}

impl Io {
    fn read(section: &mut Section<'_>) -> Self {
        Self {
            backend: section.get("backend", &IO_BACKEND),
            receive_buffer: section.get("receive_buffer", &SOCKET_BUFFER),
            send_buffer: section.get("send_buffer", &SOCKET_BUFFER),
        }
    }
}

impl Log {
    fn read(section: &mut Section<'_>) -> Self {
        Self { level: section.get("level", &LOG_LEVEL), format: section.get("format", &LOG_FORMAT) }
    }
}

impl Ike {
    fn read(section: &mut Section<'_>) -> Self {
        Self {
            dpd_delay: section.get("dpd_delay", &seconds(1, 86_400, "30s")),
            retransmit_initial: section.get("retransmit_initial", &millis(100, 60_000, "2s")),
            retransmit_factor: section.get("retransmit_factor", &Factor(1.0..=10.0)),
            retransmit_tries: section.get("retransmit_tries", &Count { of: "a number of tries", range: 1..=20 }),
            half_open_timeout: section.get("half_open_timeout", &seconds(1, 600, "30s")),
            half_open_limit: section.get("half_open_limit", &Count { of: "a number of logins", range: 1..=1_000_000 }),
            half_open_limit_per_source: section
                .get("half_open_limit_per_source", &Count { of: "a number of logins", range: 1..=1_000_000 }),
            cookie_threshold: section.get("cookie_threshold", &LOGINS),
            cookie_threshold_per_source: section.get("cookie_threshold_per_source", &LOGINS),
            fragment_size: section.get("fragment_size", &Size { range: 576..=65_535, example: "1280" }),
            session_limit: section.get("session_limit", &Count { of: "a number of sessions", range: 1..=1_000_000 }),
            natt_keepalive: section.get("natt_keepalive", &seconds(1, 3600, "20s")),
            rekey_grace: section.get("rekey_grace", &millis(100, 600_000, "5s")),
            children_limit: section.get("children_limit", &Count { of: "a number of child SAs", range: 1..=8 }),
            rekey_time: section.get("rekey_time", &seconds(1, 604_800, "4h")),
            over_time: section.get("over_time", &seconds(1, 604_800, "24m")),
        }
    }
}

impl Sizes {
    fn read(section: &mut Section<'_>) -> Self {
        Self {
            path_mtu: section.get("path_mtu", &Size { range: 576..=9000, example: "1500" }),
            outer_df: section.get("outer_df", &OUTER_DF),
            dscp: section.get("dscp", &DscpOrCopy),
            ecn: section.get("ecn", &ECN),
            mss_clamp: section.get("mss_clamp", &MSS_CLAMP),
        }
    }
}

impl Esp {
    fn read(section: &mut Section<'_>) -> Self {
        Self {
            replay_window: section.get("replay_window", &REPLAY_WINDOW),
            rekey_time: section.get("rekey_time", &seconds(0, 604_800, "1h")),
            rekey_bytes: section.get("rekey_bytes", &Size { range: 0..=1 << 60, example: "64GiB" }),
            rekey_packets: section.get("rekey_packets", &Count { of: "a number of packets", range: 0..=1 << 48 }),
            hard_factor: section.get("hard_factor", &Factor(1.01..=10.0)),
            moves_per_minute: section.get("moves_per_minute", &Count { of: "a number of moves", range: 0..=6000 }),
        }
    }
}

impl Pool {
    fn read(section: &mut Section<'_>) -> Self {
        let name = section.want("name", &Text("a name such as \"office\""));
        if let Some(name) = &name {
            section.call_it(&name.value);
        }
        Self {
            addresses: section.want_list("addresses", &Network),
            dns: section.list("dns", &ADDRESS),
            netbios_name_servers: section.list("netbios_name_servers", &V4_ADDRESS),
            line: section.line(),
            title: section.title().to_owned(),
            name,
        }
    }
}
