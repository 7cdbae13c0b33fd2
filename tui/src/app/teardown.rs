//! The teardown screen's state: inventory, typed confirmation, progress.

use stack::{
    Event, Identity,
    inventory::{Inventory, Resource},
    teardown::Report,
};

use crate::wording::operation::subject;

/// Proof that a person typed the deployment's name on the confirm screen, below the inventory of this place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Confirmed {
    place: Identity,
}

impl Confirmed {
    /// The account and region that the person saw.
    pub(crate) fn place(&self) -> &Identity {
        &self.place
    }
}

/// The teardown screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Teardown {
    /// The inventory is being read.
    Loading,
    /// The inventory is shown and the name has to be typed.
    Confirm(Confirmation),
    /// It goes on.
    Running(Steps),
    /// It ended, or could not begin.
    Ended { steps: Steps, result: Result<Report, String> },
}

/// The confirm screen: nothing is typed at first, so that Enter alone does nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Confirmation {
    inventory: Inventory,
    typed: String,
    /// Enter was pressed on something else than the name.
    refused: bool,
    /// The first visible resource.
    pub(crate) scroll: usize,
}

/// The longest text that can be typed: no deployment has a longer name.
const TYPED_MAX: usize = 64;

impl Confirmation {
    pub(crate) fn new(inventory: Inventory) -> Self {
        Self { inventory, typed: String::new(), refused: false, scroll: 0 }
    }

    pub(crate) fn resources(&self) -> &[Resource] {
        &self.inventory.resources
    }

    pub(crate) fn place(&self) -> &Identity {
        &self.inventory.place
    }

    pub(crate) fn typed(&self) -> &str {
        &self.typed
    }

    /// Whether what is typed was not taken for the name.
    pub(crate) fn is_refused(&self) -> bool {
        self.refused
    }

    pub(crate) fn type_character(&mut self, character: char) {
        self.refused = false;
        if self.typed.chars().count() < TYPED_MAX && !character.is_control() {
            self.typed.push(character);
        }
    }

    pub(crate) fn erase(&mut self) {
        self.refused = false;
        self.typed.pop();
    }

    /// The proof, once exactly the deployment's name is typed and there is something to remove.
    pub(crate) fn confirm(&mut self) -> Option<Confirmed> {
        let exact = self.typed == self.inventory.deployment.as_str();
        self.refused = !exact;
        (exact && !self.inventory.is_empty()).then(|| Confirmed { place: self.inventory.place.clone() })
    }
}

/// What happened so far: one entry for every resource, the newest change last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Steps(Vec<Event>);

/// A deployment has some sixty resources; more entries than this are no help to anybody.
const STEPS_MAX: usize = 500;

impl Steps {
    pub(crate) fn record(&mut self, event: Event) {
        let about = subject(&event);
        self.0.retain(|known| about.is_none() || subject(known) != about);
        if self.0.len() == STEPS_MAX {
            self.0.remove(0);
        }
        self.0.push(event);
    }

    pub(crate) fn events(&self) -> &[Event] {
        &self.0
    }
}
