//! Xiaomi MiBeacon advertisements, UUID FE95.
//!
//! Source: Bluetooth-Devices/xiaomi-ble (Apache-2.0), read for its layout; vectors of its tests.
//! ```text
//! control u16 (3 encrypted, 4 address, 5 capability, 6 objects, 7 mesh, 12-15 version) product u16 counter u8
//! [address, reversed] [capability u8 [, I/O u8 if bit 5]] object*
//! v4, v5 encrypted: .. cipher text, counter's upper 3 bytes, check 4; nonce = reversed address, product, counter, upper bytes
//! v2, v3 encrypted: .. cipher text, counter's upper 3 bytes, check 1; nonce = control .. counter, upper bytes, reversed address
//! ```
//! The key of v2 and v3 has 12 bytes; settings hold 16: the first 6, then 8D 3D 3C 97, then the last 6.

use super::products::{Buttons, product};
use super::{address, address_text, cipher, miot, put};
use crate::{Decoded, Malformed, Settings};

const ENCRYPTED: u16 = 1 << 3;
const ADDRESS: u16 = 1 << 4;
const CAPABILITY: u16 = 1 << 5;
const OBJECTS: u16 = 1 << 6;
const MESH: u16 = 1 << 7;
/// In the capability byte: an I/O byte follows.
const IO: u8 = 1 << 5;

pub(super) fn decode(frame: &[u8], settings: &Settings) -> Result<Decoded, Malformed> {
    let (head, rest) = frame.split_first_chunk::<5>().ok_or(Malformed::Short("the counter"))?;
    let [c0, c1, p0, p1, counter] = *head;
    let (control, id) = (u16::from_le_bytes([c0, c1]), u16::from_le_bytes([p0, p1]));
    let version = control >> 12;
    if control & MESH != 0 || version < 2 {
        return Err(Malformed::Unsupported("MiBeacon of a mesh device or a version below 2".into()));
    }
    let (told, rest) = address_of(control, rest)?;
    let address = address(told, settings)?;
    let rest = skip_capability(control, rest)?;
    let encrypted = control & ENCRYPTED != 0;
    if !encrypted && settings.key.is_some() && control & OBJECTS != 0 {
        return Err(Malformed::Key("the device has a key and this frame is in clear text"));
    }

    let mut out = Decoded::default();
    out.device.id = address.map(address_text);
    out.device.counter = Some(counter.into());
    put(&mut out, "product", format!("0x{id:04X}"));
    let known = product(id);
    if let Some((model, _)) = known {
        put(&mut out, "model", model);
    }
    if control & OBJECTS == 0 {
        return Ok(out);
    }
    let buttons = known.map_or(Buttons::None, |(_, buttons)| buttons);
    if !encrypted {
        objects(rest, buttons, &mut out)?;
        return Ok(out);
    }
    let key = settings.key.as_ref().ok_or(Malformed::Key("no key is set"))?;
    let address = address.ok_or(Malformed::Key("the address is not known"))?;
    if version <= 3 {
        let (covered, upper) = legacy(key, *head, address, rest)?;
        // A wrong key shows only as objects that cannot be.
        miot::lengths_fit(&covered).then_some(()).ok_or(Malformed::Key("the key does not fit"))?;
        objects(&covered, buttons, &mut out)?;
        out.device.counter = Some(whole_counter(upper, counter));
    } else {
        let (clear, upper) = current(key, *head, address, rest)?;
        objects(&clear, buttons, &mut out)?;
        out.device.counter = Some(whole_counter(upper, counter));
    }
    Ok(out)
}

fn address_of(control: u16, rest: &[u8]) -> Result<(Option<[u8; 6]>, &[u8]), Malformed> {
    if control & ADDRESS == 0 {
        return Ok((None, rest));
    }
    let (told, rest) = rest.split_first_chunk::<6>().ok_or(Malformed::Short("the address"))?;
    Ok((Some(*told), rest))
}

fn skip_capability(control: u16, rest: &[u8]) -> Result<&[u8], Malformed> {
    if control & CAPABILITY == 0 {
        return Ok(rest);
    }
    let (capability, rest) = rest.split_first().ok_or(Malformed::Short("the capability"))?;
    if capability & IO == 0 { Ok(rest) } else { rest.get(1..).ok_or(Malformed::Short("the I/O capability")) }
}

fn whole_counter([low, middle, high]: [u8; 3], counter: u8) -> u32 {
    u32::from_le_bytes([counter, low, middle, high])
}

fn reversed(mut address: [u8; 6]) -> [u8; 6] {
    address.reverse();
    address
}

type Opened = (Vec<u8>, [u8; 3]);

fn current(key: &[u8; 16], head: [u8; 5], address: [u8; 6], rest: &[u8]) -> Result<Opened, Malformed> {
    let (rest, check) = rest.split_last_chunk::<4>().ok_or(Malformed::Short("the check value"))?;
    let (covered, upper) = rest.split_last_chunk::<3>().ok_or(Malformed::Short("the counter's upper bytes"))?;
    let mut nonce = [0; 12];
    nonce[..6].copy_from_slice(&reversed(address));
    nonce[6..9].copy_from_slice(&head[2..]);
    nonce[9..].copy_from_slice(upper);
    Ok((cipher::open_mibeacon(key, nonce, &[covered, check].concat())?, *upper))
}

fn legacy(key: &[u8; 16], head: [u8; 5], address: [u8; 6], rest: &[u8]) -> Result<Opened, Malformed> {
    let (_check, rest) = rest.split_last().ok_or(Malformed::Short("the check byte"))?;
    let (covered, upper) = rest.split_last_chunk::<3>().ok_or(Malformed::Short("the counter's upper bytes"))?;
    let mut nonce = [0; 13];
    nonce[..5].copy_from_slice(&head);
    nonce[5..8].copy_from_slice(upper);
    nonce[8..].copy_from_slice(&reversed(address)[..5]);
    Ok((cipher::lift_legacy(key, nonce, covered)?, *upper))
}

fn objects(mut rest: &[u8], buttons: Buttons, out: &mut Decoded) -> Result<(), Malformed> {
    while let Some((object, after)) = miot::next(rest)? {
        miot::object(object, buttons, out);
        rest = after;
    }
    Ok(())
}
