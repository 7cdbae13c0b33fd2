//! The command line: one file per subcommand.

mod arguments;
mod down;
mod events;
mod explain;
mod localcloud;
mod logs;
mod pause;
mod policy;
mod recommend;
mod resume;
mod role;
mod schema;
mod send;
mod simulate;
mod status;
mod tail;
mod teardown;
mod top;
mod up;
mod watch;

use anyhow::{Error, Result};
use aws_sdk_dynamodb::types::error::ResourceNotFoundException;
use clap::{Parser, Subcommand};
use stack::DeploymentName;

use crate::{
    failure::{Exit, Failure},
    target::Global,
};

/// Runs a streaming data processor on Kinesis and ECS, on AWS or on this machine, and keeps it the right size.
#[derive(Debug, Parser)]
#[command(name = "ctl", version, after_help = EXAMPLES, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  ctl up                              run the whole system on this machine and watch it
  ctl send --rate 500 --for 30s       send records
  ctl tail                            see them in the stream
  ctl explain                         see what the control plane decided, and why

Where a command goes: --endpoint-url, else what `ctl up` started under that name, else AWS.
Exit codes: 0 done, 1 failed, 2 usage, 3 leftovers remain, 4 refused, 5 interrupted (run it again).";

#[derive(Debug, Subcommand)]
enum Command {
    Up(up::Args),
    Down(down::Args),
    Top(top::Args),
    Send(send::Args),
    Tail(tail::Args),
    Logs(logs::Args),
    Status(status::Args),
    Explain(explain::Args),
    Events(events::Args),
    Policy(policy::Args),
    Schema(schema::Args),
    Simulate(simulate::Args),
    Recommend(recommend::Args),
    Pause(pause::Args),
    Resume(resume::Args),
    Teardown(teardown::Args),
    Localcloud(localcloud::Args),
    Role(role::Args),
}

impl Cli {
    /// Runs the command to its end.
    pub(crate) async fn run(self) -> Result<Exit> {
        let name = self.global.name.clone();
        self.command.run(self.global).await.map_err(|error| explained(error, &name))
    }
}

/// Says what a control table that is not there means.
fn explained(error: Error, name: &DeploymentName) -> Error {
    if !error.chain().any(|cause| cause.downcast_ref::<ResourceNotFoundException>().is_some()) {
        return error;
    }
    let failure = Failure::failed(format!("there is no deployment {name}: it has no control table"));
    failure.hint("`ctl up` starts a deployment; --name says which one").into()
}

impl Command {
    async fn run(self, global: Global) -> Result<Exit> {
        match self {
            Self::Up(args) => up::run(args, &global).await,
            Self::Down(args) => down::run(args, &global).await,
            Self::Top(args) => top::run(args, &global).await,
            Self::Send(args) => send::run(args, &global).await,
            Self::Tail(args) => tail::run(args, &global).await,
            Self::Logs(args) => logs::run(args, &global).await,
            Self::Status(args) => status::run(args, &global).await,
            Self::Explain(args) => explain::run(args, &global).await,
            Self::Events(args) => events::run(args, &global).await,
            Self::Policy(args) => policy::run(args, &global).await,
            Self::Schema(args) => schema::run(&args),
            Self::Simulate(args) => simulate::run(args, &global).await,
            Self::Recommend(args) => recommend::run(args, &global).await,
            Self::Pause(args) => pause::run(args, &global).await,
            Self::Resume(args) => resume::run(args, &global).await,
            Self::Teardown(args) => teardown::run(args, &global).await,
            Self::Localcloud(args) => localcloud::run(args, &global).await,
            Self::Role(args) => role::run(args).await,
        }
    }
}
