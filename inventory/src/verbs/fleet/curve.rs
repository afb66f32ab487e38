//! `inventory fleet curve`: what the fleet rule finds, and what it names wrongly, on simulated fleets.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use inventory::fleet::Rule;
use inventory::fleet::curve::{Point, measure, svg, table};
use inventory::fleet::simulated::{Fault, Fleet};

/// Measure the fleet rule on simulated fleets: slow nodes found, healthy ones named
#[derive(Debug, Args)]
pub(crate) struct Curve {
    /// Sizes of the fleets
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "8,16,32,64,256")]
    nodes: Vec<usize>,
    /// By how many percent one node in twenty is slower
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1,2,3,4,5,6,7,8,9,10")]
    slowdown: Vec<u32>,
    /// How many nodes to simulate for each point
    #[arg(long, value_name = "N", default_value_t = 25_600)]
    simulated: usize,
    /// What is slow
    #[arg(long, value_enum, default_value_t = Kind::Node)]
    fault: Kind,
    /// Spread between nodes in percent, the least and the most
    #[arg(long, value_name = "PERCENT", num_args = 2, default_values_t = [1.0, 1.5])]
    spread: Vec<f64>,
    /// Heaviness of the tails: degrees of freedom of Student's distribution
    #[arg(long, value_name = "N", default_value_t = 8)]
    tails: u32,
    /// One metric on one device for each node, instead of eight metrics on eight devices
    #[arg(long)]
    one_figure: bool,
    /// Where the random figures begin
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Draw the curve into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// What is slow.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// A node, in all that its compute units bound
    Node,
    /// One device of a node
    Device,
    /// One device in one window of six
    Dips,
}

impl Curve {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let fault = match self.fault {
            Kind::Node => Fault::Node,
            Kind::Device => Fault::Device,
            Kind::Dips => Fault::Dips,
        };
        let (low, high) = (self.spread[0] / 100.0, self.spread[1] / 100.0);
        let mut fleet = Fleet { spread: (low, high), tails: self.tails.max(3), ..Fleet::default() };
        if self.one_figure {
            fleet = Fleet { devices: 1, compute: 1, memory: 0, ..fleet };
        }
        let mut points: Vec<Point> = Vec::new();
        for nodes in self.nodes {
            for percent in &self.slowdown {
                writeln!(io::stderr(), "inventory: {nodes} nodes, one in twenty {percent} % slower")?;
                let (fleet, fleets) = (Fleet { nodes, ..fleet }, self.simulated.div_ceil(nodes.max(1)));
                points.push(measure(
                    &fleet,
                    &Rule::default(),
                    fault,
                    f64::from(*percent) / 100.0,
                    fleets,
                    self.seed,
                ));
            }
        }
        if let Some(path) = self.svg {
            std::fs::write(&path, svg(&points)).with_context(|| format!("writing `{}`", path.display()))?;
        }
        io::stdout().lock().write_all(table(&points).as_bytes())?;
        Ok(ExitCode::SUCCESS)
    }
}
