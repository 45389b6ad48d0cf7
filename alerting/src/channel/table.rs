//! Makes the enum, the configuration and the dispatch of all channels from the rows in `mod.rs`.

/// What a channel needs to reach one person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Nothing: a program or an address of the site's own, which knows by itself what to do.
    Site,
    /// The person's mobile number.
    Phone,
    /// An address in this channel, from the person's contacts: a user id, an e-mail address.
    Address,
    /// Nothing: one robot speaks to a whole group, and nobody can answer it.
    Group,
}

impl Reach {
    /// Limits are counted for each person, not for the channel as a whole.
    pub const fn is_personal(self) -> bool {
        matches!(self, Self::Phone | Self::Address)
    }

    /// A paged person can answer a page that came by it.
    pub const fn can_answer(self) -> bool {
        !matches!(self, Self::Group)
    }
}

/// So many messages in a stretch of time, by the provider's rules or the site's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    pub count: u32,
    pub window: Window,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// Any stretch of so many seconds.
    Seconds(u32),
    /// From midnight to midnight in Asia/Shanghai.
    Day,
}

pub(super) const fn per_s(count: u32, seconds: u32) -> Limit {
    Limit { count, window: Window::Seconds(seconds) }
}

pub(super) const fn per_day(count: u32) -> Limit {
    Limit { count, window: Window::Day }
}

/// Row: `Variant = "name", "中文", "English", reach, [limits] => module::Sender;`. The module has `Config` (with `validate`) and
/// the sender `new(&Config) -> Result<_, Error>` and `async send(&self, &Recipient, &Message, Time) -> Sent`. A row without
/// `=>` is a name that policies may use and that nothing can be configured for yet.
macro_rules! channels {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $zh:literal, $en:literal, $reach:expr, [$($limit:expr),*]
        $(=> $module:ident :: $sender:ident)?;)*) => {
        /// A way to reach a person, by its name in policies, records and the configuration.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum Channel { $($(#[$doc])* #[serde(rename = $name)] $variant,)* }

        impl Channel {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            pub const fn name(self) -> &'static str { match self { $(Self::$variant => $name,)* } }
            pub const fn zh(self) -> &'static str { match self { $(Self::$variant => $zh,)* } }
            pub const fn en(self) -> &'static str { match self { $(Self::$variant => $en,)* } }
            pub const fn reach(self) -> Reach { match self { $(Self::$variant => $reach,)* } }
            /// The provider's own limits: our limiter counts before the provider does.
            pub const fn limits(self) -> &'static [Limit] { match self { $(Self::$variant => const { &[$($limit),*] },)* } }

            pub fn parse(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|channel| channel.name() == name)
            }
        }

        /// `[alerting.channels]`: a table for each channel that is in use.
        #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct Configs {
            $($(#[serde(skip_serializing_if = "Option::is_none")] pub $module: Option<$module::Config>,)?)*
        }

        impl Configs {
            pub fn validate(&self) -> Result<(), $crate::Error> {
                $($(if let Some(config) = &self.$module { config.validate()?; })?)*
                Ok(())
            }

            pub fn is_empty(&self) -> bool {
                self.configured().is_empty()
            }

            /// In the order of the table.
            pub fn configured(&self) -> Vec<Channel> {
                let mut found = Vec::new();
                $($(if self.$module.is_some() { found.push(Channel::$variant); })?)*
                found
            }
        }

        /// The channels that can send.
        #[derive(Debug)]
        pub(crate) struct Senders { $($($module: Option<$module::$sender>,)?)* }

        impl Senders {
            pub(crate) fn new(configs: &Configs) -> Result<Self, $crate::Error> {
                Ok(Self { $($($module: configs.$module.as_ref().map($module::$sender::new).transpose()?,)?)* })
            }

            pub(crate) async fn send(&self, channel: Channel, to: &Recipient, message: &Message, now: Time) -> Sent {
                match channel {
                    $(Channel::$variant => {
                        $(if let Some(sender) = &self.$module {
                            return sender.send(to, message, now).await;
                        })?
                        Sent::new(Fate::Misconfigured, concat!("the channel ", $name, " is not configured"))
                    })*
                }
            }
        }
    };
}
pub(super) use channels;
