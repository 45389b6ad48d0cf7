//! The keys `[edge]`: what the gateway does when it is alone with an alarm.

use std::path::PathBuf;

use serde::Deserialize;

use crate::Error;

/// Hooks of one gateway.
const HOOKS_MAX: usize = 8;
/// Words of a command.
const WORDS_MAX: usize = 32;
/// Longest run of a command, longest wait for an answer, longest signal of an output, seconds.
const SECONDS_MAX: u64 = 600;
/// Tries of one hook for one alarm.
const TRIES_MAX: u32 = 10;
/// Longest grace, seconds: later than this nobody would come.
const GRACE_S_MAX: u64 = 600;

/// What the gateway does with alarms that the server does not know of.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EdgeConfig {
    /// An alarm is sounded here when the server has not taken the frame behind it after this many seconds; at once when the
    /// connection has been gone for as long.
    pub grace_s: u64,
    /// What sounds. All of them, together. Without any the gateway judges nothing.
    pub hooks: Vec<Hook>,
}

impl Default for EdgeConfig {
    fn default() -> Self {
        Self { grace_s: 10, hooks: Vec::new() }
    }
}

/// One way to be heard.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Hook {
    /// Starts a program, without a shell. It is told of the alarm in variables named `VIGIL_*`.
    Command(Command),
    /// Writes `1` into a file, and `0` after a while: an output pin with a siren or a lamp.
    Gpio(Gpio),
    /// Posts JSON to a device in the same network.
    Http(Http),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Program and words.
    pub argv: Vec<String>,
    /// The program is killed when it runs longer, and that is a failure.
    #[serde(default = "thirty")]
    pub timeout_s: u64,
    #[serde(default = "three")]
    pub tries: u32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gpio {
    pub file: PathBuf,
    /// Length of the signal.
    #[serde(default = "thirty")]
    pub seconds: u64,
    #[serde(default = "three")]
    pub tries: u32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// `http://` only: a siren on the shelf has no certificate.
    pub url: String,
    #[serde(default = "five")]
    pub timeout_s: u64,
    #[serde(default = "three")]
    pub tries: u32,
}

const fn three() -> u32 {
    3
}

const fn five() -> u64 {
    5
}

const fn thirty() -> u64 {
    30
}

impl Hook {
    /// The word for it in notes and logs.
    pub(crate) const fn slug(&self) -> &'static str {
        match self {
            Self::Command(_) => "command",
            Self::Gpio(_) => "gpio",
            Self::Http(_) => "http",
        }
    }

    pub(crate) const fn tries(&self) -> u32 {
        match self {
            Self::Command(command) => command.tries,
            Self::Gpio(gpio) => gpio.tries,
            Self::Http(http) => http.tries,
        }
    }

    const fn seconds(&self) -> u64 {
        match self {
            Self::Command(command) => command.timeout_s,
            Self::Gpio(gpio) => gpio.seconds,
            Self::Http(http) => http.timeout_s,
        }
    }

    fn check(&self) -> Result<(), String> {
        if !(1..=TRIES_MAX).contains(&self.tries()) {
            return Err(format!("tries must be 1 to {TRIES_MAX}"));
        }
        if !(1..=SECONDS_MAX).contains(&self.seconds()) {
            return Err(format!("its seconds must be 1 to {SECONDS_MAX}"));
        }
        match self {
            Self::Command(command) if command.argv.is_empty() || command.argv.len() > WORDS_MAX => {
                Err(format!("argv must have 1 to {WORDS_MAX} words"))
            }
            Self::Http(http) => match reqwest::Url::parse(&http.url) {
                Ok(url) if url.scheme() == "http" && url.has_host() => Ok(()),
                _ => Err("url must be an http:// address".to_owned()),
            },
            Self::Command(_) | Self::Gpio(_) => Ok(()),
        }
    }
}

impl EdgeConfig {
    pub(crate) fn validate(&self) -> Result<(), Error> {
        if self.grace_s > GRACE_S_MAX {
            return Err(Error::Key(format!("edge.grace_s must be at most {GRACE_S_MAX}")));
        }
        if self.hooks.len() > HOOKS_MAX {
            return Err(Error::Key(format!("edge.hooks: at most {HOOKS_MAX} are possible")));
        }
        for hook in &self.hooks {
            hook.check().map_err(|what| Error::Key(format!("edge hook {}: {what}", hook.slug())))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hooks_are_read_and_bad_ones_refused() {
        let good: EdgeConfig = toml::from_str(
            r#"
            hooks = [
              { kind = "command", argv = ["/usr/bin/aplay", "alarm.wav"] },
              { kind = "gpio", file = "/sys/class/gpio/gpio17/value", seconds = 20 },
              { kind = "http", url = "http://192.168.1.20/siren" },
            ]
            "#,
        )
        .unwrap();
        good.validate().unwrap();
        assert_eq!((good.grace_s, good.hooks.len()), (10, 3));
        for bad in [
            "grace_s = 10000",
            r#"hooks = [{ kind = "command", argv = [] }]"#,
            r#"hooks = [{ kind = "command", argv = ["x"], timeout_s = 0 }]"#,
            r#"hooks = [{ kind = "gpio", file = "x", tries = 99 }]"#,
            r#"hooks = [{ kind = "http", url = "https://x/" }]"#,
            r#"hooks = [{ kind = "http", url = "siren" }]"#,
        ] {
            assert!(toml::from_str::<EdgeConfig>(bad).unwrap().validate().is_err(), "{bad}");
        }
        assert!(toml::from_str::<EdgeConfig>(r#"hooks = [{ kind = "shout" }]"#).is_err());
    }
}
