//! Vigil config.
