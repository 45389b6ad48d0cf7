//! Providers played on this machine. Each checks signature and clock by its documented algorithm, counts its limits and answers
//! its own codes; `server.rs` adds what goes wrong on the way.

pub(crate) mod aliyun;
pub(crate) mod robots;
pub(crate) mod server;
pub(crate) mod tencent;
pub(crate) mod wecom;
