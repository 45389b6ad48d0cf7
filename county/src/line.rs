//! The line of each home: when it is down, what a gateway holds back arrives later.

use model::Time;

use crate::dice::Dice;
use crate::figures as f;

/// One home's line.
#[derive(Debug)]
pub(crate) struct Line {
    /// The next cut, or the one that is on.
    from: Time,
    until: Time,
    /// The township's power cut, if the home lies in it.
    power: Option<(Time, Time)>,
    dice: Dice,
    /// Frames held in this cut.
    held: i64,
}

impl Line {
    pub(crate) fn new(seed: u64, elder: u32, start: Time, power: Option<(Time, Time)>) -> Self {
        let mut dice = Dice::new(seed, (u64::from(elder) << 8) + 2);
        let power = power.map(|(from, until)| {
            (from, until.plus_us((dice.between((0.0, f::BACK_WITHIN_MIN)) * f::MINUTE_US as f64) as i64))
        });
        let mut line = Self { from: start, until: start, power, dice, held: 0 };
        line.draw();
        line
    }

    fn draw(&mut self) {
        let minutes = |minutes: f64| (minutes * f::MINUTE_US as f64) as i64;
        let length = f::LINE_CUT_MIN * (f::LINE_CUT_SPREAD * self.dice.normal()).exp();
        self.from = self.until.plus_us(minutes(self.dice.wait(f::DAY_MIN as f64 / f::LINE_CUTS_A_DAY)));
        self.until = self.from.plus_us(minutes(length.clamp(0.5, f::LINE_CUT_LONGEST_MIN)));
    }

    /// When what is said at `at` reaches the server, if not at once. Ask with growing times. An `urgent` word goes first.
    pub(crate) fn held(&mut self, at: Time, urgent: bool) -> Option<Time> {
        while at >= self.until {
            self.draw();
        }
        let own = (at >= self.from).then_some(self.until);
        let power = self.power.filter(|(from, until)| (*from..*until).contains(&at)).map(|(_, until)| until);
        let Some(back) = own.max(power) else {
            self.held = 0;
            return None;
        };
        if urgent {
            return Some(back);
        }
        self.held += 1;
        Some(back.plus_us(self.held * 1_000_000 / f::DRAINS_PER_S))
    }
}
