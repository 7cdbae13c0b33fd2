//! The stack on AWS, or at an endpoint that was named: created or updated, and left running.

use std::{collections::BTreeMap, pin::pin};

use anyhow::Result;
use serde::Serialize;
use stack::{
    Identity,
    deploy::{Outputs, Request, describe},
    template::Parameter,
};
use tokio_util::sync::CancellationToken;

use super::{
    super::policy::{self, WrittenPolicy},
    Args, deployment, settings, show,
};
use crate::{
    failure::{Exit, Failure},
    interrupt::interrupted,
    output::{Progress, Writer, note},
    target::{Global, Target},
};

#[derive(Debug, Serialize)]
struct Deployed<'a> {
    version: u32,
    name: &'a str,
    account: &'a str,
    region: &'a str,
    #[serde(flatten)]
    outputs: &'a Outputs,
}

pub(super) async fn run(args: Args, global: &Global) -> Result<Exit> {
    let policy = args.policy.as_deref().map(policy::read).transpose()?;
    let mut parameters = settings::over([], &args.set);
    let images = args.images.read(&mut parameters)?;
    let target = Target::resolve(global).await?;
    let clients = target.clients();
    let place = clients.identity().await?;
    if !parameters.contains_key(&Parameter::AllowedCidr) && is_new(&target).await {
        return Err(Failure::usage("nobody has said who may send records").hint(
            "--set AllowedCidr=203.0.113.7/32 lets that address in; --set AllowedCidr=0.0.0.0/0 everybody, who should \
             then need a token (--set Tokens=NAME=SHA256)",
        )
        .into());
    }
    let request = Request { name: target.name.clone(), images, parameters, tags: BTreeMap::new() };
    let outputs = bring_up(&target, &request, policy.as_ref(), &place).await?;
    note(format_args!("{} is deployed: post records to {}", target.name, outputs.ingest_url));
    if args.detach {
        let (account, region) = (place.account.as_str(), place.region.as_str());
        let deployed = Deployed { version: 1, name: target.name.as_str(), account, region, outputs: &outputs };
        Writer::from(args.format).document(&deployed, || outputs.ingest_url.clone())?;
        return Ok(Exit::Done);
    }
    let shown = show(args.format, &target, false).await;
    note(format_args!("{} goes on: `ctl top` watches it, `ctl teardown` removes it", target.name));
    shown
}

async fn bring_up(
    target: &Target,
    request: &Request,
    policy: Option<&WrittenPolicy>,
    place: &Identity,
) -> Result<Outputs> {
    let (progress, cancel) = (Progress::start(), CancellationToken::new());
    progress.step(format!("deploying {} to account {}, {}", target.name, place.account, place.region));
    let mut deploying = pin!(deployment::deploy(target, request, policy, &progress, &cancel));
    let outputs = tokio::select! {
        outputs = &mut deploying => outputs,
        () = interrupted() => {
            progress.step("stopping; the same command carries on, and `ctl teardown` removes what there is");
            cancel.cancel();
            deploying.await
        }
    }?;
    progress.step("waiting for the first heartbeat");
    tokio::select! {
        steered = deployment::steered(target) => steered?,
        () = interrupted() => {
            let interrupted = Failure::new(Exit::Interrupted, "interrupted while the control plane starts");
            return Err(interrupted.hint("it goes on by itself; `ctl status` shows how far it is").into());
        }
    }
    Ok(outputs)
}

/// Whether there is no stack yet, as far as anybody can tell: AWS has the last word.
async fn is_new(target: &Target) -> bool {
    matches!(describe(&target.clients(), &target.name).await, Ok(None))
}
