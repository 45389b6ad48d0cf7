//! Vigil ingest.
