//! Limits and delays, each with its source.

use std::time::Duration;

/// `CreateStack` accepts a template body of at most 51,200 bytes (CloudFormation quotas); larger ones need a bucket.
/// The gate is lower, so that a small change never hits the wall.
pub const TEMPLATE_BYTES: usize = 50_000;

/// A layer part has at most 20,971,520 bytes (ECR, `UploadLayerPart`). Used when ECR proposes none.
pub const LAYER_PART_BYTES: usize = 20_971_520;

/// `BatchDeleteImage` takes at most 100 images (ECR API reference).
pub const IMAGES_PER_DELETE: usize = 100;

/// `DescribeTasks` and `DescribeServices` take at most 100 tasks and 10 services (ECS API reference).
pub const TASKS_PER_DESCRIBE: usize = 100;

/// `DeleteTaskDefinitions` takes at most 10 (ECS API reference).
pub const TASK_DEFINITIONS_PER_DELETE: usize = 10;

/// One attempt of an ordinary API call. AWS answers in well under a second; ten is a broken path.
pub const CALL_ATTEMPT: Duration = Duration::from_secs(10);

/// One API call with all its attempts and back-offs.
pub const CALL: Duration = Duration::from_secs(60);

/// One attempt to send a layer part: 20 MiB at 2 Mbit/s take 84 s.
pub const UPLOAD_ATTEMPT: Duration = Duration::from_secs(120);

/// One layer part with all attempts.
pub const UPLOAD: Duration = Duration::from_secs(300);

/// Attempts of one call in the SDK, the first included.
pub const CALL_ATTEMPTS: u32 = 5;

/// Connecting to an endpoint.
pub const CONNECT: Duration = Duration::from_secs(3);

/// The whole of a deployment. A stack of this size takes five to eight minutes; CloudFormation gives up on its own
/// after [`STACK_CREATION_MINUTES`].
pub const DEPLOYMENT: Duration = Duration::from_secs(45 * 60);

/// `TimeoutInMinutes` of `CreateStack`.
pub const STACK_CREATION_MINUTES: i32 = 30;

/// From a finished stack to steady services. CloudFormation has already waited for them once; this covers a circuit
/// breaker's roll-back after an update.
pub const SERVICES_STEADY: Duration = Duration::from_secs(10 * 60);

/// Tasks have 120 s to stop (`StopTimeout` in the template, Fargate's maximum), after 30 s of draining at the balancer.
pub const SERVICE_STOPPED: Duration = Duration::from_secs(180);

/// The whole of a teardown: VPC and balancer take about ten minutes, three rounds may be needed.
pub const TEARDOWN: Duration = Duration::from_secs(60 * 60);

/// How often `DeleteStack` is sent for one teardown.
pub const DELETE_ROUNDS: u32 = 3;

/// Until every resource answers "not found". Streams and tables stay `DELETING` for a minute or two.
pub const GONE: Duration = Duration::from_secs(5 * 60);

/// The shortest and longest pause between two looks at something that changes by itself.
pub const POLL_FIRST: Duration = Duration::from_millis(100);
pub const POLL_LAST: Duration = Duration::from_secs(5);
