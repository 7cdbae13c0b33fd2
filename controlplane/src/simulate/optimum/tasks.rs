//! The fewest task-hours with full knowledge of the load.
//!
//! Tasks have no daily limit of changes, so this needs no search: a task that is idle for less time than a start takes
//! is kept, any other is stopped and started again in time. Each level of tasks is decided alone, which is exact.

/// What binds the tasks of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskLimits {
    pub min: u32,
    pub max: u32,
    /// Minutes from a start until the task works; they are paid for.
    pub start_minutes: usize,
}

/// The best plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskOptimum {
    /// Tasks that are paid for in each minute, starting ones included.
    pub tasks: Vec<u32>,
    /// Sum of `tasks`.
    pub task_minutes: u64,
}

impl TaskOptimum {
    #[must_use]
    pub fn task_hours(&self) -> f64 {
        self.task_minutes as f64 / 60.0
    }
}

/// The best plan for the tasks that each minute needs at work.
///
/// A lag objective gives a little freedom that this does not use: work of a minute's peak may wait for some seconds. With
/// objectives shorter than a minute that saves less than one task-minute a peak.
#[must_use]
pub fn tasks(needs: &[u32], limits: TaskLimits) -> TaskOptimum {
    let mut paid = vec![limits.min; needs.len()];
    let most = needs.iter().copied().max().unwrap_or_default().min(limits.max);
    for level in limits.min + 1..=most {
        let mut until: Option<usize> = None;
        for (minute, _) in needs.iter().enumerate().filter(|(_, need)| **need >= level) {
            // A start in the middle of the gap costs as much as the gap where it is as long as the start.
            let earliest = minute.saturating_sub(limits.start_minutes);
            let from = until.map_or(earliest, |until| earliest.max(until));
            paid[from..=minute].iter_mut().for_each(|paid| *paid += 1);
            until = Some(minute + 1);
        }
    }
    let task_minutes = paid.iter().copied().map(u64::from).sum();
    TaskOptimum { tasks: paid, task_minutes }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: TaskLimits = TaskLimits { min: 1, max: 4, start_minutes: 2 };

    #[test]
    fn tasks_start_before_they_are_needed_and_bridge_short_gaps() {
        let needs = [1, 1, 1, 3, 3, 2, 3, 1, 1, 1, 1, 2];
        assert_eq!(tasks(&needs, LIMITS).tasks, [1, 3, 3, 3, 3, 3, 3, 1, 1, 2, 2, 2]);
    }

    #[test]
    fn no_more_tasks_than_the_limit_and_no_fewer_than_the_minimum() {
        assert_eq!(tasks(&[9, 0, 0, 0, 0], LIMITS).tasks, [4, 1, 1, 1, 1]);
        assert_eq!(tasks(&[], LIMITS).task_minutes, 0);
    }
}
