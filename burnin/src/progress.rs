//! What a person sees while it runs, on standard error: bars on a terminal, a line for each event elsewhere.

use std::collections::HashMap;
use std::io::{IsTerminal as _, Write as _};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use report::{CheckId, CheckResult, DeviceId, Outcome, Subject};

/// Watches a burn-in.
pub trait Watch {
    /// A check begins on a device.
    fn started(&mut self, device: &DeviceId, check: &CheckId);
    /// A check is so far, 0 to 1.
    fn progress(&mut self, device: &DeviceId, check: &CheckId, share: f64);
    /// A check is over.
    fn finished(&mut self, result: &CheckResult);
    /// Something worth a line.
    fn note(&mut self, text: &str);
}

/// The watch that fits standard error.
pub fn for_stderr(quiet: bool) -> Box<dyn Watch> {
    match (quiet, std::io::stderr().is_terminal()) {
        (true, _) => Box::new(Silent),
        (false, true) => Box::new(Bars::default()),
        (false, false) => Box::new(Lines),
    }
}

/// Shows nothing.
#[derive(Clone, Copy, Debug)]
pub struct Silent;

impl Watch for Silent {
    fn started(&mut self, _: &DeviceId, _: &CheckId) {}
    fn progress(&mut self, _: &DeviceId, _: &CheckId, _: f64) {}
    fn finished(&mut self, _: &CheckResult) {}
    fn note(&mut self, _: &str) {}
}

/// A line for each start and end: for files and serial consoles.
#[derive(Clone, Copy, Debug)]
pub struct Lines;

impl Watch for Lines {
    fn started(&mut self, device: &DeviceId, check: &CheckId) {
        line(&format!("run    {check} on {device}"));
    }
    fn progress(&mut self, _: &DeviceId, _: &CheckId, _: f64) {}
    fn finished(&mut self, result: &CheckResult) {
        line(&ended(result));
    }
    fn note(&mut self, text: &str) {
        line(&format!("note   {text}"));
    }
}

fn line(text: &str) {
    // Standard error that is gone must not stop a burn-in.
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn ended(result: &CheckResult) -> String {
    let subject = match &result.subject {
        Subject::Node => "node".to_owned(),
        Subject::Device(id) => id.to_string(),
    };
    let word = match result.outcome {
        Outcome::Pass => "ok".to_owned(),
        other => other.as_str().to_uppercase(),
    };
    let reason = result.reason.as_ref().map(|r| format!("  {}: {}", r.code, r.detail)).unwrap_or_default();
    let text = format!("{word:<6} {} on {subject}, {:.1} s{reason}", result.check, result.took_s.get());
    report::text::clean(&text)
}

/// A bar for each device.
#[derive(Debug, Default)]
struct Bars {
    all: MultiProgress,
    bars: HashMap<DeviceId, ProgressBar>,
}

/// Steps of a bar.
const STEPS: u64 = 100;

impl Bars {
    fn bar(&mut self, device: &DeviceId) -> &ProgressBar {
        let all = &self.all;
        self.bars.entry(device.clone()).or_insert_with(|| {
            let style = ProgressStyle::with_template("{prefix:<14} {bar:24} {msg} {elapsed}")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            all.add(ProgressBar::new(STEPS).with_style(style).with_prefix(device.to_string()))
        })
    }
}

impl Watch for Bars {
    fn started(&mut self, device: &DeviceId, check: &CheckId) {
        let bar = self.bar(device);
        bar.set_position(0);
        bar.set_message(check.to_string());
    }

    fn progress(&mut self, device: &DeviceId, _: &CheckId, share: f64) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=100")]
        let position = (share.clamp(0.0, 1.0) * 100.0) as u64;
        self.bar(device).set_position(position);
    }

    fn finished(&mut self, result: &CheckResult) {
        let _ = self.all.println(ended(result));
        if let Subject::Device(device) = &result.subject {
            self.bar(device).set_position(STEPS);
        }
    }

    fn note(&mut self, text: &str) {
        let _ = self.all.println(text);
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        for bar in self.bars.values() {
            bar.finish_and_clear();
        }
    }
}
