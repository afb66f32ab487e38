//! The boot of a node, from the kernel's hand-over to the inventory's acknowledgement.
//!
//! [`Boot::run`] always comes to an end that is a [`Power`]: registered, or a typed reason on the console and in the
//! kernel's log, and the policy for it. What fails on the way and is not needed becomes a remark.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use crate::cgroup::Cell;
use crate::clock::Clock;
use crate::config::{self, Config, Mistakes, Setting, source};
use crate::console::Console;
use crate::evidence::Evidence;
use crate::image::{Image, ImageError};
use crate::modules::late::Late;
use crate::modules::{Loader, nvidia};
use crate::mount;
use crate::phase::{Code, Failure, Phase, chain};
use crate::power::Power;
use crate::progress::{PHASE_MAX, Progress};
use crate::register::Registration;
use crate::stages::{Online, Stages};
use crate::system::System;
use crate::watchdog;

mod code;

use code::code_of;

/// No image is used for longer.
const IMAGE_AGE_MAX: Duration = Duration::from_secs(20 * 365 * 24 * 3600);

/// A boot under way.
pub struct Boot<'a> {
    system: Arc<dyn System>,
    stages: &'a dyn Stages,
    clock: &'a dyn Clock,
    progress: Arc<Progress>,
    console: Console,
    command_line: String,
    settings: Vec<Setting>,
    config: Config,
    image: Image,
}

impl std::fmt::Debug for Boot<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Boot").field("progress", &self.progress).finish_non_exhaustive()
    }
}

impl<'a> Boot<'a> {
    /// Nothing is done yet.
    pub fn new(
        system: Arc<dyn System>,
        stages: &'a dyn Stages,
        clock: &'a dyn Clock,
        progress: Arc<Progress>,
    ) -> Self {
        let console = Console::first(Arc::clone(&system));
        let (command_line, settings) = (String::new(), Vec::new());
        let (config, image) = (Config::default(), Image::default());
        Self { system, stages, clock, progress, console, command_line, settings, config, image }
    }

    /// Boots, and says what is to become of the machine.
    pub fn run(mut self) -> (Power, Console) {
        let power = match self.boot() {
            Ok(registration) => self.succeed(&registration),
            Err(failure) => self.fail(&failure),
        };
        (power, self.console)
    }

    /// The story.
    fn boot(&mut self) -> Result<Registration, Failure> {
        self.enter(Phase::Mount);
        self.mount()?;
        self.open_consoles();
        self.take_over();
        self.enter(Phase::Config);
        self.read_settings();
        self.configure()?;
        self.enter(Phase::Image);
        self.check_image()?;
        self.lift_clock();
        self.enter(Phase::Modules);
        let _late = self.load_modules();
        let evidence = self.look_back();
        self.enter(Phase::Network);
        let online = self.stages.network(&self.config, self.clock)?;
        self.adopt(&online)?;
        self.name_node(&online);
        self.enter(Phase::Clock);
        self.set_clock(&online);
        self.enter(Phase::Register);
        let registration = self.register()?;
        // The copy lies in memory: where that ends with this boot, the platform's stays.
        if self.config.on_done == Power::Hold {
            evidence.settle(&*self.system).iter().for_each(|remark| self.remark(remark));
        }
        Ok(registration)
    }

    fn enter(&self, phase: Phase) {
        let own = if phase == Phase::Network { self.config.net_timeout } else { Duration::ZERO };
        self.progress.enter(phase, own + PHASE_MAX);
        self.console.say(&format!("phase {phase}"));
    }

    fn remark(&self, text: &str) {
        warn!("{text}");
        self.console.log(text);
    }

    fn mount(&self) -> Result<(), Failure> {
        let remarks = mount::mount_all(&*self.system)
            .map_err(|error| Failure::new(Phase::Mount, Code::Mount, error))?;
        remarks.iter().for_each(|remark| self.remark(remark));
        Ok(())
    }

    fn open_consoles(&mut self) {
        if let Err(error) = self.console.open() {
            self.remark(&format!("opening the console: {error}"));
        }
    }

    /// What only PID 1 decides for the whole machine.
    fn take_over(&self) {
        const SETTINGS: &[(&str, &str)] = &[
            // A panic leaves its trace, then the machine starts again, and the next boot reports it.
            ("/proc/sys/kernel/panic", "10\n"),
            ("/proc/sys/kernel/panic_on_oops", "1\n"),
            // The image has no room for memory images, and a file of one could hold the token.
            ("/proc/sys/kernel/core_pattern", "\n"),
            ("/proc/sys/kernel/modprobe", "/sbin/modprobe\n"),
        ];
        for (path, value) in SETTINGS {
            if let Err(error) = self.system.write(Path::new(path), value.as_bytes()) {
                self.remark(&format!("writing `{path}`: {error}"));
            }
        }
        if let Err(error) = self.system.take_ctrl_alt_del() {
            self.remark(&format!("taking over ctrl-alt-del: {error}"));
        }
        match self.system.random_is_ready() {
            Ok(true) => {}
            Ok(false) => self.remark("the kernel's random numbers are not ready yet: TLS will wait for them"),
            Err(error) => self.remark(&format!("asking for random numbers: {error}")),
        }
    }

    fn text(&self, path: &str) -> io::Result<String> {
        Ok(String::from_utf8_lossy(&self.system.read(Path::new(path))?).into_owned())
    }

    fn read_settings(&mut self) {
        match self.text("/proc/cmdline") {
            Ok(text) => self.command_line = text,
            Err(error) => self.remark(&format!("reading `/proc/cmdline`: {error}")),
        }
        let site = match self.text(config::SITE_FILE) {
            Ok(text) => text,
            Err(error) => {
                self.remark(&format!("reading `{}`: {error}", config::SITE_FILE));
                String::new()
            }
        };
        self.settings = source::from_file(&site);
        self.settings.extend(source::from_command_line(&self.command_line));
    }

    /// Reads all settings so far. The policies hold even where something else is wrong.
    fn configure(&mut self) -> Result<(), Failure> {
        let (config, mistakes) = Config::from_settings(self.settings.clone());
        self.progress.set_policy(config.on_failure);
        self.config = config;
        self.config.boot_mac = source::boot_mac(&self.command_line);
        if let Some(level) = &self.config.log {
            self.stages.log(level);
        }
        if mistakes.is_empty() {
            Ok(())
        } else {
            Err(Failure::new(self.progress.phase(), Code::Config, Mistakes(mistakes)))
        }
    }

    /// An image without a description is one that somebody made by hand: it may boot.
    fn check_image(&mut self) -> Result<(), Failure> {
        let image = match Image::read(&*self.system) {
            Ok(image) => image,
            Err(error @ ImageError::Read(_)) => {
                self.remark(&chain(&error));
                return Ok(());
            }
            Err(error) => return Err(Failure::new(Phase::Image, Code::Image, error)),
        };
        image.check(&*self.system).map_err(|error| Failure::new(Phase::Image, Code::Image, error))?;
        self.image = image;
        Ok(())
    }

    /// No time before the build of the image is true, and none a generation after it: certificates would be refused for
    /// it. The next boot's clock may be wrong too, so the hardware's own is left alone.
    fn lift_clock(&self) {
        let floor = self.image.built();
        let now = self.system.wall_clock().unwrap_or_default();
        if floor.is_zero() || (floor..floor + IMAGE_AGE_MAX).contains(&now) {
            return;
        }
        match self.system.set_wall_clock(floor) {
            Ok(()) => {
                let wrong = now.as_secs();
                self.remark(&format!(
                    "the clock was at {wrong} s since 1970, which cannot be: set to the build of the image"
                ));
            }
            Err(error) => self.remark(&format!("setting the clock: {error}")),
        }
    }

    /// By what the site names, else by what DHCP names. Without an answer the clock stays: TLS will say so if it is wrong.
    fn set_clock(&self, online: &Online) {
        let named = online.ntp.iter().map(ToString::to_string);
        let servers: Vec<String> = self.config.ntp.iter().cloned().chain(named).collect();
        let offset = match self.stages.time(&servers, self.image.built(), self.clock) {
            Ok(offset) => offset,
            Err(reasons) => {
                reasons.iter().for_each(|reason| self.remark(&format!("no time from {reason}")));
                return;
            }
        };
        let set = self.system.wall_clock().and_then(|now| {
            let right = if offset.behind { Some(now + offset.by) } else { now.checked_sub(offset.by) };
            right.map_or(Ok(()), |right| self.system.set_wall_clock(right))
        });
        match set {
            Ok(()) => info!(seconds = offset.by.as_secs_f64(), behind = offset.behind, "the clock is set"),
            Err(error) => self.remark(&format!("setting the clock: {error}")),
        }
    }

    /// Drivers for what is there, and for what comes within moments; later devices get theirs in the background for as
    /// long as the answer is kept.
    fn load_modules(&self) -> Option<Late> {
        let events = self.system.listen_for_devices();
        let mut loader = Loader::new(Arc::clone(&self.system), &self.command_line);
        loader.cold_plug();
        // It is no device's driver: memory of the firmware that outlives a reset. Where there is none, it is not loaded.
        loader.load_by_name("efi_pstore");
        let settled = events.and_then(|events| loader.settle(&*events, self.clock).map(|()| events));
        let nodes = nvidia::complete(&mut loader, &*self.system);
        loader.remarks.extend(nodes);
        std::mem::take(&mut loader.remarks).iter().for_each(|remark| self.remark(remark));
        info!(count = loader.loaded.len(), "modules loaded");
        match settled.and_then(|events| Late::spawn(loader, events)) {
            Ok(late) => Some(late),
            Err(error) => {
                self.remark(&format!("devices that come later get no driver: {error}"));
                None
            }
        }
    }

    /// How the boot before this one ended, from what it left; drivers of that memory are loaded by now.
    fn look_back(&self) -> Evidence {
        let evidence = Evidence::collect(&*self.system);
        evidence.remarks.iter().for_each(|remark| self.remark(remark));
        for record in &evidence.records {
            let (name, bytes) = (&record.name, record.bytes.len());
            self.console.log(&format!("record {name}, {bytes} bytes, sha256 {}", record.digest()));
        }
        let watchdog_bit = watchdog::bit_before(&*self.system) == Some(true);
        if let Some(finding) = evidence.finding(watchdog_bit) {
            self.console.say(&finding);
        }
        evidence
    }

    /// Takes the network's settings in between the image's and the command line's.
    fn adopt(&mut self, online: &Online) -> Result<(), Failure> {
        self.settings.extend(source::from_dhcp(online.settings.clone()));
        self.configure()
    }

    fn name_node(&self, online: &Online) {
        if let Some(name) = self.config.hostname.as_ref().or(online.hostname.as_ref())
            && let Err(error) = self.system.set_hostname(name)
        {
            self.remark(&format!("naming this node: {error}"));
        }
    }

    fn register(&self) -> Result<Registration, Failure> {
        let options = self
            .config
            .register_options()
            .map_err(|mistakes| Failure::new(Phase::Config, Code::Config, mistakes))?;
        let cell = match Cell::make(Arc::clone(&self.system)) {
            Ok(cell) => Some(cell),
            Err(error) => {
                self.remark(&format!("the burn-in's memory is not bounded: {}", chain(&error)));
                None
            }
        };
        self.stages
            .register(&options, &*self.progress, cell.as_ref())
            .map_err(|error| Failure::new(Phase::Register, code_of(&error), error))
    }

    fn succeed(&self, registration: &Registration) -> Power {
        self.progress.enter(Phase::Done, PHASE_MAX);
        self.console.say(&self.progress.table());
        self.console.say(&format!("registered {} {}", registration.node_id, registration.ack.state));
        self.progress.rest();
        self.config.on_done
    }

    fn fail(&self, failure: &Failure) -> Power {
        self.console.say(&self.progress.table());
        self.console.say(&format!("failed {failure}"));
        self.progress.rest();
        let power = self.config.on_failure;
        if power != Power::Hold {
            // So that somebody can read it.
            self.clock.sleep(self.config.after);
        }
        power
    }
}

#[cfg(test)]
mod tests;
