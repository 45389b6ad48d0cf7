//! The card link: a reader of identity cards or codes on a serial port opens the session at the shared devices.
//!
//! Readers differ in little: most write what they read as one line (CR, LF or both at its end), some with a word before it. A line
//! is what stands between two ends; `prefix` is cut off, and lines without it are somebody else's. Blanks around the value and
//! full-width digits are taken as they are meant. The same card again while it lies there prolongs the session.

use std::path::PathBuf;

use model::identity::KeyKind;
use serde::Deserialize;
use tokio::io::AsyncReadExt;
use tokio_serial::SerialPortBuilderExt;

use super::{Backoff, Context};
use crate::Error;
use crate::who::Denied;

/// Longest line of a reader, bytes. A longer one is no card; it is skipped to its end.
const LINE_BYTES_MAX: usize = 1_024;

/// Keys of a card link.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Better a path of `/dev/serial/by-id/`.
    pub path: PathBuf,
    #[serde(default = "baud")]
    pub baud: u32,
    /// What the reader reads.
    #[serde(default)]
    pub reads: Reads,
    /// What the reader writes before the value. Lines without it are not looked at.
    #[serde(default)]
    pub prefix: String,
    /// A line that ends the session by hand (a button of the reader, a card of the staff).
    #[serde(default)]
    pub close: Option<String>,
}

/// What a line of the reader is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reads {
    /// An identity card when it has such a number, else a code.
    #[default]
    Auto,
    Card,
    Qr,
    /// The elder's number in Vigil, on a keypad.
    Elder,
}

const fn baud() -> u32 {
    9_600
}

impl Config {
    /// Refuses what can never work.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        if self.baud == 0 || self.prefix.len() > LINE_BYTES_MAX / 2 {
            return Err(Error::Key("card link: baud must be 1 or more, prefix short".to_owned()));
        }
        Ok(())
    }
}

/// Reads cards until the gateway stops.
pub(crate) async fn run(config: Config, context: Context) -> Result<(), Error> {
    let mut backoff = Backoff::default();
    loop {
        let port = tokio_serial::new(config.path.to_string_lossy(), config.baud).open_native_async();
        let problem = match port {
            Ok(mut port) => {
                context.up(None);
                backoff.worked();
                match listen(&config, &context, &mut port).await {
                    Ok(()) => return Ok(()),
                    Err(error) => error.to_string(),
                }
            }
            Err(error) => error.to_string(),
        };
        if !context.lost(&problem, &mut backoff).await {
            return Ok(());
        }
    }
}

/// Ends with the gateway, or with an error of the port.
async fn listen(config: &Config, context: &Context, port: &mut tokio_serial::SerialStream) -> std::io::Result<()> {
    let mut lines = Lines::default();
    let mut bytes = [0_u8; 256];
    loop {
        let count = tokio::select! {
            () = context.stop.requested() => return Ok(()),
            count = port.read(&mut bytes) => count?,
        };
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        for line in lines.push(&bytes[..count]) {
            heard(config, context, &line).await;
        }
    }
}

async fn heard(config: &Config, context: &Context, line: &str) {
    let now = context.clock.now();
    if config.close.as_deref() == Some(line.trim()) {
        context.outlet.leave(now).await;
        return;
    }
    let Some(value) = line.trim().strip_prefix(config.prefix.as_str()) else {
        context.count(|link| link.skipped_bytes += line.len() as u64);
        return;
    };
    let presented = match config.reads {
        Reads::Card => context.outlet.present(KeyKind::Card, value, now).await,
        Reads::Qr => context.outlet.present(KeyKind::Qr, value, now).await,
        Reads::Elder => context.outlet.present(KeyKind::Elder, value, now).await,
        Reads::Auto => match context.outlet.present(KeyKind::Card, value, now).await {
            // Eighteen places with a wrong check digit are a card read badly, not a code.
            Err(Denied::Identity(error)) if !error.is_nearly() => context.outlet.present(KeyKind::Qr, value, now).await,
            done => done,
        },
    };
    match presented {
        Ok(_) => context.count(|link| link.frames += 1),
        Err(denied) => {
            context.count(|link| link.malformed += 1);
            tracing::warn!(link = context.name, %denied, "what the reader read opens no session");
        }
    }
}

/// Cuts bytes into lines; never holds more than one.
#[derive(Debug, Default)]
struct Lines {
    line: Vec<u8>,
    too_long: bool,
}

impl Lines {
    fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        for byte in bytes {
            match byte {
                b'\r' | b'\n' => {
                    let line = std::mem::take(&mut self.line);
                    let whole = !std::mem::take(&mut self.too_long);
                    // Readers that speak no UTF-8 still write digits.
                    let text = String::from_utf8_lossy(&line);
                    if whole && !text.trim().is_empty() {
                        found.push(text.into_owned());
                    }
                }
                _ if self.line.len() >= LINE_BYTES_MAX => self.too_long = true,
                byte => self.line.push(*byte),
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_however_they_are_cut_and_ended() {
        for end in ["\r", "\n", "\r\n"] {
            let text = format!("11010519491231002X{end}  {end}990000194503010081{end}half");
            for size in 1..text.len() {
                let mut lines = Lines::default();
                let found: Vec<String> = text.as_bytes().chunks(size).flat_map(|part| lines.push(part)).collect();
                assert_eq!(found, ["11010519491231002X", "990000194503010081"]);
            }
        }
    }

    #[test]
    fn a_line_without_an_end_stays_small_and_is_no_card() {
        let mut lines = Lines::default();
        assert!(lines.push(&vec![b'9'; 100_000]).is_empty());
        assert!(lines.line.len() <= LINE_BYTES_MAX);
        assert_eq!(lines.push(b"\n11010519491231002X\n"), ["11010519491231002X"]);
        assert_eq!(lines.push(b"\xff\xfe7\r\n").len(), 1);
    }
}
