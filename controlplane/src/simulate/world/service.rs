//! An ECS service: tasks that take their time to start and to stop.

use super::super::{Physics, chance::Chance};

/// The tasks of one service.
#[derive(Debug, Clone)]
pub(super) struct Service {
    desired: u32,
    running: u32,
    /// When tasks become ready, the soonest first.
    starting: Vec<u32>,
    /// When tasks are gone, the soonest first.
    stopping: Vec<u32>,
}

impl Service {
    pub(super) fn new(tasks: u32) -> Self {
        Self { desired: tasks, running: tasks, starting: Vec::new(), stopping: Vec::new() }
    }

    pub(super) fn desired(&self) -> u32 {
        self.desired
    }

    pub(super) fn running(&self) -> u32 {
        self.running
    }

    pub(super) fn pending(&self) -> u32 {
        self.starting.len() as u32
    }

    /// Tasks that are paid for: ECS bills from the pull of the image on.
    pub(super) fn billed(&self) -> u32 {
        self.running + self.pending()
    }

    /// UpdateService.
    pub(super) fn update(&mut self, to: u32, second: u32, physics: &Physics, chance: &mut Chance) {
        self.desired = to;
        let leaving = self.stopping.len() as u32;
        let coming = self.running - leaving + self.pending();
        if to > coming {
            self.starting.extend((coming..to).map(|_| second + chance.whole(physics.task_start_s)));
            self.starting.sort_unstable();
        } else {
            let surplus = coming - to;
            let unstarted = surplus.min(self.pending());
            self.starting.truncate(self.starting.len() - unstarted as usize);
            self.stopping.extend((unstarted..surplus).map(|_| second + physics.task_stop_s));
        }
    }

    /// Lets a second pass, and tells whether another set of tasks runs now.
    pub(super) fn pass(&mut self, second: u32) -> bool {
        if self.starting.is_empty() && self.stopping.is_empty() {
            return false;
        }
        let started = self.starting.partition_point(|ready| *ready <= second);
        let stopped = self.stopping.partition_point(|gone| *gone <= second);
        self.starting.drain(..started);
        self.stopping.drain(..stopped);
        self.running = self.running + started as u32 - stopped as u32;
        started + stopped > 0
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::chance::Purpose, *};

    #[test]
    fn tasks_come_after_their_start_and_go_after_their_stop() {
        let (physics, mut chance) = (Physics::default(), Chance::new(1, Purpose::Delays));
        let mut service = Service::new(2);
        service.update(5, 0, &physics, &mut chance);
        assert_eq!((service.running(), service.pending(), service.billed()), (2, 3, 5));
        assert!(!service.pass(29));
        service.update(4, 29, &physics, &mut chance);
        assert_eq!(service.pending(), 2);
        assert!(service.pass(60));
        service.update(1, 60, &physics, &mut chance);
        assert_eq!((service.running(), service.desired()), (4, 1));
        service.update(2, 61, &physics, &mut chance);
        assert!(service.pass(70) && service.running() == 1 && service.pending() == 1);
    }
}
