//! `inventory simulate` plays nodes that wait as `node-init` does. The two crates may not use each other; here it is seen
//! that they have one law.

use std::time::Duration;

use inventory::simulate::backoff as simulated;
use node_init::register::backoff::{self as real, Random};
use proptest::prelude::*;

/// Draws the given share of every ceiling.
struct Share(f64);

impl Random for Share {
    fn up_to(&mut self, ceiling: Duration) -> Duration {
        ceiling.mul_f64(self.0)
    }
}

#[test]
fn the_figures_of_the_law_are_the_same() {
    let figures = (simulated::BASE, simulated::CAP, simulated::RETRY_AFTER_MAX);
    assert_eq!(figures, (real::BASE, real::CAP, real::RETRY_AFTER_MAX));
}

proptest! {
    #[test]
    fn every_wait_is_the_same(
        failures in prop_oneof![0_u32..20, any::<u32>()],
        after in proptest::option::of(0_u64..10_000),
        share in 0.0..1.0_f64,
    ) {
        let after = after.map(Duration::from_secs);
        let waited = simulated::wait(failures, after, |ceiling| ceiling.mul_f64(share));
        prop_assert_eq!(waited, real::wait(failures, after, &mut Share(share)));
    }
}
