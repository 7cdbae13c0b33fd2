//! Runs the terminal UI: takes events from the terminal, the pollers and the clock, and carries out effects.

use std::time::Duration;

use anyhow::{Context, Result};
use futures::StreamExt;
use ratatui::crossterm::event::EventStream;
use stack::{Progress, teardown::Options};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, watch},
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    effect::Effect,
    event::Event,
    model::{Model, Screen as AppScreen},
    poll::{self, Reading},
    teardown::{Confirmed, Teardown},
    terminal::{self, Screen},
    update::update,
    view::{self, Palette},
};
use crate::{clock, output::chain, target::Target};

/// The shortest time between two drawings: 30 a second.
const FRAME: Duration = Duration::from_millis(33);
/// How often ages are drawn anew.
const TICK: Duration = Duration::from_secs(1);
/// Events of background work that may wait.
const BACKLOG: usize = 64;

/// How the terminal UI was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// A person quit, or a signal asked for the end.
    Quit,
    /// The same while a teardown was going on.
    MidTeardown,
}

/// Shows the deployment until a person quits, a signal comes, or `stopping` is cancelled.
pub(crate) async fn run(target: &Target, owned: bool, stopping: CancellationToken) -> Result<Ending> {
    let mut screen = Screen::take()?;
    let mut signals = signals()?;
    let mut session = Session::new(target, owned, &stopping);
    let palette = Palette { colour: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) };
    let mut keys = EventStream::new();
    let mut drawn = Instant::now() - FRAME;
    let mut dirty = true;
    loop {
        let event = tokio::select! {
            biased;
            () = asked_to_end(&mut signals) => break,
            () = stopping.cancelled() => break,
            key = keys.next() => match key {
                Some(Ok(key)) => terminal::event(&key),
                // The terminal is gone.
                Some(Err(_)) | None => break,
            },
            event = session.background() => event,
            () = sleep_until(drawn + FRAME), if dirty => {
                screen.draw(|frame| view::draw(&session.model, palette, frame))?;
                (drawn, dirty) = (Instant::now(), false);
                None
            }
        };
        let Some(event) = event else { continue };
        dirty = true;
        match update(&mut session.model, event) {
            Some(Effect::Quit) => break,
            Some(Effect::Suspend) => screen.suspend()?,
            Some(Effect::LoadInventory) => session.load_inventory(),
            Some(Effect::Teardown(confirmed)) => session.tear_down(&confirmed),
            None => {}
        }
    }
    Ok(session.ending())
}

/// The signals that ask for the end.
fn signals() -> Result<[Signal; 3]> {
    let listen = |kind| signal(kind).context("cannot listen for signals");
    Ok([listen(SignalKind::terminate())?, listen(SignalKind::hangup())?, listen(SignalKind::interrupt())?])
}

async fn asked_to_end([terminate, hangup, interrupt]: &mut [Signal; 3]) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// The model, and what changes it beside the keys.
struct Session {
    target: Target,
    model: Model,
    readings: watch::Receiver<Reading>,
    ticks: tokio::time::Interval,
    /// Answers of background work.
    work: (mpsc::Sender<Event>, mpsc::Receiver<Event>),
    stopping: CancellationToken,
    _stop: DropGuard,
}

impl Session {
    fn new(target: &Target, owned: bool, stopping: &CancellationToken) -> Self {
        let stopping = stopping.child_token();
        let (sender, readings) = watch::channel(None);
        tokio::spawn(poll::poll(target.clone(), sender, stopping.clone()));
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        Self {
            target: target.clone(),
            model: Model::new(target.deployment(owned), clock::now()),
            readings,
            ticks,
            work: mpsc::channel(BACKLOG),
            _stop: stopping.clone().drop_guard(),
            stopping,
        }
    }

    async fn background(&mut self) -> Option<Event> {
        tokio::select! {
            Ok(()) = self.readings.changed() => self.readings.borrow_and_update().clone().map(Event::Data),
            event = self.work.1.recv() => event,
            _ = self.ticks.tick() => Some(Event::Tick(clock::now())),
        }
    }

    fn load_inventory(&self) {
        let (target, events) = (self.target.clone(), self.work.0.clone());
        self.spawn(async move {
            let taken = stack::inventory::take(&target.clients(), &target.name).await;
            let event = Event::Inventory(taken.map_err(|error| chain(&error)));
            // The session may have ended meanwhile.
            let _ = events.send(event).await;
        });
    }

    fn tear_down(&self, confirmed: &Confirmed) {
        let (target, events) = (self.target.clone(), self.work.0.clone());
        let (options, stopping) = (Options { place: confirmed.place().clone() }, self.stopping.clone());
        let (progress, mut steps) = Progress::channel();
        let forward = events.clone();
        self.spawn(async move {
            while let Some(step) = steps.recv().await {
                let _ = forward.send(Event::Progress(step)).await;
            }
        });
        self.spawn(async move {
            let clients = target.clients();
            let ended = stack::teardown::teardown(&clients, &target.name, &options, &progress, &stopping).await;
            // The last steps are shown before the end.
            drop(progress);
            let ended = ended.map_err(|error| match error.hint() {
                Some(hint) => format!("{}; {hint}", chain(&error)),
                None => chain(&error),
            });
            let _ = events.send(Event::Finished(ended)).await;
        });
    }

    /// Work that ends with the session.
    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stopping = self.stopping.clone();
        tokio::spawn(async move { stopping.run_until_cancelled(work).await });
    }

    fn ending(&self) -> Ending {
        match &self.model.screen {
            AppScreen::Teardown(Teardown::Running(_)) => Ending::MidTeardown,
            _ => Ending::Quit,
        }
    }
}
