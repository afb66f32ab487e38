//! The judge's algebra, and for each of its rules a planted fault that makes it speak.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../reports/mod.rs"]
mod reports;

mod evidence;
mod verdict;
mod algebra;

use report::judge::ReasonCode;
use report::{Report, Verdict, judge};
use reports::healthy;

/// Verdict and first reason, for a healthy report with this change.
fn after(change: impl Fn(&mut Report)) -> (Verdict, String) {
    let mut report = healthy(1, 1.0);
    change(&mut report);
    let judged = judge(&report);
    (judged.verdict, judged.findings.first().map(|f| f.reason.code.clone()).unwrap_or_default())
}

#[track_caller]
fn assert_says(verdict: Verdict, code: ReasonCode, change: impl Fn(&mut Report)) {
    assert_eq!(after(change), (verdict, code.as_str().to_owned()));
}
