//! `burnin list`: the devices there are, and what they offer.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use burnin::worker::{Job, supervise};
use report::{Backend, DeviceInfo};

use crate::{print, this_program};

pub(crate) fn act(backend: Backend, json: bool) -> Result<ExitCode> {
    let listed = supervise::list(&this_program()?, &Job::List { backend }, Duration::from_secs(30));
    let devices = listed
        .map_err(|message| anyhow::anyhow!(message))
        .with_context(|| format!("listing {backend} devices"))?;
    if json {
        print(&serde_json::to_string_pretty(&devices)?)?;
    } else if devices.is_empty() {
        print("no device: install a Vulkan driver (Debian: mesa-vulkan-drivers for a software device)")?;
    } else {
        print(&table(&devices))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn table(devices: &[DeviceInfo]) -> String {
    let mut text = format!("{:<14} {:<11} {:<40} {:>10}  driver\n", "id", "kind", "name", "memory");
    for d in devices {
        let (name, driver) = (report::text::clean(&d.name), report::text::clean(&d.driver));
        text += &format!("{:<14} {:<11} {name:<40} {:>10}  {driver}\n", d.id, d.kind, d.memory_bytes);
        text += &format!("{:<14} {}\n", "", offers(d));
        for shape in &d.matrix_shapes {
            text += &format!("{:<14} matrix {}\n", "", report::text::clean(&shape.to_string()));
        }
    }
    text
}

/// What the driver tells beyond the name; what it does not tell is left out.
fn offers(device: &DeviceInfo) -> String {
    let mut parts = Vec::new();
    parts.extend(device.units.map(|units| format!("{units} units")));
    parts.extend(device.subgroup_size.map(|size| format!("subgroups of {size}")));
    parts.push(if device.timestamps { "timestamps" } else { "no timestamps" }.to_owned());
    parts.extend(device.features.iter().map(|feature| report::text::clean(feature.as_str())));
    parts.join(", ")
}
