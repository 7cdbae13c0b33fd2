//! Starting localcloud as a child process.

use std::{
    fs::{self, File},
    net::SocketAddr,
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result};
use stack::DeploymentName;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use super::{Record, StateDirectory, ports};
use crate::failure::Failure;

/// How long localcloud may take to listen.
const START: Duration = Duration::from_secs(10);

/// What to start.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    pub(crate) name: DeploymentName,
    pub(crate) endpoint: SocketAddr,
    pub(crate) ingest: SocketAddr,
    pub(crate) region: String,
    /// It lives on when this process ends.
    pub(crate) detached: bool,
}

/// A localcloud that listens. Unless it is detached it ends when this value, or this process, does.
#[derive(Debug)]
pub(crate) struct Launched {
    pub(crate) record: Record,
    // Closing its standard input is what ends it.
    _stdin: Option<ChildStdin>,
    child: Child,
}

impl Launch {
    /// Starts localcloud and waits until it listens.
    pub(crate) async fn start(self, state: &StateDirectory) -> Result<Launched> {
        if let Some(record) = state.running()? {
            return Err(Failure::failed(format!("{} is already running: {}", self.name, record.best_url()))
                .hint("`ctl top` shows it, `ctl down` stops it, --name starts another one beside it")
                .into());
        }
        ports::require_free(self.endpoint, "--endpoint-port")?;
        ports::require_free(self.ingest, "--ingest-port")?;
        state.create()?;
        let mut child = self.command(state)?.spawn().context("cannot start localcloud")?;
        let stdin = child.stdin.take();
        let ready = tokio::time::timeout(START, first_line(child.stdout.take())).await;
        match ready.ok().flatten().and_then(|line| serde_json::from_str(&line).ok()) {
            Some(record) => Ok(Launched { record, _stdin: stdin, child }),
            None => Err(explain(state, child).await),
        }
    }

    fn command(&self, state: &StateDirectory) -> Result<Command> {
        let program = std::env::current_exe().context("cannot find out which program this is")?;
        let log = File::create(state.log()).with_context(|| format!("cannot write {}", state.log().display()))?;
        let mut command = Command::new(program);
        command.args(["localcloud", "--output", "jsonl", "--name", self.name.as_str(), "--region", &self.region]);
        command.args(["--listen", &self.endpoint.to_string(), "--ingest", &self.ingest.to_string()]);
        command.arg("--state-dir").arg(state.path());
        command.stdout(Stdio::piped()).stderr(log).env_remove("AWS_ENDPOINT_URL");
        if self.detached {
            command.arg("--own-session").stdin(Stdio::null());
        } else {
            // The terminal's Ctrl-C is for us alone: we stop the child in order.
            command.arg("--until-stdin-closes").stdin(Stdio::piped()).process_group(0);
        }
        Ok(command)
    }
}

impl Launched {
    /// Waits until localcloud ends by itself, which it should not, and says how.
    pub(crate) async fn ended(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => format!("localcloud ended: {status}"),
            Err(error) => format!("localcloud is lost: {error}"),
        }
    }
}

/// Why it did not start: its own last words.
async fn explain(state: &StateDirectory, mut child: Child) -> anyhow::Error {
    // It is of no use any more, and may have ended already.
    let _ = child.kill().await;
    let log = fs::read_to_string(state.log()).unwrap_or_default();
    let error = log.lines().find_map(|line| line.strip_prefix("error: "));
    let words = error.or_else(|| log.lines().rfind(|line| !line.trim().is_empty())).unwrap_or("it said nothing");
    Failure::failed(format!("localcloud did not start: {words}"))
        .hint(format!("its log is {}", state.log().display()))
        .into()
}

async fn first_line(stdout: Option<ChildStdout>) -> Option<String> {
    BufReader::new(stdout?).lines().next_line().await.ok()?
}
