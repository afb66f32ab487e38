//! Power comes back: a whole fleet wants in at once. Each node enrols, burns in and hands in its report, on a connection
//! of its own each time, as `node-init` does.

use std::path::PathBuf;
use std::time::Duration;

use super::figures::{Figures, Quantiles};
use super::fleet::FleetOptions;
use super::site::{SimulateError, Site, demand_kept, demand_verdicts, waits};

/// Longest time from the first attempt to the answer that one request in a hundred may exceed.
const ACK_P99_MAX: Duration = Duration::from_secs(5);
/// Most resident memory of the server.
const RESIDENT_MAX_MIB: u64 = 512;
/// How long stragglers may take after the last node is on.
const GRACE: Duration = Duration::from_secs(120);

/// Runs it.
pub async fn run(options: FleetOptions, dir: &PathBuf) -> Result<Figures, SimulateError> {
    let mut figures = Figures::of("storm", options.seed);
    let (nodes, window, burn_in) = (options.nodes, options.window, options.burn_in);
    let site = Site::new(options, dir, &[]).await?;
    let took = site.live_all(window + burn_in + GRACE).await?;
    let fleet = std::sync::Arc::clone(&site.fleet);
    let (told, found) = site.settle(&mut figures).await?;
    figures.row("nodes", nodes);
    figures.row("GPUs in a report", fleet.options().gpus);
    figures.row("size of a report", format!("{} B", fleet.report_bytes()));
    figures.row("powered on within", format!("{:.1} s", window.as_secs_f64()));
    figures.row("all done after", format!("{:.1} s", took.as_secs_f64()));
    figures.row("connections tried", told.counts.attempts);
    waits(&mut figures, &told);
    demand_verdicts(&mut figures, &fleet, &told.acknowledged);
    demand_kept(&mut figures, &told.acknowledged, &found);
    let registered = told.acknowledged.len();
    figures.demand("registered", registered, nodes, registered == nodes);
    for (what, durations) in [("enrolment p99", &told.enrol), ("report p99", &told.report)] {
        let p99 = Quantiles::of(durations).p99_ms;
        let met = p99 <= ACK_P99_MAX.as_secs_f64() * 1e3;
        figures.demand(what, format!("{p99:.0} ms"), format!("at most {} s", ACK_P99_MAX.as_secs()), met);
    }
    let peak = figures.server.resident_peak_mib;
    let asked = format!("at most {RESIDENT_MAX_MIB} MiB");
    figures.demand("server's memory", format!("{peak} MiB"), asked, peak <= RESIDENT_MAX_MIB);
    Ok(figures)
}
