//! The control plane of Weir: observe ▸ decide ▸ record ▸ act, for as long as it leads.

pub mod decide;
pub mod observe;
pub mod record;
pub mod units;
