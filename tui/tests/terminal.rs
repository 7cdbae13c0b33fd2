//! The live view in a real terminal: it starts, follows a resize, and gives the terminal back however it ends.

use std::{
    io::{Read, Write},
    num::NonZeroU16,
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use portable_pty::{Child, CommandBuilder, ExitStatus, MasterPty, PtySize, native_pty_system};
use vt100::Parser;

/// Long enough for a loaded machine.
const PATIENCE: Duration = Duration::from_secs(20);

struct Terminal {
    /// The screen, and the news that something was drawn.
    screen: Arc<(Mutex<Parser>, Condvar)>,
    keys: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    _state: tempfile::TempDir,
}

fn size(columns: u16, rows: u16) -> PtySize {
    PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }
}

fn cells(count: u16) -> NonZeroU16 {
    NonZeroU16::new(count).expect("at least one")
}

impl Terminal {
    /// `ctl top` on an endpoint that nobody listens at: the view works without data.
    fn open(columns: u16, rows: u16) -> Self {
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_ctl"));
        command.args(["top", "--endpoint-url", "http://127.0.0.1:9"]);
        Self::run(command, columns, rows)
    }

    fn run(mut command: CommandBuilder, columns: u16, rows: u16) -> Self {
        let state = tempfile::tempdir().expect("a temporary directory");
        let pair = native_pty_system().openpty(size(columns, rows)).expect("a terminal");
        command.env("TERM", "xterm-256color");
        command.env("WEIR_STATE_DIR", state.path());
        let child = pair.slave.spawn_command(command).expect("ctl starts");
        drop(pair.slave);
        let screen = Arc::new((Mutex::new(Parser::new(cells(rows), cells(columns), 0)), Condvar::new()));
        let mut output = pair.master.try_clone_reader().expect("a reader");
        let drawn = screen.clone();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                drawn.0.lock().expect("no panic").process(&bytes[..count]);
                drawn.1.notify_all();
            }
        });
        let keys = pair.master.take_writer().expect("a writer");
        Self { screen, keys, child, master: pair.master, _state: state }
    }

    fn wait_for(&self, what: &str, holds: impl Fn(&vt100::Screen) -> bool) {
        let parser = self.screen.0.lock().expect("no panic");
        let (parser, waited) =
            self.screen.1.wait_timeout_while(parser, PATIENCE, |parser| !holds(parser.screen())).expect("no panic");
        assert!(!waited.timed_out(), "never saw {what}:\n{}", parser.screen().contents());
    }

    fn wait_for_text(&self, text: &str) {
        self.wait_for(text, |screen| screen.contents().contains(text));
    }

    fn wait_for_main_screen(&self) {
        self.wait_for("the main screen", |screen| !screen.alternate_screen());
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("the terminal is open");
        self.keys.flush().expect("the terminal is open");
    }

    fn resize(&self, columns: u16, rows: u16) {
        self.screen.0.lock().expect("no panic").screen_mut().set_size(cells(rows), cells(columns));
        self.master.resize(size(columns, rows)).expect("resized");
    }

    fn signal(&self, signal: Signal) {
        let pid = self.child.process_id().and_then(|id| i32::try_from(id).ok()).expect("it runs");
        kill(Pid::from_raw(pid), signal).expect("it runs");
    }

    fn end(&mut self) -> ExitStatus {
        let status = self.child.wait().expect("it ends");
        self.wait_for_main_screen();
        status
    }
}

#[test]
fn it_starts_follows_a_resize_opens_help_and_quits() {
    let mut terminal = Terminal::open(80, 24);
    terminal.wait_for("the view", |screen| screen.alternate_screen() && screen.contents().contains("q quit"));
    terminal.resize(40, 10);
    terminal.wait_for_text("ctl needs 60x20, this is 40x10");
    terminal.resize(100, 30);
    terminal.wait_for_text("d decisions");
    terminal.press("?");
    terminal.wait_for_text("Ctrl-Z");
    terminal.press("\u{1b}");
    terminal.wait_for("the closed help", |screen| !screen.contents().contains("Ctrl-Z"));
    terminal.press("q");
    assert!(terminal.end().success());
}

#[test]
fn keys_answer_while_the_endpoint_does_not() {
    let mut terminal = Terminal::open(80, 24);
    terminal.wait_for_text("q quit");
    terminal.press("t");
    terminal.wait_for_text("Esc back");
    terminal.press("\u{1b}");
    terminal.wait_for_text("d decisions");
    terminal.press("q");
    assert!(terminal.end().success());
}

#[test]
fn the_terminal_is_given_back_on_sigterm_and_sighup() {
    for signal in [Signal::SIGTERM, Signal::SIGHUP] {
        let mut terminal = Terminal::open(80, 24);
        terminal.wait_for_text("q quit");
        terminal.signal(signal);
        assert!(terminal.end().success(), "{signal}");
    }
}

#[test]
fn a_suspended_view_comes_back() {
    // Only a shell's job can be suspended: the kernel discards SIGTSTP for who has no parent in its session.
    let script = "set -m; \"$0\" top --endpoint-url http://127.0.0.1:9; echo in the shell; read _; fg";
    let mut shell = CommandBuilder::new("/bin/sh");
    shell.args(["-c", script, env!("CARGO_BIN_EXE_ctl")]);
    let mut terminal = Terminal::run(shell, 80, 24);
    let is_view = |screen: &vt100::Screen| screen.alternate_screen() && screen.contents().contains("q quit");
    terminal.wait_for("the view", is_view);
    terminal.press("\u{1a}");
    terminal.wait_for("the shell", |screen| !screen.alternate_screen() && screen.contents().contains("in the shell"));
    terminal.press("\n");
    terminal.wait_for("the view", is_view);
    terminal.press("q");
    assert!(terminal.end().success());
}
