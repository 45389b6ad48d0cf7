//! `ble:2a35`, Blood Pressure Measurement (indicate). Blood Pressure Service 1.1.

use model::{EventKind, Metric, Quality};

use super::fields::{Fields, bit, tell_user};
use super::ieee11073::Number;
use crate::pressure::contradiction;
use crate::unit::{self, Unit};
use crate::{Decoded, Happened, Malformed, Measured, Settings, Stamp};

/// The fields that a measurement (2A35) and its intermediate values (2A36) share.
pub(super) struct Cuff {
    /// Systolic, diastolic, mean; of 2A36 the first alone.
    pub(super) pressures: [Number; 3],
    pub(super) unit: Unit,
    pub(super) stamp: Stamp,
    pulse: Option<Number>,
    user: Option<u8>,
    status: Option<u16>,
}

pub(super) fn decode(frame: &[u8], settings: &Settings) -> Result<Decoded, Malformed> {
    let cuff = Cuff::read(frame, settings)?;
    let [systolic, diastolic, mean] = cuff.pressures;
    let mut readings = [
        systolic.measured(Metric::Systolic, cuff.unit),
        diastolic.measured(Metric::Diastolic, cuff.unit),
        mean.measured(Metric::MeanArterialPressure, cuff.unit),
    ];
    if let Some(doubt) = contradiction(&readings[0], &readings[1]) {
        readings = readings.map(|reading| reading.doubted(doubt));
    }
    let mut out = Decoded::default();
    out.readings.extend(readings.into_iter().map(|reading| cuff.marked(reading)));
    out.readings.extend(cuff.pulse());
    if systolic.value().is_none() || diastolic.value().is_none() {
        out.events.push(Happened {
            code: cuff.status.map(u32::from),
            at: cuff.stamp.time(),
            ..Happened::new(EventKind::MeasurementFailed)
        });
    }
    cuff.tell(&mut out);
    Ok(out)
}

impl Cuff {
    pub(super) fn read(frame: &[u8], settings: &Settings) -> Result<Self, Malformed> {
        let mut fields = Fields::new(frame);
        let flags = fields.u8("the flags")?;
        Ok(Self {
            unit: if bit(flags, 0) { unit::KPA } else { unit::MMHG },
            pressures: [
                fields.sfloat("the first pressure")?,
                fields.sfloat("the second pressure")?,
                fields.sfloat("the third pressure")?,
            ],
            stamp: fields.stamp(bit(flags, 1), settings)?,
            pulse: fields.when(bit(flags, 2), |f| f.sfloat("the pulse rate"))?,
            user: fields.when(bit(flags, 3), |f| f.u8("the user"))?,
            status: fields.when(bit(flags, 4), |f| f.u16("the status"))?,
        })
    }

    /// The doubts that the rest of the frame casts on a pressure or pulse.
    pub(super) fn marked(&self, reading: Measured) -> Measured {
        let reading = reading.plausible();
        let moved = self.status.is_some_and(|status| bit(status, 0));
        let reading = if moved { reading.doubted(Quality::Motion) } else { reading };
        reading.stamped(self.stamp)
    }

    pub(super) fn pulse(&self) -> Option<Measured> {
        self.pulse.map(|pulse| self.marked(super::pulse(pulse)))
    }

    /// Whom and how: facts of the frame, and the event of an irregular pulse.
    pub(super) fn tell(&self, out: &mut Decoded) {
        tell_user(&mut out.device, self.user);
        let Some(status) = self.status else { return };
        let range = match status >> 3 & 3 {
            0 => "in_range",
            1 => "above_upper",
            2 => "below_lower",
            _ => "reserved",
        };
        out.device.other.extend([
            ("body_movement", bit(status, 0).into()),
            ("cuff_loose", bit(status, 1).into()),
            ("irregular_pulse", bit(status, 2).into()),
            ("pulse_range", range.into()),
            ("improper_position", bit(status, 5).into()),
        ]);
        if bit(status, 2) {
            out.events.push(Happened { at: self.stamp.time(), ..Happened::new(EventKind::IrregularPulse) });
        }
    }
}
