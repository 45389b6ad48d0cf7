//! Bluetooth LE advertisements: published vectors and nasty cases.
