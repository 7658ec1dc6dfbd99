//! Where a page of flows ends.

use adit_dataplane::contract::WorkerId;
use std::fmt;
use std::str::FromStr;

/// A place in a worker's table. Flows keep their places, so who goes on from here misses none that is still there, and sees none again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FlowCursor {
    /// The worker.
    pub worker: WorkerId,
    /// The first place that was not looked at.
    pub place: u32,
}

impl FlowCursor {
    /// Before all flows.
    pub const START: Self = Self { worker: WorkerId(0), place: 0 };
}

impl fmt::Display for FlowCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "w{}-{}", self.worker.0, self.place)
    }
}

/// It is not a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no page's `next`: that looks like \"w0-128\"")]
pub struct NoFlowCursor;

impl FromStr for FlowCursor {
    type Err = NoFlowCursor;

    fn from_str(text: &str) -> Result<Self, NoFlowCursor> {
        let (worker, place) = text.strip_prefix('w').and_then(|rest| rest.split_once('-')).ok_or(NoFlowCursor)?;
        let worker = WorkerId(worker.parse().map_err(|_| NoFlowCursor)?);
        Ok(Self { worker, place: place.parse().map_err(|_| NoFlowCursor)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_that_is_written_is_read_back_and_nothing_else_is_one() {
        for (worker, place) in [(0, 0), (63, u32::MAX)] {
            let cursor = FlowCursor { worker: WorkerId(worker), place };
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        for text in ["", "w", "w0", "w0-", "w-1", "c0-7", "w256-0", "w0-4294967296", "w0-1-2"] {
            assert_eq!(text.parse::<FlowCursor>(), Err(NoFlowCursor), "{text}");
        }
    }
}
