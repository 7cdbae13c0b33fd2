//! CPU time.

use std::time::Duration;

use nix::{
    sys::time::TimeSpec,
    time::{ClockId, clock_gettime},
};

/// CPU time of this thread.
pub(crate) fn of_thread() -> Duration {
    let time: TimeSpec = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("every Unix has it");
    time.into()
}

/// The CPU time of a call, in seconds.
pub(crate) fn seconds(work: impl FnOnce()) -> f64 {
    let before = of_thread();
    work();
    (of_thread() - before).as_secs_f64()
}

/// The median of what `measure` says in so many rounds. Two measurements that take turns see the same noise.
pub(crate) fn medians<const N: usize>(rounds: usize, mut measure: impl FnMut() -> [f64; N]) -> [f64; N] {
    let mut seen: Vec<[f64; N]> = (0..rounds).map(|_| measure()).collect();
    std::array::from_fn(|index| {
        seen.sort_by(|a, b| a[index].total_cmp(&b[index]));
        seen[rounds / 2][index]
    })
}
