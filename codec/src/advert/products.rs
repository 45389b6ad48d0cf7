//! MiBeacon products whose objects cannot be read without knowing the product, and the models of common ones.
//!
//! Source: device list of Bluetooth-Devices/xiaomi-ble (Apache-2.0), read for ids and layouts.

/// Names of pressed buttons by the number in the frame; one number can mean several.
type Names = &'static [&'static [&'static str]];

/// What a product's button objects mean.
#[derive(Clone, Copy, Debug)]
pub(super) enum Buttons {
    /// The product has none, or its layout is not known: its button objects are kept as they are.
    None,
    /// One button, presses as in object 1001 of single sensors (1 double, 2 long).
    One,
    /// As `One`, but object 1001 means 1 long, 2 double.
    Switch(Names),
    /// One button whose number tells the press: 1 single, 8 long, 15 double.
    Coded,
    Cube,
    Dimmer,
}

const ONE: Names = &[&["button"]];
const TWO: Names = &[&["button_left"], &["button_right"], &["button_left", "button_right"]];
const TWO_FROM_1: Names = &[&[], &["button_left"], &["button_right"], &["button_left", "button_right"]];
const THREE: Names = &[
    &["button_left"],
    &["button_middle"],
    &["button_right"],
    &["button_left", "button_middle"],
    &["button_middle", "button_right"],
    &["button_left", "button_right"],
    &["button_left", "button_middle", "button_right"],
];
const FOUR: Names = &[&[], &["button_left"], &["button_mid_left"], &["button_mid_right"], &["button_right"]];

/// Model and buttons of a product id.
pub(super) fn product(id: u16) -> Option<(&'static str, Buttons)> {
    PRODUCTS.iter().find(|(known, ..)| *known == id).map(|(_, model, buttons)| (*model, *buttons))
}

static PRODUCTS: &[(u16, &str, Buttons)] = &[
    (0x0098, "HHCCJCY01", Buttons::None),
    (0x00DB, "MMC-T201-1", Buttons::None),
    (0x01AA, "LYWSDCGQ", Buttons::None),
    (0x02DF, "JQJCY01YM", Buttons::None),
    (0x0347, "CGG1", Buttons::None),
    (0x0391, "MMC-W505", Buttons::None),
    (0x03B6, "YLKG07YL/YLKG08YL", Buttons::Dimmer),
    (0x03D6, "CGH1", Buttons::None),
    (0x045B, "LYWSD02", Buttons::None),
    (0x0489, "M1S-T500", Buttons::None),
    (0x04E1, "XMMF01JQD", Buttons::Cube),
    (0x055B, "LYWSD03MMC", Buttons::None),
    (0x0576, "CGD1", Buttons::None),
    (0x066F, "CGDK2", Buttons::None),
    (0x069E, "ZNMS16LM", Buttons::None),
    (0x07BF, "YLAI003", Buttons::One),
    (0x0806, "T700", Buttons::None),
    (0x0863, "SJWS01LM", Buttons::One),
    (0x098B, "MCCGQ02HL", Buttons::None),
    (0x0997, "JTYJGD03MI", Buttons::One),
    (0x0A8D, "RTCGQ02LM", Buttons::One),
    (0x0B48, "CGG1-ENCRYPTED", Buttons::None),
    (0x0C3C, "CGC1", Buttons::None),
    (0x0DFD, "K9B-3BTN", Buttons::Switch(THREE)),
    (0x11C2, "Lockin-SV40", Buttons::None),
    (0x1203, "XMWSDJ04MMC", Buttons::None),
    (0x1568, "K9B-1BTN", Buttons::Switch(ONE)),
    (0x1569, "K9B-2BTN", Buttons::Switch(TWO)),
    (0x16E4, "LYWSD02MMC", Buttons::None),
    (0x1889, "MS1BB(MI)", Buttons::One),
    (0x1949, "XMWXKG01YL", Buttons::Switch(TWO_FROM_1)),
    (0x1C10, "K9BB-1BTN", Buttons::Coded),
    (0x2387, "XMWXKG01LM", Buttons::One),
    (0x2542, "LYWSD02MMC", Buttons::None),
    (0x2832, "MJWSD05MMC", Buttons::None),
    (0x2AEB, "HS1BB(MI)", Buttons::None),
    (0x30D9, "MJTZC01YM", Buttons::None),
    (0x38BB, "PTX_YK1_QMIMB", Buttons::One),
    (0x3A61, "KS1", Buttons::Switch(FOUR)),
    (0x3BD5, "MJTZC01YM", Buttons::None),
    (0x3E17, "KS1BP", Buttons::Switch(FOUR)),
    (0x3F0F, "RS1BB(MI)", Buttons::None),
    (0x3F4C, "PS1BB", Buttons::None),
    (0x4683, "XMOSB01XS", Buttons::None),
    (0x48CF, "MJTZC01YM", Buttons::None),
    (0x4F59, "CGDK3", Buttons::None),
    (0x50FB, "ES3", Buttons::None),
    (0x520B, "KS2BB", Buttons::One),
    (0x5968, "XMWS01XS", Buttons::Switch(TWO)),
    (0x59FA, "M2457B1", Buttons::None),
    (0x59FB, "M2456B1", Buttons::None),
    (0x59FC, "M2456B1", Buttons::None),
    (0x6375, "SJWS02LM", Buttons::None),
    (0x6A0F, "ES5BB", Buttons::None),
    (0x78DB, "ESM787", Buttons::None),
];
