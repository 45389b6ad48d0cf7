//! Who is at the door. Everything a client may do follows from its [`Identity`]; nothing from what it says about itself.

use std::net::SocketAddr;

use model::{GatewayId, Name};

/// A client that has logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub gateway: GatewayId,
    /// Site name as it stands in topics.
    pub site: Name,
    /// Gateway name as it stands in topics; the client id must be equal to it.
    pub name: Name,
    pub dialect: Dialect,
    /// May publish and subscribe anything. For conformance tests; the registry of a real server never sets it.
    pub open_acl: bool,
}

/// Which topics a client speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// `vigil/1/{site}/{gateway}/..`
    #[default]
    Vigil,
    /// `v1/devices/me/..`, as existing ThingsBoard devices do.
    ThingsBoard,
    /// SenML packs on `senml` or below it, as small sensors send them to a gateway in the house.
    Senml,
}

/// What a CONNECT says.
pub struct Login<'a> {
    pub client_id: &'a str,
    pub username: Option<&'a str>,
    pub password: Option<&'a [u8]>,
    pub peer: SocketAddr,
    /// Came through the TLS listener.
    pub tls: bool,
}

impl std::fmt::Debug for Login<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A token may stand in either field.
        f.debug_struct("Login").field("client_id", &self.client_id).field("peer", &self.peer).finish_non_exhaustive()
    }
}

/// Why a login was refused. Each has its CONNACK code (v5 / 3.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// 0x86 / 4
    #[error("the user name or password is wrong: use the gateway's token as the password")]
    BadCredentials,
    /// 0x87 / 5
    #[error("the credentials are right but this gateway may not connect: it is disabled or retired")]
    NotAuthorised,
    /// 0x85 / 2
    #[error("the client id is not the gateway's name: set it to the name the gateway was registered with")]
    BadClientId,
    /// 0x88 / 3
    #[error("the registry cannot answer now: try again later")]
    Unavailable,
}

/// Decides who may enter. Called on the connection's task: must answer from memory, without blocking.
pub trait Gatekeeper: Send + Sync + 'static {
    fn login(&self, login: &Login<'_>) -> Result<Identity, LoginError>;
}
