//! The stream: shards, what flows in and out, how much of the limit that is.

use controlplane::{
    observe::{LoadObservation, StreamObservation},
    record::{ConditionKind, Status},
};
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::Style,
    text::{Line, Span},
    widgets::{Paragraph, Sparkline, SparklineBar},
};

use super::Palette;
use crate::{
    app::model::{Model, Sample},
    output::text::clean,
    wording::figures,
};

/// Kinesis takes 1,000 records per second and shard (Kinesis Data Streams quotas and limits).
const SHARD_RECORDS_PER_SECOND: f64 = 1_000.0;
/// Kinesis takes 1 MiB per second and shard (same page).
const SHARD_BYTES_PER_SECOND: f64 = 1_048_576.0;
/// Above this share of the limit a panel warns.
const LIMIT_WARNING: f64 = 0.8;

/// Columns of words left of a sparkline.
const WORDS: u16 = 45;

pub(super) fn draw(model: &Model, palette: Palette, frame: &mut Frame<'_>, area: Rect) {
    let Some(status) = model.status() else {
        let block = palette.panel(&format!("stream {}", model.deployment.name));
        return frame.render_widget(Paragraph::new("? not observed yet").style(palette.dim()).block(block), area);
    };
    let stream = &status.observation.stream;
    let block = palette.panel(&format!("stream {}", stream.name));
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let rows = Layout::vertical([Constraint::Length(1); 4]);
    let [shards, flow_in, flow_out, limit] = rows.areas(inner);
    frame.render_widget(Paragraph::new(shards_line(model, stream, status, palette)), shards);
    let load = &status.observation.load;
    let now = model.now;
    let offered = load.offered_records.or(load.incoming_records);
    let bytes = load.offered_bytes.or(load.incoming_bytes);
    let words = format!("in   {}", figures::flow(offered.as_ref(), bytes.as_ref(), now));
    flow(model, words, |sample| sample.incoming, palette.change(), frame, flow_in);
    let lag = figures::reading(load.lag.as_ref(), now);
    let words = format!("out  {}  lag {lag}", figures::reading(load.processed_records.as_ref(), now));
    flow(model, words, |sample| sample.processed, palette.good(), frame, flow_out);
    frame.render_widget(Paragraph::new(limit_line(model, load, stream, palette)), limit);
}

fn shards_line(model: &Model, stream: &StreamObservation, status: &Status, palette: Palette) -> Line<'static> {
    let state = stream.status.as_ref().map_or("?", |reading| reading.value.as_str());
    let (glyph, style) = match state {
        "ACTIVE" => ('●', palette.good()),
        "?" => ('?', palette.warning()),
        _ => ('◐', palette.warning()),
    };
    let mode = if stream.on_demand { " on-demand" } else { "" };
    let closed = stream.undrained_parents.filter(|reading| reading.value.0 > 0);
    let closed = closed.map(|reading| format!(", {} closed not read out", reading.value.0)).unwrap_or_default();
    let shards = figures::reading(stream.open_shards.as_ref(), model.now);
    let mut spans =
        vec![Span::styled(format!("{glyph} {}{mode}", clean(state)), style), Span::raw(format!("  {shards}{closed} "))];
    spans.extend(conditions(status, palette));
    Line::from(spans)
}

/// The conditions that hold, and `Ready` where it does not.
fn conditions(status: &Status, palette: Palette) -> impl Iterator<Item = Span<'static>> {
    status.conditions.iter().filter_map(move |condition| {
        let (word, style) = match (condition.kind, condition.status) {
            (ConditionKind::Ready, true) => (" ✓ Ready", palette.good()),
            (ConditionKind::Ready, false) => (" ✗ not Ready", palette.warning()),
            (ConditionKind::Scaling, true) => (" ▸ Scaling", palette.change()),
            (ConditionKind::Throttled, true) => (" ! Throttled", palette.bad()),
            (ConditionKind::Lagging, true) => (" ! Lagging", palette.bad()),
            (ConditionKind::Degraded, true) => (" ! Degraded", palette.bad()),
            (ConditionKind::Paused, true) => (" ■ Paused", palette.warning()),
            (_, false) => return None,
        };
        Some(Span::styled(word, style))
    })
}

fn limit_line(model: &Model, load: &LoadObservation, stream: &StreamObservation, palette: Palette) -> Line<'static> {
    let used = used_of_limit(load, stream);
    let text = used.map_or_else(|| "?".to_owned(), |share| format!("{:.0} %", share * 100.0));
    let style = if used.is_some_and(|share| share > LIMIT_WARNING) { palette.warning() } else { Style::new() };
    let throttled = load.throttled_records.filter(|reading| reading.value.0 > 0.0);
    let warning = if throttled.is_some() { palette.bad() } else { Style::new() };
    let refused = figures::reading(load.throttled_records.as_ref(), model.now);
    Line::from(vec![
        Span::styled(format!("use  {text} of the shards' write limit"), style),
        Span::styled(format!("  throttled {refused}"), warning),
    ])
}

/// The larger of the two shares of the shards' write limits: records and bytes.
fn used_of_limit(load: &LoadObservation, stream: &StreamObservation) -> Option<f64> {
    let shards = f64::from(stream.open_shards.as_ref()?.value.0);
    let records = load.incoming_records.map(|reading| reading.value.0 / SHARD_RECORDS_PER_SECOND);
    let bytes = load.incoming_bytes.map(|reading| reading.value.0 / SHARD_BYTES_PER_SECOND);
    let busiest = [records, bytes].into_iter().flatten().reduce(f64::max)?;
    (shards > 0.0).then(|| busiest / shards)
}

/// Words, and beside them a sparkline whose newest sample is at the right; gaps stay gaps.
fn flow(
    model: &Model,
    words: String,
    value: impl Fn(&Sample) -> Option<f64>,
    style: Style,
    frame: &mut Frame<'_>,
    area: Rect,
) {
    let [left, right] = Layout::horizontal([Constraint::Length(WORDS), Constraint::Fill(1)]).areas(area);
    frame.render_widget(Paragraph::new(words), left);
    let width = usize::from(right.width);
    let samples = model.history.iter().rev().take(width).rev();
    let mut bars = vec![SparklineBar::from(None); width.saturating_sub(model.history.len())];
    // A sparkline has eight steps: what a float loses as an integer is far below one.
    bars.extend(samples.map(|sample| SparklineBar::from(value(sample).map(|value| value.max(0.0) as u64))));
    frame.render_widget(Sparkline::default().data(bars).style(style).absent_value_symbol(" "), right);
}
