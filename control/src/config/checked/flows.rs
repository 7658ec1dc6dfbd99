//! The table of flows inside tunnels.

/// How many flows are held, and which packets are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flows {
    /// Whether there is a table at all.
    pub table: FlowTable,
    /// Flows of all workers together.
    pub limit: u32,
    /// One packet of so many is looked at.
    pub sample: u32,
}

/// Whether there is a table of flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FlowTable {
    /// There is.
    #[default]
    On,
    /// Nobody counts.
    Off,
}

impl Default for Flows {
    fn default() -> Self {
        Self { table: FlowTable::On, limit: 100_000, sample: 1 }
    }
}
