//! A capture's octets on their way to the disk.

use super::Progress;
use crate::disk::{self, NoRoom, Untaken, Writer, WriterState};
use std::collections::VecDeque;
use std::sync::Arc;

/// Hands pieces to the disk's thread, and knows which of them are in the file. What that thread has no room for waits here, and whoever
/// brings pieces is to bring none while any does.
pub(crate) struct Outgoing {
    /// Until the last piece is handed in.
    writer: Option<Writer>,
    progress: Arc<Progress>,
    /// Handed in or not, but not in the file yet, oldest first.
    under_way: VecDeque<Piece>,
    /// How many of them, counted from the newest, are not handed in.
    held: usize,
    /// Octets and packets in the file.
    in_file: (u64, u64),
}

/// Whole blocks.
struct Piece {
    /// Empty once handed in.
    octets: Vec<u8>,
    /// Octets of the file up to its end,
    end: u64,
    /// and packets.
    packets: u64,
}

/// Where the file stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is not there yet.
    Opening,
    /// It is there, and may not be whole.
    Growing,
    /// It is whole, and on the disk.
    Whole,
    /// The disk takes no more, for this reason. What is there are whole blocks.
    Failed(String),
}

impl Outgoing {
    pub(crate) fn new(writer: Writer) -> Self {
        let progress = Arc::new(Progress::of(writer.written()));
        Self { writer: Some(writer), progress, under_way: VecDeque::new(), held: 0, in_file: (0, 0) }
    }

    /// For those who read the file.
    pub(crate) fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// Takes a piece that ends where the file has so many octets and packets, and hands it in if it can.
    pub(crate) fn put(&mut self, octets: Vec<u8>, (end, packets): (u64, u64)) {
        if !octets.is_empty() {
            self.under_way.push_back(Piece { octets, end, packets });
            self.held += 1;
            self.hand_in();
        }
    }

    /// Hands in what waits, and whether all of it is.
    pub(crate) fn hand_in(&mut self) -> bool {
        while let Some(writer) = self.writer.as_mut().filter(|_| self.held > 0) {
            let Some(at) = self.under_way.len().checked_sub(self.held) else { break };
            let Some(piece) = self.under_way.get_mut(at) else { break };
            match writer.write(std::mem::take(&mut piece.octets)) {
                Ok(()) => self.held -= 1,
                Err(Untaken { why: NoRoom::Waiting, octets }) => {
                    piece.octets = octets;
                    return false;
                }
                // The file's state says why. Its limit is the capture's, which ends before.
                Err(Untaken { why: NoRoom::Failed | NoRoom::Limit, octets: _ }) => self.give_up(),
            }
        }
        true
    }

    /// Nothing more comes.
    pub(crate) fn finish(&mut self) {
        if self.hand_in() {
            self.writer = None;
        }
    }

    /// Where the file stands now.
    pub(crate) fn look(&mut self) -> Standing {
        let WriterState { written, progress } = self.progress.written().state();
        self.in_file.0 = written;
        while let Some(piece) = self.under_way.pop_front_if(|piece| piece.end <= written) {
            self.in_file.1 = piece.packets;
        }
        match progress {
            disk::Progress::Opening => Standing::Opening,
            disk::Progress::Open => Standing::Growing,
            disk::Progress::Finished => Standing::Whole,
            disk::Progress::Failed(why) => {
                self.give_up();
                Standing::Failed(why)
            }
        }
    }

    /// Octets and packets in the file, when it was looked at last.
    pub(crate) const fn in_file(&self) -> (u64, u64) {
        self.in_file
    }

    fn give_up(&mut self) {
        self.under_way.clear();
        self.held = 0;
    }
}
