//! A report as numbered frames: one for each lane it touches, more where a frame's limits ask for it.

use model::entry::{EVENTS_MAX, Flags};
use model::extra::WAVEFORMS_MAX;
use model::note::NOTES_MAX;
use model::{Lane, Note, Origin, Sample, Time, Waveform};
use mqtt::wire::{self, WireFrame};

use crate::lanes::Lanes;
use crate::report::Report;

/// Samples put into one frame. Small enough for any broker's packet limit and one minute of a band.
const FRAME_SAMPLES_MAX: usize = 200;
/// Waveform counts put into one frame: in JSON they take up to four bytes each.
const FRAME_COUNTS_MAX: usize = 12_000;

/// All frames of one lane's part of a report. Each takes its number.
pub(crate) fn of(report: &Report, lane: Lane, lanes: &mut Lanes, now: Time) -> Vec<WireFrame> {
    let mut frames = Vec::new();
    let mut take = |part: WireFrame| {
        frames.push(WireFrame { epoch: lanes.epoch(), seq: lanes.take(lane), ..framed(report, lane, now, part) });
    };
    for events in report.events.chunks(EVENTS_MAX) {
        take(WireFrame { events: events.to_vec(), ..WireFrame::default() });
    }
    for notes in report.notes.chunks(NOTES_MAX) {
        take(WireFrame { notes: notes.iter().map(Note::to_text).collect(), ..WireFrame::default() });
    }
    let (mut done, mut clock) = (0, report.clock);
    for samples in spans(&report.samples) {
        let origins = origins(&report.origins, done, samples.len());
        done += samples.len();
        take(WireFrame { samples: samples.to_vec(), origins, clock: clock.take(), ..WireFrame::default() });
    }
    for waveforms in blocks(&report.waveforms) {
        take(WireFrame { waveforms: waveforms.to_vec(), clock: clock.take(), ..WireFrame::default() });
    }
    frames
}

/// What all frames of a report say.
fn framed(report: &Report, lane: Lane, now: Time, part: WireFrame) -> WireFrame {
    let bit = |set: bool, bit: u8| if set { bit } else { 0 };
    WireFrame {
        // The wire has milliseconds.
        gateway_time: Time::from_millis(now.millis()),
        flags: Flags(bit(lane == Lane::Hist, Flags::HIST) | bit(report.shared, Flags::SHARED)),
        person: report.person.clone(),
        ..part
    }
}

/// The origins of one run of samples, by their place in the run.
fn origins(origins: &[Origin], from: usize, count: usize) -> Vec<Origin> {
    let of = |origin: &Origin| {
        let index = usize::from(origin.index).checked_sub(from).filter(|index| *index < count)?;
        Some(Origin { index: index as u16, ..origin.clone() })
    };
    origins.iter().filter_map(of).collect()
}

/// Cuts samples into runs that fit a frame: by number, and by the widest span of time a frame may have.
fn spans(samples: &[Sample]) -> Vec<&[Sample]> {
    let mut runs = Vec::new();
    let mut rest = samples;
    while let Some(first) = rest.first() {
        let (mut oldest, mut newest) = (first.taken_at, first.taken_at);
        let fits = rest.iter().take(FRAME_SAMPLES_MAX).take_while(|sample| {
            oldest = oldest.min(sample.taken_at);
            newest = newest.max(sample.taken_at);
            newest.since_us(oldest) <= wire::SPAN_MAX_US
        });
        let (run, left) = rest.split_at(fits.count().max(1));
        runs.push(run);
        rest = left;
    }
    runs
}

/// Cuts waveform blocks into runs that fit a frame. A block stays whole.
fn blocks(waveforms: &[Waveform]) -> Vec<&[Waveform]> {
    let mut runs = Vec::new();
    let mut rest = waveforms;
    while !rest.is_empty() {
        let mut counts = 0;
        let fits = rest.iter().take(WAVEFORMS_MAX).take_while(|wave| {
            counts += wave.counts.len();
            counts <= FRAME_COUNTS_MAX
        });
        let (run, left) = rest.split_at(fits.count().max(1));
        runs.push(run);
        rest = left;
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Metric, Quality, Rate};

    #[test]
    fn runs_respect_number_and_span() {
        let at = |hours: i64| Sample::new(Metric::HeartRate, Time::from_secs(hours * 3_600), 70.0, Quality::Ok);
        let samples: Vec<_> = (0..60).map(at).collect();
        let lengths: Vec<_> = spans(&samples).iter().map(|run| run.len()).collect();
        assert_eq!(lengths, [25, 25, 10]);
        let many = vec![at(0); 450];
        assert_eq!(spans(&many).iter().map(|run| run.len()).collect::<Vec<_>>(), [200, 200, 50]);
        assert!(spans(&[]).is_empty());
    }

    #[test]
    fn blocks_respect_number_and_size() {
        let wave = |counts: usize| Waveform {
            metric: Metric::Ecg,
            lead: 0,
            start: Time(0),
            rate: Rate { samples: 250, seconds: 1 },
            scale: 0.005,
            offset: 0.0,
            counts: vec![0; counts],
        };
        let lengths = |waves: &[Waveform]| blocks(waves).iter().map(|run| run.len()).collect::<Vec<_>>();
        assert_eq!(lengths(&vec![wave(250); 40]), [16, 16, 8]);
        assert_eq!(lengths(&[wave(8_000), wave(8_000), wave(20_000)]), [1, 1, 1]);
    }

    #[test]
    fn origins_follow_their_samples() {
        let at = |index: u16| Origin { index, ..Origin::default() };
        let all = [at(0), at(199), at(200), at(250)];
        let places = |from, count| origins(&all, from, count).iter().map(|o| o.index).collect::<Vec<_>>();
        assert_eq!((places(0, 200), places(200, 100)), (vec![0, 199], vec![0, 50]));
    }
}
