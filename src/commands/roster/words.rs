//! The picture of a rota as text for a terminal, in Chinese and English at once.

use std::fmt::Write as _;

use model::Time;
use rota::{Cause, Hole, Kind, Shift, WEEKS_AHEAD};
use store::records::Board;

use super::Plain;

/// Holes listed at most; the rest are counted.
const HOLES_LISTED: usize = 20;

/// All of it. `plain`: who is asked when the team has no rota.
pub(super) fn board(board: &Board, plain: &Plain) -> String {
    let mut text = String::new();
    let zone = board.rota.as_ref().map_or(rota::ZONE, |rota| rota.zone.as_str());
    let line = |text: &mut String, words: &str| writeln!(text, "{words}").unwrap_or(());
    line(&mut text, &format!("{}  {} ({zone})", board.team.name, local(board.at, zone)));
    let Some(version) = board.version else {
        line(&mut text, "没有值班表,按名单顺序 no rota, the plain order on call:");
        line(&mut text, &format!("  {}", plain_order(plain)));
        return text.trim_end().to_owned();
    };
    line(&mut text, &format!("值班 on call (版本 version {version})"));
    for shift in &board.on_call {
        line(&mut text, &format!("  {}", one_shift(board, shift, zone)));
    }
    for hole in &board.holes_now {
        line(&mut text, &format!("  ! {}", one_hole(board, hole, zone)));
    }
    if !board.holes_now.is_empty() {
        let above = board.parent.as_ref().map_or("全体名单 everybody", |parent| parent.name.as_str());
        line(&mut text, &format!("    寻呼转至 pages go on to: {above}"));
    }
    let next: Vec<_> = board.stand_ins.iter().map(|one| format!("{} ({})", board.name(one.person), one.post)).collect();
    line(&mut text, &format!("后备 next to ask: {}", if next.is_empty() { "-".to_owned() } else { next.join(", ") }));
    line(&mut text, "班次 shifts");
    for shift in &board.shifts {
        line(&mut text, &format!("  {}", one_shift(board, shift, zone)));
    }
    line(&mut text, &format!("未来 {WEEKS_AHEAD} 周空岗 holes of the next {WEEKS_AHEAD} weeks: {}", board.holes.len()));
    for hole in board.holes.iter().take(HOLES_LISTED) {
        line(&mut text, &format!("  ! {}", one_hole(board, hole, zone)));
    }
    if board.holes.len() > HOLES_LISTED {
        line(&mut text, &format!("  .. {}", board.holes.len() - HOLES_LISTED));
    }
    for year in &board.missing_years {
        let words =
            format!("! 没有 {year} 年节假日数据,请导入 no holidays of {year}: vigil roster import-holidays FILE");
        line(&mut text, &words);
    }
    if let Some(quality) = &board.quality {
        let (covered, balance) = (quality.covered * 100.0, quality.balance * 100.0);
        let words = format!(
            "52 周评分 figure of 52 weeks: {}/100 (覆盖 covered {covered:.1} %, 均衡 balance {balance:.1} %)",
            quality.score
        );
        line(&mut text, &words);
    }
    text.trim_end().to_owned()
}

fn plain_order(plain: &Plain) -> String {
    if !plain.own.is_empty() {
        return plain.own.join(", ");
    }
    let others = match plain.everybody.as_slice() {
        [] => "也没有可寻呼的人 and there is nobody to page at all".to_owned(),
        some => some.join(", "),
    };
    format!("! 本队无人,寻呼转至全体名单 nobody: pages go to everybody: {others}")
}

fn one_shift(board: &Board, shift: &Shift, zone: &str) -> String {
    let mut words = format!(
        "{} - {}  {}: {} ({} {})",
        local(shift.from, zone),
        local(shift.until, zone),
        shift.post,
        board.name(shift.person),
        shift.duty.zh(),
        shift.duty.slug(),
    );
    let why = &shift.why;
    let mut reasons = Vec::new();
    if let Some(kind) = why.kind {
        reasons.push(format!("{} {:?}", kind_words(kind), shift.layer));
    }
    if let Some(id) = why.override_id {
        let of = why.instead_of.map_or(String::new(), |person| format!(" 代 for {}", board.name(person)));
        reasons.push(format!("换班 override {id}{of}"));
    }
    for skipped in &why.skipped {
        reasons.push(format!("{} 休假 on leave", board.name(skipped.person)));
    }
    if !reasons.is_empty() {
        write!(words, "  [{}]", reasons.join("; ")).unwrap_or(());
    }
    words
}

fn one_hole(board: &Board, hole: &Hole, zone: &str) -> String {
    let cause = match &hole.cause {
        Cause::NoLayer => "没有安排 no layer has this time".to_owned(),
        Cause::NoCalendar { year } => format!("没有 {year} 年节假日数据 no holidays of {year}"),
        Cause::Leave { skipped } => {
            let away: Vec<_> = skipped.iter().map(|one| board.name(one.person)).collect();
            format!("{} 休假 on leave", away.join(", "))
        }
    };
    format!("{} - {}  {}: 空岗 nobody [{cause}]", local(hole.from, zone), local(hole.until, zone), hole.post)
}

const fn kind_words(kind: Kind) -> &'static str {
    match kind {
        Kind::Daily => "日轮 daily",
        Kind::Weekly => "周轮 weekly",
        Kind::Custom => "轮换 rotation",
        Kind::Fixed => "固定 fixed",
        Kind::Holiday => "节假日 holiday",
    }
}

/// `2026-11-22 20:00` by the zone's clock; in UTC when there is no such zone.
pub(super) fn local(at: Time, zone: &str) -> String {
    rota::local(at, zone).unwrap_or_else(|| at.to_string())
}
