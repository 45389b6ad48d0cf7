//! Bluetooth LE characteristics: published vectors and nasty cases.
