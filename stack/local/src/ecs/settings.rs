//! What can be set about running tasks.

use std::time::Duration;

/// Delays and bounds of the scheduler and of task processes.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Names of variables of this process that every task is given too, for example `RUST_BACKTRACE`.
    pub pass_environment: Vec<String>,
    /// Whether every task gets a loopback address of its own. Linux answers on all of 127.0.0.0/8; macOS has 127.0.0.1
    /// only, so there tasks share it and their ports are moved.
    pub address_per_task: bool,
    /// Where tasks share an address: a container port, and the variable that tells the process its port instead.
    pub port_variables: Vec<(u16, String)>,
    /// How often the scheduler looks at everything again, beside being woken by calls and by tasks that end.
    pub look_again: Duration,
    /// How long a task without a load balancer must run until its deployment counts it as healthy.
    pub settle: Duration,
    /// Delay before the second replacement of a task that keeps dying (the first is at once); it doubles from there.
    pub restart_delay: Duration,
    /// The longest delay between replacements. ECS itself goes up to about 27 minutes, too long to watch.
    pub restart_delay_max: Duration,
    /// A task that lived this long dies by accident: it is replaced at once, and the doubling starts anew.
    pub stable_after: Duration,
    /// How long all tasks together may take to end when the endpoint stops; then they are killed.
    pub shutdown_time_max: Duration,
    /// How often CPU and memory of tasks are measured.
    pub usage_interval: Duration,
    /// How many stopped tasks can still be described. ECS keeps them for about an hour.
    pub stopped_tasks_kept: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            pass_environment: Vec::new(),
            address_per_task: cfg!(target_os = "linux"),
            port_variables: vec![(8080, "WEIR_PORT".to_owned()), (9464, "WEIR_ADMIN_PORT".to_owned())],
            look_again: Duration::from_millis(250),
            settle: Duration::from_secs(1),
            restart_delay: Duration::from_millis(500),
            restart_delay_max: Duration::from_secs(60),
            stable_after: Duration::from_secs(10),
            shutdown_time_max: Duration::from_secs(20),
            usage_interval: Duration::from_secs(5),
            stopped_tasks_kept: 1_000,
        }
    }
}
