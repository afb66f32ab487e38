//! Devices that come while the boot goes on: a bus that is slow to wake, a driver that makes devices in its own time.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tracing::{info, warn};

use super::Loader;
use crate::clock::Clock;
use crate::system::devices::{DeviceEvent, DeviceEvents};

/// Nothing new for so long, and the devices are taken for settled.
const QUIET: Duration = Duration::from_millis(200);
/// A boot waits no longer for that: some device always comes and goes.
const SETTLE_MAX: Duration = Duration::from_secs(3);
/// How often the background looks whether the boot is over.
const LOOK: Duration = Duration::from_secs(1);

impl Loader {
    /// Loads drivers for what comes until nothing does.
    pub fn settle(&mut self, events: &dyn DeviceEvents, clock: &dyn Clock) -> io::Result<()> {
        let end = clock.now() + SETTLE_MAX;
        while let Some(left) = end.checked_sub(clock.now()).filter(|left| !left.is_zero()) {
            match events.next(QUIET.min(left))? {
                DeviceEvent::Quiet => break,
                event => self.take(event),
            }
        }
        Ok(())
    }

    fn take(&mut self, event: DeviceEvent) {
        match event {
            DeviceEvent::Added(modalias) => self.plug(&modalias),
            DeviceEvent::Lost => self.cold_plug(),
            DeviceEvent::Other | DeviceEvent::Quiet => {}
        }
    }
}

/// The work in the background; it ends when this is dropped.
#[derive(Debug)]
pub struct Late(Arc<AtomicBool>);

impl Late {
    /// Goes on with a loader, in a thread of its own.
    pub fn spawn(loader: Loader, events: Box<dyn DeviceEvents>) -> io::Result<Self> {
        let over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&over);
        let work = move || go_on(loader, &*events, &seen);
        std::thread::Builder::new().name("devices".to_owned()).spawn(work)?;
        Ok(Self(over))
    }
}

impl Drop for Late {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn go_on(mut loader: Loader, events: &dyn DeviceEvents, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        let before = loader.loaded.len();
        match events.next(LOOK) {
            Ok(event) => loader.take(event),
            Err(error) => {
                warn!(%error, "devices that come from now on get no driver");
                return;
            }
        }
        loader.remarks.drain(..).for_each(|remark| warn!("{remark}"));
        loader.loaded[before..].iter().for_each(|module| info!(module, "loaded for a late device"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Manual;
    use crate::system::recorder::{Recorder, Script};

    fn machine() -> Arc<Recorder> {
        let machine = Recorder::machine();
        let dir = "/usr/lib/modules/6.12.0";
        machine.put(&format!("{dir}/modules.dep"), "kernel/a.ko:\nkernel/b.ko:\n");
        machine.put(&format!("{dir}/modules.alias"), "alias pci:v1* a\nalias pci:v2* b\n");
        Arc::new(machine)
    }

    fn added(modalias: &str) -> DeviceEvent {
        DeviceEvent::Added(modalias.to_owned())
    }

    #[test]
    fn what_comes_before_the_quiet_is_loaded_and_what_comes_after_it_is_loaded_in_the_background() {
        let mut loader = Loader::new(machine(), "");
        let events = Script::of([DeviceEvent::Other, added("pci:v1"), DeviceEvent::Quiet, added("pci:v2")]);
        loader.settle(&events, &Manual::default()).unwrap();
        assert_eq!(loader.loaded, ["a"]);
        let machine = machine();
        go_on(Loader::new(machine.clone(), ""), &events, &AtomicBool::new(false));
        assert_eq!(machine.calls_of("load_module").len(), 1);
    }

    #[test]
    fn after_the_end_of_the_boot_nothing_is_loaded() {
        let machine = machine();
        let events = Script::of([added("pci:v1")]);
        go_on(Loader::new(machine.clone(), ""), &events, &AtomicBool::new(true));
        assert_eq!(machine.calls_of("load_module"), [""; 0]);
    }

    #[test]
    fn lost_events_are_made_good_by_a_look_at_all_devices() {
        let machine = machine();
        let mut loader = Loader::new(machine.clone(), "");
        machine.put("/sys/devices/pci0/modalias", "pci:v2\n");
        loader.settle(&Script::of([DeviceEvent::Lost, DeviceEvent::Quiet]), &Manual::default()).unwrap();
        assert_eq!(loader.loaded, ["b"]);
    }

    /// A device that comes and goes for ever.
    #[derive(Debug)]
    struct Restless(std::sync::Mutex<Arc<std::sync::atomic::AtomicU64>>);

    impl DeviceEvents for Restless {
        fn next(&self, within: Duration) -> io::Result<DeviceEvent> {
            assert!(within <= QUIET);
            self.0.lock().unwrap().fetch_add(150, Ordering::Relaxed);
            Ok(DeviceEvent::Other)
        }
    }

    struct Shared(Arc<std::sync::atomic::AtomicU64>);

    impl Clock for Shared {
        fn now(&self) -> Duration {
            Duration::from_millis(self.0.load(Ordering::Relaxed))
        }

        fn sleep(&self, _: Duration) {}
    }

    #[test]
    fn a_boot_does_not_wait_for_ever_for_quiet() {
        let time = Arc::default();
        let events = Restless(std::sync::Mutex::new(Arc::clone(&time)));
        Loader::new(machine(), "").settle(&events, &Shared(Arc::clone(&time))).unwrap();
        assert_eq!(time.load(Ordering::Relaxed), 3_000);
    }
}
