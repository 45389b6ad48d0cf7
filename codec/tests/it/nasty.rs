//! Every row of nasty_cases.jsonl: what must come of it, and where that is shown. A row whose payload is a frame goes through
//! its codec here; procedures and what lies beyond one frame are shown by tests of their own, whose names stand here and must
//! exist; what is shown nowhere stands here with the reason. docs/devices.md repeats the list for people.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use serde_json::Value;
use vigil_codec::{Decoded, Malformed, Settings, find};

use crate::vectors::{rows, unhex};

/// How the behaviour that a row requires is shown.
enum Shown {
    /// The payload through this codec gives this; see [`said`].
    Here(&'static str, &'static str),
    /// A test in this file of the workspace.
    By(&'static str, &'static str),
    /// Nowhere, and why.
    Not(&'static str),
}
use Shown::{By, Here, Not};

const BLE: &str = "codec/tests/it/ble.rs";
const ADVERT: &str = "codec/tests/it/advert.rs";
const WATCH: &str = "codec/tests/it/watch/nasty.rs";
const SERIAL: &str = "codec/tests/it/cabin/serial.rs";
const ASTM: &str = "codec/tests/it/cabin/astm.rs";
const HL7: &str = "codec/tests/it/cabin/hl7.rs";
const TIMELINE: &str = "gateway/src/timeline_tests.rs";
const STORIES: &str = "engine/tests/it/stories.rs";

const CASES: &[(u32, &[Shown])] = &[
    (
        1,
        &[Here(
            "ble:2a35",
            "systolic special_value, diastolic special_value, mean_arterial_pressure special_value; measurement_failed",
        )],
    ),
    (2, &[Here("ble:2a5f", "spo2 special_value, pulse_rate 72 ok")]),
    (
        3,
        &[Here(
            "ble:2a35",
            "systolic special_value, diastolic special_value, mean_arterial_pressure special_value; measurement_failed",
        )],
    ),
    (4, &[Here("ble:2a37", "heart_rate sensor_off")]),
    (5, &[Here("watch3g", "heart_rate sensor_off")]),
    (6, &[Here("ble:2a9d", "weight measurement_failed; measurement_failed")]),
    (7, &[Here("ble:2a9c", "body_fat measurement_failed; measurement_failed")]),
    (8, &[By("engine/tests/it/recording.rs", "the_zeros_of_a_bedside_recording_raise_nothing")]),
    (9, &[Here("watch3g", "skin_temperature measurement_failed")]),
    (10, &[Here("watch3g", "skin_temperature 35.29 ok"), By(WATCH, "cases_09_and_10_temperature_of_the_wrist")]),
    (
        11,
        &[Here(
            "serial:hbp9030",
            "systolic measurement_failed, diastolic measurement_failed, pulse_rate measurement_failed; measurement_failed 2",
        )],
    ),
    (12, &[Here("ble:2a35", "refused: short")]),
    (13, &[Here("ble:2a37", "refused: short")]),
    (14, &[Here("ble:2a34", "nothing")]),
    (15, &[By(BLE, "cgm_records_are_walked_and_their_checksum_counts")]),
    (16, &[By(BLE, "cgm_records_are_walked_and_their_checksum_counts")]),
    (17, &[Here("watch3g", "battery 70 ok, steps 0 ok"), By(WATCH, "case_17_a_wrong_length_blocks_nothing")]),
    (18, &[By(WATCH, "case_18_six_voice_frames_in_one_segment")]),
    (19, &[By(WATCH, "case_19_a_bracket_in_a_name_costs_at_most_its_frame")]),
    (
        20,
        &[
            By("codec/tests/it/random.rs", "ten_thousand_bad_frames_a_codec"),
            By("codec/tests/it/watch/streams.rs", "a_frame_is_the_same_however_it_is_cut"),
            By("codec/tests/it/cabin/streams.rs", "however_a_stream_is_cut_it_gives_the_same"),
        ],
    ),
    (21, &[By(HL7, "nasty_21_odd_ends_are_tolerated_and_size_is_capped")]),
    (22, &[By(ASTM, "nasty_22_the_checksum_is_over_bytes")]),
    (23, &[By(ASTM, "nasty_23_numbers_wrap_and_parts_are_joined")]),
    (24, &[Here("serial:scale", "nothing"), By(SERIAL, "nasty_24_a_scale_that_moves_is_not_read")]),
    (25, &[By(SERIAL, "nasty_25_both_ends_of_a_line_are_taken")]),
    (26, &[By(SERIAL, "nasty_26_control_bytes_in_printer_text_are_ignored")]),
    (
        27,
        &[
            By(WATCH, "case_27_a_clock_that_was_never_set_is_said_and_not_used"),
            By(TIMELINE, "every_kind_of_time_gets_its_answer"),
        ],
    ),
    (
        28,
        &[
            Here(
                "ble:2a35",
                "systolic 138 motion, diastolic 88 motion, mean_arterial_pressure 120 motion, pulse_rate 60 motion; irregular_pulse",
            ),
            By(TIMELINE, "every_kind_of_time_gets_its_answer"),
        ],
    ),
    (29, &[Here("ble:2a9d", "weight 70 clock_suspect"), By(TIMELINE, "every_kind_of_time_gets_its_answer")]),
    (30, &[Here("ble:2a9d", "weight 70 clock_suspect")]),
    (
        31,
        &[
            By(TIMELINE, "a_constant_offset_is_found_from_several_transfers_and_corrected"),
            By(WATCH, "case_31_the_meaning_of_the_clock_is_a_setting"),
        ],
    ),
    (32, &[By(BLE, "times_that_are_not_known_or_cannot_be_are_said_and_cost_no_value")]),
    (
        33,
        &[
            By(TIMELINE, "a_batch_of_stored_records_keeps_its_order_and_loses_none"),
            By(STORIES, "a_night_in_the_outbox_becomes_one_review_item_however_often_it_is_sent"),
            By("tests/it/ble.rs", "a_cuff_a_meter_and_a_room_sensor_arrive_once_over_lost_links_and_a_kill"),
        ],
    ),
    (
        34,
        &[
            By(WATCH, "case_34_what_was_kept_through_a_blind_spot_is_history"),
            By(STORIES, "a_late_sos_still_calls_and_is_marked"),
        ],
    ),
    (
        35,
        &[
            By(WATCH, "case_35_every_repeat_of_a_call_is_answered"),
            By(STORIES, "an_sos_is_at_once_and_a_second_press_is_the_same_alarm"),
        ],
    ),
    (
        36,
        &[
            By(ADVERT, "nasty_36_copies_of_an_advertisement_have_one_counter"),
            By("gateway/src/link/ble/repeats.rs", "ten_copies_are_one_advertisement"),
        ],
    ),
    (
        37,
        &[
            By("ingest/tests/story/frames.rs", "a_frame_is_attributed_journalled_and_stored_once"),
            By("engine/tests/it/properties.rs", "a_frame_delivered_twice_changes_nothing"),
        ],
    ),
    (
        38,
        &[
            Here(
                "ble:2a35",
                "systolic 141.76 ok, diastolic 82.51 ok, mean_arterial_pressure 119.26 ok, pulse_rate 60 ok",
            ),
            By(BLE, "units_are_converted_once_and_doubted_where_they_cannot_be"),
        ],
    ),
    (
        39,
        &[Here(
            "ble:2a35",
            "systolic 18.9 unit_suspect, diastolic 11 unit_suspect, mean_arterial_pressure 15.9 unit_suspect",
        )],
    ),
    (40, &[Here("ble:2a18", "glucose 166522.35 out_of_range; low_battery")]),
    (41, &[By(BLE, "units_are_converted_once_and_doubted_where_they_cannot_be")]),
    (
        42,
        &[
            Here(
                "iw",
                "heart_rate 60 ok, systolic 130 ok, diastolic 85 ok, spo2 95 ok, glucose 90 unit_suspect, skin_temperature 36.5 ok",
            ),
            By(WATCH, "case_42_sugar_without_a_unit_is_kept_and_never_judged"),
        ],
    ),
    (43, &[By(ADVERT, "nasty_43_jin_and_pounds_are_converted_and_kept")]),
    (44, &[By(HL7, "nasty_44_a_sloppy_unit_and_a_number_in_component_2")]),
    (45, &[By(SERIAL, "nasty_45_results_of_a_strip_stay_words")]),
    (46, &[By(HL7, "nasty_46_comparators_are_kept")]),
    (
        47,
        &[Here(
            "ble:2a35",
            "systolic 80 out_of_range, diastolic 120 out_of_range, mean_arterial_pressure 100 out_of_range",
        )],
    ),
    (48, &[Here("ble:2a19", "battery absent")]),
    (
        49,
        &[Not(
            "the codec reports the counter as it stands (case_49); the sum of its rises is nobody's yet, the trend shows the counter",
        )],
    ),
    (
        50,
        &[
            Here("ble:2a37", "heart_rate 257 ok, rr_interval 0.98 out_of_range, rr_interval 251.95 ok"),
            By(BLE, "units_are_converted_once_and_doubted_where_they_cannot_be"),
        ],
    ),
    (
        51,
        &[Not(
            "heart rate and pulse rate are judged each by its own limits, held for a minute; nothing compares them, and the recording is not in the folder",
        )],
    ),
    (52, &[Not("no alarm is raised from a waveform, so none can be false; the recording is not in the folder")]),
    (53, &[Not("as 52")]),
    (54, &[By(BLE, "a_cgm_at_its_end_gives_a_bound"), By(HL7, "nasty_54_a_sensor_at_its_end_gives_a_bound")]),
    (55, &[By(STORIES, "a_stream_with_a_hole_starts_its_hold_time_anew")]),
    (56, &[Not("no acceleration is judged: a fall is what the device says; the recordings are not in the folder")]),
    (57, &[By(WATCH, "case_57_ids_are_opaque")]),
    (
        58,
        &[
            By("tests/it/links.rs", "a_stranger_is_refused_and_told_and_a_second_connection_is_noticed"),
            By("gateway/src/devices.rs", "a_list_refuses_strangers_and_no_list_names_them"),
        ],
    ),
    (59, &[By(BLE, "an_unknown_user_is_said_and_nobody_is_guessed")]),
    (60, &[By(WATCH, "case_60_chinese_text_is_gbk"), By(ASTM, "nasty_60_names_in_gb18030_do_not_break_the_fields")]),
    (61, &[Here("watch3g", "nothing"), By(WATCH, "case_61_a_voice_is_not_text")]),
];

/// `metric value quality` of each reading, then after a semicolon `kind code` of each event; or the word of the refusal.
fn said(outcome: &Result<Decoded, Malformed>) -> String {
    let decoded = match outcome {
        Ok(decoded) => decoded,
        Err(why) => return format!("refused: {}", why.code()),
    };
    let reading = |one: &vigil_codec::Measured| {
        let value = one.value.map(|value| format!("{} ", (value * 100.0).round() / 100.0)).unwrap_or_default();
        format!("{} {value}{}", one.metric.slug(), one.quality.slug())
    };
    let event = |one: &vigil_codec::Happened| {
        one.code.map_or_else(|| one.kind.slug().to_owned(), |code| format!("{} {code}", one.kind.slug()))
    };
    let readings: Vec<String> = decoded.readings.iter().map(reading).collect();
    let events: Vec<String> = decoded.events.iter().map(event).collect();
    match (readings.is_empty(), events.is_empty()) {
        (true, true) => "nothing".to_owned(),
        (_, true) => readings.join(", "),
        _ => format!("{}; {}", readings.join(", "), events.join(", ")),
    }
}

/// The payload of a row as the device sends it.
fn payload(row: &Value) -> Vec<u8> {
    let text = row["payload"].as_str().unwrap();
    let is_hex = row["payload_kind"].as_str().unwrap().starts_with("hex");
    if is_hex { unhex(text) } else { text.replace("\\r", "\r").replace("\\n", "\n").into_bytes() }
}

/// That a test of this name stands in this file.
fn stands(file: &str, name: &str) -> bool {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|why| panic!("{file}: {why}"));
    let head = text.split(&format!("fn {name}(")).next().filter(|head| head.len() < text.len());
    // Its attribute is the last thing before it.
    head.is_some_and(|head| {
        let attribute = head.trim_end().trim_end_matches("async").trim_end().lines().next_back().unwrap_or_default();
        matches!(attribute.trim(), "#[test]") || attribute.trim().starts_with("#[tokio::test")
    })
}

#[test]
fn nasty_case_vectors() {
    for (number, ways) in CASES {
        assert!(!ways.is_empty());
        for way in *ways {
            if let By(file, name) = way {
                assert!(stands(file, name), "case {number}: {file} has no test {name}");
            }
        }
    }
    let Some(rows) = rows("nasty_cases.jsonl") else { return };
    let ids: BTreeSet<String> = rows.iter().map(|(id, _)| id.clone()).collect();
    let known: BTreeSet<String> = CASES.iter().map(|(number, _)| format!("nasty-{number:02}")).collect();
    assert_eq!((&ids, rows.len()), (&known, CASES.len()), "the rows of the file and those of the list");
    let (mut here, mut elsewhere, mut not) = (0, 0, Vec::new());
    let mut wrong = Vec::new();
    for ((id, row), (_, ways)) in rows.iter().zip(CASES) {
        let mut run = false;
        for way in *ways {
            if let Here(codec, expected) = way {
                let came = said(&(find(codec).unwrap().decode)(&payload(row), &Settings::default()));
                if came != *expected {
                    wrong.push(format!("{id}: {came}"));
                }
                run = true;
            }
        }
        match ways {
            [Not(why)] => not.push(format!("  {id} not shown: {why}")),
            _ if run => here += 1,
            _ => elsewhere += 1,
        }
    }
    let mut out = std::io::stderr().lock();
    writeln!(out, "nasty_cases.jsonl: {here} shown here, {elsewhere} shown by named tests, {} not shown", not.len())
        .unwrap();
    for line in not {
        writeln!(out, "{line}").unwrap();
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
