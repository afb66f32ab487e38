//! A device whose memory is broken in a way that a model says.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use kernels::memory::TILE_WORDS;
use kernels::memory::reference::{Cells, run_on};

use crate::clock::Clock;
use crate::device::cpu::Cpu;
use crate::device::{Buffer, Device, DeviceError, Dispatch, Elapsed};

/// How it is broken. Words are numbered over all chunks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Broken {
    /// Not at all.
    No,
    /// These bits of a word read as 1.
    StuckAtOne(u64, u32),
    /// These bits of a word read as 0.
    StuckAtZero(u64, u32),
    /// This bit of every address is taken as 0.
    AddressLine(u32),
    /// A write to the first word that turns one of these bits from 0 to 1 inverts them in the second.
    Coupled(u64, u64, u32),
    /// These bits of a word do not go from 0 to 1 by a write.
    NoRise(u64, u32),
    /// This read of the word, counted from 0, sees these bits flipped.
    Transient(u64, u32, u32),
    /// These bits of a word are lost when it was not written for so long.
    Leaks(u64, u32, Duration),
}

/// A clock that waits in no time.
#[derive(Clone, Debug, Default)]
pub(super) struct Hands(Rc<Cell<Duration>>);

impl Clock for Hands {
    fn now(&self) -> Duration {
        self.0.get()
    }

    fn wait(&self, time: Duration) {
        self.0.set(self.0.get() + time);
    }
}

/// The references over such memory.
pub(super) struct BrokenMemory {
    inner: Cpu,
    broken: Broken,
    clock: Hands,
    /// Reads of the word so far, and when it was last written.
    reads: u32,
    written: Duration,
}

impl BrokenMemory {
    pub(super) fn new(broken: Broken, clock: Hands) -> Self {
        Self { inner: Cpu::new(), broken, clock, reads: 0, written: Duration::ZERO }
    }
}

struct Model<'a> {
    chunks: &'a mut [Vec<u32>],
    device: &'a mut BrokenMemory,
}

impl Model<'_> {
    fn at(&mut self, number: u64) -> &mut u32 {
        let mut number = usize::try_from(number).unwrap();
        if let Broken::AddressLine(bit) = self.device.broken {
            number &= !(1 << bit);
        }
        let each = self.chunks[0].len();
        &mut self.chunks[number / each][number % each]
    }
}

fn number(tile: u32, word: u32) -> u64 {
    u64::from(tile) * u64::from(TILE_WORDS) + u64::from(word)
}

impl Cells for Model<'_> {
    fn read(&mut self, tile: u32, word: u32) -> u32 {
        let at = number(tile, word);
        let value = *self.at(at);
        match self.device.broken {
            Broken::StuckAtOne(place, bits) if place == at => value | bits,
            Broken::StuckAtZero(place, bits) if place == at => value & !bits,
            Broken::Transient(place, bits, turn) if place == at => {
                self.device.reads += 1;
                if self.device.reads == turn + 1 { value ^ bits } else { value }
            }
            Broken::Leaks(place, bits, after) if place == at => {
                if self.device.clock.now() - self.device.written >= after { value & !bits } else { value }
            }
            _ => value,
        }
    }

    fn write(&mut self, tile: u32, word: u32, value: u32) {
        let at = number(tile, word);
        let before = *self.at(at);
        let mut stored = value;
        match self.device.broken {
            Broken::NoRise(place, bits) if place == at => stored &= !(bits & !before),
            Broken::Coupled(aggressor, victim, bits) if aggressor == at && !before & value & bits != 0 => {
                *self.at(victim) ^= bits;
            }
            Broken::Leaks(place, ..) if place == at => self.device.written = self.device.clock.now(),
            _ => {}
        }
        *self.at(at) = stored;
    }
}

impl Device for BrokenMemory {
    crate::forward_to_device!(inner: info, allocate, free, upload, read_back, transfer);

    fn dispatch(&mut self, dispatch: &Dispatch<'_>, deadline: Duration) -> Result<Elapsed, DeviceError> {
        let mut read = |buffer: &Buffer| {
            let mut words = vec![0; self.inner.words_of(*buffer)];
            self.inner.read_back(*buffer, 0, &mut words, deadline).map(|()| words)
        };
        let mut taken = dispatch.buffers.iter().map(&mut read).collect::<Result<Vec<_>, _>>()?;
        let (errors, chunks) = taken.split_first_mut().unwrap();
        for _ in 0..dispatch.repeat {
            let mut model = Model { chunks, device: self };
            run_on(&mut model, errors, &dispatch.params, 0..dispatch.workgroups);
        }
        for (buffer, words) in dispatch.buffers.iter().zip(&taken) {
            self.inner.upload(*buffer, 0, words, deadline)?;
        }
        Ok(Elapsed { device: None, host: Duration::from_micros(1) })
    }
}
