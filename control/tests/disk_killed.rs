//! A process that writes is killed at any moment, or its files may not grow: the file says what was written before, and the process goes
//! on with everything else. Each test runs itself again as a child.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use adit_control::capture::{CaptureFile, Limits, What};
use adit_control::disk::{Content, Disk, Found, NoRoom, Progress, Untaken, read};
use adit_dataplane::contract::{CaptureWay, Captured, Sight};
use adit_dataplane::time::Instant;
use pcap_file::pcapng::PcapNgReader;
use pcap_file::pcapng::blocks::block_common::Block;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Names the folder, for who is a child.
const FOLDER: &str = "ADIT_TEST_FOLDER";
const KEYS: u64 = 50;

fn folder_of_child() -> Option<PathBuf> {
    std::env::var_os(FOLDER).map(PathBuf::from)
}

fn child(test: &str, folder: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test]).env(FOLDER, folder).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

fn pause(milliseconds: u64) {
    #[expect(clippy::disallowed_methods, reason = "another process is waited for")]
    std::thread::sleep(Duration::from_millis(milliseconds));
}

fn until(mut is_so: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if is_so() {
            return;
        }
        pause(5);
    }
    panic!("it did not come about");
}

fn content(path: &Path) -> Content {
    let Found { content, .. } = read(&std::fs::read(path).unwrap_or_default());
    content
}

/// Counts up, in all keys one after the other; the file is written anew now and then.
fn count_for_ever(folder: &Path) -> ! {
    let path = folder.join("map");
    let (disk, _thread) = Disk::start().unwrap();
    let kept = disk.keep(&path, content(&path));
    for count in 0_u64.. {
        kept.put((count % KEYS).to_be_bytes().to_vec(), [&count.to_be_bytes()[..], &[7; 500]].concat());
        // Otherwise only the last of each key would ever be written.
        if count % KEYS == KEYS - 1 {
            pause(1);
        }
    }
    unreachable!("no counter is that long")
}

#[test]
fn a_writer_that_is_killed_at_any_moment_leaves_a_file_of_what_it_wrote() {
    if let Some(folder) = folder_of_child() {
        count_for_ever(&folder);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("map");
    let mut lengths = Vec::new();
    for round in 0..20 {
        std::fs::remove_file(&path).ok();
        let mut writer = child("a_writer_that_is_killed_at_any_moment_leaves_a_file_of_what_it_wrote", folder.path());
        until(|| !content(&path).is_empty());
        pause(round * 7 % 40);
        writer.kill().unwrap();
        writer.wait().unwrap();
        let content = content(&path);
        lengths.push(std::fs::metadata(&path).unwrap().len());
        // Each value is one that was put under this key, and they are of one or two times around.
        let counts: Vec<u64> = content
            .iter()
            .map(|(key, value)| {
                let key = u64::from_be_bytes(key[..].try_into().unwrap());
                let (count, rest) = value.split_first_chunk::<8>().unwrap();
                let count = u64::from_be_bytes(*count);
                assert_eq!((count % KEYS, rest), (key, &[7; 500][..]), "round {round}");
                count
            })
            .collect();
        assert_eq!(counts.len() as u64, KEYS, "round {round}");
    }
    assert!(lengths.iter().any(|length| *length > 600 * KEYS), "some were killed behind the beginning: {lengths:?}");
}

/// Packets with numbers, in pieces of some.
fn capture_for_ever(folder: &Path) -> ! {
    let (disk, _thread) = Disk::start().unwrap();
    let limits = Limits::new(None, Some(Limits::MOST_OCTETS), None).unwrap();
    let mut file = CaptureFile::new(What::Inner, limits, Duration::ZERO, "a test").unwrap();
    let mut writer = disk.create(folder.join("c1.pcapng"), Limits::MOST_OCTETS);
    for number in 0_u32.. {
        let octets = number.to_be_bytes().repeat(300);
        let (at, way, sight) = (Instant::ZERO, CaptureWay::Up, Sight::Inner);
        file.packet(&Captured { at, way, sight, len: 1200, octets, dropped: None }).unwrap();
        if number % 7 == 6 {
            let mut piece = file.take();
            while let Err(Untaken { why: NoRoom::Waiting, octets }) = writer.write(piece) {
                piece = octets;
                pause(1);
            }
        }
    }
    unreachable!("no capture is that long")
}

#[test]
fn a_capture_of_a_daemon_that_is_killed_is_read_up_to_its_last_whole_packet() {
    if let Some(folder) = folder_of_child() {
        capture_for_ever(&folder);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c1.pcapng");
    for round in 0..5 {
        std::fs::remove_file(&path).ok();
        let name = "a_capture_of_a_daemon_that_is_killed_is_read_up_to_its_last_whole_packet";
        let mut writer = child(name, folder.path());
        until(|| path.metadata().is_ok_and(|file| file.len() > 20_000));
        pause(round * 7);
        writer.kill().unwrap();
        writer.wait().unwrap();
        let octets = std::fs::read(&path).unwrap();
        let mut reader = PcapNgReader::new(&octets[..]).unwrap();
        let mut packets = 0_u32;
        while let Some(Ok((block, _))) = reader.next_block() {
            if let Block::EnhancedPacket(packet) = block {
                assert_eq!(packet.data[..], packets.to_be_bytes().repeat(300), "round {round}");
                packets += 1;
            }
        }
        // Nothing but the last piece may be cut short.
        assert!(octets.len() - packets as usize * 1244 < 9000, "{packets} packets in {} octets", octets.len());
    }
}

/// No file may be longer. The kernel says so by a signal, too.
fn limit(octets: Option<u64>) {
    let Rlimit { maximum, .. } = getrlimit(Resource::Fsize);
    setrlimit(Resource::Fsize, Rlimit { current: octets.or(maximum), maximum }).unwrap();
}

fn write_beyond_the_limit(folder: &Path) {
    let seen = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, seen).unwrap();
    let path = folder.join("map");
    let (disk, thread) = Disk::start().unwrap();
    let kept = disk.keep(&path, Content::new());
    until(|| path.exists());
    limit(Some(4096));
    for key in 0..20_u8 {
        kept.put(vec![key], vec![7; 1000]);
    }
    until(|| !disk.troubles().is_empty());
    let reason = disk.troubles().remove(0).reason;
    assert!(reason.contains("File too large"), "{reason}");
    let before = content(&path);
    assert!(before.len() < 20 && before.values().all(|value| *value == [7; 1000]), "only whole records");
    // More that has to wait, and something that goes on meanwhile.
    kept.remove(vec![0]);
    kept.put(vec![99], vec![9]);
    disk.replace(folder.join("small"), b"goes on".to_vec()).unwrap();
    until(|| std::fs::read(folder.join("small")).is_ok_and(|octets| octets == b"goes on"));
    assert_eq!(disk.troubles().len(), 1);
    limit(None);
    until(|| disk.troubles().is_empty());
    thread.end(Duration::from_secs(10));
    let after = content(&path);
    assert_eq!((after.len(), after.contains_key(&[0][..]), &after[&[99][..]]), (20, false, &vec![9]));
}

fn write_pieces_beyond_the_limit(folder: &Path) {
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, std::sync::Arc::default()).unwrap();
    let path = folder.join("pieces");
    let (disk, _thread) = Disk::start().unwrap();
    limit(Some(4500));
    let mut writer = disk.create(&path, 1 << 20);
    while writer.write(vec![7; 1000]).is_ok() {
        pause(1);
    }
    let state = writer.state();
    assert!(matches!(&state.progress, Progress::Failed(why) if why.contains("File too large")), "{state:?}");
    assert_eq!((state.written, path.metadata().unwrap().len()), (4000, 4000));
}

#[test]
fn of_a_file_that_finds_no_room_whole_pieces_stay() {
    if let Some(folder) = folder_of_child() {
        return write_pieces_beyond_the_limit(&folder);
    }
    let folder = tempfile::tempdir().unwrap();
    let mut writer = child("of_a_file_that_finds_no_room_whole_pieces_stay", folder.path());
    assert!(writer.wait().unwrap().success());
}

#[test]
fn what_finds_no_room_is_written_once_there_is_some() {
    if let Some(folder) = folder_of_child() {
        return write_beyond_the_limit(&folder);
    }
    let folder = tempfile::tempdir().unwrap();
    let mut writer = child("what_finds_no_room_is_written_once_there_is_some", folder.path());
    assert!(writer.wait().unwrap().success());
}
