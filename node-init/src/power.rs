//! What becomes of the machine when the boot is over.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::clock::Clock;
use crate::console::Console;
use crate::system::{Stop, System};

/// How long other processes may take to end after they were told to.
const GRACE: Duration = Duration::from_secs(2);
/// How often a machine that does not stop is told again.
const AGAIN: Duration = Duration::from_secs(60);

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// Power off.
    Off,
    /// Start again.
    Reboot,
    /// Stay as it is, for ever.
    Hold,
}

impl Power {
    /// The word on the console.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "OFF",
            Self::Reboot => "REBOOT",
            Self::Hold => "HOLD",
        }
    }
}

impl fmt::Display for Power {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A word that is no policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected `poweroff`, `reboot` or `hold`")]
pub struct BadPower;

impl FromStr for Power {
    type Err = BadPower;

    fn from_str(text: &str) -> Result<Self, BadPower> {
        match text {
            "poweroff" => Ok(Self::Off),
            "reboot" => Ok(Self::Reboot),
            "hold" => Ok(Self::Hold),
            _ => Err(BadPower),
        }
    }
}

/// Applies it, after everything else on this machine has ended. Never returns: PID 1 must not.
pub fn apply(system: &dyn System, console: &Console, clock: &dyn Clock, power: Power) -> ! {
    console.say(&format!("power {power}"));
    let stop = match power {
        Power::Hold => loop {
            clock.sleep(AGAIN);
        },
        Power::Off => Stop::PowerOff,
        Power::Reboot => Stop::Reboot,
    };
    // What cannot be ended or written must not keep the machine from stopping.
    let _ = system.end_all(false);
    clock.sleep(GRACE);
    let _ = system.end_all(true);
    let _ = system.sync();
    loop {
        if let Err(error) = system.stop(stop) {
            console.say(&format!("the machine does not stop: {error}: power-cycle it"));
        }
        clock.sleep(AGAIN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_configuration_are_read() {
        assert_eq!("poweroff".parse(), Ok(Power::Off));
        assert_eq!("reboot".parse(), Ok(Power::Reboot));
        assert_eq!("hold".parse(), Ok(Power::Hold));
        for bad in ["", "OFF", "halt", "hold "] {
            assert_eq!(bad.parse::<Power>(), Err(BadPower), "{bad}");
        }
    }
}
