//! Why bytes are not a frame.

use std::borrow::Cow;

/// A frame that is refused whole: no part of it was used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Flags or a length promise more than is there.
    #[error("the frame ends before {0}")]
    Short(&'static str),
    #[error("the checksum is {found:04X}, the bytes give {computed:04X}")]
    Checksum { found: u32, computed: u32 },
    /// The shape is not this codec's.
    #[error("not a frame: {0}")]
    Shape(Cow<'static, str>),
    /// Encrypted, and there is no key, or the key is wrong.
    #[error("cannot be decrypted: {0}")]
    Key(&'static str),
    /// A form of the protocol that this codec does not know.
    #[error("not supported: {0}")]
    Unsupported(Cow<'static, str>),
    #[error("{what} has {found}, at most {max} are read")]
    Limit { what: &'static str, found: usize, max: usize },
}

impl Malformed {
    /// One word for counters.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Short(_) => "short",
            Self::Checksum { .. } => "checksum",
            Self::Shape(_) => "shape",
            Self::Key(_) => "key",
            Self::Unsupported(_) => "unsupported",
            Self::Limit { .. } => "limit",
        }
    }

    /// Not this codec's shape, said in a fixed text.
    pub const fn shape(what: &'static str) -> Self {
        Self::Shape(Cow::Borrowed(what))
    }
}
