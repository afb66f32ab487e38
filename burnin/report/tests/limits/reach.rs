//! From a device to its two limits.

use report::limits::{Basis, Metric, NoBounds, OwnProperties, bounds_of, table};
use report::{Backend, Bytes, DeviceId, DeviceInfo, DeviceKind, Quantity};

use super::model;

fn device(pci_id: Option<&str>) -> DeviceInfo {
    DeviceInfo {
        id: DeviceId("0000:3b:00.0".into()),
        backend: Backend::Vulkan,
        kind: DeviceKind::Discrete,
        name: "a GPU".into(),
        pci_id: pci_id.map(|id| id.parse().unwrap()),
        address: None,
        uuid: None,
        driver: "a driver".into(),
        api_version: None,
        memory_bytes: Bytes::mib(1024),
        memory_budget_bytes: None,
        binding_bytes_max: Bytes::mib(1024),
        timestamps: true,
        features: Vec::new(),
        units: None,
        subgroup_size: None,
        matrix_shapes: Vec::new(),
    }
}

fn near(value: f64, to: f64) -> bool {
    (value / to - 1.0).abs() < 2e-3
}

#[test]
fn an_h200_reaches_less_than_two_thirds_of_its_matrix_rate_and_the_inputs_are_kept() {
    let bounds =
        bounds_of(&device(Some("10de:2335")), &OwnProperties::default(), Metric::MatrixFp16).unwrap();
    assert_eq!(bounds.basis, Basis::Listed("H200 SXM".into()));
    assert_eq!(bounds.physical.to_string(), "132 SM x 4096 FLOP/clk x 1.980 GHz");
    let reachable = bounds.reachable.unwrap();
    assert_eq!(reachable.of.to_string(), "132 SM x 4096 FLOP/clk x 1.830 GHz");
    assert!(near(reachable.of.per_s(), 989.4e12));
    assert!(near(reachable.low_per_s(), 623.3e12) && near(reachable.high_per_s(), 643.1e12));
    assert!(!reachable.reach.reason.is_empty() && !reachable.reach.source.is_empty());
}

#[test]
fn the_physical_peaks_of_an_h200_are_those_of_the_literature() {
    let h200 = model("H200 SXM");
    let peak = |metric| h200.physical(metric).unwrap().per_s();
    assert!(near(peak(Metric::Fp32), 66.9e12) && near(peak(Metric::Fp64), 33.45e12));
    assert!(near(peak(Metric::Int32), 33.45e12) && near(peak(Metric::Fp16), 133.8e12));
    assert!(near(peak(Metric::Read), 4.917e12) && near(peak(Metric::H2d), 63.0e9));
    assert!(near(peak(Metric::Peer), 450e9));
}

#[test]
fn packets_take_their_share_of_every_link_to_the_host() {
    let bounds = bounds_of(&device(Some("10de:2335")), &OwnProperties::default(), Metric::H2d).unwrap();
    assert!(near(bounds.reachable.unwrap().high_per_s(), 57.2e9));
}

#[test]
fn what_nobody_has_published_is_absent_and_not_one() {
    let mi300x =
        bounds_of(&device(Some("1002:74a1")), &OwnProperties::default(), Metric::MatrixBf16).unwrap();
    assert!(near(mi300x.physical.per_s(), 1307.4e12));
    assert_eq!(mi300x.reachable, None);
}

#[test]
fn no_reachable_limit_is_above_the_physical_one_in_any_model() {
    for (file, model) in table::built_in() {
        for metric in Metric::ALL {
            let Ok(bounds) = model.bounds(metric) else { continue };
            let Some(reachable) = bounds.reachable else { continue };
            assert!(reachable.low_per_s() <= reachable.high_per_s(), "{file} {metric}");
            assert!(reachable.high_per_s() <= bounds.physical.per_s(), "{file} {metric}");
        }
    }
}

#[test]
fn a_device_that_nobody_has_listed_is_bounded_by_its_own_properties() {
    let own = OwnProperties {
        units: Some(100),
        clock_hz: Some(Quantity::new(2e9).unwrap()),
        memory_clock_hz: Some(Quantity::new(1e9).unwrap()),
        bus_bits: Some(1024),
        pcie: Some((4, 8)),
    };
    let new = device(Some("10de:ffff"));
    let fp32 = bounds_of(&new, &own, Metric::Fp32).unwrap();
    assert_eq!(
        (fp32.basis, fp32.physical.to_string()),
        (Basis::OwnAndVendor, "100 SM x 256 FLOP/clk x 2.000 GHz".into())
    );
    let read = bounds_of(&new, &own, Metric::Read).unwrap();
    assert_eq!((read.basis, read.physical.per_s(), read.reachable), (Basis::Own, 256e9, None));
    assert!(near(bounds_of(&new, &own, Metric::D2h).unwrap().physical.per_s(), 15.75e9));
}

#[test]
fn a_device_that_tells_nothing_has_no_limit_and_the_reason_says_what_is_missing() {
    let own = OwnProperties::default();
    let message = |device, metric| bounds_of(&device, &own, metric).unwrap_err().to_string();
    assert_eq!(
        message(device(Some("10de:ffff")), Metric::Read),
        "10de:ffff is not listed, and for `read` its driver would have to tell memory clock and bus width"
    );
    assert!(message(device(None), Metric::Fp32).starts_with("a GPU is not listed, and for `fp32` "));
    let no_figure = bounds_of(&device(Some("10de:26b9")), &own, Metric::Peer).unwrap_err();
    assert_eq!(no_figure, NoBounds::NoFigure { model: "L40S".into(), metric: Metric::Peer });
}
