//! The real writer before a real PostgreSQL server that goes away in every way in which a server does: what is new is stored first
//! when it is back, and in the end everything is there once. Without PostgreSQL these tests say SKIPPED.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bed;
mod each;
mod outage;
