//! What the kernel says about devices while a boot goes on.

use std::fmt::Debug;
use std::io;
use std::time::Duration;

/// One word of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceEvent {
    /// A device with this modalias came.
    Added(String),
    /// Something else happened.
    Other,
    /// Events were dropped since nobody read them: look at all devices again.
    Lost,
    /// Nothing happened for as long as was asked for.
    Quiet,
}

/// A listener; what happened since it was made is not missed.
pub trait DeviceEvents: Debug + Send {
    /// The next event, waiting no longer than that.
    fn next(&self, within: Duration) -> io::Result<DeviceEvent>;
}
