//! The sections that there are once.

use super::show::{list, maybe, maybe_time, plain, quoted, size, time};
use super::{Changes, Effect};
use crate::config::checked::{
    Api, ApiTcp, Config, Ctcp, CtcpMode, Esp, Events, FlowTable, Flows, Ike, IoBackend, Listen, Log, LogFormat,
    NatTraversal, NativeEsp, Rekey, Sizes, SocketBuffers, State, Tun, Workers,
};
use adit_dataplane::contract::{EcnMode, MssClamp, OuterDf, OuterDscp, TunnelRules};

/// Why these wait for a restart.
const SOCKETS: Effect = Effect::Restart("sockets are opened at start");
const THREADS: Effect = Effect::Restart("workers and their memory are made at start");
const STATE: Effect = Effect::Restart("state is read at start");
const JOURNAL: Effect = Effect::Restart("the journal is made at start");
const INTERFACE: Effect = Effect::Restart("the interface is made at start");

pub(super) fn compare(changes: &mut Changes, old: &Config, new: &Config) {
    let Config {
        identity,
        certificate,
        listen: of_listen,
        ctcp: of_ctcp,
        workers: of_workers,
        tun: of_tun,
        io,
        socket_buffers,
        crypto,
        log: of_log,
        api: of_api,
        events: Events { keep },
        state: of_state,
        flows: of_flows,
        ike: of_ike,
        esp: of_esp,
        sizes: of_sizes,
        // They have files of their own here.
        pools: _,
        classes: _,
        users: _,
        radius: _,
        connections: _,
    } = old;
    // The key is the one that the certificate names, or the file would have been refused.
    let chain = |config: &Config| config.certificate.as_ref().map(|own| own.chain().to_vec());
    let old_chain = certificate.as_ref().map(|own| own.chain().to_vec());
    changes.section("[node]").key("identity", identity, &new.identity, quoted, Effect::NewLogins).unseen(
        "certificate",
        &old_chain,
        &chain(new),
        Effect::NewLogins,
    );
    listen(changes, of_listen, &new.listen);
    ctcp(changes, of_ctcp, &new.ctcp);
    workers(changes, of_workers, &new.workers);
    tun(changes, of_tun, &new.tun);
    let SocketBuffers { receive, send } = socket_buffers;
    changes
        .section("[io]")
        .key("backend", io, &new.io, backend, THREADS)
        .key("receive_buffer", receive, &new.socket_buffers.receive, size, SOCKETS)
        .key("send_buffer", send, &new.socket_buffers.send, size, SOCKETS)
        .section("[crypto]")
        .key("backend", crypto, &new.crypto, |library| format!("\"{}\"", library.name()), Effect::NextKeys);
    log(changes, of_log, &new.log);
    api(changes, of_api, &new.api);
    changes.section("[events]").key("keep", keep, &new.events.keep, plain, JOURNAL);
    state(changes, of_state, &new.state);
    flows(changes, *of_flows, new.flows);
    ike(changes, of_ike, &new.ike);
    esp(changes, of_esp, &new.esp);
    sizes(changes, of_sizes, &new.sizes);
}

fn api(changes: &mut Changes, old: &Api, new: &Api) {
    // Operators are a list.
    let Api { socket, admins, tcp, operators: _ } = old;
    let path = |path: &std::path::PathBuf| quoted(&path.display());
    let addresses = |tcp: &Option<ApiTcp>| tcp.as_ref().map(|tcp| tcp.listen.clone()).unwrap_or_default();
    // What TLS is made of cannot be compared; the files that it was made of can.
    let certificate = |tcp: &Option<ApiTcp>| tcp.as_ref().map(|tcp| tcp.chain);
    let client_ca = |tcp: &Option<ApiTcp>| tcp.as_ref().and_then(|tcp| tcp.client_ca);
    changes
        .section("[api]")
        .key("socket", socket, &new.socket, path, SOCKETS)
        .key("admins", admins, &new.admins, |admins| list(admins), Effect::AtOnce)
        .key("listen", &addresses(tcp), &addresses(&new.tcp), |all| list(all), SOCKETS)
        .unseen("certificate", &certificate(tcp), &certificate(&new.tcp), Effect::AtOnce)
        .unseen("client_ca", &client_ca(tcp), &client_ca(&new.tcp), Effect::AtOnce);
}

fn flows(changes: &mut Changes, old: Flows, new: Flows) {
    let Flows { table, limit, sample } = old;
    let word = |table: &FlowTable| match table {
        FlowTable::On => "\"on\"".to_owned(),
        FlowTable::Off => "\"off\"".to_owned(),
    };
    changes
        .section("[flows]")
        .key("table", &table, &new.table, word, THREADS)
        .key("limit", &limit, &new.limit, plain, THREADS)
        .key("sample", &sample, &new.sample, plain, THREADS);
}

fn listen(changes: &mut Changes, old: &Listen, new: &Listen) {
    let Listen {
        addresses,
        ike_port,
        natt_port,
        cisco_udp_port,
        native_esp,
        nat_traversals,
        ctcp_ports,
        ctcp_mode,
        tcp_port,
    } = old;
    // Whether ESP is told from IKE on port 500 is decided where the sockets are.
    let on_500 = |listen: &Listen| listen.nat_traversals.iter().any(|version| !version.floats());
    let traversals = if on_500(old) == on_500(new) { Effect::NewLogins } else { SOCKETS };
    let versions =
        |versions: &Vec<NatTraversal>| versions.iter().map(|version| version.key()).collect::<Vec<_>>().join(", ");
    let port = |port: &Option<u16>| port.unwrap_or_default().to_string();
    changes
        .section("[listen]")
        .key("addresses", addresses, &new.addresses, |all| list(all), SOCKETS)
        .key("ike_port", ike_port, &new.ike_port, plain, SOCKETS)
        .key("natt_port", natt_port, &new.natt_port, plain, SOCKETS)
        .key("cisco_udp_port", cisco_udp_port, &new.cisco_udp_port, port, SOCKETS)
        .key("native_esp", native_esp, &new.native_esp, native, SOCKETS)
        .key(
            "nat_traversals",
            &nat_traversals.iter().collect(),
            &new.nat_traversals.iter().collect(),
            versions,
            traversals,
        )
        .key("ctcp_ports", ctcp_ports, &new.ctcp_ports, |all| list(all), SOCKETS)
        .key("ctcp_mode", ctcp_mode, &new.ctcp_mode, mode, Effect::NewLogins)
        .key("tcp_port", tcp_port, &new.tcp_port, port, SOCKETS);
}

fn ctcp(changes: &mut Changes, old: &Ctcp, new: &Ctcp) {
    let Ctcp { stall_after, hold_lease, ring, memory } = old;
    changes
        .section("[ctcp]")
        .key("stall_after", stall_after, &new.stall_after, maybe_time, Effect::AtOnce)
        .key("hold_lease", hold_lease, &new.hold_lease, time, Effect::AtOnce)
        .key("ring", ring, &new.ring, size, Effect::NewLogins)
        .key("memory", memory, &new.memory, size, Effect::AtOnce);
}

fn state(changes: &mut Changes, old: &State, new: &State) {
    let State { directory, hold_leases } = old;
    let path = |path: &Option<std::path::PathBuf>| quoted(&path.as_deref().unwrap_or("".as_ref()).display());
    changes.section("[state]").key("directory", directory, &new.directory, path, STATE).key(
        "hold_leases",
        hold_leases,
        &new.hold_leases,
        time,
        Effect::AtOnce,
    );
}

fn workers(changes: &mut Changes, old: &Workers, new: &Workers) {
    let Workers { cores, burst, spin, coalesce, buffers } = old;
    // Room for a burst is made at start: there are as many places as buffers.
    let bursts = if new.burst <= (*buffers).max(*burst) { Effect::AtOnce } else { THREADS };
    let pinned = |cores: &Vec<Option<usize>>| {
        let pinned: Vec<String> = cores.iter().map(maybe).collect();
        format!("{} on cores {}", cores.len(), pinned.join(", "))
    };
    changes
        .section("[workers]")
        .key("cores", cores, &new.cores, pinned, THREADS)
        .key("burst", burst, &new.burst, plain, bursts)
        .key("spin", spin, &new.spin, time, Effect::AtOnce)
        .key("coalesce", coalesce, &new.coalesce, time, Effect::AtOnce)
        .key("buffers", buffers, &new.buffers, plain, THREADS);
}

fn tun(changes: &mut Changes, old: &Tun, new: &Tun) {
    let Tun { name, mtu } = old;
    changes
        .section("[tun]")
        .key("name", name, &new.name, quoted, INTERFACE)
        .key("mtu", mtu, &new.mtu, plain, INTERFACE);
}

fn log(changes: &mut Changes, old: &Log, new: &Log) {
    let Log { level, format } = old;
    let shape = Effect::Restart("lines are formatted as they were at start");
    changes.section("[log]").key("level", level, &new.level, quoted, Effect::AtOnce).key(
        "format",
        format,
        &new.format,
        |format| log_format(*format).to_owned(),
        shape,
    );
}

fn ike(changes: &mut Changes, old: &Ike, new: &Ike) {
    let Ike {
        dpd_delay,
        retransmit_initial,
        retransmit_factor,
        retransmit_tries,
        half_open_timeout,
        half_open_limit,
        half_open_limit_per_source,
        cookie_threshold,
        cookie_threshold_per_source,
        fragment_size,
        session_limit,
        natt_keepalive,
        rekey_grace,
        children_limit,
        rekey_time,
        over_time,
    } = old;
    let sources = &new.half_open_limit_per_source;
    let cookies = &new.cookie_threshold_per_source;
    changes
        .section("[ike]")
        .key("dpd_delay", dpd_delay, &new.dpd_delay, time, Effect::AtOnce)
        .key("retransmit_initial", retransmit_initial, &new.retransmit_initial, time, Effect::AtOnce)
        .key("retransmit_factor", retransmit_factor, &new.retransmit_factor, plain, Effect::AtOnce)
        .key("retransmit_tries", retransmit_tries, &new.retransmit_tries, plain, Effect::AtOnce)
        .key("half_open_timeout", half_open_timeout, &new.half_open_timeout, time, Effect::NewLogins)
        .key("half_open_limit", half_open_limit, &new.half_open_limit, plain, Effect::AtOnce)
        .key("half_open_limit_per_source", half_open_limit_per_source, sources, plain, Effect::AtOnce)
        .key("cookie_threshold", cookie_threshold, &new.cookie_threshold, plain, Effect::AtOnce)
        .key("cookie_threshold_per_source", cookie_threshold_per_source, cookies, plain, Effect::AtOnce)
        .key("fragment_size", fragment_size, &new.fragment_size, plain, Effect::NewLogins)
        .key("session_limit", session_limit, &new.session_limit, plain, Effect::NewLogins)
        .key("natt_keepalive", natt_keepalive, &new.natt_keepalive, time, Effect::AtOnce)
        .key("rekey_grace", rekey_grace, &new.rekey_grace, time, Effect::AtOnce)
        .key("children_limit", children_limit, &new.children_limit, plain, Effect::AtOnce)
        .key("rekey_time", rekey_time, &new.rekey_time, time, Effect::NextKeys)
        .key("over_time", over_time, &new.over_time, time, Effect::NextKeys);
}

fn esp(changes: &mut Changes, old: &Esp, new: &Esp) {
    let Esp { replay_window, rekey: Rekey { time: age, octets, packets }, hard_factor, moves_per_minute } = old;
    let count = |count: &Option<u64>| count.unwrap_or_default().to_string();
    changes
        .section("[esp]")
        .key("replay_window", replay_window, &new.replay_window, plain, Effect::NextKeys)
        .key("rekey_time", age, &new.rekey.time, maybe_time, Effect::NextKeys)
        .key("rekey_bytes", octets, &new.rekey.octets, count, Effect::NextKeys)
        .key("rekey_packets", packets, &new.rekey.packets, count, Effect::NextKeys)
        .key("hard_factor", hard_factor, &new.hard_factor, plain, Effect::NextKeys)
        .key("moves_per_minute", moves_per_minute, &new.moves_per_minute, plain, Effect::AtOnce);
}

fn sizes(changes: &mut Changes, old: &Sizes, new: &Sizes) {
    let Sizes { path_mtu, rules: TunnelRules { df, dscp, ecn, mss } } = old;
    changes
        .section("[esp]")
        .key("path_mtu", path_mtu, &new.path_mtu, plain, Effect::NewLogins)
        .key("outer_df", df, &new.rules.df, |df| outer_df(*df).to_owned(), SOCKETS)
        .key("dscp", dscp, &new.rules.dscp, outer_dscp, Effect::AtOnce)
        .key("ecn", ecn, &new.rules.ecn, |ecn| ecn_mode(*ecn).to_owned(), Effect::AtOnce)
        .key("mss_clamp", mss, &new.rules.mss, |mss| mss_clamp(*mss).to_owned(), Effect::AtOnce);
}

fn backend(backend: &IoBackend) -> String {
    let name = match backend {
        IoBackend::Auto => "auto",
        IoBackend::IoUring => "io-uring",
        IoBackend::SystemCalls => "system-calls",
    };
    quoted(&name)
}

fn native(native: &NativeEsp) -> String {
    plain(&matches!(native, NativeEsp::Carried))
}

fn mode(mode: &CtcpMode) -> String {
    let name = match mode {
        CtcpMode::Adaptive => "adaptive",
        CtcpMode::Stateless => "stateless",
    };
    quoted(&name)
}

const fn log_format(format: LogFormat) -> &'static str {
    match format {
        LogFormat::Text => "\"text\"",
        LogFormat::Json => "\"json\"",
    }
}

const fn outer_df(df: OuterDf) -> &'static str {
    match df {
        OuterDf::Clear => "\"clear\"",
        OuterDf::Copy => "\"copy\"",
        OuterDf::Set => "\"set\"",
    }
}

fn outer_dscp(dscp: &OuterDscp) -> String {
    match dscp {
        OuterDscp::Copy => "\"copy\"".to_owned(),
        OuterDscp::Fixed(dscp) => dscp.get().to_string(),
    }
}

const fn ecn_mode(ecn: EcnMode) -> &'static str {
    match ecn {
        EcnMode::Normal => "\"normal\"",
        EcnMode::Compatibility => "\"compatibility\"",
    }
}

const fn mss_clamp(mss: MssClamp) -> &'static str {
    match mss {
        MssClamp::ToTunnel => "\"on\"",
        MssClamp::Off => "\"off\"",
    }
}
