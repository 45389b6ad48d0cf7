//! The commands that are neither the server nor the benchmark: each prints its answer and ends.

mod add;
mod backup;
mod decode;
mod judge;
mod replay;
mod simulate;

pub use add::add;
pub use backup::backup;
pub use decode::decode;
pub use judge::judge;
pub use replay::replay;
pub use simulate::simulate;

use std::path::Path;

use crate::server::say;

/// `vigil check-config FILE`: a server's or a gateway's file, told apart by the key `data_dir` beside `[console]`.
pub fn check_config(file: &Path) -> anyhow::Result<()> {
    match config::load(file)? {
        config::File::Server(server) => say(&format!(
            "{} is a good server configuration: data in {}, front door on {}, console on http://{}",
            file.display(),
            server.data_dir.display(),
            server.mqtt.listen,
            server.console.listen,
        )),
        config::File::Gateway(gateway) => say(&format!(
            "{} is a good gateway configuration: gateway {} of site {}, {} links, uplink to {}:{}",
            file.display(),
            gateway.gateway,
            gateway.site,
            gateway.links.len(),
            gateway.server.host,
            gateway.server.port,
        )),
    }
    Ok(())
}
