//! The system's monotonic clock.
#![expect(unsafe_code, reason = "its system calls take pointers")]

use crate::time::Instant;
use std::time::Duration;

/// Nanoseconds of CLOCK_MONOTONIC, the same for all threads and processes.
pub(super) fn now() -> Instant {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid for the call to write to.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    debug_assert_eq!(result, 0, "CLOCK_MONOTONIC always exists");
    Instant::from_nanos(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

/// Sleeps; a signal may end it early.
pub(super) fn nap(time: Duration) {
    let time =
        libc::timespec { tv_sec: time.as_secs() as libc::time_t, tv_nsec: libc::c_long::from(time.subsec_nanos()) };
    // SAFETY: `time` lives until the call returns; nobody wants to know what was left of it.
    unsafe { libc::clock_nanosleep(libc::CLOCK_MONOTONIC, 0, &raw const time, std::ptr::null_mut()) };
}
