//! One contender in one world, from the first minute to the last.

use jiff::Timestamp;

use super::{
    Contender, Demand, Fault, Faults, Physics, Skew, Timeline,
    faults::{DRIFT_S, RESTART_S},
    world::World,
};
use crate::decide::{Action, ActionResult, Outcome};

/// Everything but the contender.
#[derive(Debug, Clone)]
pub struct Scene {
    pub demand: Demand,
    pub physics: Physics,
    pub faults: Faults,
    pub skew: Skew,
}

impl Scene {
    /// A load in a world without faults, with evenly used keys.
    #[must_use]
    pub fn new(demand: Demand) -> Self {
        Self { demand, physics: Physics::default(), faults: Faults::default(), skew: Skew::default() }
    }

    /// Runs a contender through the scene. The same seed gives the same load, delays and accidents to every contender,
    /// and the same timeline whenever it is asked for.
    #[must_use]
    pub fn run(&self, contender: &mut dyn Contender, seed: u64) -> Timeline {
        let Demand { start, shards: demand, .. } = &self.demand;
        let setup = contender.setup();
        let mut world = World::new(self, setup, *start, demand.len(), seed);
        let period = setup.period_s.unwrap_or(self.physics.tick_s).max(1);
        let restarts_s = if self.faults.have(Fault::ControllerRestart) { RESTART_S } else { u32::MAX };
        let mut controller = Controller { contender, ledger: Vec::new(), restarts_s, started_s: 0 };
        let mut minutes = Vec::with_capacity(demand.len());
        for (minute, mean) in (0_u32..).zip(demand) {
            let seconds = self.physics.seconds(seed, minute, *mean);
            for (second, load) in (minute * 60..).zip(seconds) {
                world.pass(second, load);
                if self.faults.have(Fault::Drift) && second % DRIFT_S == DRIFT_S / 2 {
                    world.drift(second);
                }
                if second % period == period - 1 {
                    controller.turn(&mut world, second);
                }
            }
            minutes.push(world.end_minute(minute, seconds.iter().sum::<f64>() / 60.0));
        }
        let polls = setup.polls.unwrap_or(self.physics.consumers_poll);
        Timeline { on_demand: setup.on_demand, fan_out: !polls, minutes }
    }
}

/// The process that asks the contender.
struct Controller<'a> {
    contender: &'a mut dyn Contender,
    /// Calls of UpdateShardCount, as the control table has them.
    ledger: Vec<Timestamp>,
    /// Time between two starts, and when the last one was.
    restarts_s: u32,
    started_s: u32,
}

impl Controller<'_> {
    fn turn(&mut self, world: &mut World<'_>, second: u32) {
        let now = world.at(second);
        if second - self.started_s >= self.restarts_s {
            self.started_s = second;
            self.contender.restart(&self.ledger, now);
        }
        let (seen, metrics) = world.look(second);
        for action in self.contender.tick(seen, metrics, now) {
            let result = world.act(&action, second);
            let counted = !matches!(result, ActionResult::Refused { .. });
            if counted && matches!(action, Action::UpdateShardCount { .. }) {
                self.ledger.push(now);
            }
            self.contender.note(&Outcome { action, at: now, result });
        }
    }
}
