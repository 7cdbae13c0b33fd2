//! A pause in one line.

use controlplane::record::Pause;

/// What is paused, by whom, why, and until when.
pub(crate) fn line(pause: &Pause) -> String {
    match pause.until {
        Some(until) => format!("{pause}; until {until:.0}"),
        None => format!("{pause}; until `ctl resume`"),
    }
}
