//! The terminal: taken, given back whatever happens, suspended on demand.

use std::io::{self, IsTerminal};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, raise};
use ratatui::{
    DefaultTerminal, Frame,
    crossterm::event::{Event as TerminalEvent, KeyCode, KeyEvent, KeyModifiers},
};

use super::{event::Event, keymap::Key};
use crate::failure::Failure;

/// The terminal in raw mode on its alternate screen; dropping it gives it back. A panic gives it back too.
pub(super) struct Screen(DefaultTerminal);

impl Screen {
    /// Takes the terminal.
    pub(super) fn take() -> Result<Self> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return Err(Failure::failed("the live view needs a terminal")
                .hint("`ctl status --output json` prints the same once, `ctl top --output jsonl` once a second")
                .into());
        }
        Ok(Self(ratatui::try_init().context("cannot use the terminal")?))
    }

    pub(super) fn draw(&mut self, view: impl FnOnce(&mut Frame<'_>)) -> Result<()> {
        self.0.draw(view).context("cannot draw")?;
        Ok(())
    }

    /// Gives the terminal to the shell, stops this process, and takes the terminal again once it is continued. Its
    /// alternate screen is empty then, and a new terminal draws every cell.
    pub(super) fn suspend(&mut self) -> Result<()> {
        ratatui::restore();
        raise(Signal::SIGTSTP).context("cannot suspend")?;
        self.0 = ratatui::try_init().context("cannot use the terminal")?;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// What a terminal event means to the application, if anything.
pub(super) fn event(event: &TerminalEvent) -> Option<Event> {
    match event {
        TerminalEvent::Key(key) if key.is_press() || key.is_repeat() => self::key(key).map(Event::Key),
        TerminalEvent::Resize(..) => Some(Event::Resize),
        _ => None,
    }
}

fn key(event: &KeyEvent) -> Option<Key> {
    Some(match event.code {
        KeyCode::Char(character) if event.modifiers.contains(KeyModifiers::CONTROL) => {
            Key::Ctrl(character.to_ascii_lowercase())
        }
        KeyCode::Char(character) if !event.modifiers.contains(KeyModifiers::ALT) => Key::Char(character),
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Esc,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        _ => return None,
    })
}
