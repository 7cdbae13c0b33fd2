//! `ctl up`: the whole system on this machine.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal},
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, Result};
use clap::Args as ClapArgs;
use stack::{
    PerRole, Progress as Reports,
    deploy::{DeployError, Images, Outputs, Request},
    image::{self, ImageSource},
    template::Parameter,
};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{
    policy::{self, WrittenPolicy},
    watch,
};
use crate::{
    app::session::{self, Ending},
    failure::{Exit, Failure},
    interrupt::interrupted,
    load::Client,
    local::{self, Launch, Launched, Record, StateDirectory},
    output::{self, Format, FormatArgs, Progress, Writer, note},
    target::{Global, LOCAL_REGION, Target},
    wording::operation,
};

/// How long a deployed system may take until it accepts records and is steered.
const READY: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);

/// How often the control plane looks on one machine: a person is watching, and nothing is billed.
const LOCAL_TICK: &str = "2s";

/// Run the whole system on this machine and watch it
///
/// Starts an AWS endpoint of its own, deploys the same stack as on AWS to it, and shows what happens: a live view on a
/// terminal, one JSON line a second otherwise. Ctrl-C or q stops everything that it started.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  ctl up
  ctl up --detach --output json
  ctl up --name second --endpoint-port 0 --ingest-port 0
  ctl up --policy policy.toml")]
pub(super) struct Args {
    /// Return when it is ready and leave it running
    #[arg(long)]
    detach: bool,
    /// Policy to start with [default: every key's default]
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Port of the AWS endpoint; 0 takes any free one
    #[arg(long, default_value_t = 4566, value_name = "PORT")]
    endpoint_port: u16,
    /// Port where records are posted; 0 takes any free one
    #[arg(long, default_value_t = 8080, value_name = "PORT")]
    ingest_port: u16,
    #[command(flatten)]
    format: FormatArgs,
}

pub(super) async fn run(args: Args, global: &Global) -> Result<Exit> {
    refuse_elsewhere(global)?;
    let policy = args.policy.as_deref().map(policy::read).transpose()?;
    let state = StateDirectory::of(&global.name)?;
    let began = Instant::now();
    let progress = Progress::start();
    progress.step("starting the AWS endpoint of this machine");
    let mut launched = launch(&args, global).start(&state).await?;
    let target = Target::local(global.name.clone(), launched.record.clone()).await;
    let ready = tokio::select! {
        ready = bring_up(&target, policy.as_ref(), &progress) => ready,
        ended = launched.ended() => Err(Failure::failed(ended).hint(log_hint(&state)).into()),
        () = interrupted() => Err(Failure::new(Exit::Interrupted, "interrupted").hint("`ctl up` starts anew").into()),
    };
    drop(progress);
    let outputs = match ready {
        Ok(outputs) => outputs,
        Err(error) => {
            local::stop(&state).await?;
            return Err(error);
        }
    };
    let record = launched.record.clone().ready(outputs.ingest_url);
    state.write(&record)?;
    welcome(&record, Instant::now().duration_since(began));
    if args.detach {
        Writer::from(args.format).document(&record, || record.best_url().to_owned())?;
        return Ok(Exit::Done);
    }
    let target = Target::local(global.name.clone(), record).await;
    let shown = show(&args, &target, &mut launched).await;
    note(format_args!("stopping {}", target.name));
    local::stop(&state).await?;
    shown
}

fn refuse_elsewhere(global: &Global) -> Result<(), Failure> {
    if global.aws {
        return Err(Failure::failed("`ctl up --aws` needs images of the tasks, and this build has none").hint(
            "build static executables of producer, consumer and controlplane for the tasks' architecture first",
        ));
    }
    match &global.endpoint_url {
        None => Ok(()),
        Some(url) => Err(Failure::usage(format!("`ctl up` starts an endpoint of its own and does not use {url}"))
            .hint("leave out --endpoint-url, or unset AWS_ENDPOINT_URL")),
    }
}

fn launch(args: &Args, global: &Global) -> Launch {
    let address = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    Launch {
        name: global.name.clone(),
        endpoint: address(args.endpoint_port),
        ingest: address(args.ingest_port),
        region: global.region.clone().unwrap_or_else(|| LOCAL_REGION.to_owned()),
        detached: args.detach,
    }
}

/// Deploys the stack, puts the policy in force, and waits until records are taken and the control plane steers.
async fn bring_up(target: &Target, policy: Option<&WrittenPolicy>, progress: &Progress) -> Result<Outputs> {
    let (reports, mut events) = Reports::channel();
    let (clients, request, cancel) = (target.clients(), request(target)?, CancellationToken::new());
    let deploying = async {
        let outputs = stack::deploy::deploy(&clients, &request, &reports, &cancel).await;
        drop(reports);
        outputs
    };
    let showing = async {
        while let Some(event) = events.recv().await {
            progress.figure(operation::line(&event).text);
        }
    };
    let (outputs, ()) = tokio::join!(deploying, showing);
    let outputs = outputs.map_err(|error| failure(&error))?;
    if let Some(policy) = policy {
        policy::put(target, policy).await.context("cannot put the policy in force")?;
    }
    progress.step("waiting for the first heartbeat");
    ready(target, &outputs).await?;
    Ok(outputs)
}

/// The same stack as on AWS, with images whose program is this one.
fn request(target: &Target) -> Result<Request> {
    let program = std::env::current_exe().context("cannot find out which program this is")?;
    let program = program.into_os_string().into_string();
    let program = program.map_err(|path| Failure::failed(format!("{} is not UTF-8", path.display())))?;
    let images = PerRole::try_from_fn(|role| {
        image::build(&ImageSource::HostProcess { command: vec![program.clone(), "role".to_owned(), role.to_string()] })
    })?;
    let parameters = [(Parameter::AllowedCidr, "127.0.0.0/8"), (Parameter::Tick, LOCAL_TICK)];
    Ok(Request {
        name: target.name.clone(),
        images: Images::Push(images),
        parameters: parameters.map(|(parameter, value)| (parameter, value.to_owned())).into(),
        tags: BTreeMap::new(),
    })
}

fn failure(error: &DeployError) -> Failure {
    let exit = if error.is_resumable() { Exit::Interrupted } else { Exit::Failed };
    let failure = Failure::new(exit, output::chain(error));
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

async fn ready(target: &Target, outputs: &Outputs) -> Result<()> {
    let (client, table) = (Client::new(&outputs.ingest_url)?, target.control_table());
    let deadline = Instant::now() + READY;
    loop {
        let (accepts, status) = tokio::join!(client.is_healthy(), table.status(target.name.as_str()));
        match (accepts, status?.is_some()) {
            (true, true) => return Ok(()),
            (accepts, steered) if Instant::now() >= deadline => {
                return Err(Failure::failed(format!(
                    "not ready after {} s: {}",
                    READY.as_secs(),
                    if !accepts {
                        "no producer takes records"
                    } else if steered {
                        ""
                    } else {
                        "no control plane steers"
                    }
                ))
                .hint("`ctl logs producer` and `ctl logs controlplane` of a detached start say why")
                .into());
            }
            _ => sleep(LOOK).await,
        }
    }
}

/// Shows what happens until a person has seen enough, or localcloud ends by itself.
async fn show(args: &Args, target: &Target, launched: &mut Launched) -> Result<Exit> {
    let stopping = CancellationToken::new();
    let live = args.format.output == Format::Table && io::stdout().is_terminal() && io::stdin().is_terminal();
    let view = async {
        if !live {
            return watch::run(target, &stopping).await;
        }
        match session::run(target, true, stopping.clone()).await? {
            Ending::Quit => Ok(Exit::Done),
            Ending::MidTeardown => Ok(Exit::Interrupted),
        }
    };
    tokio::select! {
        shown = view => shown,
        ended = launched.ended() => Err(Failure::failed(ended).into()),
    }
}

fn welcome(record: &Record, took: Duration) {
    let url = record.best_url();
    let name = if record.name.as_str() == "weir" { String::new() } else { format!(" --name {}", record.name) };
    note(format_args!("{} is ready after {:.1} s: post records to {url}", record.name, took.as_secs_f64()));
    note("try:");
    note(format_args!("  curl --json '{{\"data\":\"hello\"}}' {url}"));
    for command in ["tail", "send --rate 2000 --for 60s", "explain"] {
        note(format_args!("  ctl {command}{name}"));
    }
}

fn log_hint(state: &StateDirectory) -> String {
    format!("its log is {}", state.log().display())
}
