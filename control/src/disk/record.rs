//! A map as records, one behind the other: what was put in and taken out, in order.
//!
//! ```text
//!  magic and version (8)  │ length (4) │ CRC-32 (4) │ kind (1) │ key's length (2) │ key │ value │ length …
//!                                        of length and ────────── length octets ────────────────
//! ```
//!
//! Numbers are little-endian. A file that was cut anywhere reads as what was written before: the last record is torn and the others
//! are whole. No octet of it is believed before the CRC says so.

use std::collections::BTreeMap;

/// The last octet is the version.
const MAGIC: [u8; 8] = *b"aditmap\x01";
/// Length and CRC.
const HEAD: usize = 8;
/// Kind and key's length.
const BODY_HEAD: usize = 3;
/// The longest key.
pub(super) const MOST_KEY: usize = 1024;
/// The longest value.
pub(super) const MOST_VALUE: usize = 16 << 10;
/// Entries of a map; those that come when it is full are left out.
pub(super) const MOST_ENTRIES: usize = 262_144;

const PUT: u8 = 1;
const REMOVE: u8 = 2;

/// What a map holds.
pub type Content = BTreeMap<Vec<u8>, Vec<u8>>;

/// How a file ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With a whole record.
    Whole,
    /// In a record, or in zeros: whoever wrote it was killed, or power was lost.
    Torn,
    /// Something else is there, or another version has written it. What is behind this octet is not read.
    Damaged {
        /// From the beginning of the file.
        at: usize,
    },
}

/// What a file says.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// Up to its end, or to what cannot be read.
    pub content: Content,
    /// How it ends.
    pub end: End,
}

/// Reads a file. It never fails: what cannot be read is the end.
pub fn read(octets: &[u8]) -> Found {
    let mut content = Content::new();
    let Some(mut rest) = octets.strip_prefix(&MAGIC) else {
        let end = if MAGIC.starts_with(octets) || is_blank(octets) { End::Torn } else { End::Damaged { at: 0 } };
        return Found { content, end };
    };
    loop {
        match next(rest) {
            Next::Record { change, behind } => {
                match change {
                    Change::Put(key, value) if content.len() < MOST_ENTRIES || content.contains_key(key) => {
                        content.insert(key.to_vec(), value.to_vec());
                    }
                    Change::Put(..) => {}
                    Change::Remove(key) => drop(content.remove(key)),
                }
                rest = behind;
            }
            Next::Nothing => return Found { content, end: End::Whole },
            Next::Torn => return Found { content, end: End::Torn },
            Next::Damaged => return Found { content, end: End::Damaged { at: octets.len() - rest.len() } },
        }
    }
}

/// A whole map, as a file begins with it.
pub(super) fn snapshot(content: &Content) -> Vec<u8> {
    let mut octets = MAGIC.to_vec();
    for (key, value) in content {
        put(&mut octets, key, value);
    }
    octets
}

/// Octets that an entry takes.
pub(super) fn weight(key: &[u8], value: &[u8]) -> u64 {
    (HEAD + BODY_HEAD + key.len() + value.len()) as u64
}

/// Adds a record: this key has this value from now on.
pub(super) fn put(octets: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    record(octets, PUT, key, value);
}

/// Adds a record: this key has no value any more.
pub(super) fn remove(octets: &mut Vec<u8>, key: &[u8]) {
    record(octets, REMOVE, key, &[]);
}

fn record(octets: &mut Vec<u8>, kind: u8, key: &[u8], value: &[u8]) {
    let Ok(key_length) = u16::try_from(key.len()) else { return };
    let Ok(length) = u32::try_from(BODY_HEAD + key.len() + value.len()) else { return };
    let body = [&[kind], &key_length.to_le_bytes()[..], key, value].concat();
    octets.extend(length.to_le_bytes());
    octets.extend(crc(length, &body).to_le_bytes());
    octets.extend(body);
}

fn crc(length: u32, body: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&length.to_le_bytes());
    crc.update(body);
    crc.finalize()
}

enum Next<'a> {
    Record { change: Change<'a>, behind: &'a [u8] },
    Nothing,
    Torn,
    Damaged,
}

enum Change<'a> {
    Put(&'a [u8], &'a [u8]),
    Remove(&'a [u8]),
}

fn next(octets: &[u8]) -> Next<'_> {
    if octets.is_empty() {
        return Next::Nothing;
    }
    // File systems leave such a tail when power is lost between a length and its octets.
    if octets.first() == Some(&0) && is_blank(octets) {
        return Next::Torn;
    }
    let Some((length, behind)) = octets.split_first_chunk::<4>() else { return Next::Torn };
    let Some((said, behind)) = behind.split_first_chunk::<4>() else { return Next::Torn };
    let length = u32::from_le_bytes(*length);
    let Some(whole) = usize::try_from(length).ok().filter(|whole| *whole <= BODY_HEAD + MOST_KEY + MOST_VALUE) else {
        return Next::Damaged;
    };
    let Some((body, behind)) = behind.split_at_checked(whole) else { return Next::Torn };
    match change(body) {
        Some(change) if crc(length, body) == u32::from_le_bytes(*said) => Next::Record { change, behind },
        Some(_) | None => Next::Damaged,
    }
}

fn change(body: &[u8]) -> Option<Change<'_>> {
    let (kind, body) = body.split_first()?;
    let (length, body) = body.split_first_chunk::<2>()?;
    let (key, value) = body.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
    match (*kind, value) {
        (PUT, value) => Some(Change::Put(key, value)),
        (REMOVE, []) => Some(Change::Remove(key)),
        (_, _) => None,
    }
}

fn is_blank(octets: &[u8]) -> bool {
    octets.iter().all(|octet| *octet == 0)
}

const _: () = assert!(HEAD == 4 + 4 && MOST_KEY <= u16::MAX as usize);

#[cfg(test)]
mod tests {
    use super::*;
    use bolero::check;

    /// What was done, the file of it, and where each record ends.
    fn written(steps: u8) -> (Vec<Content>, Vec<u8>, Vec<usize>) {
        let mut octets = MAGIC.to_vec();
        let (mut content, mut all, mut ends) = (Content::new(), vec![Content::new()], vec![octets.len()]);
        for step in 0..steps {
            let (key, value) = (vec![b'k', step % 5], vec![step; usize::from(step)]);
            match step % 4 {
                3 => {
                    remove(&mut octets, &key);
                    content.remove(&key);
                }
                _puts => {
                    put(&mut octets, &key, &value);
                    content.insert(key, value);
                }
            }
            all.push(content.clone());
            ends.push(octets.len());
        }
        (all, octets, ends)
    }

    #[test]
    fn a_file_that_is_cut_at_any_octet_reads_as_what_was_written_before() {
        let (all, octets, ends) = written(24);
        assert_eq!(read(&octets), Found { content: all.last().unwrap().clone(), end: End::Whole });
        for cut in 0..=octets.len() {
            let found = read(&octets[..cut]);
            let whole = ends.iter().filter(|end| **end <= cut).count();
            let expected = whole.checked_sub(1).map(|at| &all[at]);
            assert_eq!(Some(&found.content), expected.or(Some(&Content::new())), "cut at {cut}");
            let at_a_record = ends.contains(&cut);
            assert_eq!(found.end, if at_a_record { End::Whole } else { End::Torn }, "cut at {cut}");
            // Power lost: the rest is there, and nothing is in it.
            let mut blank = octets[..cut].to_vec();
            blank.resize(octets.len(), 0);
            assert!(all.contains(&read(&blank).content), "blank from {cut}");
        }
    }

    #[test]
    fn whatever_bit_is_flipped_what_is_read_is_what_was_written_up_to_there() {
        let (all, octets, ends) = written(24);
        for at in 0..octets.len() {
            for bit in 0..8 {
                let mut flipped = octets.clone();
                flipped[at] ^= 1 << bit;
                let found = read(&flipped);
                let whole = ends.iter().filter(|end| **end <= at).count();
                let expected = whole.checked_sub(1).map_or_else(Content::new, |at| all[at].clone());
                assert_eq!(found.content, expected, "octet {at} bit {bit}");
                assert_ne!(found.end, End::Whole, "octet {at} bit {bit}");
            }
        }
    }

    #[test]
    fn what_another_version_wrote_is_not_read_and_what_is_too_long_neither() {
        assert_eq!(read(b"aditmap\x02rest").end, End::Damaged { at: 0 });
        assert_eq!(read(b"").end, End::Torn);
        let mut octets = MAGIC.to_vec();
        put(&mut octets, b"key", &[7; MOST_VALUE + MOST_KEY]);
        assert_eq!(read(&octets).end, End::Damaged { at: MAGIC.len() });
    }

    #[test]
    fn any_octets_of_a_state_file_are_read_without_panic_and_read_back_the_same() {
        check!().for_each(|octets| {
            for octets in [octets.to_vec(), [&MAGIC, octets].concat()] {
                let Found { content, .. } = read(&octets);
                let again = read(&snapshot(&content));
                assert_eq!((again.content, again.end), (content, End::Whole));
            }
        });
    }
}
