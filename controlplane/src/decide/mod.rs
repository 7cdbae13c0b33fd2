//! (Policy, Observation, History, now) -> Decision. Pure: no clock, no randomness, no AWS.

mod decision;

pub use decision::{
    Action, ActionResult, Decision, Input, Outcome, Plan, Report, RuleReport, Service, VERSION, Verdict,
};
