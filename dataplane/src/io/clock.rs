//! The system's monotonic clock.
#![expect(unsafe_code, reason = "clock_gettime takes a pointer")]

use crate::time::Instant;

/// Nanoseconds of CLOCK_MONOTONIC, the same for all threads and processes.
pub(super) fn now() -> Instant {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid for the call to write to.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    debug_assert_eq!(result, 0, "CLOCK_MONOTONIC always exists");
    Instant::from_nanos(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}
