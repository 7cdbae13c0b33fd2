//! From a wish to a verdict: what every count has in common, whatever it counts.
//!
//! Up needs confirmation and a cool-down. Down needs the whole stabilisation window, a cool-down, and nothing that speaks
//! against it. Where calls are scarce, down also waits until the window asks for no more than the newest tick, and less
//! than a quarter is not worth a call. A count outside the policy's bounds, or below a schedule's floor, goes back without
//! waiting, but never against a safety hold.

use jiff::Timestamp;

use super::{
    Verdict,
    floors::Floor,
    history::{Asked, Refusal, Track, after},
};
use crate::units::Millis;

/// How many there should be.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wish {
    /// Fewer than this are too few.
    pub(super) up: u32,
    /// More than this are too many. At least `up`: the gap between the two is where nothing happens.
    pub(super) down: u32,
    /// The arithmetic as a clause: "2.86 MiB/s need 5 shards at 70 %".
    pub(super) why: String,
}

/// The policy's part in steering one count.
#[derive(Debug, Clone)]
pub(super) struct Rails {
    pub(super) min: u32,
    /// What a schedule asks for now.
    pub(super) floor: Option<Floor>,
    pub(super) max: u32,
    /// What `max` is, where it is not the policy's own cap.
    pub(super) max_by: Option<String>,
    pub(super) confirm_up: Millis,
    pub(super) up_cooldown: Millis,
    pub(super) down_cooldown: Millis,
    pub(super) stabilization: Millis,
    pub(super) allow_down: bool,
}

impl Rails {
    fn lowest(&self) -> u32 {
        self.floor.as_ref().map_or(self.min, |floor| floor.count.max(self.min)).min(self.max)
    }

    /// Who asks for the lowest count.
    fn lowest_by(&self) -> String {
        match self.floor.as_ref().filter(|floor| floor.count > self.min) {
            Some(floor) => format!("`{}` asks for at least {}", floor.name, self.lowest()),
            None => format!("the policy asks for at least {}", self.lowest()),
        }
    }

    fn highest_by(&self) -> String {
        self.max_by.clone().unwrap_or_else(|| format!("the cap of {}", self.max))
    }
}

/// Something that stops a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hold {
    pub(super) reason: String,
    pub(super) until: Option<Timestamp>,
}

impl Hold {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), until: None }
    }

    pub(super) fn verdict(self) -> Verdict {
        Verdict::Held { reason: self.reason, until: self.until }
    }

    /// Held, with what is held: "3.4 MiB/s need 5 shards; the stream is UPDATING".
    fn against(self, wish: &Wish) -> Verdict {
        Verdict::Held { reason: format!("{}; {}", wish.why, self.reason), until: self.until }
    }
}

/// What stops a change in each direction, the most important first.
#[derive(Debug, Clone, Default)]
pub(super) struct Holds {
    pub(super) up: Vec<Hold>,
    pub(super) down: Vec<Hold>,
}

/// One count on its way to where the wish wants it.
pub(super) struct Steering<'a> {
    pub(super) current: u32,
    pub(super) wish: Wish,
    pub(super) rails: Rails,
    pub(super) holds: Holds,
    /// How far one step may go from the first number towards the second.
    pub(super) step: fn(u32, u32) -> u32,
    /// Whether AWS counts the calls, so that fewer and larger steps are better than early ones.
    pub(super) scarce: bool,
    /// The last call of this kind that AWS refused.
    pub(super) refused: Option<Refusal>,
    /// Whether a step up needs neither confirmation nor cool-down.
    pub(super) urgent: bool,
    pub(super) track: &'a mut Track,
    pub(super) now: Timestamp,
}

impl Steering<'_> {
    /// The verdict, and what would have happened without the bound that stopped it.
    pub(super) fn steer(self) -> (Verdict, Option<String>) {
        let Rails { min, max, stabilization, .. } = self.rails;
        let lowest = self.rails.lowest();
        let up = self.wish.up.clamp(lowest, max);
        let down = self.wish.down.clamp(min, max);
        self.track.ask(self.now, down, up > self.current, stabilization);
        let counterfactual = self.counterfactual();
        let verdict = if up > self.current { self.go_up(up) } else { self.go_down(down.max(lowest)) };
        (verdict, counterfactual)
    }

    fn counterfactual(&self) -> Option<String> {
        let (lowest, max) = (self.rails.lowest(), self.rails.max);
        let (up, down) = (self.wish.up, self.wish.down.max(1));
        if up > max {
            return Some(format!("would have gone to {up} without {}", self.rails.highest_by()));
        }
        let floor = || match self.rails.floor.as_ref().filter(|floor| floor.count > self.rails.min) {
            Some(floor) => format!("`{}`, which asks for at least {lowest}", floor.name),
            None => format!("the floor of {lowest}"),
        };
        (down < lowest && self.current <= lowest).then(|| format!("would have gone to {down} without {}", floor()))
    }

    fn go_up(self, wanted: u32) -> Verdict {
        let Self { current, wish, rails, holds, step, refused, urgent, track, now, .. } = self;
        let to = step(current, wanted).min(rails.max);
        let below = current < rails.lowest();
        let at_once = below || urgent;
        let confirmed_at = after(track.short_since.unwrap_or(now), rails.confirm_up);
        let hold = holds
            .up
            .into_iter()
            .next()
            .or_else(|| refusal(refused, now))
            .or_else(|| {
                waiting(now, confirmed_at, || format!("{to} if it stays so for {}", rails.confirm_up))
                    .filter(|_| !at_once)
            })
            .or_else(|| cooldown(track, rails.up_cooldown, now).filter(|_| !at_once));
        if let Some(hold) = hold {
            return hold.against(&wish);
        }
        let reason = if below {
            rails.lowest_by()
        } else if to < wanted {
            format!("{}; one step goes to {to} at most", wish.why)
        } else {
            wish.why
        };
        Verdict::Fired { from: current, to, reason }
    }

    fn go_down(self, wanted: u32) -> Verdict {
        let Self { current, wish, rails, holds, step, scarce, refused, track, now, .. } = self;
        let over = current > rails.max;
        let lowest = rails.lowest();
        let peak = track.peak().filter(|_| !over);
        let newest = step(current, wanted);
        let to = match step(current, peak.map_or(wanted, |peak| peak.count.max(lowest))) {
            to if over => to.min(current - 1).max(rails.max),
            to => to,
        };
        let worth = |to: u32| to < current && (!scarce || over || to <= lowest || (current - to) * 4 >= current);
        if !worth(to) {
            return match peak {
                Some(peak) if worth(newest) => peaked(peak, rails.stabilization).against(&wish),
                _ => Verdict::NotApplicable { reason: wish.why },
            };
        }
        let watched_at = after(track.watched_since.unwrap_or(now), rails.stabilization);
        let hold = (!rails.allow_down)
            .then(|| Hold::new("the policy forbids going down"))
            .or_else(|| holds.down.into_iter().next())
            .or_else(|| refusal(refused, now))
            .or_else(|| {
                waiting(now, watched_at, || format!("{to} if it stays so for {}", rails.stabilization))
                    .filter(|_| !over)
            })
            .or_else(|| cooldown(track, rails.down_cooldown, now).filter(|_| !over))
            .or_else(|| peak.filter(|_| scarce && newest < to).map(|peak| falling(peak, newest, rails.stabilization)));
        if let Some(hold) = hold {
            return hold.against(&wish);
        }
        let reason = if over { format!("the policy allows at most {}", rails.max) } else { wish.why };
        Verdict::Fired { from: current, to, reason }
    }
}

fn peaked(peak: Asked, window: Millis) -> Hold {
    Hold { reason: format!("within the last {window} it was {}", peak.count), until: Some(after(peak.at, window)) }
}

/// While the newest tick asks for less than the window, waiting makes the step larger. It ends with the window at the
/// latest: by then the peak is gone, or a tick in between has asked for as much.
fn falling(peak: Asked, newest: u32, window: Millis) -> Hold {
    Hold {
        reason: format!("the need is falling: one call may soon go to {newest}"),
        until: Some(after(peak.at, window)),
    }
}

fn waiting(now: Timestamp, until: Timestamp, reason: impl FnOnce() -> String) -> Option<Hold> {
    (now < until).then(|| Hold { reason: reason(), until: Some(until) })
}

/// While a call that AWS refused is not tried again.
pub(super) fn refusal(refused: Option<Refusal>, now: Timestamp) -> Option<Hold> {
    let refusal = refused?;
    waiting(now, refusal.until, || format!("AWS refused the last call: {}", refusal.code))
}

/// While the last change is too recent for another.
pub(super) fn cooldown(track: &Track, cooldown: Millis, now: Timestamp) -> Option<Hold> {
    let until = after(track.last_change?, cooldown);
    waiting(now, until, || format!("the last change is less than {cooldown} ago"))
}
