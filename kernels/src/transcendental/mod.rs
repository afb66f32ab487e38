//! Transcendental functions in FP32: the special-function units.
//!
//! Each step computes every [`Function`] of inputs that the seed decides and hashes the bits of the results by a bijection.
//! **The bits are not portable**: Vulkan bounds the error of these functions and leaves the last bits to the device, so the
//! answers of two devices, or of two drivers of one, may differ. Two oracles judge instead:
//!
//! 1. Every result of [`Sampled`] work lies within the bounds of the Vulkan specification around an FP64 reference
//!    ("Precision of GLSL.std.450 Instructions", the table of single precision). That finds a unit that computes something
//!    else.
//! 2. All workgroups of one class must give the same bits, now and in every later dispatch of that seed: [`agreed`] takes
//!    what most of them say. Workgroups of a class give the same item of work to different lanes, so that a lane that is
//!    wrong everywhere is outvoted by the others. That finds a single wrong bit. A device that is wrong everywhere in the
//!    same way within the bounds is not found.
//!
//! The second parameter word is the function asked for (0: all of them) where other chain kernels have the number of chains.
//! Buffers as in [`crate::chain`].

pub mod reference;

use crate::chain::unstamped;
pub use crate::chain::{Expected, Work};
use crate::{Cost, Kernel, WORKGROUP_SIZE};

/// The kernel.
pub const KERNEL: Kernel = Kernel {
    name: "transcendental",
    bindings: 2,
    table: false,
    needs: &[],
    specialized: 2,
    spirv: include_bytes!("../../spirv/transcendental.spv"),
    wgsl: Some(concat!(
        include_str!("../params_2.wgsl"),
        include_str!("../chain.wgsl"),
        include_str!("transcendental.wgsl")
    )),
    reference: reference::run,
};

/// Different classes of work: workgroup n does class n mod `CLASSES`.
pub const CLASSES: u32 = 16;

/// By so many lanes a class's items move from one of its workgroups to the next.
const ROTATION: u32 = 13;

/// A function that is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "their names say it")]
pub enum Function {
    Exp2,
    Log2,
    Sin,
    Cos,
    Sqrt,
    InverseSqrt,
    Reciprocal,
}

impl Function {
    /// All of them, in the order of a step.
    pub const ALL: [Self; 7] =
        [Self::Exp2, Self::Log2, Self::Sin, Self::Cos, Self::Sqrt, Self::InverseSqrt, Self::Reciprocal];

    /// Its number in the parameters, from 1 on.
    pub fn number(self) -> u32 {
        self as u32 + 1
    }

    /// The function in double precision.
    fn exact(self, x: f64) -> f64 {
        match self {
            Self::Exp2 => x.exp2(),
            Self::Log2 => x.log2(),
            Self::Sin => x.sin(),
            Self::Cos => x.cos(),
            Self::Sqrt => x.sqrt(),
            Self::InverseSqrt => 1.0 / x.sqrt(),
            Self::Reciprocal => 1.0 / x,
        }
    }

    /// How far a result may be from this exact one, by the Vulkan specification.
    fn bound(self, x: f64, exact: f64) -> f64 {
        let ulp = 2f64.powf(exact.abs().log2().floor() - 23.0);
        match self {
            Self::Exp2 => (3.0 + 2.0 * x.abs()) * ulp,
            Self::Log2 if (0.5..=2.0).contains(&x) => 2f64.powi(-21),
            Self::Log2 => 3.0 * ulp,
            // Within -pi to pi.
            Self::Sin | Self::Cos => 2f64.powi(-11),
            Self::InverseSqrt => 2.0 * ulp,
            // As 1.0 / inversesqrt(x): 2 ULP of that are up to 4 of the result, then those of the division.
            Self::Sqrt => 6.5 * ulp,
            Self::Reciprocal => 2.5 * ulp,
        }
    }
}

/// The cost of a dispatch, in functions computed.
pub fn cost(work: &Work) -> Cost {
    Cost { operations: work.steps_in_all() * Function::ALL.len() as u64, bytes: 0 }
}

/// Work of one step of one function, from whose answers each result can be told.
#[derive(Clone, Copy, Debug)]
pub struct Sampled {
    /// Its seed.
    pub seed: u32,
    /// Which function.
    pub function: Function,
}

/// A result beyond its bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Beyond {
    /// Which workgroup and lane.
    pub place: (u32, u32),
    /// What the function was given.
    pub input: f32,
    /// What the device gave.
    pub found: f32,
    /// What is right, to 24 bits.
    pub exact: f32,
}

impl Sampled {
    /// As work: each class once.
    pub fn work(&self) -> Work {
        Work { seed: self.seed, steps: 1, workgroups: CLASSES }
    }

    /// The results beyond their bounds, by the words of buffer 0.
    pub fn beyond(&self, lanes: &[u32]) -> Vec<Beyond> {
        let places =
            (0..CLASSES).flat_map(|workgroup| (0..WORKGROUP_SIZE).map(move |lane| (workgroup, lane)));
        places
            .zip(lanes)
            .filter_map(|((workgroup, lane), word)| {
                let u = reference::next(reference::start(self.seed, workgroup, lane));
                let input = reference::input(self.function, u);
                let found = f32::from_bits(unstamped(self.seed, workgroup, *word));
                let exact = self.function.exact(input.into());
                // Rounding of the reference itself is far below: a NaN is within no bound.
                let within = (f64::from(found) - exact).abs() <= self.function.bound(input.into(), exact);
                #[expect(clippy::cast_possible_truncation, reason = "to be shown")]
                let exact = exact as f32;
                (!within).then_some(Beyond { place: (workgroup, lane), input, found, exact })
            })
            .collect()
    }
}

/// What most workgroups of each class say, by the words of buffer 0; at least three of a class must be there for a wrong one
/// to be named.
pub fn agreed(work: &Work, lanes: &[u32]) -> Expected {
    let mut votes = vec![Vec::new(); (CLASSES * WORKGROUP_SIZE) as usize];
    for (workgroup, tile) in (0u32..).zip(lanes.chunks_exact(WORKGROUP_SIZE as usize)) {
        for (lane, word) in (0u32..).zip(tile) {
            let item = (lane + ROTATION * (workgroup / CLASSES)) % WORKGROUP_SIZE;
            let at = (workgroup % CLASSES) * WORKGROUP_SIZE + item;
            votes[at as usize].push(unstamped(work.seed, workgroup, *word));
        }
    }
    let words: Vec<u32> = votes.into_iter().map(most).collect();
    Expected::rotated(work.seed, &words, ROTATION)
}

/// The word that stands there most often; of none, 0.
fn most(mut votes: Vec<u32>) -> u32 {
    votes.sort_unstable();
    votes.chunk_by(PartialEq::eq).max_by_key(|same| same.len()).map_or(0, |same| same[0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SelfFault;
    use crate::chain::Shape;
    use crate::mix::{mix32, stamp};

    fn run(work: Work, function: u32, fault: SelfFault) -> Vec<u32> {
        let (mut lanes, mut groups) = (vec![0; work.lanes()], vec![0; work.groups()]);
        let params = work.params_in(Shape { chains: function, ..Shape::BASE }, fault);
        reference::run(&mut [&mut lanes, &mut groups], &params, 0..work.workgroups);
        lanes
    }

    /// Places where the answers differ from what most say.
    fn outvoted(work: Work, lanes: &[u32]) -> Vec<usize> {
        let agreed = agreed(&work, lanes);
        let right = (0..work.workgroups).flat_map(|workgroup| agreed.tile(workgroup).0);
        right.zip(lanes).enumerate().filter(|(_, (right, word))| right != *word).map(|(at, _)| at).collect()
    }

    #[test]
    fn the_processor_is_within_the_bounds_and_a_small_error_is_not() {
        for function in Function::ALL {
            let sampled = Sampled { seed: 3, function };
            let mut lanes = run(sampled.work(), function.number(), SelfFault::None);
            assert_eq!(sampled.beyond(&lanes), [], "{function:?}");
            // An error of 2^-9 of the value is beyond every bound: of a sine or logarithm near 1, that is.
            let near_1 = (0u32..).zip(&lanes).find_map(|(at, word)| {
                let found = unstamped(3, at / 64, *word);
                (0.5..2.0).contains(&f32::from_bits(found).abs()).then_some((at, found))
            });
            let (at, found) = near_1.unwrap();
            lanes[at as usize] = mix32((found ^ 1 << 14) ^ stamp(3, at / 64));
            let beyond = sampled.beyond(&lanes);
            assert_eq!(beyond.len(), 1, "{function:?}");
            assert_eq!(beyond[0].place, (at / 64, at % 64));
        }
    }

    #[test]
    fn a_flip_in_any_lane_is_outvoted() {
        let work = Work { seed: 9, steps: 8, workgroups: 3 * CLASSES };
        assert_eq!(outvoted(work, &run(work, 0, SelfFault::None)), []);
        for lane in 0..WORKGROUP_SIZE {
            let workgroup = lane * 7 % work.workgroups;
            let fault = SelfFault::Flip { workgroup, lane, mask: 1 << (lane % 32) };
            let place = (workgroup * WORKGROUP_SIZE + lane) as usize;
            assert_eq!(outvoted(work, &run(work, 0, fault)), [place]);
        }
    }

    #[test]
    fn a_lane_that_is_wrong_in_every_workgroup_is_outvoted_too() {
        let work = Work { seed: 9, steps: 8, workgroups: 8 * CLASSES };
        let found = outvoted(work, &run(work, 0, SelfFault::StuckLane { lane: 5, mask: 1 << 3 }));
        assert!(found.len() > 50 && found.iter().all(|place| place % 32 == 5), "{found:?}");
    }
}
