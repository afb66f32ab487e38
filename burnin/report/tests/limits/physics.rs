//! Our own table holds, and whatever is pushed beyond physics is found: in the table and in a plan.

use proptest::prelude::*;
use report::limits::lint::{Finding, Problem, of_model, of_models, of_plan};
use report::limits::model::ListedId;
use report::limits::{Metric, Model, table};
use report::plan::Limit;
use report::{Plan, Quantity};

use super::{model, physical};

fn quantity(value: f64) -> Quantity {
    Quantity::new(value).unwrap()
}

fn found(findings: &[Finding], figure: &str, problem: Problem) -> bool {
    findings.iter().any(|finding| finding.figure == figure && finding.problem == problem)
}

fn any_model() -> impl Strategy<Value = Model> {
    (0..table::built_in().len()).prop_map(|index| table::built_in()[index].1.clone())
}

fn plan_with(metric: Metric, fail_below_per_s: f64) -> Plan {
    let mut plan = Plan::built_in("quick").unwrap();
    let limit = Limit {
        metric: metric.to_string(),
        fail_below_per_s: quantity(fail_below_per_s),
        warn_below_per_s: quantity(fail_below_per_s),
        worst_to_median_min: quantity(0.8),
        clock_tolerance: quantity(0.05),
        samples_min: 8,
        source: "a test".into(),
    };
    plan.checks.iter_mut().for_each(|check| check.limits.clear());
    plan.checks[2].limits.push(limit);
    plan
}

#[test]
fn our_own_table_holds() {
    let findings = of_models(table::built_in().iter().map(|(file, model)| (*file, model)));
    let all: Vec<_> = findings.iter().map(ToString::to_string).collect();
    assert!(findings.is_empty(), "{all:#?}");
}

#[test]
fn every_built_in_plan_can_be_met_by_every_model() {
    for plan in Plan::names().map(|name| Plan::built_in(name).unwrap()) {
        for (_, model) in table::built_in() {
            assert_eq!(of_plan(&plan, model), [], "{} on {}", plan.name, model.name);
        }
    }
}

#[test]
fn a_plan_that_asks_an_h200_for_its_rate_with_sparsity_is_found() {
    let findings = of_plan(&plan_with(Metric::MatrixFp16, 1979e12), &model("H200 SXM"));
    assert!(found(&findings, "fp32.matrix-fp16.fail_below_per_s", Problem::AbovePhysical), "{findings:?}");
}

#[test]
fn a_plan_that_asks_an_h200_for_its_datasheet_through_vulkan_is_found() {
    let findings = of_plan(&plan_with(Metric::MatrixFp16, 989e12), &model("H200 SXM"));
    assert!(found(&findings, "fp32.matrix-fp16.fail_below_per_s", Problem::AboveReachable), "{findings:?}");
    assert_eq!(of_plan(&plan_with(Metric::MatrixFp16, 600e12), &model("H200 SXM")), []);
}

#[test]
fn a_share_above_one_and_a_limit_without_a_source_are_found_in_a_plan() {
    let mut plan = plan_with(Metric::Read, 1e12);
    let limit = &mut plan.checks[2].limits[0];
    (limit.worst_to_median_min, limit.source) = (quantity(80.0), " ".into());
    let findings = of_plan(&plan, &model("H200 SXM"));
    assert!(found(&findings, "fp32.read.worst_to_median_min", Problem::FractionAboveOne));
    assert!(found(&findings, "fp32.read.source", Problem::NoSource));
}

#[test]
fn a_dense_rate_that_is_the_one_with_sparsity_is_found_in_every_model() {
    for (file, model) in table::built_in() {
        for at in 0..model.rates.len() {
            let mut wrong = model.clone();
            let rate = &mut wrong.rates[at];
            let Some(stated) = rate.stated_per_s else { continue };
            rate.stated_per_s = Some(quantity(stated.get() * 2.0));
            let name = format!("rates.{}", rate.metric);
            let findings = of_model(file, &wrong);
            // Twice a rate that the datasheet rounded may be a little more than twice the formula's.
            let beyond = found(&findings, &name, Problem::SparseAsDense)
                || found(&findings, &name, Problem::AbovePhysical);
            assert!(beyond && findings.len() == 1, "{file}: {findings:?}");
        }
    }
}

#[test]
fn a_source_that_is_missing_is_found_wherever_it_is() {
    let right = model("H100 SXM");
    let empty = |change: fn(&mut Model)| {
        let mut wrong = right.clone();
        change(&mut wrong);
        of_model("h100-sxm.toml", &wrong)
    };
    assert!(found(&empty(|m| m.units.source.clear()), "units", Problem::NoSource));
    assert!(found(&empty(|m| m.rates[0].source.clear()), "rates.fp32", Problem::NoSource));
    assert!(found(&empty(|m| m.pcie.source.clear()), "pcie", Problem::NoSource));
    assert!(found(&empty(|m| m.pci_ids[0].source.clear()), "pci_ids 10de:2330", Problem::NoSource));
    assert!(found(&empty(|m| m.peer.as_mut().unwrap().source.clear()), "peer", Problem::NoSource));
    assert!(found(
        &empty(|m| m.memory.read.as_mut().unwrap().source.clear()),
        "reach of read",
        Problem::NoSource
    ));
}

#[test]
fn bandwidth_in_gib_a_gt_per_s_mix_up_and_peer_links_counted_both_ways_are_found() {
    let mut wrong = model("H200 SXM");
    wrong.memory.stated_per_s.value = quantity(physical(&wrong, Metric::Read) / 1.073_741_824);
    wrong.pcie.stated_per_s = Some(quantity(128e9));
    wrong.peer.as_mut().unwrap().stated_per_s = quantity(900e9);
    let findings = of_model("h200-sxm.toml", &wrong);
    assert!(found(&findings, "memory.stated_per_s", Problem::BinaryForDecimal), "{findings:?}");
    assert!(found(&findings, "pcie.stated_per_s", Problem::AbovePhysical), "{findings:?}");
    assert!(found(&findings, "peer.stated_per_s", Problem::AbovePhysical), "{findings:?}");
    wrong.pcie.generation = 6;
    assert!(found(&of_model("h200-sxm.toml", &wrong), "pcie.generation", Problem::UnknownPcie));
}

#[test]
fn a_pci_number_that_two_models_claim_and_a_metric_listed_twice_are_found() {
    let (first, mut second) = (model("H100 SXM"), model("H200 SXM"));
    second.pci_ids = vec![ListedId { ..first.pci_ids[0].clone() }];
    second.rates.push(second.rates[0].clone());
    let findings = of_models([("a", &first), ("b", &second)]);
    assert!(found(&findings, "pci_ids 10de:2330", Problem::Duplicate), "{findings:?}");
    assert!(found(&findings, "rates.fp32", Problem::Duplicate), "{findings:?}");
}

#[test]
fn figures_whose_product_overflows_are_no_figures() {
    let mut wrong = model("H200 SXM");
    wrong.units.value = quantity(f64::MAX);
    wrong.memory.bus_bits.value = quantity(f64::MAX);
    let findings = of_model("h200-sxm.toml", &wrong);
    assert!(found(&findings, "rates.fp32", Problem::NotAFigure), "{findings:?}");
    assert!(found(&findings, "memory.stated_per_s", Problem::NotAFigure), "{findings:?}");
}

proptest! {
    #[test]
    fn any_stated_rate_beyond_physics_is_found(model in any_model(), at in 0_usize..64, factor in 1.031..1e12_f64) {
        let mut wrong = model.clone();
        let at = at % wrong.rates.len();
        let metric = wrong.rates[at].metric;
        let formula = wrong.rated(metric).unwrap().per_s();
        wrong.rates[at].stated_per_s = Some(quantity(formula * factor));
        let findings = of_model("file", &wrong);
        prop_assert_eq!(findings.len(), 1);
        prop_assert_eq!(&findings[0].figure, &format!("rates.{metric}"));
        prop_assert_eq!((findings[0].found, findings[0].bound), (formula * factor, formula));
    }

    #[test]
    fn any_bandwidth_beyond_physics_is_found(model in any_model(), factor in 1.031..1e12_f64) {
        let mut wrong = model.clone();
        wrong.memory.stated_per_s.value = quantity(physical(&model, Metric::Read) * factor);
        wrong.pcie.stated_per_s = Some(quantity(physical(&model, Metric::H2d) * factor));
        prop_assert_eq!(of_model("file", &wrong).len(), 2);
        if let Some(peer) = &mut wrong.peer {
            peer.stated_per_s = quantity(physical(&model, Metric::Peer) * factor);
            prop_assert_eq!(of_model("file", &wrong).len(), 3);
        }
    }

    #[test]
    fn any_share_above_one_is_found(model in any_model(), at in 0_usize..64, high in 1.000_001..1e6_f64) {
        let mut wrong = model.clone();
        let with_reach: Vec<_> = (0..wrong.rates.len()).filter(|at| wrong.rates[*at].reach.is_some()).collect();
        prop_assume!(!with_reach.is_empty());
        let rate = &mut wrong.rates[with_reach[at % with_reach.len()]];
        rate.reach.as_mut().unwrap().high = quantity(high);
        let name = format!("reach of {}", rate.metric);
        prop_assert!(found(&of_model("file", &wrong), &name, Problem::FractionAboveOne));
    }

    #[test]
    fn any_limit_of_a_plan_beyond_physics_is_found_and_none_that_can_be_reached(
        model in any_model(), metric in prop::sample::select(Metric::ALL.to_vec()), share in 1e-6..1e6_f64
    ) {
        let Ok(bounds) = model.bounds(metric) else { return Ok(()) };
        let (peak, floor) = (bounds.physical.per_s(), bounds.physical.per_s() * share);
        let high = bounds.reachable.map_or(peak, |reachable| reachable.high_per_s());
        let findings = of_plan(&plan_with(metric, floor), &model);
        let problem = if floor > peak { Some(Problem::AbovePhysical) } else { (floor > high).then_some(Problem::AboveReachable) };
        // `fail` and `warn` each.
        prop_assert_eq!(findings.iter().map(|f| f.problem).collect::<Vec<_>>(), problem.map_or(vec![], |p| vec![p; 2]));
    }
}
