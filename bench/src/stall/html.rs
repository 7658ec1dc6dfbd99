//! The matrix as a page that needs nothing else: the table, and for each cell what arrived over time.

use super::cell::{Aim, Measured};
use std::fmt::Write as _;

const HEAD: &str = "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>\
<title>adit: stall matrix</title><style>:root{color-scheme:light dark}body{font:14px system-ui;margin:1rem}\
table{border-collapse:collapse}td,th{padding:.2rem .6rem;text-align:left;border-bottom:1px solid #8884}\
.missed{color:#c22;font-weight:bold}svg{display:block}.up{stroke:#27c}.down{stroke:#d72}\
polyline{fill:none;stroke-width:1.5}</style><h1>What arrives through which box</h1>\
<p><b style='color:#27c'>from the client</b>, <b style='color:#d72'>to the client</b>, packets in each half second.</p>\
<table><tr><th>box<th>loss<th>mode<th>client<th>direction<th>up %<th>down %<th>longest gap s<th>dead at s<th>ended at s<th>at the headend s<th>aim<th>over time";

/// Width and height of a cell's picture.
const WIDTH: f64 = 160.0;
const HEIGHT: f64 = 28.0;

/// The whole page.
pub(super) fn page(measured: &[Measured]) -> String {
    let mut page = HEAD.to_owned();
    for cell in measured {
        let class = if cell.aim() == Aim::Missed { " class=missed" } else { "" };
        let _ = write!(page, "<tr{class}>");
        for text in cell.row() {
            let _ = write!(page, "<td>{text}");
        }
        let most = [&cell.up, &cell.down].into_iter().flatten().flatten().copied().max().unwrap_or(0);
        let _ = write!(page, "<td><svg width={WIDTH} height={HEIGHT} role=img aria-label='packets over time'>");
        for (class, buckets) in [("up", &cell.up), ("down", &cell.down)] {
            let points = buckets.as_deref().map(|buckets| points(buckets, most)).unwrap_or_default();
            let _ = write!(page, "<polyline class={class} points='{points}'/>");
        }
        page.push_str("</svg>");
    }
    page.push_str("</table>\n");
    page
}

fn points(buckets: &[u32], most: u32) -> String {
    let step = WIDTH / (buckets.len().max(2) - 1) as f64;
    let height = |count: u32| (HEIGHT - 2.0) * (1.0 - f64::from(count) / f64::from(most.max(1))) + 1.0;
    let point = |(at, count): (usize, &u32)| format!("{:.1},{:.1} ", at as f64 * step, height(*count));
    buckets.iter().enumerate().map(point).collect()
}
