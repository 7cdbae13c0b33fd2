//! The whole system on this machine: an AWS endpoint of its own, and the same stack as on AWS.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context, Result};
use stack::{
    PerRole,
    deploy::{Images, Outputs, Request},
    image::{self, ImageSource},
    template::Parameter,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{super::policy, Args, deployment, settings, show};
use crate::{
    failure::{Exit, Failure},
    interrupt::interrupted,
    local::{self, Launch, Record, StateDirectory},
    output::{Progress, Writer, note},
    target::{Global, LOCAL_REGION, Target},
};

/// How often the control plane looks on one machine: a person is watching, and nothing is billed.
const TICK: &str = "2s";

pub(super) async fn run(args: Args, global: &Global) -> Result<Exit> {
    if args.images.is_given() {
        return Err(Failure::usage("on this machine tasks run as processes of this program, without images")
            .hint("leave --executables and --image out, or deploy to AWS with --aws")
            .into());
    }
    let policy = args.policy.as_deref().map(policy::read).transpose()?;
    let state = StateDirectory::of(&global.name)?;
    let began = Instant::now();
    let progress = Progress::start();
    progress.step("starting the AWS endpoint of this machine");
    let mut launched = launch(&args, global).start(&state).await?;
    let target = Target::local(global.name.clone(), launched.record.clone()).await;
    let bring_up = async {
        let request = request(&args, &target)?;
        let outputs =
            deployment::deploy(&target, &request, policy.as_ref(), &progress, &CancellationToken::new()).await?;
        progress.step("waiting for the first heartbeat");
        deployment::ready(&target, &outputs).await.map(|()| outputs)
    };
    let ready: Result<Outputs> = tokio::select! {
        ready = bring_up => ready,
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
    let shown = tokio::select! {
        shown = show(args.format, &target, true) => shown,
        ended = launched.ended() => Err(Failure::failed(ended).into()),
    };
    note(format_args!("stopping {}", target.name));
    local::stop(&state).await?;
    shown
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

/// The same stack as on AWS, with images whose program is this one.
fn request(args: &Args, target: &Target) -> Result<Request> {
    let program = std::env::current_exe().context("cannot find out which program this is")?;
    let program = program.into_os_string().into_string();
    let program = program.map_err(|path| Failure::failed(format!("{} is not UTF-8", path.display())))?;
    let images = PerRole::try_from_fn(|role| {
        image::build(&ImageSource::HostProcess { command: vec![program.clone(), "role".to_owned(), role.to_string()] })
    })?;
    let defaults = [(Parameter::AllowedCidr, "127.0.0.0/8"), (Parameter::Tick, TICK)];
    Ok(Request {
        name: target.name.clone(),
        images: Images::Push(images),
        parameters: settings::over(defaults.map(|(parameter, value)| (parameter, value.to_owned())), &args.set),
        tags: BTreeMap::new(),
    })
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
