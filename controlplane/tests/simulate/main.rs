//! The simulator as a whole: worlds that are small enough to reason about, and Weir in them.

mod best;
mod goals;
mod hot;
mod worlds;
