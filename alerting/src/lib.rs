//! Vigil alerting.
