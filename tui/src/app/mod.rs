//! The terminal UI: one state, changed by one pure function, drawn by pure views.
//!
//! An [`event::Event`] comes in, [`keymap`] turns keys into commands, [`update::update`] changes the [`model::Model`] and
//! answers with [`effect::Effect`]s, and [`session`] carries those out. Pollers bring data as whole snapshots, so the
//! network never holds up a key.

pub(crate) mod effect;
pub(crate) mod event;
pub(crate) mod keymap;
pub(crate) mod model;
pub(crate) mod poll;
pub(crate) mod session;
pub(crate) mod teardown;
mod terminal;
pub(crate) mod update;
pub(crate) mod view;

#[cfg(test)]
pub(crate) mod tests;
