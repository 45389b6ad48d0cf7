//! Alerting as the rest of the system sees it: a journal goes in, alarms and pages come out.
#![allow(clippy::unwrap_used)]

mod alarms;
mod anew;
mod channels;
mod crash;
mod desk;
mod escalation;
mod exactly_once;
mod mail;
mod pages;
mod program;
mod receiver;
mod roster;
mod story;
mod world;
