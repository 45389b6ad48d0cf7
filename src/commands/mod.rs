//! The commands that are neither the server nor the benchmark: each prints its answer and ends.

mod add;
mod backup;
mod decode;

pub use add::add;
pub use backup::backup;
pub use decode::decode;
