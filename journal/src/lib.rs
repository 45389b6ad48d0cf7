//! Vigil journal.
