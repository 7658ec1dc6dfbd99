use super::*;
use clap::Parser;

#[derive(Parser)]
struct Alone {
    #[command(flatten)]
    args: StallArgs,
}

fn asked(arguments: &[&str]) -> Vec<Cell> {
    cells(&Alone::try_parse_from([&["stall"][..], arguments].concat()).unwrap().args)
}

fn cell(change: &str) -> Measured {
    let mut cell = serde_json::json!({
        "box": "in-order", "loss_leg": "client-box", "loss_percent": 0.5, "mode": "adaptive", "client": "legacy", "direction": "both",
        "delivered_up": 30.0, "delivered_down": 99.8, "longest_gap_s": 7.0, "dead_at_s": 3.0, "ended_cleanly_s": null, "ended_at_headend_s": null,
        "segments_lost": 9, "up": [150, 0], "down": [150, 149]
    });
    let change: serde_json::Value = serde_json::from_str(change).unwrap();
    cell.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    serde_json::from_value(cell).unwrap()
}

#[test]
fn everything_is_six_boxes_by_nine_losses_by_two_modes_by_two_clients_by_three_directions() {
    assert_eq!(asked(&[]).len(), 6 * (1 + 2 * 4) * 2 * 2 * 3);
    assert_eq!(asked(&["--box", "haproxy,router", "--loss", "0", "--mode", "adaptive", "--direction", "up"]).len(), 4);
    assert!(Alone::try_parse_from(["stall", "--loss", "51"]).is_err());
}

#[test]
fn packets_one_way_alone_fill_a_long_line_unless_the_box_waits_or_keeps_windows_small() {
    let far = |arguments: &[&str]| asked(arguments).iter().map(|cell| cell.line(300)).collect::<Vec<_>>();
    let near = cell::Line { far: 0, rate: 300 };
    assert!(far(&["--direction", "both"]).iter().all(|line| *line == near));
    assert!(far(&["--box", "in-order,haproxy,haproxy-transparent,synproxy"]).iter().all(|line| *line == near));
    let mean = (100 + 300 + 700 + 1100 + 1300) / 5;
    for line in far(&["--box", "router,conntrack", "--direction", "up,down"]) {
        assert!(line.far * 2 * line.rate / 1000 * mean > 128 * 1024, "{line:?}");
    }
}

#[test]
fn a_cell_reaches_its_aim_or_not() {
    for (change, aim) in [
        // Incurable: it must end soon.
        ("{}", Aim::Missed),
        (r#"{"ended_cleanly_s": 12.9}"#, Aim::Reached),
        (r#"{"ended_cleanly_s": 13.1}"#, Aim::Missed),
        (r#"{"ended_at_headend_s": 12.9}"#, Aim::Missed),
        (r#"{"box": "haproxy", "ended_at_headend_s": 12.9}"#, Aim::Reached),
        (r#"{"box": "haproxy", "ended_at_headend_s": 13.1}"#, Aim::Missed),
        (r#"{"ended_cleanly_s": 1.9}"#, Aim::Missed),
        (r#"{"ended_cleanly_s": 2.1}"#, Aim::Reached),
        (r#"{"dead_at_s": null}"#, Aim::Reached),
        // Curable from the headend.
        (r#"{"loss_leg": "headend-box", "delivered_up": 100.0, "dead_at_s": null}"#, Aim::Reached),
        (r#"{"loss_leg": "headend-box", "delivered_up": 98.0, "dead_at_s": null}"#, Aim::Missed),
        (r#"{"box": "router", "loss_percent": 2.0, "delivered_up": 97.1, "dead_at_s": null}"#, Aim::Reached),
        (r#"{"box": "router", "delivered_up": 99.9}"#, Aim::Missed),
        (r#"{"box": "haproxy", "loss_leg": "none", "direction": "down", "ended_at_headend_s": 12.9}"#, Aim::Reached),
        (r#"{"box": "haproxy", "loss_leg": "none", "direction": "down"}"#, Aim::Missed),
        (r#"{"box": "router", "delivered_up": null, "delivered_down": null, "dead_at_s": null}"#, Aim::Missed),
        // Nothing was lost where seven of 1400 should have been; of 1398 it may be chance, and what nobody sends cannot be lost.
        (r#"{"segments_lost": 0, "up": [700, 700], "dead_at_s": null}"#, Aim::Missed),
        (r#"{"segments_lost": 0, "up": [700, 698], "dead_at_s": null}"#, Aim::Reached),
        (
            r#"{"segments_lost": 0, "up": null, "down": [700, 700], "delivered_up": null, "direction": "down", "dead_at_s": null}"#,
            Aim::Reached,
        ),
        (
            r#"{"segments_lost": 0, "loss_leg": "box-client", "down": [700, 700], "delivered_up": 100.0, "dead_at_s": null}"#,
            Aim::Missed,
        ),
        (
            r#"{"segments_lost": 0, "loss_leg": "none", "loss_percent": 0.0, "up": [700, 700], "delivered_up": 100.0, "dead_at_s": null}"#,
            Aim::Reached,
        ),
        (r#"{"segments_lost": 0, "mode": "stateless", "box": "router", "up": [700, 700]}"#, Aim::Missed),
        // Nobody's.
        (r#"{"box": "haproxy", "loss_leg": "none"}"#, Aim::None),
        (r#"{"mode": "stateless", "client": "repaired"}"#, Aim::None),
        (r#"{"mode": "stateless", "box": "router"}"#, Aim::None),
        // The control: it must die.
        (r#"{"mode": "stateless"}"#, Aim::Reached),
        (r#"{"mode": "stateless", "dead_at_s": null}"#, Aim::Missed),
        (r#"{"mode": "stateless", "loss_leg": "headend-box", "dead_at_s": null}"#, Aim::Missed),
        (r#"{"mode": "stateless", "loss_leg": "headend-box", "direction": "up", "dead_at_s": null}"#, Aim::None),
        // Both ends.
        (r#"{"client": "repaired", "delivered_up": 99.1, "dead_at_s": null}"#, Aim::Reached),
        (r#"{"client": "repaired", "delivered_up": 96.1, "dead_at_s": null}"#, Aim::Missed),
        (r#"{"client": "repaired", "delivered_up": 96.1, "dead_at_s": null, "loss_percent": 2.0}"#, Aim::Reached),
    ] {
        assert_eq!(cell(change).aim(), aim, "{change}");
    }
}

#[test]
fn the_json_has_the_documented_names_and_the_page_a_picture_for_each_direction() {
    let cell = cell(r#"{"loss_leg": "none"}"#);
    let json = serde_json::to_value(&cell).unwrap();
    let names: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
    let wanted = [
        "box",
        "client",
        "dead_at_s",
        "delivered_down",
        "delivered_up",
        "direction",
        "ended_at_headend_s",
        "ended_cleanly_s",
        "longest_gap_s",
        "loss_leg",
        "loss_percent",
        "mode",
        "segments_lost",
    ];
    assert_eq!(names, wanted);
    let page = html::page(&[cell]);
    assert_eq!((page.matches("<polyline").count(), page.contains("160.0,27.0")), (2, true));
}
