use super::*;
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_directory_is_made_private_and_is_one_daemons() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("a/b");
    let folder = Folder::open(&path).unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    assert!(matches!(Folder::open(&path), Err(NoState::InUse)));
    drop(folder);
    assert!(Folder::open(&path).is_ok());
}

#[test]
fn a_directory_that_others_can_write_to_or_that_is_none_is_not_used() {
    let parent = tempfile::tempdir().unwrap();
    fs::set_permissions(parent.path(), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(matches!(Folder::open(parent.path()), Err(NoState::OpenToOthers(0o777))));
    fs::set_permissions(parent.path(), fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(parent.path().join("file"), "").unwrap();
    let error = Folder::open(&parent.path().join("file")).unwrap_err();
    assert!(matches!(error, NoState::System { .. }), "{error}");
    let trouble = open(Some(&parent.path().join("file/below"))).unwrap().unwrap_err();
    assert!(trouble.reason.starts_with("making the directory: "), "{}", trouble.reason);
    assert!(open(None).is_none());
}

#[test]
fn a_file_that_cannot_be_read_is_put_aside_before_another_takes_its_place() {
    let parent = tempfile::tempdir().unwrap();
    let folder = Folder::open(parent.path()).unwrap();
    // It opens, and reading it fails.
    fs::create_dir(folder.file(LEASES)).unwrap();
    assert_eq!(folder.read(LEASES), Content::new());
    assert!(!folder.file(LEASES).exists());
    assert!(folder.file("leases.damaged").is_dir());
}

#[test]
fn a_damaged_file_is_used_up_to_the_damage_and_put_aside() {
    let parent = tempfile::tempdir().unwrap();
    let folder = Folder::open(parent.path()).unwrap();
    assert_eq!(folder.read(LEASES), Content::new());
    let (disk, thread) = Disk::start().unwrap();
    disk.keep(folder.file(LEASES), [(b"a".to_vec(), b"1".to_vec()), (b"b".to_vec(), b"2".to_vec())].into());
    thread.end(Duration::from_secs(10));
    let whole = fs::read(folder.file(LEASES)).unwrap();
    // Killed while writing: nothing is said, nothing is put aside.
    fs::write(folder.file(LEASES), &whole[..whole.len() - 1]).unwrap();
    assert_eq!(folder.read(LEASES), [(b"a".to_vec(), b"1".to_vec())].into());
    assert!(!folder.file("leases.damaged").exists());
    let mut damaged = whole;
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    fs::write(folder.file(LEASES), &damaged).unwrap();
    assert_eq!(folder.read(LEASES), [(b"a".to_vec(), b"1".to_vec())].into());
    assert_eq!(fs::read(folder.file("leases.damaged")).unwrap(), damaged);
}
