//! Vigil engine.
