//! Ingest: from a publish at the front door to a durable, attributed journal entry, and from there to the readings store.

pub mod ledger;
