//! BlueZ as a gateway sees it: `org.bluez` on a private bus, with objects that a test puts there and changes.
//!
//! The bus is a real `dbus-daemon`; the gateway is pointed to it with `DBUS_SYSTEM_BUS_ADDRESS`. Only what stands behind the
//! bus is made up, since radio and kernel are what a test machine lacks.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc as std_mpsc;
use std::time::Duration;

use dbus::Message;
use dbus::arg::{PropMap, RefArg, Variant};
use dbus::channel::Channel;
use dbus::strings::Path;
use tokio::sync::mpsc;
use tokio::time::timeout;

const BUS: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=SOCKET</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/>
<allow send_type="signal"/><allow send_type="method_return"/><allow send_type="error"/></policy></busconfig>"#;
const WAIT: Duration = Duration::from_mins(1);
/// Calls that no test has looked at yet.
const CALLS_MAX: usize = 4_096;
const ADAPTER: &str = "/org/bluez/hci0";

/// A value of a property.
#[derive(Clone, Debug)]
pub(crate) enum Val {
    Bool(bool),
    Text(String),
    Texts(Vec<&'static str>),
    Object(String),
    Bytes(Vec<u8>),
    Signal(i16),
    /// Service data: UUID and bytes.
    Data(String, Vec<u8>),
}

type Props = Vec<(&'static str, Val)>;
type Interfaces = BTreeMap<&'static str, BTreeMap<&'static str, Val>>;

/// What the gateway asked of BlueZ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) path: String,
    pub(crate) method: String,
    /// Of `WriteValue`.
    pub(crate) bytes: Vec<u8>,
}

enum Order {
    Add(String, &'static str, Props),
    Change(String, &'static str, Props),
}

/// The bus, BlueZ on it, and what it was asked.
pub(crate) struct Bluez {
    pub(crate) address: String,
    _daemon: Daemon,
    orders: std_mpsc::Sender<Order>,
    calls: mpsc::Receiver<Call>,
    _dir: tempfile::TempDir,
}

impl Val {
    fn variant(&self) -> Variant<Box<dyn RefArg>> {
        Variant(match self.clone() {
            Self::Bool(value) => Box::new(value),
            Self::Text(value) => Box::new(value),
            Self::Texts(value) => Box::new(value.into_iter().map(str::to_owned).collect::<Vec<String>>()),
            Self::Object(value) => Box::new(Path::new(value).unwrap()),
            Self::Bytes(value) => Box::new(value),
            Self::Signal(value) => Box::new(value),
            Self::Data(uuid, bytes) => Box::new(HashMap::from([(uuid, Variant(Box::new(bytes) as Box<dyn RefArg>))])),
        })
    }
}

/// Path of the object of a device.
pub(crate) fn path(address: &str) -> String {
    format!("{ADAPTER}/dev_{}", address.replace(':', "_"))
}

/// A 16-bit UUID as BlueZ writes it.
pub(crate) fn uuid(short: u16) -> String {
    format!("0000{short:04x}-0000-1000-8000-00805f9b34fb")
}

impl Bluez {
    /// Starts the bus and BlueZ with one adapter. `None`, said aloud, when there is no `dbus-daemon`; in CI that fails.
    pub(crate) fn start() -> Option<Self> {
        let program = crate::world::tool("dbus-daemon")?;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("bus.conf");
        let socket = dir.path().join("bus");
        std::fs::write(&file, BUS.replace("SOCKET", socket.to_str().unwrap())).unwrap();
        let daemon = Command::new(program)
            .args(["--nofork", "--nopidfile", "--print-address=1", "--config-file"])
            .arg(&file)
            .stdout(Stdio::piped())
            .spawn();
        let mut daemon = Daemon(daemon.unwrap());
        let mut address = String::new();
        BufReader::new(daemon.0.stdout.take().unwrap()).read_line(&mut address).unwrap();
        let address = address.trim().to_owned();
        let mut channel = Channel::open_private(&address).unwrap();
        channel.register().unwrap();
        let request = Message::new_method_call("org.freedesktop.DBus", "/", "org.freedesktop.DBus", "RequestName");
        channel.send_with_reply_and_block(request.unwrap().append2("org.bluez", 0_u32), WAIT).unwrap();
        let (orders, to_do) = std_mpsc::channel();
        let (said, calls) = mpsc::channel(CALLS_MAX);
        let mut side = Side { channel, objects: BTreeMap::new(), said };
        side.objects.entry("/org/bluez".to_owned()).or_default().insert("org.bluez.AgentManager1", BTreeMap::new());
        std::thread::spawn(move || side.serve(&to_do));
        let this = Self { address, _daemon: daemon, orders, calls, _dir: dir };
        this.add(ADAPTER, "org.bluez.Adapter1", vec![("Powered", Val::Bool(false)), ("Discovering", Val::Bool(false))]);
        Some(this)
    }

    /// Puts an object there.
    pub(crate) fn add(&self, path: &str, interface: &'static str, properties: Props) {
        self.orders.send(Order::Add(path.to_owned(), interface, properties)).unwrap();
    }

    /// Changes properties and says so.
    pub(crate) fn change(&self, path: &str, interface: &'static str, properties: Props) {
        self.orders.send(Order::Change(path.to_owned(), interface, properties)).unwrap();
    }

    /// A device that comes into range.
    pub(crate) fn device(&self, path: &str, address: &str) {
        let properties = vec![
            ("Address", Val::Text(address.to_owned())),
            ("Connected", Val::Bool(false)),
            ("Paired", Val::Bool(true)),
            ("ServicesResolved", Val::Bool(false)),
            ("RSSI", Val::Signal(-50)),
        ];
        self.add(path, "org.bluez.Device1", properties);
    }

    /// A service of a device with its characteristics, each notifying or indicating. The paths of the characteristics.
    pub(crate) fn service(&self, device: &str, service: u16, characteristics: &[(u16, &'static str)]) -> Vec<String> {
        let path = format!("{device}/service{service:04x}");
        let properties = vec![("UUID", Val::Text(uuid(service))), ("Primary", Val::Bool(true))];
        self.add(&path, "org.bluez.GattService1", properties);
        let add = |(short, flag): &(u16, &'static str)| {
            let of = format!("{path}/char{short:04x}");
            let properties = vec![
                ("UUID", Val::Text(uuid(*short))),
                ("Service", Val::Object(path.clone())),
                ("Flags", Val::Texts(vec![flag])),
                ("Notifying", Val::Bool(false)),
            ];
            self.add(&of, "org.bluez.GattCharacteristic1", properties);
            of
        };
        characteristics.iter().map(add).collect()
    }

    /// The device notifies or indicates.
    pub(crate) fn tell(&self, characteristic: &str, value: &[u8]) {
        self.change(characteristic, "org.bluez.GattCharacteristic1", vec![("Value", Val::Bytes(value.to_vec()))]);
    }

    /// The radio link is lost.
    pub(crate) fn lose(&self, device: &str) {
        let properties = vec![("ServicesResolved", Val::Bool(false)), ("Connected", Val::Bool(false))];
        self.change(device, "org.bluez.Device1", properties);
    }

    /// The device advertises again.
    pub(crate) fn advertise(&self, device: &str, signal: i16) {
        self.change(device, "org.bluez.Device1", vec![("RSSI", Val::Signal(signal))]);
    }

    /// Waits for a call; others before it are passed over.
    pub(crate) async fn called(&mut self, path: &str, method: &str) -> Call {
        let mut passed = Vec::new();
        let found = async {
            loop {
                let call = self.calls.recv().await.expect("BlueZ's side has ended");
                if (call.path.as_str(), call.method.as_str()) == (path, method) {
                    return call;
                }
                passed.push(call);
            }
        };
        let found = timeout(WAIT, found).await;
        found.unwrap_or_else(|_| {
            panic!("nobody called {method} of {path}, but {} others, at last {:?}", passed.len(), passed.last())
        })
    }

    /// What was asked since somebody looked last.
    pub(crate) fn asked(&mut self) -> Vec<Call> {
        std::iter::from_fn(|| self.calls.try_recv().ok()).collect()
    }
}

/// Killed when dropped.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// BlueZ's end of the bus, on a thread of its own.
struct Side {
    channel: Channel,
    objects: BTreeMap<String, Interfaces>,
    said: mpsc::Sender<Call>,
}

impl Side {
    /// Until the bus or the test ends.
    fn serve(mut self, orders: &std_mpsc::Receiver<Order>) {
        while self.channel.read_write(Some(Duration::from_millis(5))).is_ok() {
            while let Some(message) = self.channel.pop_message() {
                if message.msg_type() == dbus::MessageType::MethodCall {
                    self.answer(&message);
                }
            }
            loop {
                match orders.try_recv() {
                    Ok(Order::Add(path, interface, properties)) => self.add(&path, interface, properties),
                    Ok(Order::Change(path, interface, properties)) => self.change(&path, interface, properties),
                    Err(std_mpsc::TryRecvError::Empty) => break,
                    Err(std_mpsc::TryRecvError::Disconnected) => return,
                }
            }
        }
    }

    fn add(&mut self, path: &str, interface: &'static str, properties: Props) {
        let told: HashMap<String, PropMap> = HashMap::from([(interface.to_owned(), prop_map(&properties))]);
        self.objects.entry(path.to_owned()).or_default().insert(interface, properties.into_iter().collect());
        let signal = signal("/", "org.freedesktop.DBus.ObjectManager", "InterfacesAdded");
        self.channel.send(signal.append2(Path::new(path.to_owned()).unwrap(), told)).unwrap();
    }

    fn change(&mut self, path: &str, interface: &'static str, properties: Props) {
        let told = prop_map(&properties);
        self.objects.entry(path.to_owned()).or_default().entry(interface).or_default().extend(properties);
        let signal = signal(path, "org.freedesktop.DBus.Properties", "PropertiesChanged");
        self.channel.send(signal.append3(interface, told, Vec::<String>::new())).unwrap();
    }

    fn answer(&mut self, call: &Message) {
        let text = |part: Option<String>| part.unwrap_or_default();
        let path = text(call.path().map(|path| path.to_string()));
        let method = text(call.member().map(|member| member.to_string()));
        let reply = match method.as_str() {
            "GetManagedObjects" => call.method_return().append1(self.managed()),
            "Get" => {
                let (interface, property): (String, String) = call.read2().unwrap();
                let of = self.objects.get(&path).and_then(|object| object.get(interface.as_str()));
                match of.and_then(|of| of.get(property.as_str())) {
                    Some(value) => call.method_return().append1(value.variant()),
                    None => no_property(call),
                }
            }
            "Set" => call.method_return(),
            _ => {
                let bytes = if method == "WriteValue" { call.read1::<Vec<u8>>().unwrap() } else { Vec::new() };
                self.follow(&path, &method);
                let _test_has_ended = self.said.blocking_send(Call { path, method, bytes });
                call.method_return()
            }
        };
        self.channel.send(reply).unwrap();
    }

    /// What a call does by itself.
    fn follow(&mut self, path: &str, method: &str) {
        let connected = |yes| vec![("Connected", Val::Bool(yes)), ("ServicesResolved", Val::Bool(yes))];
        match method {
            "Connect" => self.change(path, "org.bluez.Device1", connected(true)),
            "Disconnect" => self.change(path, "org.bluez.Device1", connected(false)),
            "StartNotify" => {
                self.change(path, "org.bluez.GattCharacteristic1", vec![("Notifying", Val::Bool(true))]);
            }
            _ => {}
        }
    }

    fn managed(&self) -> HashMap<Path<'static>, HashMap<String, PropMap>> {
        let object = |(path, interfaces): (&String, &Interfaces)| {
            let interfaces = interfaces.iter().map(|(name, properties)| {
                let properties: Vec<_> = properties.iter().map(|(name, value)| (*name, value.clone())).collect();
                ((*name).to_owned(), prop_map(&properties))
            });
            (Path::new(path.clone()).unwrap(), interfaces.collect())
        };
        self.objects.iter().map(object).collect()
    }
}

fn signal(path: &str, interface: &str, name: &str) -> Message {
    Message::new_signal(path, interface, name).unwrap()
}

fn prop_map(properties: &[(&'static str, Val)]) -> PropMap {
    properties.iter().map(|(name, value)| ((*name).to_owned(), value.variant())).collect()
}

fn no_property(call: &Message) -> Message {
    let name = "org.freedesktop.DBus.Error.InvalidArgs".into();
    call.error(&name, c"there is no such property")
}
