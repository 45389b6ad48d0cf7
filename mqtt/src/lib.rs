//! MQTT, the one outside protocol of devices: our server side (`door`), the wire formats and the gateway's uplink.

pub mod door;
pub mod load;
pub mod outbox;
pub mod thingsboard;
pub mod topic;
pub mod uplink;
pub mod wire;
