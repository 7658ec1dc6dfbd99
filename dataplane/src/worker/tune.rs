//! Working otherwise, without a stop.

use super::Worker;
use crate::contract::{Tuning, TunnelRules};
use crate::io::Door;

impl<D: Door> Worker<D> {
    /// What was allocated at start stays as large as it is.
    pub(super) fn tune(&mut self, tuning: &Tuning) {
        let Tuning { burst, spin, coalesce, rules, moves_per_minute, ctcp } = tuning;
        self.limit = (*burst).clamp(1, self.small);
        self.door.tune(*spin, *coalesce);
        // Which sockets there are was decided by DF.
        self.rules = TunnelRules { df: self.rules.df, ..*rules };
        self.sad.pace(*moves_per_minute);
        if let (Some(ctcp), Some(tuning)) = (&mut self.ctcp, ctcp) {
            ctcp.tune(*tuning);
        }
    }
}
