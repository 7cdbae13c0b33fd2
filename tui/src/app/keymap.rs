//! Which key means what, where. The command bar and the help are made from this table, so they cannot lie.

use super::model::{Model, Screen};
use super::teardown::Teardown;

/// A key, without what no binding looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    Char(char),
    Ctrl(char),
    Enter,
    Esc,
    Backspace,
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
}

/// What a person wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    Quit,
    Suspend,
    ToggleHelp,
    Back,
    Decisions,
    Open,
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
    Teardown,
    Confirm,
    Erase,
    Type(char),
}

/// Where keys are read. Every context has its own bindings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Context {
    Overview,
    Help,
    Decisions,
    Decision,
    TeardownLoading,
    TeardownConfirm,
    TeardownRunning,
    TeardownEnded,
}

/// One line of the keymap.
pub(crate) struct Binding {
    pub(crate) keys: &'static [Key],
    /// The keys as the help shows them.
    pub(crate) label: &'static str,
    pub(crate) command: Command,
    pub(crate) words: &'static str,
    contexts: &'static [Context],
    /// Bound, and in the help, but not in the command bar.
    pub(crate) quiet: bool,
}

const LISTS: &[Context] = &[Context::Decisions, Context::Decision, Context::TeardownConfirm];
const EVERYWHERE: &[Context] = &[
    Context::Overview,
    Context::Help,
    Context::Decisions,
    Context::Decision,
    Context::TeardownLoading,
    Context::TeardownConfirm,
    Context::TeardownRunning,
    Context::TeardownEnded,
];
/// Where letters are commands and not text.
const COMMANDS: &[Context] = &[
    Context::Overview,
    Context::Decisions,
    Context::Decision,
    Context::TeardownLoading,
    Context::TeardownRunning,
    Context::TeardownEnded,
];

const fn bar(
    keys: &'static [Key],
    label: &'static str,
    command: Command,
    words: &'static str,
    contexts: &'static [Context],
) -> Binding {
    Binding { keys, label, command, words, contexts, quiet: false }
}

const fn quiet(
    keys: &'static [Key],
    label: &'static str,
    command: Command,
    words: &'static str,
    contexts: &'static [Context],
) -> Binding {
    Binding { keys, label, command, words, contexts, quiet: true }
}

/// All bindings, in the order of the command bar.
pub(crate) const BINDINGS: &[Binding] = &[
    bar(&[Key::Char('d')], "d", Command::Decisions, "decisions", &[Context::Overview]),
    bar(&[Key::Char('t')], "t", Command::Teardown, "teardown", &[Context::Overview]),
    bar(&[Key::Enter], "Enter", Command::Open, "open", &[Context::Decisions]),
    bar(&[Key::Enter], "Enter", Command::Confirm, "remove it all", &[Context::TeardownConfirm]),
    bar(
        &[Key::Esc],
        "Esc",
        Command::Back,
        "back",
        &[Context::Decisions, Context::Decision, Context::TeardownLoading, Context::TeardownEnded],
    ),
    bar(&[Key::Esc], "Esc", Command::Back, "cancel", &[Context::TeardownConfirm]),
    bar(&[Key::Esc, Key::Char('?'), Key::Char('q')], "Esc", Command::ToggleHelp, "close", &[Context::Help]),
    bar(&[Key::Down], "↓", Command::Down, "down", LISTS),
    bar(&[Key::Up], "↑", Command::Up, "up", LISTS),
    quiet(&[Key::Char('j')], "j", Command::Down, "down", &[Context::Decisions, Context::Decision]),
    quiet(&[Key::Char('k')], "k", Command::Up, "up", &[Context::Decisions, Context::Decision]),
    quiet(&[Key::PageDown], "PgDn", Command::PageDown, "a page down", LISTS),
    quiet(&[Key::PageUp], "PgUp", Command::PageUp, "a page up", LISTS),
    quiet(&[Key::Home], "Home", Command::First, "first", LISTS),
    quiet(&[Key::End], "End", Command::Last, "last", LISTS),
    quiet(&[Key::Char('g')], "g", Command::First, "first", &[Context::Decisions, Context::Decision]),
    quiet(&[Key::Char('G')], "G", Command::Last, "last", &[Context::Decisions, Context::Decision]),
    quiet(&[Key::Backspace], "Backspace", Command::Erase, "erase", &[Context::TeardownConfirm]),
    bar(&[Key::Char('?')], "?", Command::ToggleHelp, "help", COMMANDS),
    bar(&[Key::Char('q')], "q", Command::Quit, "quit", COMMANDS),
    quiet(&[Key::Ctrl('c')], "Ctrl-C", Command::Quit, "quit", EVERYWHERE),
    quiet(&[Key::Ctrl('z')], "Ctrl-Z", Command::Suspend, "suspend", EVERYWHERE),
];

/// The context that a model's next key is read in.
pub(crate) fn context(model: &Model) -> Context {
    if model.help {
        return Context::Help;
    }
    match &model.screen {
        Screen::Overview => Context::Overview,
        Screen::Decisions { open: None, .. } => Context::Decisions,
        Screen::Decisions { open: Some(_), .. } => Context::Decision,
        Screen::Teardown(Teardown::Loading) => Context::TeardownLoading,
        Screen::Teardown(Teardown::Confirm(_)) => Context::TeardownConfirm,
        Screen::Teardown(Teardown::Running(_)) => Context::TeardownRunning,
        Screen::Teardown(Teardown::Ended { .. }) => Context::TeardownEnded,
    }
}

/// The bindings that are valid in a context.
pub(crate) fn bindings(context: Context) -> impl Iterator<Item = &'static Binding> {
    BINDINGS.iter().filter(move |binding| binding.contexts.contains(&context))
}

/// What a key means in a context. Where text is typed, a letter is itself.
pub(crate) fn command(context: Context, key: Key) -> Option<Command> {
    if let (Context::TeardownConfirm, Key::Char(character)) = (context, key) {
        return Some(Command::Type(character));
    }
    bindings(context).find(|binding| binding.keys.contains(&key)).map(|binding| binding.command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_means_two_things_in_one_context() {
        for context in EVERYWHERE {
            let keys: Vec<_> = bindings(*context).flat_map(|binding| binding.keys).collect();
            for (index, key) in keys.iter().enumerate() {
                assert!(!keys[..index].contains(key), "{key:?} is bound twice in {context:?}");
            }
        }
    }

    #[test]
    fn every_context_can_be_left_and_says_how() {
        for context in EVERYWHERE {
            let leaves = |command| matches!(command, Command::Quit | Command::Back | Command::ToggleHelp);
            assert!(bindings(*context).any(|binding| leaves(binding.command) && !binding.quiet), "{context:?}");
            assert_eq!(command(*context, Key::Ctrl('c')), Some(Command::Quit));
        }
    }

    #[test]
    fn letters_are_text_where_the_name_is_typed() {
        assert_eq!(command(Context::TeardownConfirm, Key::Char('q')), Some(Command::Type('q')));
        assert_eq!(command(Context::Overview, Key::Char('q')), Some(Command::Quit));
    }

    #[test]
    fn no_binding_lacks_words_for_the_help() {
        assert!(BINDINGS.iter().all(|binding| !binding.words.is_empty() && !binding.label.is_empty()));
    }
}
