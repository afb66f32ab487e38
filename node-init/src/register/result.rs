//! The result of a registration, for people and for programs.

use std::fmt::Write as _;

use report::text::clean;
use report::wire::ReportAck;
use serde::Serialize;

use crate::exit::Exit;

/// A node that is registered.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Registration {
    /// Its name in the inventory.
    pub node_id: String,
    /// The boot that was registered.
    pub boot_id: String,
    /// Number of the report.
    pub sequence: u64,
    /// What the inventory said.
    pub ack: ReportAck,
}

impl Registration {
    /// The exit code that it gives.
    pub fn exit(&self) -> Exit {
        Exit::of(&self.ack)
    }

    /// As lines for people, ending in a newline.
    pub fn to_text(&self) -> String {
        let ReportAck { revision, verdict, state, pool, duplicate } = &self.ack;
        let pool = pool.as_ref().map(|pool| format!(" in pool {}", clean(pool))).unwrap_or_default();
        let again = if *duplicate { ", known already" } else { "" };
        let mut text = format!(
            "{}  {}{pool}\n  verdict {}, report {} of this boot, inventory revision {revision}{again}\n",
            clean(state).to_uppercase(),
            clean(&self.node_id),
            verdict.verdict,
            self.sequence,
        );
        for finding in &verdict.findings {
            let check = finding.check.as_ref().map_or("report", |check| check.as_str());
            let (subject, reason) = (clean(&finding.subject.to_string()), &finding.reason);
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {} {check} on {subject}: {}", finding.outcome, clean(&reason.detail));
            let _ = writeln!(text, "    {}: {}", clean(&reason.code), clean(&reason.action));
        }
        text
    }

    /// As one JSON document, ending in a newline.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self).map(|json| json + "\n")
    }
}
