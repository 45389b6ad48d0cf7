//! Whole-system tests live in `it/`; this file only makes the package buildable.
