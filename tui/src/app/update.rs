//! (model, event) -> effects. Pure: the session carries the effects out.

use super::{
    effect::Effect,
    event::Event,
    keymap::{self, Command},
    model::{Model, Screen},
    teardown::{Confirmation, Steps, Teardown},
};
use stack::inventory::Inventory;

/// How far a page key moves.
const PAGE: usize = 10;

/// Changes the model and says what has to be done.
pub(crate) fn update(model: &mut Model, event: Event) -> Option<Effect> {
    match event {
        Event::Key(key) => return command(model, keymap::command(keymap::context(model), key)?),
        Event::Resize => {}
        Event::Tick(now) => model.now = now,
        Event::Data(Ok(snapshot)) => model.take(*snapshot),
        Event::Data(Err(problem)) => model.problem = Some(problem),
        Event::Inventory(read) => inventory(model, read),
        Event::Progress(event) => {
            if let Screen::Teardown(Teardown::Running(steps)) = &mut model.screen {
                steps.record(event);
            }
        }
        Event::Finished(result) => {
            if let Screen::Teardown(Teardown::Running(steps)) = &mut model.screen {
                let steps = std::mem::take(steps);
                model.screen = Screen::Teardown(Teardown::Ended { steps, result });
            }
        }
    }
    None
}

fn inventory(model: &mut Model, read: Result<Inventory, String>) {
    // Whoever went back meanwhile is not dragged into the teardown again.
    if model.screen != Screen::Teardown(Teardown::Loading) {
        return;
    }
    model.screen = Screen::Teardown(match read {
        Ok(inventory) => Teardown::Confirm(Confirmation::new(inventory)),
        Err(problem) => Teardown::Ended { steps: Steps::default(), result: Err(problem) },
    });
}

fn command(model: &mut Model, command: Command) -> Option<Effect> {
    match command {
        Command::Quit => return Some(Effect::Quit),
        Command::Suspend => return Some(Effect::Suspend),
        Command::ToggleHelp => model.help = !model.help,
        Command::Back => back(model),
        Command::Decisions => model.screen = Screen::Decisions { selected: 0, open: None },
        Command::Teardown => {
            model.screen = Screen::Teardown(Teardown::Loading);
            return Some(Effect::LoadInventory);
        }
        Command::Open => open(model),
        Command::Up => scroll(model, |at, _| at.saturating_sub(1)),
        Command::Down => scroll(model, |at, last| last.min(at.saturating_add(1))),
        Command::PageUp => scroll(model, |at, _| at.saturating_sub(PAGE)),
        Command::PageDown => scroll(model, |at, last| last.min(at.saturating_add(PAGE))),
        Command::First => scroll(model, |_, _| 0),
        Command::Last => scroll(model, |_, last| last),
        Command::Confirm => return confirm(model),
        Command::Erase => typing(model, Confirmation::erase),
        Command::Type(character) => typing(model, |confirmation| confirmation.type_character(character)),
    }
    None
}

fn back(model: &mut Model) {
    model.screen = match &model.screen {
        Screen::Decisions { selected, open: Some(_) } => Screen::Decisions { selected: *selected, open: None },
        _ => Screen::Overview,
    };
}

fn open(model: &mut Model) {
    let any = !model.decisions().is_empty();
    if let Screen::Decisions { open, .. } = &mut model.screen {
        *open = any.then_some(0);
    }
}

/// Moves the selection or the scroll offset of the screen; `to` is given the position and the last one.
fn scroll(model: &mut Model, to: impl Fn(usize, usize) -> usize) {
    let decisions = model.decisions().len();
    match &mut model.screen {
        Screen::Decisions { selected, open: None } => *selected = to(*selected, decisions.saturating_sub(1)),
        Screen::Decisions { selected, open: Some(line) } => {
            let last = model.snapshot.as_ref().and_then(|snapshot| snapshot.decisions.get(*selected)).map_or(0, lines);
            *line = to(*line, last);
        }
        Screen::Teardown(Teardown::Confirm(confirmation)) => {
            confirmation.scroll = to(confirmation.scroll, confirmation.resources().len().saturating_sub(1));
        }
        Screen::Overview | Screen::Teardown(_) => {}
    }
}

/// The last line to which a decision can be scrolled.
fn lines(decision: &controlplane::decide::Decision) -> usize {
    crate::wording::decision::lines(decision).len().saturating_sub(1)
}

fn typing(model: &mut Model, change: impl Fn(&mut Confirmation)) {
    if let Screen::Teardown(Teardown::Confirm(confirmation)) = &mut model.screen {
        change(confirmation);
    }
}

fn confirm(model: &mut Model) -> Option<Effect> {
    let Screen::Teardown(Teardown::Confirm(confirmation)) = &mut model.screen else { return None };
    let confirmed = confirmation.confirm()?;
    model.screen = Screen::Teardown(Teardown::Running(Steps::default()));
    Some(Effect::Teardown(confirmed))
}
