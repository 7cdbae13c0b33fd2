//! Golden buffers, with their styles.

use controlplane::record::ConditionKind;
use ratatui::{Terminal, backend::TestBackend, buffer::Buffer};
use stack::teardown::Report;

use super::{Palette, draw};
use crate::app::{
    event::Event,
    keymap::Key,
    model::Model,
    tests::fixtures::{busy, condition, empty, inventory, now, resource, snapshot},
    update::update,
};

fn render(model: &Model, width: u16, height: u16, colour: bool) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a test terminal");
    terminal.draw(|frame| draw(model, Palette { colour }, frame)).expect("drawn");
    terminal.backend().buffer().clone()
}

fn text(buffer: &Buffer) -> String {
    let width = usize::from(buffer.area.width);
    let rows =
        buffer.content.chunks(width).map(|row| row.iter().map(ratatui::buffer::Cell::symbol).collect::<String>());
    rows.map(|row| row.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

fn after(mut model: Model, events: impl IntoIterator<Item = Event>) -> Model {
    for event in events {
        let _ = update(&mut model, event);
    }
    model
}

fn keys(keys: &str) -> impl Iterator<Item = Event> {
    keys.chars().map(|key| Event::Key(if key == '\n' { Key::Enter } else { Key::Char(key) }))
}

fn confirming() -> Model {
    after(busy(), keys("t").chain([Event::Inventory(Ok(inventory()))]))
}

#[test]
fn the_overview_fits_the_classic_terminal() {
    insta::assert_debug_snapshot!(render(&busy(), 80, 24, true));
}

#[test]
fn the_overview_shows_the_numbers_of_each_rule_where_there_is_room() {
    insta::assert_snapshot!(text(&render(&busy(), 120, 40, true)));
}

#[test]
fn the_overview_is_usable_on_a_small_terminal() {
    insta::assert_snapshot!(text(&render(&busy(), 60, 20, true)));
}

#[test]
fn without_colour_everything_is_still_said() {
    let buffer = render(&busy(), 80, 24, false);
    assert!(buffer.content.iter().all(|cell| cell.fg == ratatui::style::Color::Reset), "a colour is left");
    assert_eq!(text(&buffer), text(&render(&busy(), 80, 24, true)));
}

#[test]
fn a_terminal_that_is_too_small_gets_one_clear_line() {
    let small = text(&render(&busy(), 50, 10, true));
    assert_eq!(small.trim_end(), "ctl needs 60x20, this is 50x10 (q quits)");
}

#[test]
fn what_nobody_has_seen_yet_is_a_question_mark_and_never_zero() {
    insta::assert_snapshot!(text(&render(&empty(), 80, 24, true)));
}

#[test]
fn an_old_heartbeat_is_called_stale() {
    let model = after(busy(), [Event::Tick(now() + jiff::SignedDuration::from_mins(2))]);
    assert!(text(&render(&model, 80, 24, true)).contains("✗ STALE 2 min"));
}

#[test]
fn a_pause_is_said_with_its_reason_on_every_screen() {
    let mut paused = snapshot(now(), 1.0);
    if let Some(status) = &mut paused.status {
        status.conditions.push(condition(ConditionKind::Paused, true, now()));
    }
    let model = after(empty(), [Event::Data(Ok(Box::new(paused)))].into_iter().chain(keys("d")));
    assert!(text(&render(&model, 60, 20, true)).contains("■ a test  policy 2"));
}

#[test]
fn a_failing_poll_is_said_and_what_was_seen_stays() {
    let model = after(busy(), [Event::Data(Err("no answer within 5 s".to_owned()))]);
    let shown = text(&render(&model, 80, 24, true));
    assert!(shown.contains("✗ cannot read: no answer within 5 s") && shown.contains("4 shards"), "{shown}");
}

#[test]
fn decisions_are_listed_and_one_opens_whole() {
    insta::assert_snapshot!(text(&render(&after(busy(), keys("d")), 80, 24, true)));
    insta::assert_snapshot!(text(&render(&after(busy(), keys("d\n")), 80, 24, true)));
}

#[test]
fn the_help_names_the_keys_of_the_screen_below() {
    insta::assert_snapshot!(text(&render(&after(busy(), keys("?")), 80, 24, true)));
}

#[test]
fn the_teardown_shows_what_goes_and_where_before_it_asks() {
    insta::assert_snapshot!(text(&render(&after(confirming(), keys("wei")), 80, 24, true)));
}

#[test]
fn the_teardown_shows_progress_and_what_is_left() {
    let deleted = Event::Progress(stack::Event::Deleted { resource: resource("AWS::Kinesis::Stream", "weir") });
    let left = Report { leftovers: vec![resource("AWS::Logs::LogGroup", "/weir/weir/consumer")], ..Report::default() };
    let model = after(confirming(), keys("weir\n").chain([deleted, Event::Finished(Ok(left))]));
    insta::assert_snapshot!(text(&render(&model, 80, 24, true)));
}

#[test]
fn control_characters_of_data_do_not_reach_the_terminal() {
    let mut evil = snapshot(now(), 1.0);
    if let Some(status) = &mut evil.status {
        status.leader = "\u{1b}[31mevil\u{7}".to_owned();
        status.observation.stream.name = "a\u{9b}b".to_owned();
    }
    let buffer = render(&after(empty(), [Event::Data(Ok(Box::new(evil)))]), 80, 24, true);
    assert!(buffer.content.iter().all(|cell| !cell.symbol().chars().any(char::is_control)));
    assert!(text(&buffer).contains("\\u{1b}[31mevil\\u{7}"));
}
