//! Good frames.

use super::{Sample, plain};

/// Made here, with the keys of their settings; the encrypted ones follow the layout in the codecs.
pub(crate) const SAMPLES: &[Sample] = &[
    // Room climate 27.2 ℃, 49 %, with the address.
    plain("mibeacon", b"\x50\x30\x5B\x05\x03\x01\x02\x03\x38\xC1\xA4\x0D\x10\x04\x10\x01\xEA\x01"),
    // A button, and an object of an unknown type.
    plain("mibeacon", b"\x50\x40\xBF\x07\x01\x01\xBF\x07\x38\xC1\xA4\x01\x10\x03\x00\x00\x00\xEE\x7F\x01\x05"),
    // Encrypted v5: battery 87 %.
    Sample {
        codec: "mibeacon",
        frame: b"\x58\x58\xBF\x07\x11\x01\xBF\x07\x38\xC1\xA4\xE7\xBA\x87\x02\x02\x00\x00\x30\x97\xF3\xAB",
        settings: r#"{"key": "000102030405060708090a0b0c0d0e0f", "address": "A4:C1:38:07:BF:01"}"#,
    },
    // Temperature 25.06 ℃, humidity 50.55 %, packet 9.
    plain("bthome", b"\x40\x00\x09\x02\xCA\x09\x03\xBF\x13"),
    // Three buttons, text, the clock.
    plain("bthome", b"\x44\x3A\x00\x3A\x01\x3A\x04\x50\x5D\x39\x61\x64\x53\x02hi"),
    Sample {
        codec: "bthome",
        frame: b"\x41\x14\x30\x16\x6F\xEF\xE9\x07\x00\x00\x00\x0F\xF2\xB5\xD4",
        settings: r#"{"key": "000102030405060708090a0b0c0d0e0f", "address": "54:48:E6:8F:80:A5"}"#,
    },
    // 72.5 kg, stable, 2026-03-01 08:15:00.
    plain("miscale", b"\x22\xA4\x38\xEA\x07\x03\x01\x08\x0F\x00"),
    // 72.5 kg with 500 Ohm.
    plain("miscale", b"\x02\x26\xEA\x07\x03\x01\x08\x0F\x00\xF4\x01\xA4\x38"),
];
