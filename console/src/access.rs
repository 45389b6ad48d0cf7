//! Who may call a route, and what a signed-in person may see of whom.
//!
//! Row scope: dispatchers and supervisors see the whole centre; doctors and nurses their own team's elders, and those they
//! are paged for; responders nothing but their own pages; administrators see everything masked. Handlers ask the functions
//! below; none of them looks at a role itself.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use model::people::Role;
use model::{ElderId, TeamId};
use store::records::{Person, Records};

use crate::App;
use crate::error::{Answer, ApiError};
use crate::pages::is_paged_for;
use crate::{guard, session};

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everybody.
    Public,
    /// Everybody; the request proves itself by a signature in it, so the same-origin check does not apply.
    Signature,
    /// The machine itself, and administrators.
    Loopback,
    /// Who is signed in with one of these roles.
    Roles(&'static [Role]),
}

pub(crate) const ALL: Access = Access::Roles(Role::ALL);
/// Everybody but those who only go there.
pub(crate) const STAFF: Access =
    Access::Roles(&[Role::Dispatcher, Role::Doctor, Role::Nurse, Role::Administrator, Role::Supervisor]);
/// The seats of the call centre.
pub(crate) const SEATS: Access = Access::Roles(&[Role::Dispatcher, Role::Supervisor]);
/// The seats, and who administers.
pub(crate) const CENTRE: Access = Access::Roles(&[Role::Dispatcher, Role::Supervisor, Role::Administrator]);
pub(crate) const SUPERVISOR: Access = Access::Roles(&[Role::Supervisor]);
/// Those who put an alarm aside.
pub(crate) const PARKERS: Access = Access::Roles(&[Role::Doctor, Role::Supervisor]);
/// Those who are paged.
pub(crate) const PAGED: Access = Access::Roles(&[Role::Doctor, Role::Nurse, Role::Supervisor, Role::Responder]);
/// Those who handle alarms.
pub(crate) const HANDLERS: Access = Access::Roles(&[Role::Dispatcher, Role::Doctor, Role::Nurse, Role::Supervisor]);
pub(crate) const RULE_MAKERS: Access = Access::Roles(&[Role::Doctor, Role::Administrator]);
/// Those who may say that somebody is away or something is being served.
pub(crate) const QUIET_KEEPERS: Access =
    Access::Roles(&[Role::Dispatcher, Role::Doctor, Role::Nurse, Role::Administrator, Role::Supervisor]);
/// Those who may say whose a measurement is: who treats elders, and who runs the cabins.
pub(crate) const ATTRIBUTORS: Access = Access::Roles(&[Role::Doctor, Role::Nurse, Role::Administrator]);
/// Those who can be on call, and who plans it.
pub(crate) const ROSTERED: Access =
    Access::Roles(&[Role::Doctor, Role::Nurse, Role::Responder, Role::Supervisor, Role::Administrator]);
/// Those who answer for the service.
pub(crate) const LEADERS: Access = Access::Roles(&[Role::Supervisor, Role::Administrator]);
pub(crate) const ADMINISTRATOR: Access = Access::Roles(&[Role::Administrator]);

/// The person behind a request.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    pub(crate) person: Person,
    pub(crate) token: String,
}

/// What of a person may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// Everything the page needs.
    Clear,
    /// Masked name, no address, no phone, no notes.
    Masked,
    /// Who it is and the way there, and nothing of the clinical side: no values, no rule, no notes.
    Visit,
}

impl Signed {
    pub(crate) fn sight(&self) -> Sight {
        match self.person.role {
            Role::Administrator => Sight::Masked,
            Role::Responder => Sight::Visit,
            Role::Dispatcher | Role::Doctor | Role::Nurse | Role::Supervisor => Sight::Clear,
        }
    }

    /// Sees all elders of the centre, not only a team's.
    pub(crate) fn sees_all(&self) -> bool {
        self.person.role.watches_alarms()
    }

    /// The row scope by team alone. Nobody's team is in the scope of those who see all.
    pub(crate) fn has_team(&self, team: Option<TeamId>) -> bool {
        self.sees_all() || (team.is_some() && team == self.person.team_id())
    }

    /// The seats of the call centre: of an elder's history they see the day around now and the day around an open alarm (domain facts,
    /// section 3); the rest belongs to those who treat the elder. `trends::check_range` holds them to it.
    pub(crate) fn is_seat(&self) -> bool {
        matches!(self.person.role, Role::Dispatcher | Role::Supervisor)
    }

    /// The row scope: the team, or an unanswered page about this elder (a page may go to another team when the
    /// elder's own has nobody on call). Blocks.
    pub(crate) fn check_elder(&self, records: &Records, elder: Option<ElderId>, team: Option<TeamId>) -> Answer<()> {
        if self.has_team(team) || (elder.is_some() && is_paged_for(records, self.person.id, elder)?) {
            return Ok(());
        }
        Err(ApiError::not_allowed())
    }
}

impl FromRequestParts<App> for Signed {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _app: &App) -> Result<Self, ApiError> {
        parts.extensions.get::<Self>().cloned().ok_or_else(ApiError::not_signed_in)
    }
}

/// The layer around every route: decides whether the handler is called at all.
pub(crate) async fn admit(State((app, access)): State<(App, Access)>, mut request: Request, next: Next) -> Response {
    match admitted(&app, access, &mut request).await {
        Ok(()) => next.run(request).await,
        Err(refused) => refused.into_response(),
    }
}

async fn admitted(app: &App, access: Access, request: &mut Request) -> Answer<()> {
    if access != Access::Signature {
        guard::check_change(request.method(), request.headers())?;
    }
    let roles = match access {
        Access::Public | Access::Signature => return Ok(()),
        Access::Loopback if is_loopback(request) => return Ok(()),
        Access::Loopback => &[Role::Administrator][..],
        Access::Roles(roles) => roles,
    };
    let token = session::token_of(request.headers()).ok_or_else(ApiError::not_signed_in)?;
    let signed = session::signed(app, token).await?.ok_or_else(ApiError::not_signed_in)?;
    if !roles.contains(&signed.person.role) {
        return Err(ApiError::not_allowed());
    }
    request.extensions_mut().insert(signed);
    Ok(())
}

fn is_loopback(request: &Request) -> bool {
    // Behind a proxy on this machine everybody looks local; the proxy's header gives that away.
    let forwarded = request.headers().contains_key("x-forwarded-for") || request.headers().contains_key("forwarded");
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    !forwarded && peer.is_some_and(|peer| peer.0.ip().to_canonical().is_loopback())
}
