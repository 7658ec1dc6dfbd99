use super::thread::Allowed;
use super::*;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const PATIENCE: Duration = Duration::from_secs(10);

/// By both means.
fn each(test: impl Fn(&Disk, &Path, Box<dyn FnOnce()>)) {
    for allowed in [Allowed::Ring, Allowed::Plain] {
        let folder = tempfile::tempdir().unwrap();
        let (disk, thread) = Disk::start_with(allowed).unwrap();
        test(&disk, folder.path(), Box::new(move || thread.end(PATIENCE)));
    }
}

/// Asks until it is so.
fn until(mut is_so: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if is_so() {
            return;
        }
        #[expect(clippy::disallowed_methods, reason = "another thread is waited for")]
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("it did not come about");
}

fn file(path: &Path) -> BTreeMap<String, String> {
    let text = |octets: Vec<u8>| String::from_utf8(octets).unwrap();
    let Found { content, end } = read(&std::fs::read(path).unwrap_or_default());
    assert_eq!(end, End::Whole);
    content.into_iter().map(|(key, value)| (text(key), text(value))).collect()
}

fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// Nothing of so many zeros was taken: they come back.
fn untaken(why: NoRoom, zeros: usize) -> Result<(), Untaken> {
    Err(Untaken { why, octets: vec![0; zeros] })
}

#[test]
fn pieces_are_written_in_order_into_a_private_file_that_was_not_there() {
    each(|disk, folder, end| {
        let path = folder.join("capture");
        let mut writer = disk.create(&path, 100);
        for piece in [&b"one "[..], b"two ", b"", b"three"] {
            writer.write(piece.to_vec()).unwrap();
        }
        assert_eq!(writer.write(vec![0; 88]), untaken(NoRoom::Limit, 88));
        until(|| writer.state() == WriterState { written: 13, progress: Progress::Open });
        let finished = writer.finish();
        until(|| finished.state().progress == Progress::Finished);
        assert_eq!(std::fs::read(&path).unwrap(), b"one two three");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        // Neither what is there already nor where a link leads.
        std::os::unix::fs::symlink(folder.join("elsewhere"), folder.join("link")).unwrap();
        for taken in [path, folder.join("link")] {
            let second = disk.create(&taken, 100);
            until(|| matches!(second.state().progress, Progress::Failed(_)));
        }
        assert!(!folder.join("elsewhere").exists());
        end();
    });
}

#[test]
fn what_waits_is_written_before_the_thread_ends_and_a_writer_that_is_left_has_finished() {
    each(|disk, folder, end| {
        let mut writer = disk.create(folder.join("capture"), u64::MAX);
        for _ in 0..100 {
            writer.write(vec![7; 10_000]).unwrap();
        }
        disk.replace(folder.join("small"), b"new".to_vec()).unwrap();
        end();
        assert_eq!(writer.state(), WriterState { written: 1_000_000, progress: Progress::Finished });
        assert_eq!(std::fs::read(folder.join("small")).unwrap(), b"new");
        assert_eq!(writer.write(vec![0]), untaken(NoRoom::Failed, 1));
        assert!(matches!(disk.create(folder.join("late"), 1).state().progress, Progress::Failed(_)));
    });
}

#[test]
fn more_than_may_wait_is_not_taken_and_the_room_comes_back() {
    let room = Arc::new(Room::of(1000));
    let (mut writer, task) = WriterTask::new("/nowhere/at/all".into(), u64::MAX, Arc::clone(&room));
    assert_eq!(writer.write(vec![0; 745]), untaken(NoRoom::Waiting, 745));
    assert_eq!(writer.write(vec![0; 400]), Ok(()));
    assert_eq!(writer.write(vec![0; 100]), untaken(NoRoom::Waiting, 100), "small pieces weigh something, too");
    drop(task);
    assert_eq!(room::take(&room, 744).map(drop), Ok(()));
}

#[test]
fn a_map_is_what_was_put_and_not_taken_out_and_starts_with_what_was_there() {
    each(|disk, folder, end| {
        let path = folder.join("map");
        let kept = disk.keep(&path, [(b"old".to_vec(), b"0".to_vec()), (b"gone".to_vec(), Vec::new())].into());
        kept.put(b"a".to_vec(), b"1".to_vec());
        until(|| path.exists() && file(&path) == map(&[("a", "1"), ("gone", ""), ("old", "0")]));
        kept.remove(b"gone".to_vec());
        kept.remove(b"never".to_vec());
        kept.put(b"a".to_vec(), b"2".to_vec());
        kept.put(b"long".to_vec(), vec![b'x'; record::MOST_VALUE + 1]);
        end();
        assert_eq!(file(&path), map(&[("a", "2"), ("old", "0")]));
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    });
}

#[test]
fn a_file_that_is_much_longer_than_its_map_is_written_anew() {
    each(|disk, folder, end| {
        let path = folder.join("map");
        let kept = disk.keep(&path, Content::new());
        let length = || path.metadata().map_or(0, |file| file.len());
        let (mut longest, mut shrank) = (0, false);
        until(|| {
            kept.put(b"key".to_vec(), vec![b'x'; 16_000]);
            let now = length();
            shrank |= now < longest;
            longest = longest.max(now);
            shrank
        });
        assert!(longest < 1 << 20, "{longest}");
        end();
        assert_eq!(file(&path)["key"].len(), 16_000);
    });
}

#[test]
fn what_cannot_be_written_is_told_and_written_once_it_can() {
    each(|disk, folder, end| {
        let folder = folder.join("later");
        let path = folder.join("map");
        let kept = disk.keep(&path, Content::new());
        until(|| !disk.troubles().is_empty());
        let trouble = disk.troubles().remove(0);
        assert_eq!((trouble.file, trouble.reason.contains("No such file")), (path.clone(), true));
        kept.put(b"a".to_vec(), b"1".to_vec());
        std::fs::create_dir(&folder).unwrap();
        until(|| disk.troubles().is_empty());
        assert_eq!(file(&path), map(&[("a", "1")]));
        end();
    });
}
