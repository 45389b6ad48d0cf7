//! Every address of the console with the roles that may call it: one table. A route that is not here does not exist.

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, get, post, put};
use model::people::Role;

use crate::access::{
    ADMINISTRATOR, ALL, ATTRIBUTORS, Access, CENTRE, HANDLERS, LEADERS, PAGED, PARKERS, QUIET_KEEPERS, ROSTERED,
    RULE_MAKERS, SEATS, STAFF, SUPERVISOR, admit,
};
use crate::error::ApiError;
use crate::{
    App, alarms, callbacks, channels, custody, demo, elders, gateways, guard, handling, incidents, judge, layers,
    measurements, numbers, operations, pages, policies, quiet, rota, rules, session, stream, tap, trends, waveforms,
    web,
};

/// One row of the table.
struct Route {
    method: &'static str,
    path: &'static str,
    access: Access,
    handler: MethodRouter<App>,
}

#[expect(clippy::too_many_lines, reason = "a table: one row an address")]
fn table() -> Vec<Route> {
    let route = |method, path, access, handler| Route { method, path, access, handler };
    vec![
        route("POST", "/api/login", Access::Public, post(session::login)),
        route("POST", "/api/logout", ALL, post(session::logout)),
        route("GET", "/api/me", ALL, get(session::me)),
        route("GET", "/api/stream", STAFF, get(stream::stream)),
        route("GET", "/api/alarms", STAFF, get(alarms::list)),
        route("GET", "/api/alarms/{id}", STAFF, get(alarms::detail)),
        route("POST", "/api/alarms/{id}/claim", SEATS, post(alarms::claim)),
        route("POST", "/api/alarms/{id}/release", SEATS, post(alarms::release)),
        route("POST", "/api/alarms/{id}/resolve", HANDLERS, post(alarms::resolve)),
        route("POST", "/api/alarms/{id}/note", HANDLERS, post(alarms::note)),
        route("POST", "/api/alarms/{id}/hand-over", SEATS, post(handling::hand_over)),
        route("POST", "/api/alarms/{id}/hand-over/accept", SEATS, post(handling::accept)),
        route("POST", "/api/alarms/{id}/hand-over/decline", SEATS, post(handling::decline)),
        route("POST", "/api/alarms/{id}/park", PARKERS, post(handling::park)),
        route("POST", "/api/alarms/{id}/dispatch", HANDLERS, post(handling::dispatch)),
        route("POST", "/api/alarms/{id}/arrived", HANDLERS, post(handling::arrived)),
        route("POST", "/api/alarms/{id}/reopen", HANDLERS, post(handling::reopen)),
        route("POST", "/api/alarms/{id}/void", SUPERVISOR, post(handling::void)),
        route("GET", "/api/helpers", HANDLERS, get(handling::helpers)),
        route("GET", "/api/teams", ALL, get(handling::teams)),
        route("GET", "/api/incidents", CENTRE, get(incidents::list)),
        route("GET", "/api/incidents/{id}", CENTRE, get(incidents::detail)),
        route("PUT", "/api/elders/{id}/risk", ATTRIBUTORS, put(incidents::set_risk)),
        route("GET", "/api/elders", STAFF, get(elders::list)),
        route("GET", "/api/elders/{id}", STAFF, get(elders::detail)),
        route("GET", "/api/elders/{id}/latest", STAFF, get(elders::latest)),
        route("GET", "/api/elders/{id}/trend", STAFF, get(trends::trend)),
        route("GET", "/api/elders/{id}/profile", ATTRIBUTORS, get(trends::profile)),
        route("GET", "/api/elders/{id}/waveforms", STAFF, get(waveforms::list)),
        route("GET", "/api/elders/{id}/strip", STAFF, get(waveforms::strip)),
        route("GET", "/api/elders/{id}/rules", STAFF, get(rules::get)),
        route("PUT", "/api/elders/{id}/rules", RULE_MAKERS, put(rules::put)),
        route("GET", "/api/layers", ATTRIBUTORS, get(layers::list)),
        route("GET", "/api/layers/{name}", ATTRIBUTORS, get(layers::versions)),
        route("PUT", "/api/layers/{name}", RULE_MAKERS, put(layers::put)),
        route("GET", "/api/assignments", ATTRIBUTORS, get(layers::assignments)),
        route("POST", "/api/assignments", RULE_MAKERS, post(layers::assign)),
        route("POST", "/api/assignments/{id}/end", RULE_MAKERS, post(layers::end)),
        route("GET", "/api/quiet", STAFF, get(quiet::list)),
        route("POST", "/api/quiet", QUIET_KEEPERS, post(quiet::begin)),
        route("POST", "/api/quiet/{id}/end", QUIET_KEEPERS, post(quiet::end)),
        route("POST", "/api/elders/{id}/judge", RULE_MAKERS, post(judge::elder)),
        route("POST", "/api/teams/{id}/judge", RULE_MAKERS, post(judge::team)),
        route("GET", "/api/teams/{id}/trends", ATTRIBUTORS, get(trends::team_trends)),
        route("GET", "/api/population", ADMINISTRATOR, get(trends::population_figures)),
        route("GET", "/api/population.csv", ADMINISTRATOR, get(trends::population_csv)),
        route("GET", "/api/pages", PAGED, get(pages::list)),
        route("GET", "/api/pages/{id}", PAGED, get(pages::detail)),
        route("POST", "/api/pages/{id}/accept", PAGED, post(pages::accept)),
        route("POST", "/api/pages/{id}/decline", PAGED, post(pages::decline)),
        route("POST", "/api/pages/{id}/arrived", PAGED, post(handling::arrived_by_page)),
        route("GET", "/api/elders/{id}/measurements", ATTRIBUTORS, get(measurements::of_elder)),
        route("GET", "/api/elders/{id}/keys", ATTRIBUTORS, get(measurements::keys)),
        route("POST", "/api/elders/{id}/keys", ATTRIBUTORS, post(measurements::add_key)),
        route("POST", "/api/elders/{id}/keys/remove", ATTRIBUTORS, post(measurements::remove_key)),
        route("GET", "/api/measurements", ATTRIBUTORS, get(measurements::queue)),
        route("POST", "/api/measurements/attribute", ATTRIBUTORS, post(measurements::attribute)),
        route("POST", "/api/pages/ack-code", SEATS, post(channels::ack_code)),
        route("GET", "/api/channels", ADMINISTRATOR, get(channels::list)),
        route("POST", "/api/channels/{id}/test", ADMINISTRATOR, post(channels::test)),
        route("GET", "/api/people/{id}/contacts", ADMINISTRATOR, get(channels::contacts)),
        route("PUT", "/api/people/{id}/contacts", ADMINISTRATOR, put(channels::set_contact)),
        route("GET", "/api/policies", ADMINISTRATOR, get(policies::list)),
        route("PUT", "/api/policies", ADMINISTRATOR, put(policies::put)),
        route("GET", "/api/policies/{id}", ADMINISTRATOR, get(policies::versions)),
        route("GET", "/api/rota", ALL, get(rota::board)),
        route("PUT", "/api/rota", ADMINISTRATOR, put(rota::put)),
        route("GET", "/api/rota/versions", LEADERS, get(rota::versions)),
        route("POST", "/api/rota/overrides", ROSTERED, post(rota::stand_in)),
        route("POST", "/api/rota/overrides/{id}/cancel", ROSTERED, post(rota::cancel_override)),
        route("POST", "/api/rota/swaps", ROSTERED, post(rota::swap)),
        route("POST", "/api/rota/leave", ROSTERED, post(rota::leave)),
        route("POST", "/api/rota/leave/{id}/cancel", ROSTERED, post(rota::cancel_leave)),
        route("POST", "/api/rota/holidays", ADMINISTRATOR, post(rota::holidays)),
        route("GET", "/api/unattributed", ADMINISTRATOR, get(operations::unattributed)),
        route("GET", "/api/gateways", ADMINISTRATOR, get(gateways::list)),
        route("POST", "/api/gateways/{id}/push", ADMINISTRATOR, post(gateways::push)),
        route("GET", "/api/quarantine", ADMINISTRATOR, get(operations::quarantine)),
        route("POST", "/api/quarantine/{id}/replay", ADMINISTRATOR, post(operations::replay)),
        route("GET", "/api/custody", ADMINISTRATOR, get(custody::list)),
        route("POST", "/api/custody/{id}/ask", ADMINISTRATOR, post(custody::ask)),
        route("GET", "/api/numbers", LEADERS, get(numbers::report)),
        route("GET", "/api/numbers.csv", LEADERS, get(numbers::csv)),
        route("GET", "/api/writer", ADMINISTRATOR, get(operations::writer)),
        route("GET", "/api/metrics", ALL, get(operations::words)),
        route("GET", "/api/health", Access::Public, get(operations::health)),
        route("GET", "/metrics", Access::Loopback, get(operations::figures)),
        route("POST", "/callback/webhook", Access::Signature, post(callbacks::webhook)),
        route("POST", "/callback/{id}/{word}", Access::Signature, post(callbacks::provider)),
        route("GET", "/a.css", Access::Public, get(tap::style)),
        route("GET", "/a/{id}", Access::Signature, get(tap::ask)),
        route("POST", "/a/{id}", Access::Signature, post(tap::answer)),
        route("POST", "/demo/phone", Access::Signature, post(demo::receive)),
        route("GET", "/demo/phone", ALL, get(demo::show)),
    ]
}

pub(crate) fn router(app: &App) -> Router {
    let mut router = Router::new();
    for Route { path, access, handler, .. } in table() {
        router = router.route(path, handler.route_layer(from_fn_with_state((app.clone(), access), admit)));
    }
    router
        .method_not_allowed_fallback(|| async { ApiError::method_not_allowed().into_response() })
        .fallback(web::fallback)
        .layer(from_fn_with_state(app.clone(), guard::every_request))
        .with_state(app.clone())
}

/// Every route with the roles that may call it; no roles: no sign-in needed. For the documentation and the tests.
pub fn routes() -> Vec<(&'static str, &'static str, &'static [Role])> {
    let roles = |access| match access {
        Access::Public | Access::Signature | Access::Loopback => &[][..],
        Access::Roles(roles) => roles,
    };
    table().into_iter().map(|route| (route.method, route.path, roles(route.access))).collect()
}
