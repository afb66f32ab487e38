//! NVIDIA DCGM's table of gates: all 138 entries, of which the lint must find those that are wrong and no others.

use report::limits::gates::GateTable;
use report::limits::lint::{Finding, Problem, Severity, of_gates};

fn table() -> GateTable {
    toml::from_str(include_str!("dcgm-4.6.0.toml")).unwrap()
}

fn of(findings: &[Finding], figure: &str) -> Vec<Problem> {
    findings.iter().filter(|finding| finding.figure == figure).map(|finding| finding.problem).collect()
}

#[test]
fn every_error_of_the_published_table_is_found_and_nothing_in_the_rows_that_are_right() {
    use Problem::{
        AbovePhysical, BelowBand, DiffersFromOrigin, Duplicate, OrderReversed, OutlierAmongSiblings,
        UnitSlip, WidthWithoutMeaning,
    };
    let known: [(&str, &[Problem]); 16] = [
        ("2335.read", &[UnitSlip, OutlierAmongSiblings]),
        ("20b0.read", &[DiffersFromOrigin, BelowBand, OutlierAmongSiblings]),
        // The table measured 1,830 GB/s on a part that pci.ids calls A100 SXM4 40GB, of 1,555 GB/s at most.
        ("20b0.read.lab", &[AbovePhysical]),
        ("26b5.read", &[BelowBand, OutlierAmongSiblings]),
        ("2337.read", &[BelowBand, OutlierAmongSiblings]),
        ("2336.read", &[OutlierAmongSiblings]),
        ("29bc.fp32", &[OutlierAmongSiblings]),
        ("2941.width_min", &[WidthWithoutMeaning]),
        ("3182.width_min", &[WidthWithoutMeaning]),
        ("2348.width_min", &[WidthWithoutMeaning]),
        ("237f.width_min", &[WidthWithoutMeaning]),
        ("2342.width_min", &[WidthWithoutMeaning]),
        ("20f3.read", &[DiffersFromOrigin]),
        ("20f3179c.read", &[DiffersFromOrigin]),
        ("2339.read", &[DiffersFromOrigin]),
        ("31a1.read", &[OrderReversed]),
    ];
    let findings = of_gates(&table());
    for (figure, problems) in known {
        assert_eq!(of(&findings, figure), problems, "{figure}");
    }
    assert_eq!(of(&findings, "25b6"), [Duplicate]);
    let expected = known.iter().map(|(_, problems)| problems.len()).sum::<usize>() + 1;
    let all: Vec<_> = findings.iter().map(ToString::to_string).collect();
    assert_eq!(findings.len(), expected, "{all:#?}");
}

#[test]
fn what_is_wrong_is_refused_and_what_may_be_meant_is_a_warning() {
    let findings = of_gates(&table());
    let worst = |row: &str| {
        let of_row = findings.iter().filter(|finding| finding.figure.split('.').next() == Some(row));
        of_row.map(|finding| finding.problem.severity()).max().unwrap()
    };
    for row in ["2335", "20b0", "26b5", "2337", "2336", "29bc", "25b6"] {
        assert_eq!(worst(row), Severity::Reject, "{row}");
    }
    for row in ["2941", "3182", "2348", "237f", "2342", "20f3", "20f3179c", "2339", "31a1"] {
        assert_eq!(worst(row), Severity::Warn, "{row}");
    }
}

#[test]
fn a_finding_names_the_table_the_figure_and_both_numbers() {
    let findings = of_gates(&table());
    let finding = findings.iter().find(|finding| finding.figure == "20b0.read").unwrap();
    assert_eq!(
        finding.to_string(),
        "NVIDIA DCGM 4.6.0, nvvs/diag-skus.yaml.in: 20b0.read: 137500 is not what its own origin gives: 1372500"
    );
}

#[test]
fn a_right_gate_that_slips_by_a_thousand_is_found_in_every_row_that_has_an_origin() {
    let right = table();
    for (index, row) in right.rows.iter().enumerate() {
        for at in (0..row.gates.len()).filter(|at| row.gates[*at].lab.is_some()) {
            let mut slipped = right.clone();
            let gate = &mut slipped.rows[index].gates[at];
            gate.gate = (gate.gate.get() / 1e3).try_into().unwrap();
            let figure = format!("{}.{}", row.key, gate.metric);
            assert!(of(&of_gates(&slipped), &figure).contains(&Problem::DiffersFromOrigin), "{figure}");
        }
    }
}
