//! Which files hold `unsafe`: those of `io/` that talk to the kernel by pointers, and no other.

use std::fs;
use std::path::Path;

const ALLOWED: [&str; 14] = [
    "io/clock.rs",
    "io/inner_steer.rs",
    "io/message.rs",
    "io/steer.rs",
    "io/system_calls/mod.rs",
    "io/system_calls/receiver.rs",
    "io/system_calls/sender.rs",
    "io/tun.rs",
    "io/udp.rs",
    "io/uring/buffers.rs",
    "io/uring/flight.rs",
    "io/uring/incoming.rs",
    "io/uring/ring.rs",
    "io/waker.rs",
];

#[test]
fn unsafe_code_is_where_the_list_says() {
    let mut found = Vec::new();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![source.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs")
                && has_unsafe(&fs::read_to_string(&path).unwrap())
            {
                found.push(path.strip_prefix(&source).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    assert_eq!(found, ALLOWED);
}

/// The keyword, not the lint's name nor a word in a comment.
fn has_unsafe(text: &str) -> bool {
    let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    code.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_')).any(|word| word == "unsafe")
}

#[test]
fn the_keyword_is_told_from_the_lint_and_the_comment() {
    assert!(has_unsafe("    let x = unsafe { y() };"));
    assert!(!has_unsafe("#![deny(unsafe_code)] // unsafe"));
}
