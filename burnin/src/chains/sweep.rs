//! The shape in which a kernel is fastest on this device: how many independent chains, how large a workgroup.
//!
//! First the chains, in workgroups of the base size, then the sizes with the best of them. Each shape runs twice after a
//! small dispatch that pays for its compilation; the better of the two counts. Every answer is compared.

use std::time::Duration;

use kernels::WORKGROUP_SIZE;
use kernels::chain::{Shape, Work};
use report::Backend;

use super::WORKGROUPS_MAX;
use super::check::{REPEATS_MAX, Run, seed};
use crate::device::{DeviceError, Elapsed};
use crate::session::{Session, repeats};

/// Sizes of workgroups beside the base size. Vulkan guarantees 128 invocations.
const SIZES: [u32; 1] = [2 * WORKGROUP_SIZE];

/// Steps of a trial: so many times fewer than those of a window.
const SHORTER: u32 = 4;

impl Run<'_> {
    /// The window for the best shape, that shape, how many dispatches fill a window, and how many shapes were tried.
    pub(super) fn tune(
        &mut self,
        session: &mut Session<'_>,
        window: &Work,
    ) -> Result<(Work, Shape, u32, usize), DeviceError> {
        let mut best = (Shape::BASE, self.trial(session, window, Shape::BASE)?);
        let mut tried = 1;
        // The references have no shapes.
        if !self.recipe.tried.is_empty() && session.device.info().backend != Backend::Cpu {
            let chains = self.recipe.tried.iter().map(|chains| Shape { chains: *chains, ..Shape::BASE });
            for shape in chains.collect::<Vec<_>>() {
                self.improve(session, window, shape, &mut best)?;
            }
            for invocations in SIZES {
                self.improve(session, window, Shape { invocations, ..best.0 }, &mut best)?;
            }
            tried += self.recipe.tried.len() + SIZES.len();
        }
        let (shape, rate) = best;
        let fill = |window: &Work| {
            #[expect(clippy::cast_precision_loss, reason = "the last digits do not matter")]
            let once = Duration::from_secs_f64((self.operations(window, shape) as f64 / rate).min(60.0));
            repeats(Elapsed { device: None, host: once })
        };
        let mut window = *window;
        while fill(&window) > REPEATS_MAX && window.workgroups < WORKGROUPS_MAX {
            window.workgroups = (window.workgroups * 2).min(WORKGROUPS_MAX);
        }
        Ok((window, shape, fill(&window), tried))
    }

    fn improve(
        &mut self,
        session: &mut Session<'_>,
        window: &Work,
        shape: Shape,
        best: &mut (Shape, f64),
    ) -> Result<(), DeviceError> {
        let rate = self.trial(session, window, shape)?;
        if rate > best.1 {
            *best = (shape, rate);
        }
        Ok(())
    }

    /// Operations a second in this shape.
    fn trial(&mut self, session: &mut Session<'_>, window: &Work, shape: Shape) -> Result<f64, DeviceError> {
        let steps = window.steps / SHORTER;
        let small = Work { seed: seed(window, 0), steps, workgroups: self.recipe.window.workgroups };
        self.dispatch(session, &small, shape, 1)?;
        let mut best = 0f64;
        for number in 1..3 {
            let work = Work { seed: seed(window, number % 2), steps, ..*window };
            let elapsed = self.dispatch(session, &work, shape, 1)?.elapsed;
            let seconds = elapsed.device.unwrap_or(elapsed.host).as_secs_f64().max(1e-7);
            #[expect(clippy::cast_precision_loss, reason = "the last digits do not matter")]
            let rate = self.operations(&work, shape) as f64 / seconds;
            best = best.max(rate);
        }
        Ok(best)
    }
}
