//! The phases of a boot, and how one fails: the words that stand on the console and that stories and operators wait for.

use std::error::Error;
use std::fmt;

/// One phase, in the order of a boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// File systems.
    Mount,
    /// Command line and files of the image.
    Config,
    /// Is the image whole?
    Image,
    /// Drivers.
    Modules,
    /// Links and addresses.
    Network,
    /// The machine's clock.
    Clock,
    /// Enrolment, burn-in, report.
    Register,
    /// The node's part is done.
    Done,
}

impl Phase {
    const ALL: [Self; 8] = [
        Self::Mount,
        Self::Config,
        Self::Image,
        Self::Modules,
        Self::Network,
        Self::Clock,
        Self::Register,
        Self::Done,
    ];

    /// The phase of that word.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.name() == name)
    }

    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mount => "mount",
            Self::Config => "config",
            Self::Image => "image",
            Self::Modules => "modules",
            Self::Network => "network",
            Self::Clock => "clock",
            Self::Register => "register",
            Self::Done => "done",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Why a boot failed, as a stable word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// A file system that the boot needs cannot be mounted.
    Mount,
    /// The configuration has mistakes.
    Config,
    /// The image is not whole.
    Image,
    /// No interface, or none with a carrier.
    NoLink,
    /// No address on any link.
    NoDhcp,
    /// The network failed otherwise.
    Network,
    /// The inventory's name is not found.
    Dns,
    /// The site's CA is missing, or the inventory's certificate is not by it.
    Ca,
    /// No token, or one that the inventory does not take.
    Token,
    /// The inventory was not reached, or could not answer, for as long as the configuration allows.
    InventoryDown,
    /// The inventory said no.
    Refused,
    /// The burn-in left no report.
    BurnIn,
    /// The burn-in needed more memory than the node has for it.
    OutOfMemory,
    /// The node's own state (key, journal) cannot be kept.
    State,
    /// A phase took longer than it may.
    Hang,
    /// A fault of our own.
    Panic,
}

impl Code {
    const ALL: [Self; 16] = [
        Self::Mount,
        Self::Config,
        Self::Image,
        Self::NoLink,
        Self::NoDhcp,
        Self::Network,
        Self::Dns,
        Self::Ca,
        Self::Token,
        Self::InventoryDown,
        Self::Refused,
        Self::BurnIn,
        Self::OutOfMemory,
        Self::State,
        Self::Hang,
        Self::Panic,
    ];

    /// The code of that word.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.name() == name)
    }

    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mount => "MOUNT",
            Self::Config => "CONFIG",
            Self::Image => "IMAGE",
            Self::NoLink => "NO_LINK",
            Self::NoDhcp => "NO_DHCP",
            Self::Network => "NETWORK",
            Self::Dns => "DNS",
            Self::Ca => "CA",
            Self::Token => "TOKEN",
            Self::InventoryDown => "INVENTORY_DOWN",
            Self::Refused => "REFUSED",
            Self::BurnIn => "BURN_IN",
            Self::OutOfMemory => "OUT_OF_MEMORY",
            Self::State => "STATE",
            Self::Hang => "HANG",
            Self::Panic => "PANIC",
        }
    }
}

/// The end of a boot that did not register.
#[derive(Debug)]
pub struct Failure {
    /// In which phase.
    pub phase: Phase,
    /// Why, for programs.
    pub code: Code,
    /// Why, for people, with its causes.
    pub source: Box<dyn Error + Send + Sync>,
}

impl Failure {
    /// What failed, from its error.
    pub fn new(phase: Phase, code: Code, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { phase, code, source: source.into() }
    }
}

/// `PHASE CODE: text: cause: ...`, on one line.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.phase, self.code.name(), chain(&*self.source))
    }
}

/// An error with all its causes, on one line and without control characters.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    report::text::clean(&text)
}
