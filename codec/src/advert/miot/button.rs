//! MiBeacon objects of buttons, cubes and dimmers.

use serde_json::{Value, json};

use crate::Decoded;
use crate::advert::products::Buttons;
use crate::advert::put;

/// A press of button number `which`. `None`: this product is not known to have it.
pub(super) fn pressed(out: &mut Decoded, buttons: Buttons, which: u8, press: &'static str) -> Option<()> {
    match buttons {
        Buttons::One => put(out, "button", press),
        Buttons::Coded => {
            let press = [(1, "press"), (8, "long_press"), (15, "double_press")].iter().find(|(n, _)| *n == which)?.1;
            put(out, "button", press);
        }
        Buttons::Switch(names) => names.get(usize::from(which))?.iter().for_each(|name| put(out, name, press)),
        Buttons::None | Buttons::Cube | Buttons::Dimmer => return None,
    }
    Some(())
}

/// Object 1001: button, value, kind of press.
pub(super) fn button(data: &[u8], buttons: Buttons, out: &mut Decoded) -> Option<()> {
    let [which, value, kind] = *<&[u8; 3]>::try_from(data).ok()?;
    match buttons {
        Buttons::Cube => put(out, "cube", *["rotate_right", "rotate_left"].get(usize::from(which))?),
        Buttons::Dimmer => put(out, "dimmer", dimmer(which, value, kind)?),
        Buttons::Switch(_) => {
            let press = *["press", "long_press", "double_press"].get(usize::from(kind))?;
            pressed(out, buttons, which, press)?;
        }
        Buttons::One | Buttons::Coded => {
            let press = match (kind, which) {
                (0 | 5, _) | (3, 0) => "press",
                (1, _) => "double_press",
                (2 | 6, _) | (3, 1) => "long_press",
                _ => return None,
            };
            put(out, "button", press);
        }
        Buttons::None => return None,
    }
    Some(())
}

fn dimmer(which: u8, value: u8, kind: u8) -> Option<Value> {
    Some(match (kind, which, value) {
        (3, 0, presses) => json!({ "type": "press", "number_of_presses": presses }),
        (3, 1, seconds) => json!({ "type": "long_press", "duration": seconds }),
        (4, 0, steps @ 0..=127) => json!({ "type": "rotate_right", "steps": steps }),
        (4, 0, steps) => json!({ "type": "rotate_left", "steps": 256 - u16::from(steps) }),
        (4, steps @ 1..=127, _) => json!({ "type": "rotate_right_pressed", "steps": steps }),
        (4, steps, _) => json!({ "type": "rotate_left_pressed", "steps": 256 - u16::from(steps) }),
        _ => return None,
    })
}
