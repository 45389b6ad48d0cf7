//! Vigil gateway.
