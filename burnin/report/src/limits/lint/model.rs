//! Our own table: each figure has a source, and each stated rate follows from the others.

use std::collections::BTreeMap;

use super::stated::compare;
use super::{Finding, Findings, Problem};
use crate::limits::{Figure, Metric, Model, Reach, metric::Bound};

/// Every finding in a table of models: those of each file, and PCI numbers that two of them claim.
pub fn of_models<'a>(models: impl IntoIterator<Item = (&'a str, &'a Model)>) -> Vec<Finding> {
    let mut all = Vec::new();
    let mut seen = BTreeMap::<_, f64>::new();
    for (file, model) in models {
        all.extend(of_model(file, model));
        let mut findings = Findings::new(file);
        for listed in &model.pci_ids {
            let times = seen.entry(listed.id).or_default();
            *times += 1.0;
            findings.add_if(
                *times > 1.0,
                &format!("pci_ids {}", listed.id),
                Problem::Duplicate,
                (*times, 1.0),
            );
        }
        all.append(&mut findings.all);
    }
    all
}

/// Every finding in one model.
pub fn of_model(file: &str, model: &Model) -> Vec<Finding> {
    let mut findings = Findings::new(file);
    figures(&mut findings, model);
    rates(&mut findings, model);
    memory(&mut findings, model);
    links(&mut findings, model);
    findings.all
}

fn figures(findings: &mut Findings<'_>, model: &Model) {
    for listed in &model.pci_ids {
        findings.source(&format!("pci_ids {}", listed.id), &listed.source);
    }
    let mut one = |name: &str, figure: &Figure| {
        findings.source(name, &figure.source);
        let value = figure.value.get();
        findings.add_if(value <= 0.0, name, Problem::NotAFigure, (value, f64::INFINITY));
    };
    one("units", &model.units);
    one("clock_max_hz", &model.clock_max_hz);
    one("clock_rated_hz", &model.clock_rated_hz);
    one("l2_bytes", &model.l2_bytes);
    one("power_w", &model.power_w);
    one("memory.clock_hz", &model.memory.clock_hz);
    one("memory.bus_bits", &model.memory.bus_bits);
    one("memory.stated_per_s", &model.memory.stated_per_s);
    let (rated, max) = (model.clock_rated_hz.value.get(), model.clock_max_hz.value.get());
    findings.add_if(rated > max, "clock_rated_hz", Problem::AbovePhysical, (rated, max));
}

fn rates(findings: &mut Findings<'_>, model: &Model) {
    for (index, rate) in model.rates.iter().enumerate() {
        let metric = rate.metric;
        let name = format!("rates.{metric}");
        findings.source(&name, &rate.source);
        let before = model.rates.iter().take(index).filter(|other| other.metric == metric).count();
        findings.add_if(before > 0, &name, Problem::Duplicate, (2.0, 1.0));
        // A rate of what the compute units do not bound has its formula elsewhere.
        let formula = (metric.bound() == Bound::Compute).then(|| model.rated(metric)).flatten();
        let Some(formula) =
            formula.map(|formula| formula.per_s()).filter(|peak| peak.is_finite() && *peak > 0.0)
        else {
            findings.add(name, Problem::NotAFigure, rate.per_clock.get(), f64::INFINITY);
            continue;
        };
        if let Some(stated) = rate.stated_per_s {
            stated_beside(findings, &name, (stated.get(), formula), true);
        }
        reach(findings, model, metric, rate.reach.as_ref());
    }
}

fn memory(findings: &mut Findings<'_>, model: &Model) {
    let memory = &model.memory;
    let formula = model.rated(Metric::Read).map_or(0.0, |formula| formula.per_s());
    stated_beside(findings, "memory.stated_per_s", (memory.stated_per_s.value.get(), formula), false);
    for (metric, of) in
        [(Metric::Read, &memory.read), (Metric::Write, &memory.write), (Metric::Copy, &memory.copy)]
    {
        reach(findings, model, metric, of.as_ref());
    }
}

fn links(findings: &mut Findings<'_>, model: &Model) {
    let pcie = &model.pcie;
    findings.source("pcie", &pcie.source);
    findings.add_if(
        ![1, 2, 4, 8, 16].contains(&pcie.width),
        "pcie.width",
        Problem::NotAFigure,
        (pcie.width.into(), 16.0),
    );
    match (model.rated(Metric::H2d), pcie.stated_per_s) {
        (None, _) => findings.add("pcie.generation", Problem::UnknownPcie, pcie.generation.into(), 5.0),
        (Some(formula), Some(stated)) => {
            stated_beside(findings, "pcie.stated_per_s", (stated.get(), formula.per_s()), false);
        }
        (Some(_), None) => {}
    }
    if let Some((peer, formula)) = model.peer.as_ref().zip(model.rated(Metric::Peer)) {
        findings.source("peer", &peer.source);
        stated_beside(findings, "peer.stated_per_s", (peer.stated_per_s.get(), formula.per_s()), false);
    }
}

fn stated_beside(
    findings: &mut Findings<'_>,
    name: &str,
    (stated, formula): (f64, f64),
    may_be_sparse: bool,
) {
    if let Some(problem) = compare(stated, formula, may_be_sparse) {
        findings.add(name, problem, stated, formula);
    }
}

/// A share of what is rated may not be above one, and what it makes may not be above what is physical.
fn reach(findings: &mut Findings<'_>, model: &Model, metric: Metric, reach: Option<&Reach>) {
    let Some(Reach { low, high, reason, source }) = reach else { return };
    let name = format!("reach of {metric}");
    findings.source(&name, source);
    findings.source(&name, reason);
    let (low, high) = (low.get(), high.get());
    findings.add_if(low <= 0.0, &name, Problem::NotAFigure, (low, 1.0));
    findings.add_if(high > 1.0, &name, Problem::FractionAboveOne, (high, 1.0));
    findings.add_if(low > high, &name, Problem::RangeReversed, (low, high));
    if let Some((rated, physical)) = model.rated(metric).zip(model.physical(metric)) {
        let (reached, peak) = (rated.per_s() * high, physical.per_s());
        findings.add_if(reached > peak, &name, Problem::AbovePhysical, (reached, peak));
    }
}
