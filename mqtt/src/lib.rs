//! Vigil mqtt.
