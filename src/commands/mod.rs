//! The commands that are neither the server nor the benchmark: each prints its answer and ends.

mod add;
mod backup;
mod county;
mod decode;
mod doctor;
mod export;
mod forget;
mod gateway;
mod import;
mod judge;
mod migrate_store;
mod push;
mod readings;
mod replay;
mod roster;
mod score;
mod simulate;

pub use add::add;
pub use backup::backup;
pub use county::county;
pub use decode::decode;
pub use doctor::doctor;
pub use export::export;
pub use forget::forget_elder;
pub use gateway::{gateway, gateway_command};
pub use import::import;
pub use judge::judge;
pub use migrate_store::migrate_store;
pub use push::push;
pub use readings::readings;
pub use replay::replay;
pub use roster::roster;
pub use score::score;
pub use simulate::simulate;

use std::path::Path;

use crate::data_dir;
use crate::server::say;

/// `vigil check-config FILE`: a server's file has `data_dir` and the server's tables, a gateway's has `token`.
pub fn check_config(file: &Path) -> anyhow::Result<()> {
    match config::any(file)? {
        config::Any::Server(server) => {
            say(&format!(
                "{} is a good server configuration: data in {}, front door on {}, console on http://{}",
                file.display(),
                server.data_dir.display(),
                server.mqtt.listen,
                server.console.listen,
            ));
            if let Some(words) = data_dir::warning(&server.data_dir) {
                say(&words);
            }
        }
        config::Any::Gateway(gateway) => {
            say(&format!("{} is a good gateway configuration: {gateway:?}", file.display()));
        }
    }
    Ok(())
}
