//! `skill-init doctor`: what is right, what is wrong, what to do; and the bundle that support asks for.
//!
//! ```text
//! settings, facts, plan, status, agents  --checks (pure)-->  findings  -->  table, JSON, bundle
//! ```
//!
//! Each check turns what was read into findings and touches nothing itself, so that it is tested with facts
//! of machines that are not at hand.

mod agents;
pub(super) mod bundle;
mod configuration;
pub(super) mod examine;
pub(super) mod finding;
mod machine;
mod running;
pub(super) mod scrub;
pub(super) mod secrets;
