//! Recordings of waveforms: any bytes are an EDF file or none; any bytes are a WFDB header with a signal file or none.
#![no_main]

use vigil_codec::import::{edf, wfdb};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = edf::record(bytes);
    // The header ends at the first zero byte; what follows is every signal file.
    let (header, data) = bytes.split_at(bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len()));
    if let Ok(header) = wfdb::Header::parse(header) {
        let files = vec![data; header.files().len()];
        let _ = wfdb::record(&header, &files);
    }
});
