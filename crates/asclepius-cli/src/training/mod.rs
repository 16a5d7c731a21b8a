//! What both training stages, evaluation and preview share: the rows, the model to start from, and the view of a run.

pub mod rows;
pub mod start;
pub mod watch;
