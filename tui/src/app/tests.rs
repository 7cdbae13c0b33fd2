//! The update function: what keys and data do, and what no sequence of them can do.

pub(crate) mod fixtures;

use proptest::prelude::*;
use ratatui::{Terminal, backend::TestBackend};
use stack::teardown::Report;

use self::fixtures::{busy, decision, empty, inventory, now, resource, snapshot};
use super::{
    effect::Effect,
    event::Event,
    keymap::Key,
    model::{Model, Screen},
    teardown::Teardown,
    update::update,
    view::{self, Palette},
};

fn press(model: &mut Model, keys: &str) -> Vec<Effect> {
    let keys = keys.chars().map(|key| if key == '\n' { Key::Enter } else { Key::Char(key) });
    keys.filter_map(|key| update(model, Event::Key(key))).collect()
}

fn confirming() -> Model {
    let mut model = busy();
    assert_eq!(press(&mut model, "t"), [Effect::LoadInventory]);
    let _ = update(&mut model, Event::Inventory(Ok(inventory())));
    model
}

#[test]
fn a_teardown_needs_the_exact_name_and_enter() {
    let mut model = confirming();
    assert_eq!(press(&mut model, "\n"), []);
    assert_eq!(press(&mut model, "wei\n"), []);
    assert_eq!(press(&mut model, "rx\n"), []);
    let _ = update(&mut model, Event::Key(Key::Backspace));
    let effects = press(&mut model, "\n");
    assert!(matches!(&effects[..], [Effect::Teardown(confirmed)] if confirmed.place() == &inventory().place));
    assert!(matches!(model.screen, Screen::Teardown(Teardown::Running(_))));
}

#[test]
fn a_wrong_name_is_answered_until_it_is_changed() {
    let refused = |model: &Model| matches!(&model.screen, Screen::Teardown(Teardown::Confirm(confirmation)) if confirmation.is_refused());
    let mut model = confirming();
    let _ = press(&mut model, "wrong");
    assert!(!refused(&model));
    let _ = press(&mut model, "\n");
    assert!(refused(&model));
    let _ = update(&mut model, Event::Key(Key::Backspace));
    assert!(!refused(&model));
}

#[test]
fn escape_leaves_the_teardown_and_forgets_what_was_typed() {
    let mut model = confirming();
    assert_eq!(press(&mut model, "weir"), []);
    let _ = update(&mut model, Event::Key(Key::Esc));
    assert_eq!(model.screen, Screen::Overview);
    let _ = press(&mut model, "t");
    let _ = update(&mut model, Event::Inventory(Ok(inventory())));
    assert_eq!(press(&mut model, "\n"), []);
}

#[test]
fn an_inventory_that_comes_after_escape_does_not_open_the_teardown() {
    let mut model = busy();
    let _ = press(&mut model, "t");
    let _ = update(&mut model, Event::Key(Key::Esc));
    let _ = update(&mut model, Event::Inventory(Ok(inventory())));
    assert_eq!(model.screen, Screen::Overview);
}

#[test]
fn nothing_to_remove_cannot_be_removed() {
    let mut model = busy();
    let _ = press(&mut model, "t");
    let nothing = stack::inventory::Inventory { resources: Vec::new(), ..inventory() };
    let _ = update(&mut model, Event::Inventory(Ok(nothing)));
    assert_eq!(press(&mut model, "weir\n"), []);
}

#[test]
fn an_opened_decision_stays_open_while_new_ones_come_in() {
    let mut model = busy();
    assert_eq!(press(&mut model, "d\n"), []);
    let mut newer = snapshot(now(), 1.0);
    newer.decisions.insert(0, decision(2));
    let _ = update(&mut model, Event::Data(Ok(Box::new(newer))));
    assert_eq!(model.screen, Screen::Decisions { selected: 1, open: Some(0) });
    let _ = update(&mut model, Event::Key(Key::Esc));
    assert_eq!(model.screen, Screen::Decisions { selected: 1, open: None });
}

#[test]
fn the_history_takes_one_sample_for_each_heartbeat_and_is_bounded() {
    let mut model = empty();
    for second in 0..1_000 {
        let at = now() + jiff::SignedDuration::from_secs(second);
        for _ in 0..2 {
            let _ = update(&mut model, Event::Data(Ok(Box::new(snapshot(at, second as f64)))));
        }
    }
    assert_eq!(model.history.len(), 300);
    assert_eq!(model.history.back().and_then(|sample| sample.incoming), Some(999.0));
}

#[test]
fn the_same_resource_has_one_line_in_the_progress() {
    let mut model = confirming();
    let _ = press(&mut model, "weir\n");
    let deleted = stack::Event::Deleted { resource: resource("AWS::Kinesis::Stream", "weir") };
    for _ in 0..3 {
        let _ = update(&mut model, Event::Progress(deleted.clone()));
    }
    let Screen::Teardown(Teardown::Running(steps)) = &model.screen else { panic!("{:?}", model.screen) };
    assert_eq!(steps.events().len(), 1);
}

fn any_key() -> impl Strategy<Value = Key> {
    prop_oneof![
        4 => prop::sample::select("weirdtq?jkgGx".chars().collect::<Vec<_>>()).prop_map(Key::Char),
        3 => prop::sample::select(vec![
            Key::Enter, Key::Esc, Key::Backspace, Key::Up, Key::Down, Key::PageUp, Key::PageDown, Key::Home, Key::End,
        ]),
        1 => any::<char>().prop_map(Key::Char),
        1 => Just(Key::Ctrl('z')),
    ]
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => any_key().prop_map(Event::Key),
        1 => (0..100_i64).prop_map(|second| Event::Tick(now() + jiff::SignedDuration::from_secs(second))),
        1 => (0..50_i64, 0.0..1e9).prop_map(|(second, rate)| {
            Event::Data(Ok(Box::new(snapshot(now() + jiff::SignedDuration::from_secs(second), rate))))
        }),
        1 => Just(Event::Data(Err("gone".to_owned()))),
        2 => Just(Event::Inventory(Ok(inventory()))),
        1 => Just(Event::Inventory(Err("refused".to_owned()))),
        1 => Just(Event::Progress(stack::Event::Deleted { resource: resource("AWS::Kinesis::Stream", "weir") })),
        1 => Just(Event::Finished(Ok(Report::default()))),
        1 => Just(Event::Resize),
    ]
}

/// True where the confirm screen shows the name typed out.
fn is_confirmed(model: &Model) -> bool {
    matches!(&model.screen, Screen::Teardown(Teardown::Confirm(confirmation)) if confirmation.typed() == "weir")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_events_at_any_size_panic_or_tear_down_without_the_typed_name(
        events in prop::collection::vec(any_event(), 0..60),
        width in 0_u16..140,
        height in 0_u16..50,
    ) {
        let mut model = empty();
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a test terminal");
        for event in events {
            let (confirmed, enter) = (is_confirmed(&model) && !model.help, event == Event::Key(Key::Enter));
            let effect = update(&mut model, event);
            if matches!(effect, Some(Effect::Teardown(_))) {
                prop_assert!(confirmed && enter, "a teardown without its confirmation");
            }
            terminal.draw(|frame| view::draw(&model, Palette { colour: true }, frame)).expect("drawn");
        }
    }
}
