//! One process of a task, with its group and its output.

use std::{io, os::unix::process::ExitStatusExt, process::ExitStatus, process::Stdio, time::Duration};

use bytes::Bytes;
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::{
    process::{Child, ChildStdin, Command},
    task::JoinSet,
    time::timeout,
};

use super::{output, program::Program};

/// How long output may still come after the process and its group are gone.
const LAST_OUTPUT: Duration = Duration::from_secs(1);

/// A running process that leads a group of its own.
pub(super) struct Process {
    child: Child,
    group: Pid,
    readers: JoinSet<io::Result<()>>,
    /// Held open: the system closes it when this process ends, even by SIGKILL, and a task that reads its standard input
    /// learns of it.
    _stdin: Option<ChildStdin>,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    Code(i32),
    Signal(i32),
}

impl Exit {
    /// The exit code as containers report it: 128 and the signal's number for a signal.
    pub(super) fn code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(code),
            (None, signal) => Self::Signal(signal.unwrap_or_default()),
        }
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(formatter, "exit code {code}"),
            Self::Signal(number) => {
                let name = Signal::try_from(*number).map_or("unknown", Signal::as_str);
                write!(formatter, "signal {number} ({name})")
            }
        }
    }
}

impl Process {
    /// Starts the program in a process group of its own. `sink` gets every line that it prints.
    pub(super) fn start(program: &Program, sink: impl Fn(Bytes) + Clone + Send + 'static) -> io::Result<Self> {
        let mut child = Command::new(&program.path)
            .args(&program.arguments)
            .env_clear()
            .envs(&program.environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok());
        let group = pid.map(Pid::from_raw).ok_or_else(|| io::Error::other("the process ended while it started"))?;
        let mut readers = JoinSet::new();
        if let Some(pipe) = child.stdout.take() {
            readers.spawn(output::forward(pipe, sink.clone()));
        }
        if let Some(pipe) = child.stderr.take() {
            readers.spawn(output::forward(pipe, sink));
        }
        let stdin = child.stdin.take();
        Ok(Self { child, group, readers, _stdin: stdin })
    }

    pub(super) fn id(&self) -> u32 {
        self.group.as_raw().unsigned_abs()
    }

    /// Waits until the process ends. Can be dropped and called again.
    pub(super) async fn ended(&mut self) -> io::Result<Exit> {
        self.child.wait().await.map(Exit::from)
    }

    /// Asks the whole group to end, and kills it when `patience` is over first.
    pub(super) async fn terminate(&mut self, patience: impl Future<Output = ()>) -> io::Result<Exit> {
        self.signal(Signal::SIGTERM);
        tokio::select! {
            exit = self.ended() => return exit,
            () = patience => {}
        }
        self.signal(Signal::SIGKILL);
        self.ended().await
    }

    /// Ends what is left of the group, and reads the last output.
    pub(super) async fn clean_up(mut self) {
        self.signal(Signal::SIGKILL);
        let drained = async { while self.readers.join_next().await.is_some() {} };
        if timeout(LAST_OUTPUT, drained).await.is_err() {
            tracing::warn!(group = self.group.as_raw(), "a task's output is still open after its end");
        }
    }

    fn signal(&self, signal: Signal) {
        // A group without members is gone, which is what every signal here is for.
        let _ = killpg(self.group, signal);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::sync::mpsc;

    use super::*;

    fn shell(script: &str) -> Program {
        let environment = [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into();
        Program { path: "/bin/sh".to_owned(), arguments: vec!["-c".to_owned(), script.to_owned()], environment }
    }

    fn start(script: &str) -> (Process, mpsc::UnboundedReceiver<Bytes>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let sink = move |line| drop(sender.send(line));
        (Process::start(&shell(script), sink).unwrap(), receiver)
    }

    async fn within<T>(future: impl Future<Output = T>) -> T {
        timeout(Duration::from_secs(10), future).await.expect("nothing happened for ten seconds")
    }

    #[tokio::test]
    async fn both_outputs_and_the_exit_code_arrive() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = {
            let lines = lines.clone();
            move |line| lines.lock().unwrap().push(line)
        };
        let mut process = Process::start(&shell("echo out; echo err >&2; exit 3"), sink).unwrap();
        assert_eq!(within(process.ended()).await.unwrap(), Exit::Code(3));
        within(process.clean_up()).await;
        let mut lines = lines.lock().unwrap().clone();
        lines.sort();
        assert_eq!(lines, ["err", "out"]);
    }

    #[tokio::test]
    async fn a_process_gets_time_to_end_after_sigterm() {
        let (mut process, mut lines) = start("trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.05; done");
        assert_eq!(within(lines.recv()).await.unwrap(), "ready");
        assert_eq!(within(process.terminate(std::future::pending())).await.unwrap(), Exit::Code(7));
        within(process.clean_up()).await;
        // The shell may tell of its own child's end, too.
        while within(lines.recv()).await.expect("the process says goodbye") != "bye" {}
    }

    #[tokio::test]
    async fn a_process_that_ignores_sigterm_is_killed_with_its_children() {
        let (mut process, mut lines) = start("trap '' TERM; sleep 600 & echo $!; while :; do sleep 0.05; done");
        let child = within(lines.recv()).await.unwrap();
        let child: i32 = std::str::from_utf8(&child).unwrap().parse().unwrap();
        let exit = within(process.terminate(std::future::ready(()))).await.unwrap();
        assert_eq!(exit.to_string(), "signal 9 (SIGKILL)");
        assert_eq!(exit.code(), 137);
        within(process.clean_up()).await;
        within(async {
            // An orphan stays a zombie until init takes it, so its end shows in its state rather than its absence.
            while std::fs::read_to_string(format!("/proc/{child}/stat")).is_ok_and(|stat| !stat.contains(") Z ")) {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    #[tokio::test]
    async fn standard_input_ends_with_its_holder() {
        let (mut process, mut lines) = start("echo ready; cat >/dev/null; echo end");
        assert_eq!(within(lines.recv()).await.unwrap(), "ready");
        process._stdin = None;
        assert_eq!(within(process.ended()).await.unwrap(), Exit::Code(0));
        assert_eq!(within(lines.recv()).await.unwrap(), "end");
    }
}
