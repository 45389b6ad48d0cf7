//! From measurements to frames in the journal: grouped by elder and device, bounded, and never faster than the store follows.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use model::entry::{Entry, Flags, Frame, SAMPLES_MAX};
use model::{DeviceId, ElderId, Extras, GatewayId, Lane, Name, Origin, Seq, Subject, Time};
use store::records::{Dialect, Records};

use super::Spec;
use super::line::Measured;
use super::stored::{self, Line, Moments};
use crate::stores::{Stores, Told};

/// The gateway that imports come from; also its site.
const GATEWAY: &str = "import";
/// Elders and devices collected at once; beyond it the fullest go first.
const OPEN_MAX: usize = 1_024;
/// Frames appended at once: one sync.
const APPEND: usize = 64;
/// Entries of the journal that may wait for the store.
const WAITING_MAX: u64 = 4_096;
/// The import is given up when the store takes nothing for so long.
const PATIENCE: Duration = Duration::from_mins(10);
const LOOK: Duration = Duration::from_millis(20);
/// An import uses the journal up to this part: one half. The rest is for what is live.
const ROOM_DIVISOR: u64 = 2;

/// Collects and appends.
pub(super) struct Frames<'a> {
    stores: &'a Stores,
    dry_run: bool,
    flags: Flags,
    now: Time,
    gateway: GatewayId,
    elders: HashSet<ElderId>,
    devices: BTreeMap<(ElderId, String), DeviceId>,
    open: BTreeMap<(ElderId, DeviceId), Vec<Line>>,
    told: Moments,
    /// What was taken at first and is not, because the store has another value of that moment: the line and why. To be drained.
    pub(super) differing: Vec<(u64, &'static str)>,
    ready: Vec<Vec<u8>>,
    last: Seq,
}

impl<'a> Frames<'a> {
    pub(super) fn new(stores: &'a Stores, spec: &Spec, now: Time) -> anyhow::Result<Self> {
        let gateway = if spec.dry_run { GatewayId(0) } else { register(&stores.records)? };
        if !spec.dry_run {
            let detail = serde_json::json!({ "uid": stores.uid, "review": spec.review }).to_string();
            stores.records.audit(None, "import_readings", &spec.subject(), &detail)?;
        }
        Ok(Self {
            stores,
            dry_run: spec.dry_run,
            flags: Flags(Flags::HIST | if spec.review { 0 } else { Flags::TEST }),
            now,
            gateway,
            elders: HashSet::new(),
            devices: BTreeMap::new(),
            open: BTreeMap::new(),
            told: Moments::default(),
            differing: Vec::new(),
            ready: Vec::new(),
            last: Seq(0),
        })
    }

    /// Takes one measurement of a line. The inner error says why it cannot be taken.
    pub(super) fn push(
        &mut self,
        line: u64,
        measured: Measured,
        told: &Told,
    ) -> anyhow::Result<Result<(), &'static str>> {
        let Measured { elder, device, sample, origin } = measured;
        if !self.elders.contains(&elder) {
            if self.stores.records.elder(elder)?.is_none() {
                return Ok(Err("there is no such elder"));
            }
            self.elders.insert(elder);
        }
        let device = match self.device(elder, &device)? {
            Ok(device) => device,
            Err(why) => return Ok(Err(why)),
        };
        if !self.told.agrees(elder, &sample) {
            return Ok(Err("an earlier line has another value of this moment; one is kept"));
        }
        let lines = self.open.entry((elder, device)).or_default();
        lines.push(Line { number: line, sample, origin });
        if lines.len() >= SAMPLES_MAX / 2 {
            if let Some(full) = self.open.remove(&(elder, device)) {
                self.close(elder, device, full)?;
            }
        } else if self.open.len() > OPEN_MAX {
            self.close_open()?;
        }
        if self.ready.len() >= APPEND {
            self.append(told)?;
        }
        Ok(Ok(()))
    }

    /// Nothing more comes: what is open goes to the journal.
    pub(super) fn close_all(&mut self, told: &Told) -> anyhow::Result<()> {
        self.close_open()?;
        self.append(told)
    }

    fn close_open(&mut self) -> anyhow::Result<()> {
        for ((elder, device), lines) in std::mem::take(&mut self.open) {
            self.close(elder, device, lines)?;
        }
        Ok(())
    }

    /// Makes a frame of those lines with which the store does not disagree.
    fn close(&mut self, elder: ElderId, device: DeviceId, mut lines: Vec<Line>) -> anyhow::Result<()> {
        let subject = Subject::Elder(elder);
        for (number, metric, why) in stored::differing(&self.stores.readings, subject, &lines)? {
            self.differing.push((number, why));
            lines.retain(|line| (line.number, line.sample.metric) != (number, metric));
        }
        if lines.is_empty() {
            return Ok(());
        }
        let (mut samples, mut origins) = (Vec::with_capacity(lines.len()), Vec::new());
        for Line { sample, origin, .. } in lines {
            origins.extend(origin.map(|origin| Origin { index: samples.len() as u16, ..origin }));
            samples.push(sample);
        }
        let frame = Frame {
            gateway: self.gateway,
            device,
            subject,
            lane: Lane::Hist,
            flags: self.flags,
            epoch: 0,
            seq: 0,
            received_at: self.now,
            events: Vec::new(),
            samples,
            extras: Extras { origins, ..Extras::default() },
        };
        self.ready.push(Entry::Frame(frame).to_bytes());
        Ok(())
    }

    /// Beside a running server, waits until everything is stored. What became of it, in words.
    pub(super) fn end(self, told: &Told) -> anyhow::Result<&'static str> {
        if !self.stores.live {
            return Ok("are in the journal, and in the store when the server runs");
        }
        self.wait(0, told)?;
        Ok("stored, or there already")
    }

    fn append(&mut self, told: &Told) -> anyhow::Result<()> {
        let ready = std::mem::take(&mut self.ready);
        if ready.is_empty() || self.dry_run {
            return Ok(());
        }
        let pressure = self.stores.journal.pressure();
        if pressure.disk_bytes > pressure.disk_bytes_max / ROOM_DIVISOR {
            if !self.stores.live {
                bail!("the journal is half full: start the server, and when it has stored that, run the import again");
            }
            self.wait(0, told)?;
        }
        let entries = ready.len() as u64;
        let first = self.stores.journal.append_blocking(ready)?;
        self.last = Seq(first.0 + entries - 1);
        if self.stores.live { self.wait(WAITING_MAX, told) } else { Ok(()) }
    }

    /// Until at most so many of the journal's entries wait for the store.
    fn wait(&self, most: u64, told: &Told) -> anyhow::Result<()> {
        let (mut seen, mut since) = (self.stores.readings.cursor(), Instant::now());
        while self.last.0.saturating_sub(seen.0) > most {
            std::thread::sleep(LOOK);
            let cursor = self.stores.readings.cursor();
            if cursor > seen {
                (seen, since) = (cursor, Instant::now());
            } else if since.elapsed() > PATIENCE {
                bail!("the store has taken nothing for {} s; run the import again later", PATIENCE.as_secs());
            }
            if since.elapsed() > Duration::from_secs(1) {
                told.pass("waiting for the store")?;
            }
        }
        Ok(())
    }

    /// The device of the registry: the file's name for it, or the elder's own.
    fn device(&mut self, elder: ElderId, word: &str) -> anyhow::Result<Result<DeviceId, &'static str>> {
        if let Some(known) = self.devices.get(&(elder, word.to_owned())) {
            return Ok(Ok(*known));
        }
        let name = if word.is_empty() { format!("elder-{elder}") } else { word.to_lowercase() };
        let Ok(name) = Name::new(&name) else {
            return Ok(Err("the device's name is not 1 to 32 of a-z 0-9 _ -"));
        };
        let device = if self.dry_run { DeviceId(0) } else { self.stores.records.ensure_device(self.gateway, &name)? };
        if self.devices.len() > OPEN_MAX * 16 {
            self.devices.clear();
        }
        self.devices.insert((elder, word.to_owned()), device);
        Ok(Ok(device))
    }
}

/// The gateway of imports. Nobody signs in as it: its token is made and forgotten.
fn register(records: &Records) -> anyhow::Result<GatewayId> {
    let name = Name::new(GATEWAY).context("the import's own name")?;
    if let Some(known) = records.gateway_by_name(&name)? {
        return Ok(known.id);
    }
    Ok(records.create_gateway(records.create_site(&name)?, &name, Dialect::Vigil)?.0)
}
