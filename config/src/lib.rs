//! One TOML file configures a process.
