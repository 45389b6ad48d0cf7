//! Tests of the writer: its plan alone against a model of time, and the whole of it on a real journal and a real store.

mod drive;
mod figures;
mod order;
mod outage;
