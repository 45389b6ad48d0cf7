//! What gateways say about themselves that must not be lost, at the desk: each note becomes a journal entry or a row of the
//! records, and the frame that carried it is acknowledged after that.
//!
//! Notes may come twice (an answer that was lost, a process that ended): everything here is harmless when repeated.

use std::time::Duration;

use model::entry::Entry;
use model::{ElderId, GatewayId, Name, Note, Sounded, Subject, Time};
use store::records;

use crate::Shared;
use crate::frame::{EARLIEST, Refused};

/// What the notes of one frame came to.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// Entries for the journal.
    pub(crate) entries: Vec<Vec<u8>>,
    /// One of them is not known to this version: the frame goes to the quarantine too.
    pub(crate) unknown: Option<Refused>,
}

impl Shared {
    /// Blocking. On an error nothing is lost: the gateway keeps the frame.
    pub(crate) fn take_notes(&self, from: GatewayId, at: Time, notes: &[String]) -> Result<Taken, records::Error> {
        let mut taken = Taken::default();
        for text in notes {
            let known = match Note::parse(text) {
                Some(note) => self.take_note(from, at, note, &mut taken)?,
                None => false,
            };
            if !known {
                taken.unknown = Some(Refused::new("note", "a note that this version does not know".to_owned()));
            }
        }
        Ok(taken)
    }

    /// False: not a note that this version acts on.
    fn take_note(&self, from: GatewayId, at: Time, note: Note, taken: &mut Taken) -> Result<bool, records::Error> {
        match note {
            Note::Sounded { elder, device, rule, priority, kind, started_at, sounded_at, by, ok } => {
                // A clock that was never set tells no time: it began when we heard of it, or shortly before.
                let latest = at + Duration::from_secs(self.config.future_max_s);
                let sane = |told: Time| if (EARLIEST..=latest).contains(&told) { told } else { at };
                let (started_at, sounded_at) = (sane(started_at), sane(sounded_at));
                let (id, subject) = self.whose(from, &device, elder, started_at)?;
                let sounded = Sounded {
                    gateway: from,
                    device: id,
                    subject,
                    rule,
                    priority,
                    kind,
                    started_at,
                    sounded_at,
                    by,
                    ok,
                    at,
                };
                tracing::warn!(
                    gateway.id = from.0,
                    rule = sounded.rule,
                    ok,
                    "a gateway sounded an alarm while it was alone"
                );
                taken.entries.push(Entry::Sounded(sounded).to_bytes());
            }
            Note::Applied { what, version } => self.records.push_applied(from, what, version)?,
            Note::Refused { what, version, reason } => {
                tracing::warn!(gateway.id = from.0, what = what.slug(), version, reason, "a gateway refused a push");
                self.records.push_refused(from, what, version, &reason)?;
            }
            note @ (Note::Gone { .. } | Note::Thinned { .. }) => return self.declare(from, at, &note),
        }
        Ok(true)
    }

    /// The device, and whose it was at that moment. The binding says; where there is none, the session at a shared device.
    fn whose(
        &self,
        from: GatewayId,
        device: &Name,
        elder: Option<ElderId>,
        at: Time,
    ) -> Result<(model::DeviceId, Subject), records::Error> {
        let known = self.view.load().attribute(from, device.as_str(), at);
        let found = if let Some(found) = known {
            found
        } else {
            let id = self.records.ensure_device(from, device)?;
            (id, Subject::Unattributed(id))
        };
        match (found, elder) {
            ((id, Subject::Unattributed(_)), Some(elder)) if self.records.elder(elder)?.is_some() => {
                Ok((id, Subject::Elder(elder)))
            }
            (found, _) => Ok(found),
        }
    }
}
