//! A program that runs: its pipes, its output and its end.

use std::{io, process::Stdio, sync::Arc, time::Duration};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::{
    io::{AsyncRead, AsyncWriteExt, BufReader},
    process::{ChildStdin, Command},
    sync::mpsc,
    task::JoinSet,
    time::timeout,
};

use super::{
    ExecError,
    command::ExecCommand,
    line::read_line,
    message::{Answer, Message, read},
};

/// How long a program may take to end once its input has, as with the KCL's `shutdownGraceMillis`.
const END_GRACE: Duration = Duration::from_secs(5);

/// How long it may take to end after SIGTERM, and to be gone after SIGKILL.
const SIGNAL_GRACE: Duration = Duration::from_secs(2);

/// Answers that were read and not waited for yet. A program that follows the protocol has one at most.
const ANSWERS: usize = 16;

/// A program with pipes in a process group of its own. It is killed when this is dropped.
pub(super) struct Child {
    process: tokio::process::Child,
    input: ChildStdin,
    answers: mpsc::Receiver<Answer>,
    /// Read the program's output for as long as this lives, so that it is never stuck with a full pipe.
    outputs: JoinSet<()>,
    timeout: Duration,
}

impl Child {
    pub(super) fn spawn(command: &ExecCommand, shard_id: &Arc<str>, timeout: Duration) -> Result<Self, ExecError> {
        let spawned = Command::new(&command.program)
            .args(&command.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A terminal's ^C is for the consumer, which tells its programs in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn();
        let start = |source| ExecError::Start { program: command.program.clone(), source };
        let mut process = spawned.map_err(start)?;
        let (Some(input), Some(output), Some(errors)) =
            (process.stdin.take(), process.stdout.take(), process.stderr.take())
        else {
            return Err(start(io::Error::other("no pipes")));
        };
        let (sender, answers) = mpsc::channel(ANSWERS);
        let mut outputs = JoinSet::new();
        outputs.spawn(listen(output, shard_id.clone(), sender));
        outputs.spawn(log(errors, shard_id.clone()));
        tracing::info!(shard = &**shard_id, pid = process.id(), program = command.program, "started a program");
        Ok(Self { process, input, answers, outputs, timeout })
    }

    pub(super) async fn send(&mut self, message: &Message<'_>) -> Result<(), ExecError> {
        let line = message.line().map_err(|error| ExecError::Input(error.into()))?;
        self.write(&line).await
    }

    /// Writes a message that is a line already. Cut short, it leaves the program with a part of it.
    pub(super) async fn write(&mut self, line: &[u8]) -> Result<(), ExecError> {
        match timeout(self.timeout, self.input.write_all(line)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => Err(self.death().await),
            Ok(Err(error)) => Err(ExecError::Input(error)),
            Err(_) => Err(ExecError::Silent(self.timeout)),
        }
    }

    pub(super) async fn answer(&mut self) -> Result<Answer, ExecError> {
        match timeout(self.timeout, self.answers.recv()).await {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(self.death().await),
            Err(_) => Err(ExecError::Silent(self.timeout)),
        }
    }

    /// Why its pipes are closed.
    async fn death(&mut self) -> ExecError {
        match timeout(SIGNAL_GRACE, self.process.wait()).await {
            Ok(Ok(status)) => ExecError::Ended(status),
            Ok(Err(error)) => ExecError::Input(error),
            Err(_) => ExecError::Closed,
        }
    }

    /// Closes the program's input, upon which it must end, and makes it end if it does not.
    pub(super) async fn end(self) {
        let Self { mut process, input, outputs, .. } = self;
        drop(input);
        exit(&mut process).await;
        // Its last words say why it ended; one that it started itself may keep the pipe open.
        let _ = timeout(SIGNAL_GRACE, outputs.join_all()).await;
    }
}

/// Waits until a process without input ends, and makes it.
async fn exit(process: &mut tokio::process::Child) {
    for (grace, signal) in [(END_GRACE, Signal::SIGTERM), (SIGNAL_GRACE, Signal::SIGKILL)] {
        if timeout(grace, process.wait()).await.is_ok() {
            return;
        }
        let group = process.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        tracing::warn!(pid = process.id(), %signal, "the program does not end with its input");
        // It may end this very moment.
        let _ = group.map(|group| killpg(group, signal));
    }
    let _ = timeout(SIGNAL_GRACE, process.wait()).await;
}

/// Reads what the program answers until its output ends or nobody listens.
async fn listen(output: impl AsyncRead + Unpin, shard_id: Arc<str>, answers: mpsc::Sender<Answer>) {
    let (mut output, mut line) = (BufReader::new(output), Vec::new());
    while let Ok(true) = read_line(&mut output, &mut line).await {
        let Some(answer) = read(&line) else {
            // Programs print newlines around their messages, and data that is nobody else's business.
            if !line.trim_ascii().is_empty() {
                tracing::info!(shard = &*shard_id, bytes = line.len(), "ignored a line that is no message");
            }
            tracing::debug!(shard = &*shard_id, line = %String::from_utf8_lossy(&line), "ignored");
            continue;
        };
        if answers.send(answer).await.is_err() {
            return;
        }
    }
}

/// Passes what the program says on standard error on to the log.
async fn log(errors: impl AsyncRead + Unpin, shard_id: Arc<str>) {
    let (mut errors, mut line) = (BufReader::new(errors), Vec::new());
    while let Ok(true) = read_line(&mut errors, &mut line).await {
        tracing::info!(shard = &*shard_id, line = %String::from_utf8_lossy(&line), "the program says");
    }
}
