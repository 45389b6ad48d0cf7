//! Vigil store.
