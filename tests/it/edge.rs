//! A gateway that loses its uplink in a crisis: heard at home, and one alarm and one page when the line is back. And what the
//! server pushes to gateways.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gateway::sim::{self, Planned, Scenario};
use gateway::{Command, EdgeConfig, Hook, Link, Stats};
use model::note::Push;
use model::rule::{Level, Side, Test};
use model::{ElderId, GatewayId, Name, Priority, Time};
use runtime::{Clock, Stop};
use store::records::{AlarmFilter, Records};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use vigil::server::Server;

use crate::load::{STUCK, Session};
use crate::world::{World, vigil};

/// The line between a gateway and the server. It can be cut, as a cable is.
struct Line {
    addr: SocketAddr,
    whole: Arc<watch::Sender<bool>>,
}

impl Line {
    async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let whole = Arc::new(watch::Sender::new(true));
        let sender = Arc::clone(&whole);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let mut state = sender.subscribe();
                tokio::spawn(async move {
                    if !*state.borrow_and_update() {
                        return;
                    }
                    let mut client: TcpStream = client;
                    let Ok(mut server) = TcpStream::connect(server).await else { return };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                        _ = state.wait_for(|whole| !whole) => {}
                    }
                });
            }
        });
        Self { addr, whole }
    }

    fn cut(&self) {
        self.whole.send_replace(false);
    }

    fn mend(&self) {
        self.whole.send_replace(true);
    }
}

/// A gateway inside this test.
struct Running {
    stop: Stop,
    stats: Stats,
    task: tokio::task::JoinHandle<Result<(), gateway::Error>>,
}

impl Running {
    fn start(config: gateway::Config) -> Self {
        let (stop, stats) = (Stop::new(), Stats::default());
        let task = tokio::spawn(gateway::run_with(config, Clock::system(), stats.clone(), stop.clone()));
        Self { stop, stats, task }
    }

    /// As [`until`]. A gateway that ends meanwhile says how.
    async fn until(&mut self, what: &str, is: impl FnMut() -> bool) {
        tokio::select! {
            () = until(what, is) => {}
            ended = &mut self.task => panic!("{what}: the gateway ended: {ended:?}"),
        }
    }

    async fn stop(self) {
        self.stop.request();
        self.task.await.unwrap().unwrap();
    }
}

async fn until(what: &str, mut is: impl FnMut() -> bool) {
    let wait = async {
        while !is() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(STUCK, wait).await.unwrap_or_else(|_| panic!("{what}"));
}

fn config(world: &World, addr: SocketAddr, links: Vec<Link>) -> gateway::Config {
    let registered = &world.gateways[0];
    gateway::Config {
        host: addr.ip().to_string(),
        port: addr.port(),
        site: registered.site.clone(),
        name: registered.name.clone(),
        token: registered.token.clone(),
        data_dir: world.dir.path().join("gateway"),
        flush_ms: 50,
        links,
        ..gateway::Config::default()
    }
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn gateway_of(server: &Server, world: &World) -> GatewayId {
    server.parts.records.gateway_by_name(&world.gateways[0].name).unwrap().unwrap().id
}

/// The simulated band and who wears it, with rules of their own: SpO2 of 93 and less for two seconds is urgent.
fn wearer(server: &Server, world: &World) -> ElderId {
    let records = &server.parts.records;
    let band = records.ensure_device(gateway_of(server, world), &name("band-001")).unwrap();
    let elder = ElderId(world.gateways[0].elders[0]);
    records.bind(band, elder, Clock::system().now().plus_us(-3_600_000_000), None).unwrap();
    let mut set = engine::default_rules();
    for rule in &mut set.rules {
        if let Test::Threshold(test) = &mut rule.test
            && (test.metric, test.side) == (model::Metric::Spo2, Side::Low)
        {
            test.levels = vec![Level { priority: Priority::P1, limit: 93.0, hold_s: 2 }];
        }
    }
    let author = records.persons().unwrap()[1].id;
    records.save_rules(Some(elder), set, Some(author), "test").unwrap();
    assert!(server.parts.alerting.publish_rules());
    elder
}

fn applied(records: &Records, gateway: GatewayId, what: Push) -> Option<u64> {
    let states = records.push_states().unwrap();
    states.into_iter().find(|state| (state.gateway, state.what) == (gateway, what))?.applied
}

fn lines(file: &Path) -> Vec<String> {
    std::fs::read_to_string(file).unwrap_or_default().lines().map(str::to_owned).collect()
}

fn hooks(world: &World) -> (PathBuf, EdgeConfig) {
    let heard = world.dir.path().join("heard");
    let script = format!("echo $VIGIL_RULE $VIGIL_PRIORITY >> {}", heard.display());
    let argv = ["/bin/sh", "-c", &script].map(str::to_owned).to_vec();
    let hook = Hook::Command(Command { argv, timeout_s: 30, tries: 3 });
    (heard, EdgeConfig { grace_s: 1, hooks: vec![hook] })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crisis_without_the_server_is_heard_at_home_and_one_alarm_with_one_page_afterwards() {
    let world = World::new(1, 1);
    let server = world.serve().await;
    let elder = wearer(&server, &world);
    let (records, id) = (server.parts.records.clone(), gateway_of(&server, &world));
    let line = Line::to(server.mqtt_addr).await;
    let (heard, edge) = hooks(&world);
    // The gateway gets the elder's rules while it is connected ...
    let gateway = Running::start(gateway::Config { edge: edge.clone(), ..config(&world, line.addr, vec![]) });
    until("the rules are not applied", || applied(&records, id, Push::Rules).is_some()).await;
    gateway.stop().await;
    // ... and is alone with the crisis.
    line.cut();
    let cut_at = Clock::system().now();
    let scenario = |kind| Planned { at_s: 1, person: 1, kind, for_s: 300, every_s: 0 };
    let scenarios = vec![scenario(Scenario::Desaturation), scenario(Scenario::Sos)];
    let sim = sim::Config { elders: 1, interval_s: 1, scenarios, ..sim::Config::default() };
    let gateway = Running::start(gateway::Config { edge, ..config(&world, line.addr, vec![Link::Sim(sim)]) });
    until("nothing is heard at home", || {
        let told = lines(&heard);
        ["sos P1", "spo2_low P1"].iter().all(|rule| told.iter().any(|line| line == rule))
    })
    .await;
    assert!(records.alarms(AlarmFilter::default(), 10).unwrap().is_empty(), "the server knows of nothing");
    let mended_at = Clock::system().now();
    line.mend();
    let session = Session::open(server.console_addr, "zuoxi").await;
    let of = |rule: &str| {
        let alarms = records.alarms(AlarmFilter { elder: Some(elder), ..AlarmFilter::default() }, 100).unwrap();
        alarms.into_iter().filter(|alarm| alarm.rule == rule).collect::<Vec<_>>()
    };
    until("the gateway's word is not told", || {
        ["sos", "spo2_low"].iter().all(|rule| of(rule).iter().any(|alarm| alarm.sounded_ok == Some(true)))
    })
    .await;
    // Everything that waited is there, and the crisis goes on.
    until("the outbox is not sent", || {
        gateway.stats.uplink().acked > 5 && gateway.stats.uplink().oldest_waiting.is_none()
    })
    .await;
    let head = server.parts.journal.head();
    let mut judged = server.parts.alerting.watch_position();
    tokio::time::timeout(STUCK, judged.wait_for(|at| *at >= head)).await.unwrap().unwrap();
    gateway.stop().await;
    let list = session.get(server.console_addr, "/api/alarms?state=all").await;
    for rule in ["sos", "spo2_low"] {
        let alarms: Vec<_> = list["alarms"].as_array().unwrap().iter().filter(|alarm| alarm["rule"] == rule).collect();
        assert_eq!(alarms.len(), 1, "{alarms:#?}");
        let sounded_at = Time::parse(alarms[0]["sounded_at"].as_str().unwrap()).unwrap();
        assert!((cut_at..=mended_at).contains(&sounded_at), "{sounded_at}");
        let detail = records.alarm(of(rule)[0].id).unwrap().unwrap();
        // No channel is set up here, so each step of the policy fails and hands on to the next; none begins twice.
        let mut steps: Vec<_> = detail.pages.iter().map(|page| (page.round, page.person.id)).collect();
        let pages = steps.len();
        steps.sort_unstable();
        steps.dedup();
        assert!(steps.iter().any(|(round, _)| *round == 0), "{:#?}", detail.pages);
        assert_eq!(steps.len(), pages, "word and history are one alarm, paged once: {:#?}", detail.pages);
        let sounded = detail.events.iter().filter(|event| event.kind.slug() == "sounded").count();
        assert!(sounded >= 1);
    }
    server.stop().await;
}

/// SIGKILL while the hook sounds: nobody knows whether it was heard, so it sounds again, and both the process that was killed
/// and the one after it lose nothing of what is owed.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_killed_while_it_sounds_sounds_again() {
    let world = World::new(1, 1);
    let heard = world.dir.path().join("heard");
    let registered = &world.gateways[0];
    let start = |script: String, links: &str| {
        let file = world.dir.path().join("gateway.toml");
        let text = format!(
            "host = \"127.0.0.1\"\nport = 1\nsite = \"{}\"\nname = \"{}\"\ntoken = \"{}\"\ndata_dir = \"{}\"\n\
             [edge]\ngrace_s = 0\n[[edge.hooks]]\nkind = \"command\"\nargv = [\"/bin/sh\", \"-c\", \"{script}\"]\n{links}",
            registered.site,
            registered.name,
            registered.token,
            world.dir.path().join("gateway").display(),
        );
        std::fs::write(&file, text).unwrap();
        let mut command = vigil(&["gateway", "--config", file.to_str().unwrap()]);
        command.stdout(std::process::Stdio::null()).spawn().unwrap()
    };
    let sim = "[[links]]\nkind = \"sim\"\nelders = 1\nscenarios = [{ at_s = 1, kind = \"fall\" }]\n";
    let mut killed = start(format!("echo once >> {}; exec sleep 100", heard.display()), sim);
    until("nothing is heard", || lines(&heard) == ["once"]).await;
    killed.kill().unwrap();
    killed.wait().unwrap();
    let owed = world.dir.path().join("gateway/edge-owed.json");
    assert!(std::fs::read_to_string(&owed).unwrap().contains("\"fall\""), "it is owed still");
    let mut second = start(format!("echo again >> {}", heard.display()), "");
    until("it does not sound again", || lines(&heard) == ["once", "again"]).await;
    until("it is owed still", || std::fs::read_to_string(&owed).unwrap() == "[]").await;
    second.kill().unwrap();
    second.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_is_cared_for_from_afar_and_falls_back_to_what_works() {
    let world = World::new(1, 1);
    let server = world.serve().await;
    wearer(&server, &world);
    let (records, id) = (server.parts.records.clone(), gateway_of(&server, &world));
    let push = |what, body: &str| records.push_save(id, what, body, None).unwrap();
    let refused = |what| {
        let states = records.push_states().unwrap();
        states.into_iter().find(|state| state.what == what).and_then(|state| state.refused)
    };
    let line = Line::to(server.mqtt_addr).await;
    let care = gateway::CareConfig { trial_s: 2 };
    let mut gateway = Running::start(gateway::Config { care, ..config(&world, line.addr, vec![]) });

    // Saved before the gateway was ever seen, or while it is connected: it comes.
    let devices = push(Push::Devices, r#"[{"name":"cuff-1","codec":"ble:2a35","address":"A4:C1:38:56:53:84"}]"#);
    gateway.until("the list is not applied", || applied(&records, id, Push::Devices) == Some(devices)).await;

    // A configuration is in force when it has connected.
    let good = push(Push::Config, r#"{"flush_ms":100}"#);
    gateway.until("the configuration is not applied", || applied(&records, id, Push::Config) == Some(good)).await;

    // One that says nonsense, or what nobody may push, is refused whole, and without the value.
    for (body, expected) in [(r#"{"token":"geheim"}"#, "token"), (r#"{"port":"geheim"}"#, "not of the form")] {
        push(Push::Config, body);
        gateway.until("it is not refused", || refused(Push::Config).is_some()).await;
        let reason = refused(Push::Config).unwrap();
        assert!(reason.contains(expected) && !reason.contains("geheim"), "{reason}");
    }

    // One that does not connect is taken back.
    let bad = push(Push::Config, r#"{"port":1}"#);
    gateway
        .until("it is not taken back", || {
            refused(Push::Config).is_some_and(|reason| reason.contains("did not connect"))
        })
        .await;
    assert_eq!(applied(&records, id, Push::Config), Some(good));
    let state = records.push_states().unwrap().into_iter().find(|state| state.what == Push::Config).unwrap();
    assert_eq!(state.wanted, bad);

    // A changed rule follows by itself, and what a gateway has lost with its disk comes again.
    let before = applied(&records, id, Push::Rules).expect("rules came at the first birth");
    let device = records.ensure_device(id, &name("band-009")).unwrap();
    let second = records.elders("", 10).unwrap().pop().unwrap().id;
    records.bind(device, second, Clock::system().now(), None).unwrap();
    gateway.until("the new binding is not told", || applied(&records, id, Push::Rules) > Some(before)).await;
    gateway.stop().await;
    server.stop().await;
}
