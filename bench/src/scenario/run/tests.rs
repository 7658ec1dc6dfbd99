use super::*;
use crate::scenario::folder;

/// Tests run side by side in one process, so its id alone makes no prefix.
static TESTS: AtomicU32 = AtomicU32::new(1_000_000);

/// A rig without aditd, and one scenario with this script.
fn rig_with(script: &str) -> (tempfile::TempDir, Rig, Scenario) {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("scenarios/one");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("description.md"), "# One\n").unwrap();
    fs::write(folder.join("must-hold.sh"), script).unwrap();
    fs::write(folder.join("settings"), "TIMEOUT=2\n").unwrap();
    let scenario = folder::discover(&place.path().join("scenarios")).unwrap().remove(0);
    let rig = Rig {
        runs: place.path().join("runs"),
        down: Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/rig/down.sh"),
        aditd: PathBuf::new(),
        aditctl: PathBuf::new(),
        bench: PathBuf::new(),
        headend: Headend::Adit,
        keep_logs: place.path().join("logs"),
        runs_begun: AtomicU32::new(TESTS.fetch_add(1, Relaxed)),
    };
    (place, rig, scenario)
}

/// The verdict on a script, without asking what the machine has: these scripts need nothing.
fn judge(script: &str) -> (Verdict, tempfile::TempDir) {
    let (place, rig, scenario) = rig_with(script);
    let prefix = format!("adit-{}-{}", std::process::id(), rig.runs_begun.load(Relaxed));
    let verdict = rig.verdict(&scenario, &Stop::default(), &prefix, &rig.runs.join(&prefix));
    (verdict, place)
}

/// Whether a process runs whose command line holds this.
fn runs(needle: &str) -> bool {
    fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        fs::read(entry.path().join("cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(needle))
    })
}

#[test]
fn a_script_that_ends_well_and_held_something_has_passed() {
    assert_eq!(judge("echo 'holds: one is one'").0, Verdict::Passed);
}

#[test]
fn a_script_that_held_nothing_has_failed() {
    assert_eq!(judge("exit 0").0, Verdict::Failed("it holds nothing".to_owned()));
}

#[test]
fn a_script_that_ends_badly_has_failed_with_its_reason() {
    let (verdict, _place) = judge("echo 'holds: one'; echo two is not three > \"$ADIT_RUN_DIR/reason\"; exit 1");
    assert_eq!(verdict, Verdict::Failed("two is not three".to_owned()));
    let (verdict, _place) = judge("echo 'holds: one'; kill -9 $$");
    assert!(matches!(verdict, Verdict::Failed(reason) if reason.contains("signal: 9")));
}

#[test]
fn a_script_that_says_that_it_cannot_run_is_skipped() {
    assert_eq!(
        judge("echo no such kernel > \"$ADIT_RUN_DIR/reason\"; exit 77").0,
        Verdict::Skipped("no such kernel".to_owned())
    );
}

#[test]
fn a_script_that_takes_too_long_has_failed_and_leaves_no_process() {
    // A second process in a group of its own, deaf to SIGTERM.
    let script = "echo 'holds: one'; setsid bash -c \"trap '' TERM; while :; do sleep 4242.1; done\" & sleep 4242.2";
    let (verdict, _place) = judge(script);
    let Verdict::Failed(reason) = verdict else { panic!("{verdict:?}") };
    assert!(reason.starts_with("took longer than 2 s; the last line: holds: one"), "{reason}");
    assert!(!runs("sleep\x004242."), "a process of the script still runs");
}

#[test]
fn what_a_script_leaves_running_is_removed_even_if_it_passed() {
    let (verdict, _place) = judge("echo 'holds: one'; (setsid sleep 4343.1 &)");
    assert_eq!(verdict, Verdict::Passed);
    assert!(!runs("sleep\x004343."), "a process of the script still runs");
}

#[test]
fn logs_of_a_failed_one_are_kept_without_payloads() {
    let script = "mkdir \"$ADIT_RUN_DIR/c1\"; echo x > \"$ADIT_RUN_DIR/c1/log\"; echo y > \"$ADIT_RUN_DIR/payload-1\"; echo last; exit 1";
    let (place, rig, scenario) = rig_with(script);
    let prefix = format!("adit-{}-{}", std::process::id(), rig.runs_begun.load(Relaxed));
    let run = rig.runs.join(&prefix);
    let verdict = rig.verdict(&scenario, &Stop::default(), &prefix, &run);
    assert!(matches!(verdict, Verdict::Failed(_)));
    let kept = logs::keep(&run, &rig.keep_logs, "one").unwrap();
    assert_eq!(kept.last_lines, ["last"]);
    assert!(kept.folder.starts_with(place.path().canonicalize().unwrap()));
    assert!(kept.folder.join("c1/log").is_file() && !kept.folder.join("payload-1").exists());
}
