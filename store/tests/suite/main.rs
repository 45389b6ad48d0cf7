//! One suite for every back end of the readings store: the same cases on the embedded store, on plain PostgreSQL and on
//! TimescaleDB (PGlite), each in a place of its own. What only one back end has (damage, sealing, compression) is beside it.
#![allow(clippy::unwrap_used)]

mod late;
mod moves;
mod naive;
mod only_timescale;
mod place;
mod placed;
mod property;
mod recordings;
mod rows;
mod waves;
mod world;

/// The cases as tests `embedded::..` and `postgres::..`, and as a list for the one PGlite.
macro_rules! on_every_back_end {
    ($($module:ident :: $case:ident),+ $(,)?) => {
        mod embedded {
            $(#[test] fn $case() { crate::$module::$case(&crate::place::embedded()); })+
        }
        mod postgres {
            $(#[test] fn $case() {
                if let Some(place) = crate::place::postgres() {
                    crate::$module::$case(&place);
                }
            })+
        }
        const CASES: &[place::Case] = &[$((stringify!($case), crate::$module::$case)),+];
    };
}

on_every_back_end![
    late::a_clock_that_jumps_forward_ends_nothing,
    late::late_and_duplicate_rows_find_their_place_in_what_is_settled,
    late::trends_are_exact_over_rollups_with_late_days,
    late::retention_ends_old_rows_and_never_young_ones,
    late::rollups_outlive_their_rows,
    late::what_retention_ended_is_counted_as_such_when_days_are_raised,
    moves::another_measurement_of_the_same_instant_is_not_touched,
    moves::a_measurement_told_again_does_not_come_back_to_where_it_was,
    moves::moving_is_as_if_it_had_been_so_from_the_start,
    moves::who_is_forgotten_leaves_no_value_where_it_was_before,
    moves::values_that_old_programs_left_go_with_the_first_deletion,
    placed::a_placed_row_takes_the_state_it_has_elsewhere,
    property::whatever_happens_the_answers_are_the_naive_ones,
    recordings::mit_bih_100_comes_back_sample_for_sample,
    recordings::thirty_two_hours_of_vitals_come_back_bit_for_bit,
    rows::a_paused_store_refuses_writes_answers_questions_and_catches_up,
    rows::a_second_writer_is_refused_until_the_first_is_gone,
    rows::clocks_from_the_far_future_and_past_neither_lose_nor_block_what_follows,
    rows::everything_of_one_person_is_forgotten_and_nothing_else,
    rows::everything_sent_twice_is_stored_once,
    rows::pages_and_series_walk_through_everything,
    rows::progress_comes_back_with_its_rows,
    rows::readers_beside_a_writer_never_miss_or_double_a_row,
    rows::the_same_bits_come_back,
    rows::sparklines_of_many_are_the_points_of_each_trend,
    waves::an_origin_belongs_to_the_reading_that_was_stored,
    waves::an_origin_goes_where_its_reading_goes,
    waves::blocks_of_waveforms_come_once_each_page_by_page,
    waves::blocks_come_back_sample_for_sample_and_only_once,
    waves::stretches_have_their_gaps_and_their_limit,
    waves::what_cannot_be_a_block_is_counted_and_costs_nothing_else,
];

/// TimescaleDB: one PGlite for all cases, one after the other, because it takes one connection and half a gigabyte.
#[test]
fn pglite_every_case_and_what_only_timescale_has() {
    let Some(world) = place::Timescale::start() else { return };
    let cases = CASES.iter().chain(only_timescale::CASES);
    let failed: Vec<&str> = cases.filter(|case| !world.run(case)).map(|(name, _)| *name).collect();
    assert!(failed.is_empty(), "failed on TimescaleDB: {failed:?}");
}

/// What ran, for people to see: shown by `make test`.
#[test]
fn versions() {
    eprintln!("readings store: SQLite {}", rusqlite::version());
    if let Some(version) = place::postgres_version() {
        eprintln!("readings store: PostgreSQL {version}");
    }
    if let Some(pglite) = pgtest::Pglite::start() {
        let (postgres, timescale) = pglite.versions();
        eprintln!("readings store: TimescaleDB {timescale} on PostgreSQL {postgres} (PGlite)");
    }
}
