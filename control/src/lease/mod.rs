//! Leases: inner addresses from the configured pools.
