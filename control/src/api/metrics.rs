//! `GET /metrics`: what Prometheus scrapes, as OpenMetrics. Names follow its conventions: base units, `_total`, and no label whose values
//! clients choose, so that a crowd does not become a crowd of series.

use super::ask::{NoAnswer, Question};
use super::problem::{Problem, ProblemView};
use super::routes::Sources;
use super::views::{CertificateView, IkeView, StatusView, drops};
use crate::aaa::desk::{DeskView, LineView};
use crate::lease::{PoolView, RangeView};
use adit_dataplane::contract::{BurstTimes, WorkerTotals};
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use std::fmt;

/// What Prometheus negotiates for OpenMetrics.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Metrics for Prometheus
#[utoipa::path(get, path = "/metrics", tag = "overview", responses(
    (status = 200, description = "OpenMetrics text", body = String, content_type = "application/openmetrics-text"),
    (status = "default", description = "What is wrong", body = ProblemView, content_type = "application/problem+json"),
))]
pub(super) async fn metrics(State(sources): State<Sources>) -> Result<Response, Problem> {
    let figures = Figures {
        status: sources.asker.ask(Question::Status).await?,
        ike: sources.asker.ask(Question::Ike).await?,
        pools: sources.asker.ask(Question::Pools).await?,
        aaa: sources.aaa.view().await.map_err(NoAnswer::from)?,
        certificates: sources.asker.ask(Question::Certificates).await?,
        workers: sources.workers.iter().map(|(_, counters)| (counters.totals(), counters.burst_times())).collect(),
    };
    Ok(([(CONTENT_TYPE, HeaderValue::from_static(OPENMETRICS))], text(figures)).into_response())
}

/// All that is told, read at one time.
#[derive(Debug)]
struct Figures {
    status: StatusView,
    ike: IkeView,
    pools: Vec<PoolView>,
    aaa: DeskView,
    certificates: Vec<CertificateView>,
    workers: Vec<(WorkerTotals, BurstTimes)>,
}

fn text(figures: Figures) -> String {
    let mut registry = Registry::with_prefix("adit");
    registry.register_collector(Box::new(figures));
    let mut text = String::new();
    // Writing to a string does not fail.
    let _infallible: fmt::Result = encode(&mut text, &registry);
    text
}

type Labels = Vec<(&'static str, String)>;

/// Where metrics are written, one after the other.
struct Sheet<'a>(DescriptorEncoder<'a>);

impl Sheet<'_> {
    fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.0.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, _, f64>(&value, None)
    }

    fn gauges(&mut self, name: &str, help: &str, values: impl IntoIterator<Item = (Labels, u64)>) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        values.into_iter().try_for_each(|(labels, value)| metric.encode_family(&labels)?.encode_gauge(&value))
    }

    fn counters(&mut self, name: &str, help: &str, values: impl IntoIterator<Item = (Labels, u64)>) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        values.into_iter().try_for_each(|(labels, value)| {
            metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, f64>(&value, None)
        })
    }
}

impl Collector for Figures {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let sheet = &mut Sheet(encoder);
        self.daemon(sheet)?;
        self.engine(sheet)?;
        self.addresses(sheet)?;
        self.radius(sheet)?;
        self.ends(sheet)?;
        self.dataplane(sheet)
    }
}

fn label(name: &'static str, value: &str) -> Labels {
    vec![(name, value.to_owned())]
}

impl Figures {
    fn daemon(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let status = &self.status;
        let info = vec![("version", status.version.clone()), ("io", status.io.clone())];
        sheet.0.encode_descriptor("build", "What runs here", None, MetricType::Info)?.encode_info(&info)?;
        sheet.gauge("uptime_seconds", "Time since the start", status.up_seconds)?;
        let (up, pending) = (status.sessions as u64, status.sessions_pending as u64);
        let by_state = [(label("state", "up"), up), (label("state", "pending"), pending)];
        sheet.gauges("sessions", "Sessions, by whether they are up", by_state)?;
        sheet.gauge("child_sas", "Child SAs", status.sas as u64)?;
        sheet.gauge("half_open_ike_sas", "Logins whose client has not shown yet who it is", status.half_open as u64)?;
        sheet.gauge(
            "commands_waiting",
            "Commands that wait because a worker is busy",
            status.commands_waiting as u64,
        )?;
        sheet.gauge("shortcomings", "Things that the kernel or the privileges lack", status.lacks.len() as u64)
    }

    fn engine(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let ike = &self.ike;
        for (name, help, value) in [
            ("logins", "Peers that proved their identity and got a session", ike.logins),
            ("login_refusals", "Peers that were refused", ike.refusals),
            ("stalls_suspected", "cTCP connections that seemed to bring nothing of the client's", ike.stalls_suspected),
            ("stalls_ended", "Sessions that were ended for a stall", ike.stalls_ended),
            ("ike_datagrams_received", "IKE datagrams taken in", ike.received),
            ("ike_datagrams_sent", "IKE datagrams given out", ike.sent),
            ("ike_requests_repeated", "Requests of ours that were sent again", ike.asked_again),
            ("cookies_asked", "Clients that were asked for a cookie", ike.cookies_asked),
        ] {
            sheet.counter(name, help, value)?;
        }
        let help = "Time that a phase of a login took, of those that led on";
        let mut metric = sheet.0.encode_descriptor("login_phase_seconds", help, None, MetricType::Histogram)?;
        for phase in &ike.login_times {
            let seconds = |up_to: Option<u64>| up_to.map_or(f64::INFINITY, |millis| millis as f64 / 1e3);
            let buckets: Vec<(f64, u64)> =
                phase.buckets.iter().map(|bucket| (seconds(bucket.up_to_ms), bucket.count)).collect();
            let labels = vec![("ike", phase.ike.clone()), ("phase", phase.phase.clone())];
            let mut of_phase = metric.encode_family(&labels)?;
            of_phase.encode_histogram::<NoLabelSet>(phase.sum_us as f64 / 1e6, phase.count, &buckets, None)?;
        }
        let ignored = ike.ignored.iter().map(|reason| (label("reason", &reason.name), reason.total));
        sheet.counters("ike_ignored", "IKE datagrams that led to nothing, by reason", ignored)
    }

    fn addresses(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let each = |value: fn(&RangeView) -> u64| {
            let ranges = self.pools.iter().flat_map(|pool| pool.ranges.iter().map(move |range| (pool, range)));
            ranges.map(move |(pool, range)| {
                let family = if range.network.contains(':') { "ipv6" } else { "ipv4" };
                (vec![("pool", pool.name.clone()), ("family", family.to_owned())], value(range))
            })
        };
        sheet.gauges(
            "pool_addresses",
            "Addresses that clients can have, by pool and family",
            each(|range| range.size),
        )?;
        sheet.gauges("pool_addresses_in_use", "Addresses that sessions have", each(|range| range.in_use))?;
        sheet.gauges(
            "pool_addresses_held",
            "Addresses kept for clients that will be back",
            each(|range| range.held),
        )?;
        let help = "Addresses that are a [[user]]'s own, of those that clients can have";
        sheet.gauges("pool_addresses_reserved", help, each(|range| range.reserved))?;
        let help = "Addresses that are a [[user]]'s own, of those that sessions have";
        sheet.gauges("pool_addresses_reserved_in_use", help, each(|range| range.reserved_in_use))
    }

    fn radius(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let aaa = &self.aaa;
        sheet.counter("accounting_records_written", "Records that a RADIUS server has taken", aaa.records_written)?;
        sheet.counter("accounting_records_lost", "Records that were given up", aaa.records_lost)?;
        let labels = |line: &LineView| vec![("server", line.server.clone()), ("purpose", line.port.clone())];
        let each = |value: fn(&LineView) -> u64| aaa.servers.iter().map(move |line| (labels(line), value(line)));
        let known = aaa.servers.iter().filter(|line| line.state != "unknown");
        let up = known.map(|line| (labels(line), u64::from(line.state != "dead")));
        let help =
            "Whether the server answers (1) or did not when it was asked last (0); absent where that is long ago";
        sheet.gauges("radius_server_up", help, up)?;
        sheet.counters("radius_requests", "Requests, by server and purpose", each(|line| line.requests))?;
        sheet.counters("radius_requests_unanswered", "Requests that no answer came to", each(|line| line.unanswered))
    }

    fn ends(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let ends = self
            .certificates
            .iter()
            .map(|view| (vec![("used_for", view.used_for.clone()), ("subject", view.subject.clone())], view.not_after));
        let help = "When our certificates end, in seconds since 1970";
        sheet.gauges("certificate_not_after_timestamp_seconds", help, ends)
    }

    fn dataplane(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let totals: Vec<WorkerTotals> = self.workers.iter().map(|(totals, _)| totals.clone()).collect();
        let dropped = drops(&totals).into_iter().map(|view| (label("reason", &view.name), view.total));
        sheet.counters("packets_dropped", "Packets that ended here, by reason", dropped)?;
        let workers = || totals.iter().enumerate().map(|(index, totals)| (index.to_string(), totals));
        let turns = workers().flat_map(|(worker, of)| {
            let found = [("nothing", of.idle_turns), ("something", of.turns.saturating_sub(of.idle_turns))];
            found.map(|(what, n)| (vec![("worker", worker.clone()), ("found", what.to_owned())], n))
        });
        sheet.counters("worker_turns", "Turns taken, by what was found", turns)?;
        let packets = workers().flat_map(|(worker, of)| {
            let ways = [
                ("outer", "in", of.outer_received),
                ("outer", "out", of.outer_sent),
                ("inner", "in", of.inner_received),
                ("inner", "out", of.inner_sent),
            ];
            ways.map(|(side, way, n)| {
                (vec![("worker", worker.clone()), ("side", side.to_owned()), ("direction", way.to_owned())], n)
            })
        });
        sheet.counters("worker_packets", "Packets, by side and direction", packets)?;
        let waiting = workers().map(|(worker, of)| (vec![("worker", worker)], of.handoffs_waiting));
        sheet.gauges("worker_handoffs_waiting", "Packets that wait in the rings from other workers", waiting)?;
        let free = workers().map(|(worker, of)| (vec![("worker", worker)], of.buffers_free));
        sheet.gauges("worker_buffers_free", "Packet buffers that are free", free)?;
        let taken = workers().map(|(worker, of)| (vec![("worker", worker)], of.burst_packets));
        sheet.counters("worker_burst_packets", "Packets that turns began with", taken)?;
        let full = workers().map(|(worker, of)| (vec![("worker", worker)], of.full_bursts));
        sheet.counters("worker_full_bursts", "Turns that began with as many packets as a burst may have", full)?;
        let starved = workers().map(|(worker, of)| (vec![("worker", worker)], of.starved));
        sheet.counters("worker_starved", "Times that packets waited and no packet buffer was free", starved)?;
        let handed = workers().map(|(worker, of)| (vec![("worker", worker)], of.handed_off));
        sheet.counters("worker_packets_handed_off", "Packets handed to another worker", handed)?;
        let of_none = workers().map(|(worker, of)| (vec![("worker", worker)], of.unattributed));
        sheet.counters("worker_packets_unattributed", "Packets that are no flow's, the table being full", of_none)?;
        let displaced = workers().map(|(worker, of)| (vec![("worker", worker)], of.connections_displaced));
        let help = "TCP connections of no session that ended because newcomers needed their places";
        sheet.counters("worker_connections_displaced", help, displaced)?;
        let sum = |read: fn(&WorkerTotals) -> u64| totals.iter().map(read).sum::<u64>();
        let moved = [
            ("nat-t", sum(|of| of.moved_to_nat_t)),
            ("nat-t-500", sum(|of| of.moved_to_nat_t_500)),
            ("cisco-udp", sum(|of| of.moved_to_cisco_udp)),
            ("esp", sum(|of| of.moved_to_esp)),
            ("ctcp", sum(|of| of.moved_to_ctcp)),
            ("tcp", sum(|of| of.moved_to_tcp)),
        ];
        let moved = moved.map(|(transport, n)| (label("transport", transport), n));
        sheet.counters("sessions_moved", "Sessions that followed their client's ESP, by where to", moved)?;
        self.burst_times(sheet)
    }

    fn burst_times(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let help = "Time that a turn with something to do took";
        let mut metric = sheet.0.encode_descriptor("worker_burst_seconds", help, None, MetricType::Histogram)?;
        for (index, (_, times)) in self.workers.iter().enumerate() {
            let buckets: Vec<(f64, u64)> =
                times.buckets().map(|(up_to, n)| (up_to.map_or(f64::INFINITY, |time| time.as_secs_f64()), n)).collect();
            let labels = label("worker", &index.to_string());
            let mut worker = metric.encode_family(&labels)?;
            worker.encode_histogram::<NoLabelSet>(times.sum.as_secs_f64(), times.count(), &buckets, None)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ike::counters::EngineCounters;
    use crate::ike::engine::Holdings;
    use adit_dataplane::contract::WorkerCounters;
    use std::collections::BTreeSet;

    fn figures() -> Figures {
        let counters = WorkerCounters::default();
        counters.burst_took(std::time::Duration::from_micros(3));
        counters.burst_took(std::time::Duration::from_secs(1));
        let range = |name: &str| RangeView {
            network: name.to_owned(),
            size: 253,
            in_use: 7,
            held: 1,
            reserved: 5,
            reserved_in_use: 2,
        };
        Figures {
            status: StatusView::example(),
            ike: IkeView::new(Holdings::default(), &EngineCounters::default()),
            pools: vec![PoolView {
                name: "a \"strange\"\nname".to_owned(),
                ranges: vec![range("10.30.0.0/24"), range("fd30::/64")],
            }],
            aaa: DeskView::default(),
            certificates: Vec::new(),
            workers: vec![(counters.totals(), counters.burst_times())],
        }
    }

    #[test]
    fn of_a_server_that_nobody_asks_it_is_not_said_whether_it_is_up() {
        let line = |state: &str| LineView {
            server: format!("{state}:1812"),
            port: "logins".to_owned(),
            state: state.to_owned(),
            waiting: 0,
            requests: 1,
            repeats: 0,
            answers: 0,
            unanswered: 0,
            ignored: 0,
        };
        let servers = ["ready", "dead", "unknown"].map(line).into();
        let text = text(Figures { aaa: DeskView { servers, ..DeskView::default() }, ..figures() });
        let up: Vec<_> = text.lines().filter(|line| line.starts_with("adit_radius_server_up{")).collect();
        let of =
            |server: &str, up: u8| format!("adit_radius_server_up{{server=\"{server}:1812\",purpose=\"logins\"}} {up}");
        assert_eq!(up, [of("ready", 1), of("dead", 0)]);
        assert!(text.contains("adit_radius_requests_total{server=\"unknown:1812\",purpose=\"logins\"} 1"), "{text}");
    }

    #[test]
    fn each_series_is_there_once_and_the_text_is_whole() {
        let text = text(figures());
        assert!(text.ends_with("# EOF\n"), "{text}");
        let series: Vec<&str> =
            text.lines().filter(|line| !line.starts_with('#')).map(|line| line.rsplit_once(' ').unwrap().0).collect();
        let different: BTreeSet<_> = series.iter().collect();
        assert_eq!(different.len(), series.len(), "{text}");
        assert!(series.iter().all(|name| name.starts_with("adit_")), "{text}");
        for line in [
            "adit_build_info{version=\"0.1.0\",io=\"io_uring\"} 1",
            "adit_sessions{state=\"up\"} 2",
            "adit_logins_total 0",
            "adit_login_phase_seconds_bucket{le=\"0.25\",ike=\"v1\",phase=\"xauth\"} 0",
            "adit_login_phase_seconds_bucket{le=\"+Inf\",ike=\"v2\",phase=\"ike_auth\"} 0",
            "adit_pool_addresses_in_use{pool=\"a \\\"strange\\\"\\nname\",family=\"ipv6\"} 7",
            "adit_pool_addresses_reserved{pool=\"a \\\"strange\\\"\\nname\",family=\"ipv4\"} 5",
            "adit_pool_addresses_reserved_in_use{pool=\"a \\\"strange\\\"\\nname\",family=\"ipv4\"} 2",
            "adit_packets_dropped_total{reason=\"replayed\"} 0",
            "adit_worker_burst_seconds_count{worker=\"0\"} 2",
            "adit_worker_burst_seconds_bucket{le=\"+Inf\",worker=\"0\"} 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }
}
