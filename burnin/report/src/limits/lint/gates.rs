//! Tables that others publish. A gate must be what its origin gives, within a band below the peak, and near its siblings.

use super::stated::is_unit_slip;
use super::{Finding, Findings, Problem};
use crate::limits::gates::{Gate, GateRow, GateTable};

/// A gate below this share of the peak proves nothing, and is a slip more often than a choice.
const BAND_LOW: f64 = 0.30;

/// How far a gate may be from lab figure x factor: tables round.
const ORIGIN_TOLERANCE: f64 = 0.05;

/// How far a gate may be from the middle of its siblings. Boards with one chip differ by up to 4.3 (GB100 to GB102).
const SIBLING_FACTOR: f64 = 5.0;

/// How many siblings make a middle.
const SIBLINGS_MIN: usize = 2;

/// How much more the board with less power may be held to: two measurements of one thing differ by this.
const ORDER_TOLERANCE: f64 = 0.05;

/// Every finding in a published table.
pub fn of_gates(table: &GateTable) -> Vec<Finding> {
    let mut findings = Findings::new(&table.name);
    for (index, row) in table.rows.iter().enumerate() {
        let times = 1 + table.rows.iter().take(index).filter(|other| other.key == row.key).count();
        #[expect(clippy::cast_precision_loss, reason = "a table has far fewer than 2^52 rows")]
        findings.add_if(times > 1, &row.key, Problem::Duplicate, (times as f64, 1.0));
        if let Some(width) = row.width_min {
            let name = format!("{}.width_min", row.key);
            findings.add_if(width <= 1, &name, Problem::WidthWithoutMeaning, (width.into(), 16.0));
        }
        for gate in &row.gates {
            origin(&mut findings, row, gate);
            peak(&mut findings, table, row, gate);
            siblings(&mut findings, table, row, gate);
            order(&mut findings, table, row, gate);
        }
    }
    findings.all
}

fn place(row: &GateRow, gate: &Gate) -> String {
    format!("{}.{}", row.key, gate.metric)
}

fn origin(findings: &mut Findings<'_>, row: &GateRow, gate: &Gate) {
    let Some((lab, factor)) = gate.lab.zip(gate.factor) else { return };
    let (found, origin) = (gate.gate.get(), lab.get() * factor.get());
    let name = place(row, gate);
    findings.add_if(factor.get() > 1.0, &name, Problem::FractionAboveOne, (factor.get(), 1.0));
    // Written so that a ratio that is no number counts as different.
    let same = (found / origin - 1.0).abs() <= ORIGIN_TOLERANCE;
    findings.add_if(!same, &name, Problem::DiffersFromOrigin, (found, origin));
}

fn peak(findings: &mut Findings<'_>, table: &GateTable, row: &GateRow, gate: &Gate) {
    let Some(peak) = table.peak_of(row, gate) else { return };
    let (name, found) = (place(row, gate), gate.gate.get());
    if gate.peak.is_some() {
        findings.source(&name, gate.peak_source.as_deref().unwrap_or_default());
    }
    // Nobody measures more than there is: the lab figure or the name of the GPU is wrong.
    if let Some(lab) = gate.lab.map(|lab| lab.get()) {
        findings.add_if(lab > peak, &format!("{name}.lab"), Problem::AbovePhysical, (lab, peak));
    }
    // The gate of a slip of 1000 is itself within the band of the peak in the other unit.
    let in_band = |gate: f64| (BAND_LOW..=1.0).contains(&(gate / peak));
    if found > peak {
        let slipped = in_band(found / 1e3) || in_band(found / 1e6);
        let problem = if slipped { Problem::UnitSlip } else { Problem::AbovePhysical };
        findings.add(name, problem, found, peak);
    } else if in_band(found * 1e3) || in_band(found * 1e6) || is_unit_slip(found / peak) {
        findings.add(name, Problem::UnitSlip, found, peak);
    } else if !in_band(found) {
        findings.add(name, Problem::BelowBand, found, peak);
    }
}

fn siblings(findings: &mut Findings<'_>, table: &GateTable, row: &GateRow, gate: &Gate) {
    if row.family.is_none() {
        return;
    }
    let others = table.rows.iter().filter(|other| other.family == row.family && other.key != row.key);
    let gates = others.flat_map(|other| &other.gates).filter(|other| other.metric == gate.metric);
    let mut values: Vec<f64> = gates.map(|other| other.gate.get()).collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() < SIBLINGS_MIN {
        return;
    }
    let median = if values.len() % 2 == 1 {
        values[middle]
    } else {
        f64::midpoint(values[middle - 1], values[middle])
    };
    let found = gate.gate.get();
    let near = found <= median * SIBLING_FACTOR && median <= found * SIBLING_FACTOR;
    findings.add_if(!near, &place(row, gate), Problem::OutlierAmongSiblings, (found, median));
}

fn order(findings: &mut Findings<'_>, table: &GateTable, row: &GateRow, gate: &Gate) {
    let full = table.rows.iter().find(|other| Some(&other.key) == row.reduced_from.as_ref());
    let full = full.and_then(|full| full.gates.iter().find(|other| other.metric == gate.metric));
    if let Some(full) = full.map(|full| full.gate.get()) {
        let found = gate.gate.get();
        let more = found > full * (1.0 + ORDER_TOLERANCE);
        findings.add_if(more, &place(row, gate), Problem::OrderReversed, (found, full));
    }
}
