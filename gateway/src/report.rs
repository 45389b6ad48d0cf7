//! What the steps of the reception make of what a link heard: samples and events of one device at one moment. The framer
//! makes frames of it.

use model::{ClockPair, Event, Lane, Name, Note, Origin, Sample, Waveform};
use mqtt::topic;

/// Samples and events of one device.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// `_` is the gateway itself.
    pub device: Name,
    /// Lane of the samples: `vit`, or `hist` for what was recorded earlier. Events go by their own lane.
    pub lane: Lane,
    pub samples: Vec<Sample>,
    /// Where samples come from, by their place in `samples`; at most one each.
    pub origins: Vec<Origin>,
    pub events: Vec<Event>,
    pub waveforms: Vec<Waveform>,
    /// The waveforms led to an alarm: they go right behind it, in lane `evt`.
    pub strip: bool,
    /// What the gateway says about itself; only of its own device `_`.
    pub notes: Vec<Note>,
    /// Device clock and gateway clock at the transfer, when that is worth telling.
    pub clock: Option<ClockPair>,
    /// Key of the person a session says was measured: `elder:..`, `card:..`, `qr:..`. Personal data: never logged.
    pub person: Option<String>,
    /// What the disk budget left of frames that are gone. Not thinned again.
    pub thinned: bool,
    /// The device is one that many people use: whose the samples are comes from `person` alone.
    pub shared: bool,
}

impl Default for Report {
    /// An empty report of the gateway itself.
    fn default() -> Self {
        Self {
            device: itself(),
            lane: Lane::Vit,
            samples: Vec::new(),
            origins: Vec::new(),
            events: Vec::new(),
            waveforms: Vec::new(),
            strip: false,
            notes: Vec::new(),
            clock: None,
            person: None,
            shared: false,
            thinned: false,
        }
    }
}

impl Report {
    /// The report cut by lanes, the most urgent first; lanes without a part are left out.
    pub(crate) fn parts(mut self) -> Vec<(Lane, Self)> {
        let mut parts = Vec::with_capacity(1);
        let (events, notes) = (std::mem::take(&mut self.events), std::mem::take(&mut self.notes));
        let (sos, evt): (Vec<_>, Vec<_>) = events.into_iter().partition(|event| event.kind.lane() == Lane::Sos);
        if !sos.is_empty() {
            parts.push((Lane::Sos, Self { events: sos, ..self.about() }));
        }
        if !evt.is_empty() || !notes.is_empty() {
            parts.push((Lane::Evt, Self { events: evt, notes, ..self.about() }));
        }
        let waveforms = std::mem::take(&mut self.waveforms);
        let (clock, samples) = (self.clock, !self.samples.is_empty());
        let lane = if self.strip { Lane::Evt } else { Lane::Wav };
        let about = self.about();
        if samples {
            parts.push((self.lane, self));
        }
        if !waveforms.is_empty() {
            // The clocks are told once.
            let clock = clock.filter(|_| !samples);
            parts.push((lane, Self { waveforms, clock, ..about }));
        }
        parts
    }

    /// An empty report of the same device and person.
    fn about(&self) -> Self {
        let (device, person) = (self.device.clone(), self.person.clone());
        Self { device, person, shared: self.shared, ..Self::default() }
    }
}

/// The device name that means "the gateway itself".
pub(crate) fn itself() -> Name {
    Name::new(topic::SELF).unwrap_or_else(|_| unreachable!("a valid constant name"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{EventKind, Metric, Quality, Time};

    #[test]
    fn a_report_is_cut_by_lanes_the_most_urgent_first() {
        let event = |kind| Event { kind, at: Time(0) };
        let report = Report {
            lane: Lane::Hist,
            samples: vec![Sample::new(Metric::HeartRate, Time(0), 70.0, Quality::Ok)],
            events: vec![event(EventKind::LowBattery), event(EventKind::Sos), event(EventKind::Fall)],
            person: Some("card:0".to_owned()),
            ..Report::default()
        };
        let parts = report.parts();
        let shape: Vec<_> = parts.iter().map(|(lane, part)| (*lane, part.events.len(), part.samples.len())).collect();
        assert_eq!(shape, [(Lane::Sos, 2, 0), (Lane::Evt, 1, 0), (Lane::Hist, 0, 1)]);
        assert!(parts.iter().all(|(_, part)| part.person.is_some()));
        assert!(Report::default().parts().is_empty());
    }
}
