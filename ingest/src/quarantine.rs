//! The quarantine: a frame that does not decode is kept with its cause, its gateway is told, and it can be tried again.

use std::time::Duration;

use model::entry::Entry;
use mqtt::door::{Identity, Publish, Verdict};
use mqtt::topic::Topic;

use crate::Shared;
use crate::frame::{Prepared, Refused, WAVEFORM, again, prepare};
use crate::intake::Slot;
use crate::stats::add;

impl Shared {
    /// Keeps a frame with its cause. `Malformed` once that is durable, `Busy` when it cannot be.
    pub(crate) fn quarantine(&self, from: &Identity, publish: &Publish, refused: &Refused) -> Verdict {
        let Refused { code, detail, .. } = refused;
        let cause = format!("{code}: {detail}");
        let at = publish.received_at;
        match self.records.quarantine_put(from.gateway, &publish.topic, &publish.payload, &cause, at) {
            Ok(id) => {
                add(&self.counters.quarantined_frames, 1);
                add(&self.counters.waveform_frames, u64::from(*code == WAVEFORM));
                if let Some(silent) = self.quiet.due("quarantine", from.gateway) {
                    let gateway = from.gateway.0;
                    tracing::info!(
                        gateway.id = gateway,
                        quarantine.id = id,
                        code,
                        silent,
                        "a frame went into quarantine"
                    );
                }
                self.reject(from, &publish.topic, refused);
                Verdict::Malformed(code)
            }
            Err(error) => {
                if let Some(silent) = self.quiet.due("unkept", from.gateway) {
                    let gateway = from.gateway.0;
                    tracing::error!(gateway.id = gateway, %error, silent, "the quarantine cannot be written; the client keeps its frame");
                }
                add(&self.counters.busy, 1);
                Verdict::Busy
            }
        }
    }

    /// Tells a gateway that a frame was refused (`d/ack`): MQTT 3.1.1 has no other way to say it. `upto` is the ledger's; it
    /// names no holes, because frames under way look like holes here.
    fn reject(&self, from: &Identity, topic: &str, refused: &Refused) {
        let door = self.door.load();
        let Some(door) = &*door else { return };
        let known = match Topic::parse(topic) {
            Ok(Topic::Up { lane, .. }) => self.ledger.track(from.gateway, lane).map(|track| (lane, track)),
            _ => None,
        };
        let lane = match Topic::parse(topic) {
            Ok(Topic::Up { lane, .. }) => lane.as_str(),
            Ok(Topic::State { .. }) => "st",
            // Other dialects have no down-link of ours.
            _ => return,
        };
        let epoch = refused.key.map(|key| key.epoch).or(known.as_ref().map(|(_, track)| track.epoch)).unwrap_or(0);
        let upto = known.filter(|(_, track)| track.epoch == epoch).map_or(0, |(_, track)| track.upto());
        let seq = refused.key.map_or(0, |key| key.seq);
        let payload = serde_json::json!({
            "e": epoch, "lane": lane, "upto": upto, "holes": [], "rej": [{ "seq": seq, "code": refused.code }],
        });
        door.down(from.gateway, "ack", payload.to_string().into(), 1);
    }

    /// Tries a quarantined frame again: journals it when it decodes now.
    pub(crate) fn replay(&self, id: i64) -> Result<(), String> {
        let (row, payload) = self
            .records
            .quarantine_get(id)
            .map_err(|error| error.to_string())?
            .ok_or_else(|| format!("there is no frame {id} in the quarantine"))?;
        if row.replayed_at.is_some() {
            return Err("this frame was replayed before".into());
        }
        let from = self.view.load().identity(row.gateway).ok_or("the frame's gateway is not registered any more")?;
        let publish = again(row.topic, payload, row.at);
        let left = row.cause.starts_with(WAVEFORM).then(|| self.blocks_left(&from, &publish)).flatten();
        match self.at_desk_again(&from, &publish)? {
            Slot::Certain(Verdict::Duplicate) if left.is_some() => {
                self.journal.append_blocking(left.into_iter().collect()).map_err(|error| error.to_string())?;
            }
            Slot::Certain(Verdict::Stored | Verdict::Duplicate) => {}
            Slot::Entry(ready, _) => {
                let entries = std::iter::once(ready.bytes).chain(ready.more).collect();
                self.journal.append_blocking(entries).map_err(|error| error.to_string())?;
                self.ledger.mark(ready.key);
                ready.tally.count(&self.counters);
            }
            Slot::Certain(verdict) => return Err(format!("not stored: {verdict:?}")),
        }
        self.records.quarantine_mark_replayed(id, self.clock.now()).map_err(|error| error.to_string())
    }

    /// The blocks of a frame whose other parts were journalled when it came: an entry with nothing else, so that no event is
    /// told twice.
    fn blocks_left(&self, from: &Identity, publish: &Publish) -> Option<Vec<u8>> {
        let future_max = Duration::from_secs(self.config.future_max_s);
        let Prepared::Entry(ready) = prepare(&self.view.load(), from, publish, future_max) else { return None };
        let Ok(Entry::Frame(mut frame)) = Entry::decode(&ready.bytes) else { return None };
        frame.samples.clear();
        frame.events.clear();
        frame.extras.origins.clear();
        (!frame.extras.waveforms.is_empty()).then(|| Entry::Frame(frame).to_bytes())
    }

    fn at_desk_again(&self, from: &Identity, publish: &Publish) -> Result<Slot, String> {
        let future_max = Duration::from_secs(self.config.future_max_s);
        match prepare(&self.view.load(), from, publish, future_max) {
            Prepared::Malformed(Refused { detail, .. }) => Err(format!("still does not decode: {detail}")),
            // Its readings were journalled when it came.
            Prepared::Partly(_, Refused { detail, .. }) => Err(format!("still does not decode in full: {detail}")),
            Prepared::UnknownDevice(_) | Prepared::Notes(..) => Ok(self.at_desk(from, publish)),
            prepared => Ok(Slot::of(prepared, self)),
        }
    }
}
