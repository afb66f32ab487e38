//! What a pair measured.

use serde::{Deserialize, Serialize};

use super::fabric::{Fabric, Port};

/// What one end counted while a flow ran, as differences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Errors {
    /// Of the line: symbol errors, bad frame check sequences, link recoveries. They speak of cable and optics.
    pub line: u64,
    /// Of the host's side: PCIe replays, buffer overruns, a link trained down. They speak of the port.
    pub host: u64,
}

/// One measured pair of ports.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flow {
    /// One end.
    pub a: Port,
    /// The other.
    pub b: Port,
    /// Measured rate over the rate that the slower of both links allows, above 0.
    pub fraction: f64,
    /// What `a` counted.
    #[serde(default)]
    pub a_errors: Errors,
    /// What `b` counted.
    #[serde(default)]
    pub b_errors: Errors,
}

/// Why a flow makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum FlowError {
    /// A port beyond the fabric.
    #[error("port {0} is not in the fabric, which has {1}")]
    NoPort(u32, u32),
    /// A node with itself.
    #[error("both ends are of one node")]
    Alone,
    /// A rate that nothing can have.
    #[error("a fraction of {0} is no rate: leave out pairs that did not run")]
    Fraction(f64),
}

impl Flow {
    /// Does it make sense in that fabric?
    pub fn check(&self, fabric: &Fabric) -> Result<(), FlowError> {
        let stray = [self.a, self.b].into_iter().find(|port| port.0 >= fabric.ports());
        match stray {
            Some(port) => Err(FlowError::NoPort(port.0, fabric.ports())),
            None if fabric.node_of(self.a) == fabric.node_of(self.b) => Err(FlowError::Alone),
            None if !(self.fraction > 0.0 && self.fraction.is_finite()) => {
                Err(FlowError::Fraction(self.fraction))
            }
            None => Ok(()),
        }
    }

    /// What was counted at that end.
    pub fn errors_at(&self, port: Port) -> Errors {
        if port == self.a { self.a_errors } else { self.b_errors }
    }
}
