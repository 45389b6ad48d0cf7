//! All whole-system tests, one binary, one file per story.
mod arrows;
