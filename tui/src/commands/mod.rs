//! The command line: one file per subcommand.

mod down;
mod explain;
mod localcloud;
mod logs;
mod policy;
mod role;
mod send;
mod status;
mod tail;
mod teardown;
mod top;
mod up;
mod watch;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::{failure::Exit, target::Global};

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
    Policy(policy::Args),
    Teardown(teardown::Args),
    Localcloud(localcloud::Args),
    Role(role::Args),
}

impl Cli {
    /// Runs the command to its end.
    pub(crate) async fn run(self) -> Result<Exit> {
        let global = self.global;
        match self.command {
            Command::Up(args) => up::run(args, &global).await,
            Command::Down(args) => down::run(args, &global).await,
            Command::Top(args) => top::run(args, &global).await,
            Command::Send(args) => send::run(args, &global).await,
            Command::Tail(args) => tail::run(args, &global).await,
            Command::Logs(args) => logs::run(args, &global).await,
            Command::Status(args) => status::run(args, &global).await,
            Command::Explain(args) => explain::run(args, &global).await,
            Command::Policy(args) => policy::run(args, &global).await,
            Command::Teardown(args) => teardown::run(args, &global).await,
            Command::Localcloud(args) => localcloud::run(args, &global).await,
            Command::Role(args) => role::run(args).await,
        }
    }
}
