//! The report as people read it.

use std::fmt::{self, Display, Formatter};

use model::Priority;

use crate::figures as f;
use crate::report::{Report, SetReport};

/// Rules in the table.
const RULES_SHOWN: usize = 14;

impl Display for Report {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let counts = self.counts();
        let cuffs = counts.cuff_readings as f64 / f64::from(self.days.max(1));
        let in_crisis = 100.0 * counts.cuff_crises as f64 / (counts.cuff_readings.max(1)) as f64;
        writeln!(
            out,
            "county: {} elders, {} days, seed {}, {} seats, {} % wear a band ({})",
            self.elders, self.days, self.seed, self.seats, self.wearers_percent, counts.wearers
        )?;
        writeln!(
            out,
            "        {} readings in {} frames, {} held by a line that was down; {cuffs:.0} cuff readings a day, {in_crisis:.2} % at 180 or 110 \
             and more; {} presses; power cut: {} bands",
            counts.readings, counts.frames, counts.held, counts.presses, counts.gateways_cut
        )?;
        let Some(set) = self.sets.first() else { return Ok(()) };
        set_text(set, self, out)?;
        if self.sets.len() > 1 {
            levers(&self.sets, out)?;
        }
        Ok(())
    }
}

fn set_text(set: &SetReport, report: &Report, out: &mut Formatter<'_>) -> fmt::Result {
    writeln!(out, "rules:  {}\n", set.rules)?;
    writeln!(out, "ALARMS      raised  worsened  told again   a day   per seat and hour   in the highest hour")?;
    for row in &set.priorities {
        writeln!(
            out,
            "  {:<6} {:>10} {:>9} {:>11} {:>7.0} {:>19.2} {:>21.1}",
            row.priority.slug(),
            row.raised,
            row.worsened,
            row.again,
            row.per_day,
            row.seat_hour,
            row.seat_peak_hour
        )?;
    }
    writeln!(
        out,
        "  P1 and P2 per seat: {:.1} an hour, {:.1} in the highest hour. EEMUA 191: {} an hour, {} in the highest.",
        set.per_seat_hour,
        set.per_seat_peak_hour,
        f::EEMUA_PER_HOUR,
        f::EEMUA_PEAK_HOUR
    )?;
    writeln!(out, "  {}", verdict(set, report))?;
    writeln!(
        out,
        "  floods (more than {} a seat in ten minutes): {} of {} periods, the longest {} min",
        f::FLOOD_ABOVE,
        set.flood_periods,
        set.periods,
        set.longest_flood_min
    )?;
    writeln!(
        out,
        "  technical {:.1} % of all; false {:.1} % of P1 and P2; the tenth of elders with most makes {:.1} % of P1 and P2",
        100.0 * set.technical_share,
        100.0 * set.false_share,
        100.0 * set.top_tenth_share
    )?;
    writeln!(
        out,
        "  review items found late {}; incidents {} with {} silences in them; second measurements asked {}\n",
        set.late_items, set.incidents, set.silences_in_incidents, set.remeasures_asked
    )?;
    seats(set, out)?;
    rules(set, out)?;
    crises(set, out)
}

fn verdict(set: &SetReport, report: &Report) -> String {
    let needed = (set.per_seat_hour * f64::from(report.seats) / f::EEMUA_PER_HOUR).ceil();
    let at_peak = (set.per_seat_peak_hour * f64::from(report.seats) / f::EEMUA_PEAK_HOUR).ceil();
    if set.per_seat_hour <= f::EEMUA_PER_HOUR && set.per_seat_peak_hour <= f::EEMUA_PEAK_HOUR {
        return format!("{} seats can work with this.", report.seats);
    }
    format!(
        "{} seats DROWN in this: by EEMUA it takes {} for the mean hour and {} for the highest.",
        report.seats,
        needed.max(1.0),
        at_peak.max(1.0)
    )
}

fn seats(set: &SetReport, out: &mut Formatter<'_>) -> fmt::Result {
    let seats = &set.answered;
    writeln!(
        out,
        "SEATS       P1 answered within 60 s {:.1} % (goal 97.5), within 180 s {:.1} % (goal 99); median {:.0} s, longest {:.0} s",
        100.0 * seats.p1_within_60_s,
        100.0 * seats.p1_within_180_s,
        seats.p1_wait_median_s,
        seats.p1_wait_max_s
    )?;
    writeln!(
        out,
        "            P2 median {:.0} s, longest {:.0} s; seats busy {:.0} % of the time; {} not taken at the end; {} told again while \
         waiting or in hand\n",
        seats.p2_wait_median_s,
        seats.p2_wait_max_s,
        100.0 * seats.busy,
        seats.waiting_at_end,
        seats.merged
    )
}

fn rules(set: &SetReport, out: &mut Formatter<'_>) -> fmt::Result {
    writeln!(out, "RULES                         P1       P2       P3        T  told again     real    false   PPV")?;
    for row in set.by_rule.iter().take(RULES_SHOWN) {
        let ppv = row.ppv.map_or_else(|| "-".to_owned(), |ppv| format!("{:.0} %", 100.0 * ppv));
        writeln!(
            out,
            "  {:<22} {:>7} {:>8} {:>8} {:>8} {:>11} {:>8} {:>8} {:>5}",
            row.rule, row.p1, row.p2, row.p3, row.t, row.again, row.real, row.false_, ppv
        )?;
    }
    writeln!(out)
}

fn crises(set: &SetReport, out: &mut Formatter<'_>) -> fmt::Result {
    writeln!(
        out,
        "CRISES                 all   real   live   late  missed   first alarm after s: median    p95      max"
    )?;
    for row in &set.crises {
        writeln!(
            out,
            "  {:<18} {:>6} {:>6} {:>6} {:>6} {:>7} {:>29.0} {:>6.0} {:>8.0}",
            row.kind.slug(),
            row.count,
            row.real,
            row.live,
            row.late,
            row.missed,
            row.median_s,
            row.p95_s,
            row.max_s
        )?;
    }
    writeln!(out, "  missed: {}", set.missed_count)?;
    for missed in &set.missed {
        writeln!(
            out,
            "  MISSED {} of elder {} from {} to {}",
            missed.kind.slug(),
            missed.elder,
            missed.begin,
            missed.until
        )?;
    }
    Ok(())
}

fn levers(sets: &[SetReport], out: &mut Formatter<'_>) -> fmt::Result {
    writeln!(
        out,
        "\nLEVERS                                              P1/day   P2/day   P3/day    T/day  seat-h   peak  P1<60 s  missed"
    )?;
    for set in sets {
        let a_day = |priority: Priority| {
            set.priorities.iter().find(|row| row.priority == priority).map_or(0.0, |row| row.per_day)
        };
        writeln!(
            out,
            "  {:<48} {:>7.0} {:>8.0} {:>8.0} {:>8.0} {:>7.1} {:>6.0} {:>6.1} % {:>7}",
            set.name,
            a_day(Priority::P1),
            a_day(Priority::P2),
            a_day(Priority::P3),
            a_day(Priority::T),
            set.per_seat_hour,
            set.per_seat_peak_hour,
            100.0 * set.answered.p1_within_60_s,
            set.missed_count
        )?;
    }
    Ok(())
}
