//! Good frames.

use super::{Sample, plain};

/// Made here after the layouts in the codecs; the module's two are its document's examples.
pub(crate) const SAMPLES: &[Sample] = &[
    // One glucose and one result that is no metric, in seven frames, one of them not the last of its record.
    Sample {
        codec: "astm",
        frame: b"\x05\x021H|\\^&|||POC-7^1.2|||||||P|LIS2-A2|20260301081700\r\x03B2\r\n\x022P|1|1001|||\xC1\xF5|\r\x0323\r\n\x023O|1|S-9||^^^GLU|R||20260301081000||||||||B\r\x030D\r\n\x024R|1|^^^GLU^Glucose|5.6|mmol/L|3.9^6.1||N||F|||20260301081530\r\x0372\r\n\x025R|2|^^^CRP|<0\x17AF\r\n\x026.5|mg/L||||F\r\x03AA\r\n\x027L|1|N\r\x030A\r\n\x04",
        settings: r#"{"text": "gb18030"}"#,
    },
    // Records alone.
    plain("astm", b"H|\\^&|||A\rP|1|7\rR|1|GLU|90|mg/dL\rL|1\r"),
    // A bound, a saturation, a pulse that the monitor does not have, a colour.
    plain(
        "hl7",
        b"\x0BMSH|^~\\&|GHH LAB|ELAB|VIGIL||20260301081700+0800||ORU^R01^ORU_R01|M-7|P|2.6\rPID|1||1001^^^CABIN\rOBR|1|||1554-5^GLUCOSE^LN|||20260301081000\rOBX|1|SN|2345-7^GLUCOSE^LN||<^0.5|mmol/L|3.9-6.1|L|||F\rOBX|2|NM|150456^MDC_PULS_OXIM_SAT_O2^MDC||97|262688^MDC_DIM_PERCENT^MDC|||||F|||20260301081500\rOBX|3|NM|149530^MDC_PULS_OXIM_PULS_RATE^MDC||8388607|264864^MDC_DIM_BEAT_PER_MIN^MDC|||||F\rOBX|4|ST|URC^COLOUR||yellow||||||F\r\x1C\r",
    ),
    plain("serial:hbp9020", b"bp,00000000000000001001,2026/03/01,08:15,128, 96, 82, 71,0"),
    plain("serial:hbp9020", b"\x02 260301 0815 128 82 71\x03"),
    plain("serial:hbp9030", b"2026,03,01,08,15,00000000000000001001,0,128, 82, 71,0"),
    plain("serial:hbp9030", b"2026,07,11,09,31,00000000000000000000,2,   ,   ,   ,0"),
    plain("serial:bp500", b"\x02R1,1001,260301,081500,128,96,82,71,0\x03\x5A"),
    plain("serial:tm2657", b"\x02A\x1EB\x1EC\x1ED\x1EE\x1ES128\x1EM 96\x1ED 82\x1EP 71\x1E\x03"),
    plain("serial:scale", b"ST,GS,+0072.500  kg"),
    plain("serial:scale", b"OL,GS,+9999.999  kg"),
    plain("serial:gtech", b"\x02168.0,72.5,0,0,25.7\x03"),
    plain("serial:gtech", b"\x00\x1B@HEIGHT :\x00 168.0 cm"),
    plain("serial:bcm-h10", b"\xA5Z\x09\x017M\x1D\x06\x90\x02o\xB2"),
    plain("serial:bcm-h10", b"\xA5Z\x04\x038\x01@"),
    plain(
        "serial:uriscan",
        b"\x02\r\nDate :2026-03-01 08:15\r\nID_NO:0001-1001\r\nGLU   +++  500 mg/dl\r\nBLD   neg\r\nS.G   >=1.030\r\n\r\n\x03",
    ),
    plain(
        "senml",
        br#"[{"bn":"urn:dev:ow:10e2073a0108:","bt":1772324100,"n":"heart_rate","u":"beat/min","v":72},{"n":"fan","vb":true}]"#,
    ),
    // The same in CBOR, with a half number.
    plain("senml", b"\x82\xA5\x21\x78\x18urn:dev:ow:10e2073a0108:\x22\x1A\x69\xA3\x85\x04\x00\x6Aheart_rate\x01\x68beat/min\x02\xF9\x54\x80\xA2\x00\x63fan\x04\xF5"),
];
