//! A device that suffers one fault at a chosen dispatch, and proves that it arrived.
//!
//! Damage to data is written to the buffer and read back. A dispatch that is not what was asked for runs after the right one,
//! from the same start, and has arrived when the two leave different data behind. What changes nothing has not arrived
//! and must be drawn again: it is neither a hit nor a miss.

use std::collections::HashMap;
use std::time::Duration;

use report::Bytes;

use super::anatomy::{Anatomy, Dissect, hooked};
use super::class::{Class, damage, published_mask};
use super::draw::Draw;
use crate::device::{Buffer, Device, DeviceError, Dispatch, Elapsed};
use crate::session::TRANSFER_DEADLINE;

/// Draws of damage to the same words before another dispatch is drawn.
const DAMAGE_DRAWS_MAX: u32 = 16;

/// A fault to be put in.
#[derive(Clone, Debug)]
pub struct Injection {
    /// What kind.
    pub class: Class,
    /// At which dispatch from now on, counted from 0.
    pub at: u32,
    /// Where everything else about it comes from.
    pub draw: Draw,
    /// What the dispatches are made of.
    pub dissect: Dissect,
}

/// A device with at most one fault at a time.
#[derive(Debug)]
pub struct Injector<D> {
    inner: D,
    armed: Option<Injection>,
    /// What the fault did, once it is in.
    arrived: Option<String>,
    dispatches: u32,
    sizes: HashMap<Buffer, Bytes>,
    /// Buffers to be bound by mistake.
    decoys: HashMap<Buffer, Buffer>,
}

impl<D: Device> Injector<D> {
    /// No fault yet.
    pub fn new(inner: D) -> Self {
        let (sizes, decoys) = (HashMap::new(), HashMap::new());
        Self { inner, armed: None, arrived: None, dispatches: 0, sizes, decoys }
    }

    /// Counts dispatches from 0 again, with this fault to come, or none.
    pub fn arm(&mut self, injection: Option<Injection>) {
        self.armed = injection;
        self.arrived = None;
        self.dispatches = 0;
    }

    /// What the fault did; `None` where it changed nothing, or did not come to be.
    pub fn arrived(&self) -> Option<&str> {
        self.arrived.as_deref()
    }

    /// Dispatches since the last time that it was armed.
    pub fn dispatches(&self) -> u32 {
        self.dispatches
    }

    fn words(&mut self, buffer: Buffer, words: usize) -> Result<Vec<u32>, DeviceError> {
        let mut out = vec![0; words];
        self.inner.read_back(buffer, 0, &mut out, TRANSFER_DEADLINE)?;
        Ok(out)
    }

    /// The words of all regions of a dispatch, or only of those that are read later.
    fn data(&mut self, dispatch: &Dispatch<'_>, anatomy: &Anatomy, later: bool) -> Result<Data, DeviceError> {
        let regions = anatomy.regions.iter().filter(|region| region.after || !later);
        regions.map(|region| self.words(dispatch.buffers[region.buffer], region.words)).collect()
    }

    /// Damages the words of a buffer and sees that the damage is there.
    fn damage(
        &mut self,
        buffer: Buffer,
        words: usize,
        before: Option<&[u32]>,
        injection: &mut Injection,
    ) -> Result<Option<String>, DeviceError> {
        let right = self.words(buffer, words)?;
        for _ in 0..DAMAGE_DRAWS_MAX {
            let mut damaged = right.clone();
            let what = damage(injection.class, &mut damaged, before, &mut injection.draw);
            let Some(what) = what else { continue };
            self.inner.upload(buffer, 0, &damaged, TRANSFER_DEADLINE)?;
            return Ok((self.words(buffer, words)? == damaged).then_some(what));
        }
        Ok(None)
    }

    /// The dispatch with damage to its data, before or after.
    fn with_damage(
        &mut self,
        dispatch: &Dispatch<'_>,
        deadline: Duration,
        mut injection: Injection,
    ) -> Result<Elapsed, DeviceError> {
        let anatomy = (injection.dissect)(dispatch);
        let stale = injection.class == Class::StaleTile;
        let sides = anatomy.regions.iter().flat_map(|region| {
            let before = (region.before && !stale).then_some((*region, true));
            before.into_iter().chain(region.after.then_some((*region, false)))
        });
        let sides: Vec<_> = sides.collect();
        let Some((region, first)) = injection.draw.one_of(&sides) else {
            return self.inner.dispatch(dispatch, deadline);
        };
        let (buffer, words) = (dispatch.buffers[region.buffer], region.words);
        let place = format!("{} buffer {}", dispatch.kernel.name, region.buffer);
        if first {
            let what = self.damage(buffer, words, None, &mut injection)?;
            self.arrived = what.map(|what| format!("before {place}: {what}"));
            return self.inner.dispatch(dispatch, deadline);
        }
        let before = if stale { Some(self.words(buffer, words)?) } else { None };
        let elapsed = self.inner.dispatch(dispatch, deadline)?;
        let what = self.damage(buffer, words, before.as_deref(), &mut injection)?;
        self.arrived = what.map(|what| format!("after {place}: {what}"));
        Ok(elapsed)
    }

    /// The right dispatch, and from the same start the wrong one, whose results remain.
    fn replaced(
        &mut self,
        dispatch: &Dispatch<'_>,
        deadline: Duration,
        mut injection: Injection,
    ) -> Result<Elapsed, DeviceError> {
        let anatomy = (injection.dissect)(dispatch);
        if anatomy.regions.is_empty() {
            return self.inner.dispatch(dispatch, deadline);
        }
        let before = self.data(dispatch, &anatomy, false)?;
        let elapsed = self.inner.dispatch(dispatch, deadline)?;
        let right = self.data(dispatch, &anatomy, true)?;
        for (region, words) in anatomy.regions.iter().zip(&before) {
            self.inner.upload(dispatch.buffers[region.buffer], 0, words, TRANSFER_DEADLINE)?;
        }
        let Some(what) = self.wrong(dispatch, deadline, &anatomy, &mut injection)? else {
            return self.inner.dispatch(dispatch, deadline);
        };
        let differs = self.data(dispatch, &anatomy, true)? != right;
        self.arrived = differs.then(|| format!("{}: {what}", dispatch.kernel.name));
        Ok(elapsed)
    }

    /// Runs what was not asked for.
    fn wrong(
        &mut self,
        dispatch: &Dispatch<'_>,
        deadline: Duration,
        anatomy: &Anatomy,
        injection: &mut Injection,
    ) -> Result<Option<String>, DeviceError> {
        let draw = &mut injection.draw;
        let mut wrong = *dispatch;
        let what = match injection.class {
            Class::Dropped => return Ok(Some("dropped".to_owned())),
            Class::AlteredParameter => {
                let Some((at, mask)) = draw.one_of(&anatomy.params) else { return Ok(None) };
                let bits: Vec<u32> = (0..32).map(|bit| 1 << bit).filter(|bit| mask & bit != 0).collect();
                let Some(bit) = draw.one_of(&bits) else { return Ok(None) };
                wrong.params[at] ^= bit;
                format!("parameter {at} ^ {bit:#x}")
            }
            Class::StalePipeline => {
                let Some((kernel, first)) = draw.one_of(&anatomy.stale) else { return Ok(None) };
                wrong.kernel = kernel;
                wrong.params[0] = first;
                format!("{} with first parameter {first:#x} in its place", kernel.name)
            }
            _ => {
                let Some(region) = draw.one_of(&anatomy.regions) else { return Ok(None) };
                let decoy = self.decoy(dispatch.buffers[region.buffer], region.words, draw)?;
                let mut buffers = dispatch.buffers.to_vec();
                buffers[region.buffer] = decoy;
                self.inner.dispatch(&Dispatch { buffers: &buffers, ..*dispatch }, deadline)?;
                return Ok(Some(format!("another buffer in the place of buffer {}", region.buffer)));
            }
        };
        self.inner.dispatch(&wrong, deadline)?;
        Ok(Some(what))
    }

    /// A buffer as large as this one, with noise in its first words.
    fn decoy(&mut self, buffer: Buffer, words: usize, draw: &mut Draw) -> Result<Buffer, DeviceError> {
        let decoy = match self.decoys.get(&buffer) {
            Some(decoy) => *decoy,
            None => {
                let bytes = self.sizes.get(&buffer).copied().unwrap_or(Bytes(words as u64 * 4));
                let decoy = self.inner.allocate(bytes)?;
                self.decoys.insert(buffer, decoy);
                decoy
            }
        };
        let noise: Vec<u32> = (0..words).map(|_| draw.word()).collect();
        self.inner.upload(decoy, 0, &noise, TRANSFER_DEADLINE)?;
        Ok(decoy)
    }

    /// The dispatch with the fault that its kernel can plant in itself. It has arrived by construction: the bits of a word
    /// that the chain goes on from are others; the conformance suite holds every device to that.
    fn within(
        &mut self,
        dispatch: &Dispatch<'_>,
        deadline: Duration,
        mut injection: Injection,
    ) -> Result<Elapsed, DeviceError> {
        if !(injection.dissect)(dispatch).hook {
            return self.inner.dispatch(dispatch, deadline);
        }
        let draw = &mut injection.draw;
        let (workgroup, lane) = (draw.word() % dispatch.workgroups, draw.lane());
        let mask = published_mask(draw);
        let params = hooked(&dispatch.params, workgroup, lane, mask);
        self.arrived = Some(format!("within workgroup {workgroup}, lane {lane}: ^ {mask:#010x}"));
        self.inner.dispatch(&Dispatch { params, ..*dispatch }, deadline)
    }
}

/// The words of regions.
type Data = Vec<Vec<u32>>;

impl<D: Device> Device for Injector<D> {
    crate::forward_to_device!(inner: info, upload, read_back, transfer);

    fn allocate(&mut self, bytes: Bytes) -> Result<Buffer, DeviceError> {
        let buffer = self.inner.allocate(bytes)?;
        self.sizes.insert(buffer, bytes);
        Ok(buffer)
    }

    fn free(&mut self, buffer: Buffer) {
        self.sizes.remove(&buffer);
        if let Some(decoy) = self.decoys.remove(&buffer) {
            self.inner.free(decoy);
        }
        self.inner.free(buffer);
    }

    fn dispatch(&mut self, dispatch: &Dispatch<'_>, deadline: Duration) -> Result<Elapsed, DeviceError> {
        let number = self.dispatches;
        self.dispatches += 1;
        match self.armed.take() {
            Some(injection) if injection.at != number => {
                self.armed = Some(injection);
                self.inner.dispatch(dispatch, deadline)
            }
            Some(injection) if injection.class.is_data() => self.with_damage(dispatch, deadline, injection),
            Some(injection) => match injection.class {
                Class::InKernel => self.within(dispatch, deadline, injection),
                // Of the expected answers, which are not in a buffer of the device: the checker hands them over.
                Class::Golden => self.inner.dispatch(dispatch, deadline),
                _ => self.replaced(dispatch, deadline, injection),
            },
            None => self.inner.dispatch(dispatch, deadline),
        }
    }
}

#[cfg(test)]
mod tests;
