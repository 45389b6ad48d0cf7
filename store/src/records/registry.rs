//! Sites, gateways, devices, and which elder wears which device, as intervals in time.

use model::{DeviceId, ElderId, GatewayId, Name, PersonId, SiteId, Time};
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;

use super::error::{Error, Result};
use super::people::{at_most, taken};
use super::{Records, Tx, new_token, rows};

/// Devices one gateway may bring: a broken one must not fill the table.
pub const DEVICES_PER_GATEWAY_MAX: usize = 10_000;
const TEXT_CHARS_MAX: usize = 64;

/// What a gateway speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// Vigil's frames on Vigil's topics.
    Vigil,
    /// A device that speaks ThingsBoard's `v1/devices/me/telemetry`.
    Thingsboard,
}

impl Dialect {
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Vigil => "vigil",
            Self::Thingsboard => "thingsboard",
        }
    }

    pub fn parse(slug: &str) -> Option<Self> {
        [Self::Vigil, Self::Thingsboard].into_iter().find(|dialect| dialect.slug() == slug)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    pub id: GatewayId,
    pub site: SiteId,
    pub site_name: Name,
    /// Also its MQTT client id. Unique.
    pub name: Name,
    pub dialect: Dialect,
    /// Of the token's text, as [`super::token_sha256`] gives it.
    pub token_sha256: String,
    pub disabled: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    pub id: DeviceId,
    pub gateway: GatewayId,
    pub name: Name,
    /// `wristband`, `bp_monitor`, ... Empty: not known.
    pub kind: String,
    /// Hardware address. Empty: not known.
    pub eui: String,
    /// `active`, `stock`, `repair`.
    pub status: String,
}

/// A device belonged to an elder in `[from, until)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    pub device: DeviceId,
    pub elder: ElderId,
    pub from: Time,
    /// `None`: it still does.
    pub until: Option<Time>,
}

/// Everything attribution and login need, read at one instant.
#[derive(Clone, Debug, Default)]
pub struct RegistrySnapshot {
    pub gateways: Vec<Gateway>,
    pub devices: Vec<Device>,
    /// Open and closed, by device and start: late data belong to who wore the device then.
    pub bindings: Vec<Binding>,
    /// Cards and codes of elders, as text of a [`model::PersonKey`].
    pub keys: Vec<(String, ElderId)>,
    pub elders: Vec<ElderId>,
}

impl Records {
    /// The site of that name, created if need be.
    pub fn create_site(&self, name: &Name) -> Result<SiteId> {
        self.write(|tx| {
            let found: Option<u32> =
                tx.query_row("SELECT id FROM site WHERE name = ?1", [name.as_str()], |row| row.get(0)).optional()?;
            if let Some(id) = found {
                return Ok(SiteId(id));
            }
            let id = tx.next_id("site")?;
            tx.execute(
                "INSERT INTO site (id, name, created_at) VALUES (?1, ?2, ?3)",
                params![id, name.as_str(), tx.now.0],
            )?;
            Ok(SiteId(id as u32))
        })
    }

    /// Creates a gateway. The token is shown this once: only its SHA-256 is stored.
    pub fn create_gateway(&self, site: SiteId, name: &Name, dialect: Dialect) -> Result<(GatewayId, String)> {
        let (token, sha256) = new_token()?;
        let id = self.insert_gateway(site, name, dialect, &sha256)?;
        Ok((id, token))
    }

    /// As [`Records::create_gateway`], with a token chosen by the caller (at least 16 characters).
    pub fn create_gateway_with_token(
        &self,
        site: SiteId,
        name: &Name,
        dialect: Dialect,
        token: &str,
    ) -> Result<GatewayId> {
        if token.chars().count() < 16 {
            return Err(Error::Invalid("a gateway's token has at least 16 characters".into()));
        }
        self.insert_gateway(site, name, dialect, &super::token_sha256(token))
    }

    fn insert_gateway(&self, site: SiteId, name: &Name, dialect: Dialect, sha256: &str) -> Result<GatewayId> {
        self.write(|tx| {
            let known: bool = tx.prepare_cached("SELECT 1 FROM site WHERE id = ?1")?.exists([site.0])?;
            if !known {
                return Err(Error::NotFound("site"));
            }
            let id = tx.next_id("gateway")?;
            tx.execute(
                "INSERT INTO gateway (id, site, name, dialect, token_sha256, disabled, created_at) \
                 VALUES (?1, ?2, ?3, ?4, ?5, FALSE, ?6)",
                params![id, site.0, name.as_str(), dialect.slug(), sha256, tx.now.0],
            )
            .map_err(|error| taken(error, "gateway name or token"))?;
            Ok(GatewayId(id as u32))
        })
    }

    /// A new token; the old one stops working once the caller has refreshed its table of tokens.
    pub fn rotate_token(&self, gateway: GatewayId) -> Result<String> {
        let (token, sha256) = new_token()?;
        self.write(|tx| {
            match tx.execute("UPDATE gateway SET token_sha256 = ?2 WHERE id = ?1", params![gateway.0, sha256])? {
                0 => Err(Error::NotFound("gateway")),
                _ => Ok(token),
            }
        })
    }

    pub fn set_gateway_disabled(&self, gateway: GatewayId, disabled: bool) -> Result<()> {
        self.write(|tx| {
            match tx.execute("UPDATE gateway SET disabled = ?2 WHERE id = ?1", params![gateway.0, disabled])? {
                0 => Err(Error::NotFound("gateway")),
                _ => Ok(()),
            }
        })
    }

    pub fn gateways(&self) -> Result<Vec<Gateway>> {
        self.read(|conn| gateways(conn, "WHERE ?1 = ''", ""))
    }

    pub fn gateway_by_token_sha256(&self, sha256: &str) -> Result<Option<Gateway>> {
        self.read(|conn| Ok(gateways(conn, "WHERE g.token_sha256 = ?1", sha256)?.pop()))
    }

    pub fn gateway_by_name(&self, name: &Name) -> Result<Option<Gateway>> {
        self.read(|conn| Ok(gateways(conn, "WHERE g.name = ?1", name.as_str())?.pop()))
    }

    /// The device of that name at the gateway, created when it is new.
    pub fn ensure_device(&self, gateway: GatewayId, name: &Name) -> Result<DeviceId> {
        if let Some(id) = self.read(|conn| device_id(conn, gateway, name))? {
            return Ok(id);
        }
        self.write(|tx| ensure_device(tx, gateway, name))
    }

    /// Writes what is known about a device.
    pub fn describe_device(&self, device: DeviceId, kind: &str, eui: &str, status: &str) -> Result<()> {
        for (what, text) in [("kind", kind), ("eui", eui), ("status", status)] {
            at_most(what, text, TEXT_CHARS_MAX)?;
        }
        self.write(|tx| {
            let sql = "UPDATE device SET kind = ?2, eui = ?3, status = ?4 WHERE id = ?1";
            match tx.execute(sql, params![device.0, kind, eui, status])? {
                0 => Err(Error::NotFound("device")),
                _ => Ok(()),
            }
        })
    }

    pub fn devices(&self) -> Result<Vec<Device>> {
        self.read(|conn| devices(conn, None))
    }

    /// Devices an elder wears now.
    pub fn devices_of(&self, elder: ElderId) -> Result<Vec<Device>> {
        self.read(|conn| devices(conn, Some(elder)))
    }

    /// From `at` on the device is the elder's; whoever had it loses it then. Binding again to the same elder changes
    /// nothing. `at` must not lie before the start of the binding it ends.
    pub fn bind(&self, device: DeviceId, elder: ElderId, at: Time, by: Option<PersonId>) -> Result<()> {
        self.write(|tx| {
            if let Some(open) = open_binding(tx, device)? {
                if open.elder == elder {
                    return Ok(());
                }
                close_binding(tx, open, at, by)?;
            }
            for (table, id, what) in [("device", device.0, "device"), ("elder", elder.0, "elder")] {
                let known = tx.prepare_cached(&format!("SELECT 1 FROM {table} WHERE id = ?1"))?.exists([id])?;
                if !known {
                    return Err(Error::NotFound(what));
                }
            }
            let id = tx.next_id("binding")?;
            tx.execute(
                "INSERT INTO binding (id, device, elder, bound_from, bound_until, bound_by) \
                 VALUES (?1, ?2, ?3, ?4, NULL, ?5)",
                params![id, device.0, elder.0, at.0, by.map(|by| by.0)],
            )?;
            super::audit::write(tx, by, "bind", &format!("device/{device}"), &format!("elder/{elder}"))
        })
    }

    /// From `at` on the device is nobody's. Unbinding an unbound device changes nothing.
    pub fn unbind(&self, device: DeviceId, at: Time, by: Option<PersonId>) -> Result<()> {
        self.write(|tx| {
            let Some(open) = open_binding(tx, device)? else { return Ok(()) };
            close_binding(tx, open, at, by)?;
            super::audit::write(tx, by, "unbind", &format!("device/{device}"), &format!("elder/{}", open.elder))
        })
    }

    /// Open bindings, by device.
    pub fn bindings(&self) -> Result<Vec<(DeviceId, ElderId)>> {
        let all = self.read(bindings)?;
        Ok(all.into_iter().filter(|b| b.until.is_none()).map(|b| (b.device, b.elder)).collect())
    }

    /// One consistent picture.
    pub fn registry(&self) -> Result<RegistrySnapshot> {
        self.read(|conn| {
            let snapshot = conn.unchecked_transaction()?;
            Ok(RegistrySnapshot {
                gateways: gateways(&snapshot, "WHERE ?1 = ''", "")?,
                devices: devices(&snapshot, None)?,
                bindings: bindings(&snapshot)?,
                keys: super::keys::all_keys(&snapshot)?,
                elders: elders(&snapshot)?,
            })
        })
    }
}

fn gateways(conn: &Connection, filter: &str, value: &str) -> Result<Vec<Gateway>> {
    let mut query = conn.prepare_cached(&format!(
        "SELECT g.id, g.site, s.name, g.name, g.dialect, g.token_sha256, g.disabled FROM gateway g \
         JOIN site s ON s.id = g.site {filter} ORDER BY g.id"
    ))?;
    rows(query.query([value])?, |row| {
        Ok(Gateway {
            id: GatewayId(row.get(0)?),
            site: SiteId(row.get(1)?),
            site_name: name(row.get(2)?)?,
            name: name(row.get(3)?)?,
            dialect: super::view::word("dialect", Dialect::parse, row.get(4)?)?,
            token_sha256: row.get(5)?,
            disabled: row.get(6)?,
        })
    })
}

fn devices(conn: &Connection, elder: Option<ElderId>) -> Result<Vec<Device>> {
    let mut query = conn.prepare_cached(
        "SELECT id, gateway, name, kind, eui, status FROM device WHERE ?1 IS NULL OR id IN \
         (SELECT device FROM binding WHERE elder = ?1 AND bound_until IS NULL) ORDER BY id",
    )?;
    rows(query.query([elder.map(|elder| elder.0)])?, |row| {
        Ok(Device {
            id: DeviceId(row.get(0)?),
            gateway: GatewayId(row.get(1)?),
            name: name(row.get(2)?)?,
            kind: row.get(3)?,
            eui: row.get(4)?,
            status: row.get(5)?,
        })
    })
}

fn bindings(conn: &Connection) -> Result<Vec<Binding>> {
    let mut query = conn
        .prepare_cached("SELECT device, elder, bound_from, bound_until FROM binding ORDER BY device, bound_from, id")?;
    rows(query.query([])?, |row| {
        Ok(Binding {
            device: DeviceId(row.get(0)?),
            elder: ElderId(row.get(1)?),
            from: Time(row.get(2)?),
            until: row.get::<_, Option<i64>>(3)?.map(Time),
        })
    })
}

fn elders(conn: &Connection) -> Result<Vec<ElderId>> {
    let mut query = conn.prepare_cached("SELECT id FROM elder")?;
    rows(query.query([])?, |row| Ok(ElderId(row.get(0)?)))
}

fn open_binding(conn: &Connection, device: DeviceId) -> Result<Option<Binding>> {
    let found = conn
        .prepare_cached("SELECT elder, bound_from FROM binding WHERE device = ?1 AND bound_until IS NULL")?
        .query_row([device.0], |row| {
            Ok(Binding { device, elder: ElderId(row.get(0)?), from: Time(row.get(1)?), until: None })
        })
        .optional()?;
    Ok(found)
}

fn close_binding(tx: &Tx<'_>, open: Binding, at: Time, by: Option<PersonId>) -> Result<()> {
    if at < open.from {
        return Err(Error::Invalid(format!("the binding it would end began later, at {}", open.from)));
    }
    tx.execute(
        "UPDATE binding SET bound_until = ?2, unbound_by = ?3 WHERE device = ?1 AND bound_until IS NULL",
        params![open.device.0, at.0, by.map(|by| by.0)],
    )?;
    Ok(())
}

/// As [`Records::ensure_device`], within a transaction.
pub(super) fn ensure_device(tx: &Tx<'_>, gateway: GatewayId, name: &Name) -> Result<DeviceId> {
    if let Some(id) = device_id(tx, gateway, name)? {
        return Ok(id);
    }
    let known: bool = tx.prepare_cached("SELECT 1 FROM gateway WHERE id = ?1")?.exists([gateway.0])?;
    if !known {
        return Err(Error::NotFound("gateway"));
    }
    let count: i64 = tx.query_row("SELECT COUNT(*) FROM device WHERE gateway = ?1", [gateway.0], |row| row.get(0))?;
    if count >= DEVICES_PER_GATEWAY_MAX as i64 {
        return Err(Error::TooMany { what: "devices of a gateway", limit: DEVICES_PER_GATEWAY_MAX });
    }
    let id = tx.next_id("device")?;
    tx.execute(
        "INSERT INTO device (id, gateway, name, kind, eui, status, created_at) \
         VALUES (?1, ?2, ?3, '', '', 'active', ?4)",
        params![id, gateway.0, name.as_str(), tx.now.0],
    )?;
    Ok(DeviceId(id as u32))
}

fn device_id(conn: &Connection, gateway: GatewayId, name: &Name) -> Result<Option<DeviceId>> {
    let found = conn
        .prepare_cached("SELECT id FROM device WHERE gateway = ?1 AND name = ?2")?
        .query_row(params![gateway.0, name.as_str()], |row| row.get(0).map(DeviceId))
        .optional()?;
    Ok(found)
}

fn name(text: String) -> Result<Name> {
    Name::new(&text).map_err(|_| Error::Corrupt { what: "name", value: text })
}
