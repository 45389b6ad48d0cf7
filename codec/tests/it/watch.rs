//! Watches and pendants: published vectors and nasty cases.
