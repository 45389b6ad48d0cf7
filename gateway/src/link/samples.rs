//! The samples link: an ECG or PPG front end that connects over TCP and sends nothing but samples, 16 bits little endian, all
//! leads in turn.
//!
//! ```text
//! socket -> Ring (8 s) -> blocks of `block_s` -> outlet
//! ```
//! While the gateway is busy the socket is held back for a moment; then samples are lost, counted, and said as the event
//! `overflow`. Time is counted by samples from their arrival, and set again where the stream was interrupted: a loss is a
//! gap, not a shift.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use model::extra::WAVEFORMS_MAX;
use model::{Event, EventKind, Metric, Name, Rate, Time, Waveform, lead};
use serde::Deserialize;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::Context;
use crate::Error;
use crate::outlet::{DeviceKey, Refused};
use crate::report::Report;
use crate::ring::{Drain, Filler, ring};
use crate::waves::{BLOCK_S_MAX, Way};

/// What the ring holds, seconds of the stream.
const RING_S: usize = 8;
/// How long a full ring holds the socket back before samples are lost.
const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes read at once.
const READ_BYTES: usize = 4_096;
/// Samples that arrive so much later than their number says were interrupted; so much earlier, the rate is not as configured.
const LATE_US: i64 = 5_000_000;
const EARLY_US: i64 = 2_000_000;
/// Interruptions not yet reached by the blocks, at most; the oldest are forgotten.
const MARKS_MAX: usize = 64;
/// Fastest stream, samples a second of one lead.
const RATE_MAX: u32 = 8_000;
/// Wait before a port that cannot be opened is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// Connections at once: the one that sends, and those before it whose samples are still made blocks of.
const CONNECTIONS_MAX: usize = 4;
/// Wait after a connection that could not be taken.
const AGAIN: Duration = Duration::from_millis(200);

/// Keys of the link.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the device connects to.
    pub listen: SocketAddr,
    pub device: Name,
    /// `ecg` or `ppg`.
    #[serde(default = "ecg")]
    pub metric: Metric,
    /// The leads in the order of the stream: `I`, `II`, `aVR`, `V1` ..; anything else is a channel with a number.
    pub leads: Vec<String>,
    /// Samples a second of one lead.
    pub rate: u32,
    /// Value of one count in the metric's unit (mV), and the value of count 0.
    pub scale: f64,
    #[serde(default)]
    pub offset: f64,
    /// Length of a block, 1..=10 seconds: also how long a sample waits at most before it is on its way.
    #[serde(default = "two")]
    pub block_s: u32,
}

const fn ecg() -> Metric {
    Metric::Ecg
}

const fn two() -> u32 {
    2
}

impl Config {
    /// Refuses what can never work.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let fault = |text: &str| Err(Error::Key(format!("a samples link: {text}")));
        if self.metric.info().shape != model::metric::Shape::Waveform {
            return fault("metric must be ecg or ppg");
        }
        if self.leads.is_empty() || self.leads.len() > WAVEFORMS_MAX {
            return fault(&format!("leads must name 1 to {WAVEFORMS_MAX} leads"));
        }
        if self.rate == 0 || self.rate > RATE_MAX {
            return fault(&format!("rate must be 1 to {RATE_MAX}"));
        }
        if !(1..=BLOCK_S_MAX).contains(&self.block_s) || self.rate * self.block_s > 20_000 {
            return fault(&format!("block_s must be 1 to {BLOCK_S_MAX}, and a block at most 20,000 samples"));
        }
        if self.scale == 0.0 || !self.scale.is_finite() || !self.offset.is_finite() {
            return fault("scale must be a number other than 0, and offset a number");
        }
        Ok(())
    }

    fn codes(&self) -> Vec<u32> {
        let named = |(index, word): (usize, &String)| lead::from_label(word).unwrap_or(lead::channel(index as u32));
        self.leads.iter().enumerate().map(named).collect()
    }

    /// Bytes of one sample of every lead.
    const fn unit(&self) -> usize {
        2 * self.leads.len()
    }

    const fn period(&self) -> Rate {
        Rate { samples: self.rate, seconds: 1 }
    }
}

/// Serves one device; a new connection ends the one before it, whose samples are made blocks of all the same.
pub(crate) async fn run(link: Config, context: Context) -> Result<(), Error> {
    let Some(listener) = listen(&link, &context).await else { return Ok(()) };
    let address = listener.local_addr().ok();
    context.figures.link(&context.name, |figures| (figures.up, figures.address) = (true, address));
    let (mut serving, mut last) = (JoinSet::new(), context.stop.child());
    loop {
        tokio::select! {
            () = context.stop.requested() => break,
            ended = serving.join_next(), if !serving.is_empty() => {
                context.figures.link(&context.name, |figures| figures.lost += 1);
                if let Some(Ok(Err(Refused::UnknownDevice))) = ended {
                    return Err(Error::Key(format!("the device {} of a samples link is not in devices", link.device)));
                }
            }
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) if serving.len() < CONNECTIONS_MAX => {
                    last.request();
                    last = context.stop.child();
                    let context = Context { stop: last.clone(), ..context.clone() };
                    serving.spawn(serve(link.clone(), context, socket));
                }
                // Out of files, or a device that connects over and over: dropped, and it will come again.
                _ => tokio::time::sleep(AGAIN).await,
            },
        }
    }
    // What has arrived is made blocks of before the gateway ends.
    while serving.join_next().await.is_some() {}
    Ok(())
}

async fn listen(link: &Config, context: &Context) -> Option<TcpListener> {
    loop {
        match TcpListener::bind(link.listen).await {
            Ok(listener) => return Some(listener),
            Err(error) => context.figures.link(&context.name, |figures| figures.problem = Some(error.to_string())),
        }
        tokio::select! {
            () = context.stop.requested() => return None,
            () = tokio::time::sleep(RETRY) => {}
        }
    }
}

/// One connection: reading and making blocks beside each other.
async fn serve(link: Config, context: Context, socket: TcpStream) -> Result<(), Refused> {
    let (filler, drain) = ring(RING_S * link.rate as usize, link.unit());
    let marks = Marks::default();
    let filling = async {
        fill(&link, &context, socket, filler, &marks).await;
        Ok(())
    };
    tokio::try_join!(filling, blocks(&link, &context, drain, &marks)).map(drop)
}

/// Reads until the device hangs up or the gateway stops.
async fn fill(link: &Config, context: &Context, mut socket: TcpStream, mut filler: Filler, marks: &Marks) {
    let mut buffer = [0; READ_BYTES];
    let (mut stamp, mut taken, mut full) = (Stamp::default(), 0_u64, false);
    loop {
        filler.room(READ_BYTES, PATIENCE).await;
        let count = tokio::select! {
            () = context.stop.requested() => return,
            read = socket.read(&mut buffer) => match read {
                Ok(0) | Err(_) => return,
                Ok(count) => count,
            },
        };
        let now = context.clock.now();
        let filled = filler.fill(&buffer[..count]);
        if let Some(at) = stamp.next(link.period(), filled.units, now) {
            marks.put(taken, at);
        }
        taken += filled.units as u64;
        if filled.lost > 0 {
            stamp.interrupted();
            let bytes = (filled.lost * link.unit()) as u64;
            context.figures.link(&context.name, |figures| figures.skipped_bytes += bytes);
            if !full {
                tell_overflow(link, context, now).await;
            }
        }
        full = filled.lost > 0;
    }
}

async fn tell_overflow(link: &Config, context: &Context, at: Time) {
    tracing::error!(device = %link.device, "the ring of a waveform is full: samples are lost and counted");
    let events = vec![Event { kind: EventKind::Overflow, at }];
    context.outlet.send(Report { device: link.device.clone(), events, ..Report::default() }).await;
}

/// From which sample on which time is right.
#[derive(Debug, Default)]
struct Marks(Mutex<VecDeque<(u64, Time)>>);

impl Marks {
    fn put(&self, sample: u64, at: Time) {
        let mut marks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if marks.len() == MARKS_MAX {
            marks.pop_front();
        }
        marks.push_back((sample, at));
    }

    /// The newest mark at or before `sample`, and the next one after it. Marks passed are forgotten.
    fn at(&self, sample: u64) -> (Option<(u64, Time)>, Option<u64>) {
        let mut marks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = None;
        while marks.front().is_some_and(|(from, _)| *from <= sample) {
            found = marks.pop_front();
        }
        (found, marks.front().map(|(from, _)| *from))
    }
}

/// When the samples of a stream were taken, by their number since the last interruption.
#[derive(Debug, Default)]
struct Stamp {
    /// Time of a sample and the samples since.
    anchor: Option<(Time, u64)>,
}

impl Stamp {
    /// `units` samples have arrived by `now`. The time of the first of them, where counting begins anew.
    fn next(&mut self, rate: Rate, units: usize, now: Time) -> Option<Time> {
        if units == 0 {
            return None;
        }
        let last = |(at, count): (Time, u64)| at.plus_us(rate.offset_us((count + units as u64) as usize));
        let goes_on = self.anchor.is_some_and(|anchor| (-EARLY_US..=LATE_US).contains(&now.since_us(last(anchor))));
        match &mut self.anchor {
            Some((_, count)) if goes_on => {
                *count += units as u64;
                None
            }
            anchor => {
                // The wire has milliseconds.
                let first = Time::from_millis(now.plus_us(-rate.offset_us(units)).millis());
                *anchor = Some((first, units as u64));
                Some(first)
            }
        }
    }

    const fn interrupted(&mut self) {
        self.anchor = None;
    }
}

/// Makes blocks until the wire has ended and the ring is empty.
async fn blocks(link: &Config, context: &Context, mut drain: Drain, marks: &Marks) -> Result<(), Refused> {
    let mut making = Making::new(link);
    let mut way = Way::new(context.outlet.clone(), DeviceKey::Named(link.device.clone()));
    // Whole units fit, and only whole units are in the ring.
    let mut buffer = vec![0; READ_BYTES / link.unit() * link.unit()];
    loop {
        let count = drain.take(&mut buffer).await;
        let mut made = Vec::new();
        for unit in buffer[..count].chunks_exact(link.unit()) {
            making.add(unit, marks, &mut made);
        }
        if count == 0 {
            making.close(&mut made);
        }
        for waveforms in made {
            context.figures.link(&context.name, |figures| figures.frames += 1);
            way.hand_over(context.clock.now(), waveforms).await?;
        }
        if count == 0 {
            return Ok(());
        }
    }
}

/// The block of every lead that is being filled.
struct Making {
    codes: Vec<u32>,
    metric: Metric,
    rate: Rate,
    scale: f64,
    offset: f64,
    length: usize,
    counts: Vec<Vec<i16>>,
    /// Sample and time counting goes by, and the sample at which it begins anew.
    anchor: (u64, Time),
    until: Option<u64>,
    next: u64,
}

impl Making {
    fn new(link: &Config) -> Self {
        let codes = link.codes();
        Self {
            counts: vec![Vec::new(); codes.len()],
            codes,
            metric: link.metric,
            rate: link.period(),
            scale: link.scale,
            offset: link.offset,
            length: (link.rate * link.block_s) as usize,
            anchor: (0, Time::default()),
            until: Some(0),
            next: 0,
        }
    }

    fn add(&mut self, unit: &[u8], marks: &Marks, made: &mut Vec<Vec<Waveform>>) {
        if self.until.is_none_or(|until| until <= self.next) {
            let (found, next) = marks.at(self.next);
            if let Some(anchor) = found {
                self.close(made);
                self.anchor = anchor;
            }
            self.until = next;
        }
        for (counts, sample) in self.counts.iter_mut().zip(unit.as_chunks::<2>().0) {
            counts.push(i16::from_le_bytes(*sample));
        }
        self.next += 1;
        if self.counts.first().is_some_and(|counts| counts.len() == self.length) {
            self.close(made);
        }
    }

    fn close(&mut self, made: &mut Vec<Vec<Waveform>>) {
        let length = self.counts.first().map_or(0, Vec::len);
        if length == 0 {
            return;
        }
        let first = self.next.saturating_sub(length as u64).saturating_sub(self.anchor.0);
        let start = self.anchor.1.plus_us(self.rate.offset_us(first as usize));
        let (metric, rate, scale, offset) = (self.metric, self.rate, self.scale, self.offset);
        let block = |(lead, counts): (&u32, &mut Vec<i16>)| {
            let counts = std::mem::take(counts);
            Waveform { metric, lead: *lead, start, rate, scale, offset, counts }
        };
        made.push(self.codes.iter().zip(&mut self.counts).map(block).collect());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    fn config() -> Config {
        let text = "listen = \"127.0.0.1:0\"\ndevice = \"ecg-1\"\nleads = [\"II\", \"chest\"]\nrate = 10\nscale = 0.5\nblock_s = 1";
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_stream_is_counted_and_set_again_where_it_was_interrupted() {
        let (mut stamp, rate) = (Stamp::default(), Rate { samples: 10, seconds: 1 });
        let at = |second: i64| Time(second * SECOND);
        assert_eq!(stamp.next(rate, 10, at(100)), Some(at(99)));
        assert_eq!(stamp.next(rate, 10, at(101)), None);
        assert_eq!(stamp.next(rate, 10, at(106)), None, "a slow network is no interruption");
        assert_eq!(stamp.next(rate, 10, at(109)), Some(at(108)), "more than five seconds are missing");
        assert_eq!(stamp.next(rate, 50, at(110)), Some(at(105)), "faster than the rate says");
        stamp.interrupted();
        assert_eq!(stamp.next(rate, 5, at(111)), Some(at(110).plus_us(500_000)), "after a loss");
        assert_eq!(stamp.next(rate, 0, at(200)), None);
    }

    #[test]
    fn blocks_are_cut_by_length_and_at_interruptions() {
        let (link, marks, mut made) = (config(), Marks::default(), Vec::new());
        link.validate().unwrap();
        let mut making = Making::new(&link);
        marks.put(0, Time(0));
        marks.put(13, Time(60 * SECOND));
        for i in 0..25_i16 {
            making.add(&[i.to_le_bytes(), (-i).to_le_bytes()].concat(), &marks, &mut made);
        }
        making.close(&mut made);
        let shape: Vec<_> =
            made.iter().map(|block| (block[0].start.0, block[0].counts.len(), block[1].counts[0])).collect();
        assert_eq!(shape, [(0, 10, 0), (SECOND, 3, -10), (60 * SECOND, 10, -13), (61 * SECOND, 2, -23)]);
        assert_eq!(made[0].iter().map(|block| block.lead).collect::<Vec<_>>(), [131_074, lead::channel(1)]);
    }

    #[test]
    fn what_can_never_work_is_refused() {
        for change in [
            |link: &mut Config| link.leads.clear(),
            |link: &mut Config| link.rate = 0,
            |link: &mut Config| link.rate = 8_001,
            |link: &mut Config| link.block_s = 11,
            |link: &mut Config| link.scale = 0.0,
            |link: &mut Config| link.metric = Metric::Spo2,
        ] {
            let mut link = config();
            change(&mut link);
            assert!(link.validate().is_err(), "{link:?}");
        }
    }
}
