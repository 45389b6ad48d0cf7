//! Every way in which a database goes away, on a real PostgreSQL behind a cutting proxy, while a writer stores a journal: nothing
//! lost, nothing twice, and errors that say what is the matter.
#![allow(clippy::unwrap_used)]

mod network;
mod server;
mod world;
