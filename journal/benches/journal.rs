//! How fast the journal appends and reads.
fn main() {}
