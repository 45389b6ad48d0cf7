//! The stored records of a glucose meter: asked for from the first that is not durable yet, and noted as they become so.
//!
//! A meter that was emptied counts from the beginning again: when it has nothing new, its last record is looked at, and
//! if that one is older than what we have, everything is fetched.

use bluer::gatt::remote::Characteristic;
use codec::ble::racp::{self, Outcome, Request, Response};
use model::Name;
use tokio::time::Instant;

use super::progress::Progress;
use crate::Error;

/// Silence after which a transfer is given up, seconds.
const SILENCE_S: u64 = 30;
/// A meter that stays connected is asked again this often, seconds.
const AGAIN_S: u64 = 300;

/// What was asked and is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Nothing,
    /// New records, or all.
    Records {
        all: bool,
    },
    /// The newest record, to see whether the meter was emptied.
    Last {
        seen: Option<u16>,
    },
}

/// One transfer after the other on one connection.
pub(super) struct Records<'a> {
    control: Characteristic,
    device: &'a Name,
    progress: &'a Progress,
    asked: Asked,
    /// Highest number of this transfer that is durable; `None` again when the numbers do not rise.
    last: Option<u16>,
    rising: bool,
    /// When to give up, or to ask again.
    pub(super) due: Instant,
}

impl<'a> Records<'a> {
    pub(super) fn new(control: Characteristic, device: &'a Name, progress: &'a Progress) -> Self {
        let due = Instant::now();
        Self { control, device, progress, asked: Asked::Nothing, last: None, rising: true, due }
    }

    fn wait(&mut self, seconds: u64) {
        self.due = Instant::now() + std::time::Duration::from_secs(seconds);
    }

    async fn ask(&mut self, request: Request, asked: Asked) -> bluer::Result<()> {
        (self.asked, self.last, self.rising) = (asked, None, true);
        self.wait(SILENCE_S);
        self.control.write(&request.to_bytes()).await
    }

    async fn ask_new(&mut self) -> bluer::Result<()> {
        let request = self.progress.next(self.device).map_or(Request::All, Request::From);
        self.ask(request, Asked::Records { all: request == Request::All }).await
    }

    /// At `due`: asks, or gives up what has fallen silent.
    pub(super) async fn turn(&mut self) -> bluer::Result<()> {
        if self.asked == Asked::Nothing {
            return self.ask_new().await;
        }
        tracing::warn!("the transfer of records fell silent");
        self.asked = Asked::Nothing;
        self.wait(AGAIN_S);
        self.control.write(&Request::Abort.to_bytes()).await
    }

    /// Is this record one to hand over? The look at the last one is not a transfer, and a meter that cannot select sends
    /// all it has.
    pub(super) fn wanted(&mut self, sequence: u16) -> bool {
        self.wait(SILENCE_S);
        if let Asked::Last { seen } = &mut self.asked {
            *seen = Some(sequence);
            return false;
        }
        self.progress.next(self.device).is_none_or(|next| sequence >= next)
    }

    /// Records of these numbers are durable, in the order of arrival.
    pub(super) fn durable(&mut self, sequences: impl Iterator<Item = u16>) -> Result<(), Error> {
        for sequence in sequences {
            self.rising &= self.last.is_none_or(|last| sequence > last);
            self.last = self.last.max(Some(sequence));
        }
        // Newest first: only the end of the transfer says that nothing is missing below.
        if self.rising { self.note() } else { Ok(()) }
    }

    fn note(&self) -> Result<(), Error> {
        let Some(last) = self.last else { return Ok(()) };
        // After the highest number that there is the meter begins anew.
        let next = last.checked_add(1).max(self.progress.next(self.device));
        self.progress.set(self.device, if last == u16::MAX { None } else { next })
    }

    /// An indication of the control point, after the records before it were handed over.
    pub(super) async fn answer(&mut self, value: &[u8]) -> Result<(), Error> {
        let Ok(Response::End { outcome, .. }) = racp::response(value) else { return Ok(()) };
        let asked = std::mem::replace(&mut self.asked, Asked::Nothing);
        self.wait(AGAIN_S);
        let next = self.progress.next(self.device);
        let (request, then) = match (asked, outcome) {
            (Asked::Records { .. }, Outcome::Success) => return self.note(),
            (Asked::Records { all: false }, Outcome::NoRecordsFound) => (Request::Last, Asked::Last { seen: None }),
            // It cannot select: take all and leave out what is known.
            (Asked::Records { all: false }, Outcome::OperatorNotSupported | Outcome::OperandNotSupported) => {
                (Request::All, Asked::Records { all: true })
            }
            (Asked::Last { seen: Some(seen) }, Outcome::Success)
                if next.is_some_and(|next| u32::from(seen) + 1 < u32::from(next)) =>
            {
                tracing::warn!("the meter counts its records from the beginning again: all are fetched");
                self.progress.set(self.device, None)?;
                (Request::All, Asked::Records { all: true })
            }
            (_, outcome) => {
                tracing::debug!(?outcome, "a transfer of records ended");
                return Ok(());
            }
        };
        // A write that fails means that the connection is lost, which is noticed where the values come from.
        let _lost = self.ask(request, then).await;
        Ok(())
    }
}
