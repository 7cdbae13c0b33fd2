//! Two lines: which deployment this is, and whether anybody steers it.

use controlplane::record::{ConditionKind, Status};
use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
    widgets::Paragraph,
};

use super::Palette;
use crate::{
    app::{
        model::{Model, Screen},
        teardown::Teardown,
    },
    output::text::clean,
    wording::figures,
};

pub(super) fn draw(model: &Model, palette: Palette, frame: &mut Frame<'_>, area: Rect) {
    let deployment = &model.deployment;
    let mut first = vec![
        Span::styled(format!(" {}", clean(&deployment.name)), palette.title()),
        Span::raw(format!("  {}  {}", clean(&deployment.region), clean(&deployment.place))),
    ];
    let post = deployment.ingest_url.as_ref().map(|url| format!("  post to {}", clean(url)));
    let used: usize = first.iter().map(Span::width).sum();
    // Half a URL would be worse than none.
    let post = post.filter(|post| used + Span::raw(post).width() <= usize::from(area.width));
    first.extend(post.map(|post| Span::styled(post, palette.dim())));
    frame.render_widget(Paragraph::new(vec![Line::from(first), steering(model, palette)]), area);
}

fn steering(model: &Model, palette: Palette) -> Line<'static> {
    match &model.screen {
        // Whoever steered is removed first, and the table that told of it soon after.
        Screen::Teardown(Teardown::Running(_)) => return Line::styled(" ▸ being removed", palette.change()),
        Screen::Teardown(Teardown::Ended { result: Ok(_), .. }) => return Line::styled(" ■ removed", palette.dim()),
        _ => {}
    }
    if let Some(problem) = &model.problem {
        return Line::styled(format!(" ✗ cannot read: {}", clean(problem)), palette.bad());
    }
    let (Some(status), Some(age)) = (model.status(), model.heartbeat_age()) else {
        return Line::styled(" ? no heartbeat of the control plane yet", palette.warning());
    };
    let age = figures::age(age);
    let beat = if model.is_stale() {
        Span::styled(format!(" ✗ STALE {age}"), palette.bad())
    } else {
        Span::styled(format!(" ● heartbeat {age} ago"), palette.good())
    };
    // The leader's name may be long, and is what one can do without.
    let rest =
        format!("  policy {}  epoch {}  leader {}", status.observed_generation, status.epoch, clean(&status.leader));
    let paused = paused(status).map(|message| Span::styled(format!("  ■ {}", clean(message)), palette.warning()));
    Line::from_iter([beat].into_iter().chain(paused).chain([Span::styled(rest, palette.dim())]))
}

/// Who paused the pipeline, and why.
fn paused(status: &Status) -> Option<&str> {
    let paused = status.conditions.iter().find(|condition| condition.kind == ConditionKind::Paused)?;
    paused.status.then_some(paused.message.as_str())
}
