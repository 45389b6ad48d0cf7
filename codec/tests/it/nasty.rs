//! The nasty cases that belong to no family alone.

use crate::vectors::rows;

/// Where each row of nasty_cases.jsonl that a codec alone can satisfy is tested; the others are behaviour of the gateway or
/// the server. A row that is in no list here has been forgotten.
const BLE: &[u32] = &[1, 2, 3, 4, 6, 7, 12, 13, 14, 15, 16, 28, 29, 30, 32, 38, 39, 40, 41, 47, 48, 50, 59];
const ADVERT: &[u32] = &[36, 43];
const WATCH: &[u32] = &[5, 9, 10, 17, 18, 19, 20, 27, 34, 35, 42, 57, 60, 61];
const CABIN: &[u32] = &[11, 21, 22, 23, 24, 25, 26, 44, 45, 46, 54];
/// Beyond codecs: sensor-off zeros and artefacts of recordings, the learned clock offset, redelivery, counters that start
/// again, spoofed ids.
const ABOVE: &[u32] = &[8, 31, 33, 37, 49, 51, 52, 53, 55, 56, 58];

#[test]
fn every_nasty_case_has_an_owner() {
    let Some(rows) = rows("nasty_cases.jsonl") else { return };
    let mut owned: Vec<String> =
        [BLE, ADVERT, WATCH, CABIN, ABOVE].concat().into_iter().map(|number| format!("nasty-{number:02}")).collect();
    owned.sort();
    let listed: Vec<String> = rows.into_iter().map(|(id, _)| id).collect();
    assert_eq!(owned, listed);
}
