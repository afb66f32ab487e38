//! Multiplies whole matrices, tile by tile from memory, and compares every component of the product.
//!
//! What register-resident operands reach is a limit of the units; this is what a program gets that must feed them.

use kernels::SelfFault;
use kernels::matrix::Types;
use kernels::matrix::product::{Product, Work};
use report::judge::ReasonCode;
use report::{
    Bytes, Canary, CheckResult, DeviceKind, MatrixScope, Measurement, Mismatch, Mismatches, Outcome, Unit,
};

use crate::device::matrix::kernel_types;
use crate::device::{Buffer, DeviceError, Elapsed};
use crate::mismatches::{add, score};
use crate::session::{Launch, Session, coverage, measurement, repeats, sample};

/// Rows and columns: least and most. A software device multiplies the least alone.
const SIZES: (u32, u32) = (256, 4096);

/// Runs the bench.
pub fn run(session: &mut Session<'_>) -> Result<CheckResult, DeviceError> {
    let mut result = session.result();
    let works = works(session);
    if works.is_empty() {
        let detail = "no kernel multiplies any of the shapes that the driver lists";
        result.outcome = Outcome::Skip;
        result.reason = Some(ReasonCode::Unsupported.because(detail));
        return Ok(result);
    }
    let mut wrong = Mismatches::default();
    let mut canary = Canary { planted: 0, found: 0, strays: 0 };
    let (mut workgroups, mut components) = (0, 0);
    #[expect(clippy::cast_precision_loss, reason = "a handful of types")]
    let share = 1.0 / works.len() as f64;
    for work in works {
        let mut bench = Bench::new(session, &work)?;
        bench.plant(session, &mut canary, &mut wrong)?;
        let measured = bench.measure(session, share, &mut wrong)?;
        result.measurements.push(measured);
        workgroups += bench.workgroups;
        components += bench.components;
        bench.free(session);
    }
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
    result.coverage.extend([
        coverage("workgroups", workgroups as f64),
        coverage("compared_components", components as f64),
    ]);
    result.canary = Some(canary);
    result.mismatches = Some(wrong);
    Ok(result)
}

/// The least work of each pair of types, with the shape that the driver prefers (lists first) among those that divide it.
fn works(session: &Session<'_>) -> Vec<Work> {
    let info = session.device.info();
    let subgroup = info.subgroup_size.unwrap_or(8);
    let fragments = if info.kind == DeviceKind::Cpu { 2 } else { 4 };
    let work = |types: Types| {
        let shapes = info.matrix_shapes.iter().filter(|shape| shape.scope == MatrixScope::Subgroup);
        shapes.filter(|shape| kernel_types(shape) == Some(types)).find_map(|shape| {
            let owners = 4;
            let (invocations, size, seed) = (subgroup * owners, SIZES.0, 0x0a55_a7e2);
            let work = Work {
                types,
                m: shape.m,
                n: shape.n,
                k: shape.k,
                fragments,
                owners,
                invocations,
                size,
                seed,
            };
            work.divides().then_some(work)
        })
    };
    Types::ALL.into_iter().filter_map(work).collect()
}

/// One size of one pair of types: buffers and the answer.
struct Bench {
    work: Work,
    product: Product,
    answer: Vec<u32>,
    sums: Vec<u32>,
    buffers: [Buffer; 4],
    /// Workgroups that said they were done, and components that were compared.
    workgroups: u64,
    components: u64,
}

impl Bench {
    fn new(session: &mut Session<'_>, work: &Work) -> Result<Self, DeviceError> {
        let product = Product::new(work);
        let mut buffer = |words: usize| session.device.allocate(Bytes(words as u64 * 4));
        let buffers = [
            buffer(work.operand_words())?,
            buffer(work.operand_words())?,
            buffer(work.result_words())?,
            buffer(work.groups())?,
        ];
        session.write(buffers[0], &product.left())?;
        session.write(buffers[1], &product.right())?;
        let answer = product.answer();
        let sums = product.sums(&answer);
        Ok(Self { work: *work, product, answer, sums, buffers, workgroups: 0, components: 0 })
    }

    fn free(&self, session: &mut Session<'_>) {
        for buffer in self.buffers {
            session.device.free(buffer);
        }
    }

    /// Multiplies so many times in a row, and compares every word, every sum and the number of workgroups done.
    fn multiply(
        &mut self,
        session: &mut Session<'_>,
        fault: SelfFault,
        (repeat, pass): (u32, u32),
        found: &mut Mismatches,
    ) -> Result<Elapsed, DeviceError> {
        let work = self.work;
        // What an earlier product left must not pass for an answer.
        session.write(self.buffers[2], &vec![!0; work.result_words()])?;
        session.write(self.buffers[3], &vec![0; work.groups()])?;
        let launch = Launch { kernel: work.kernel(), buffers: &self.buffers };
        let elapsed = session.run(launch, work.params(fault), work.workgroups(), repeat)?;
        let results = session.read(self.buffers[2], work.result_words())?;
        let groups = session.read(self.buffers[3], work.groups())?;
        self.workgroups += u64::from(groups[0]);
        let all = work.workgroups().wrapping_mul(repeat);
        if groups[0] != all {
            let byte_address = (self.answer.len() + self.sums.len()) as u64 * 4;
            let workgroup = work.workgroups();
            add(found, Mismatch { byte_address, expected: all, found: groups[0], workgroup, pass });
        }
        self.components += u64::from(work.size).pow(2);
        if results == self.answer {
            self.compare_sums(&groups[1..], (repeat, pass), found);
        } else {
            self.compare_words(&results, pass, found);
        }
        Ok(elapsed)
    }

    /// The address of a sum comes after the product.
    fn compare_sums(&self, groups: &[u32], (repeat, pass): (u32, u32), found: &mut Mismatches) {
        for ((workgroup, sum), result) in (0u32..).zip(&self.sums).zip(groups) {
            let (expected, result) = (sum.wrapping_mul(repeat), *result);
            if expected != result {
                let byte_address = (self.answer.len() as u64 + u64::from(workgroup)) * 4;
                add(found, Mismatch { byte_address, expected, found: result, workgroup, pass });
            }
        }
    }

    fn compare_words(&self, results: &[u32], pass: u32, found: &mut Mismatches) {
        for (at, (expected, result)) in (0u64..).zip(self.answer.iter().zip(results)) {
            let (expected, result) = (*expected, *result);
            if expected != result {
                let workgroup = self.product.workgroup_of(at);
                add(found, Mismatch { byte_address: at * 4, expected, found: result, workgroup, pass });
            }
        }
    }

    /// Plants a fault in the first workgroup and one in the last; each must be found in its word, and nothing else.
    fn plant(
        &mut self,
        session: &mut Session<'_>,
        canary: &mut Canary,
        wrong: &mut Mismatches,
    ) -> Result<(), DeviceError> {
        for (workgroup, from, mask) in [(0, 0, 1 << 4), (self.work.workgroups() - 1, 11, 1 << 27)] {
            let fault = self.product.fault(workgroup, from, mask);
            let mut seen = Mismatches::default();
            self.multiply(session, fault, (1, 0), &mut seen)?;
            let SelfFault::Flip { lane, .. } = fault else { continue };
            score(canary, seen, u64::from(lane) * 4, wrong);
        }
        Ok(())
    }

    /// Grows until a few products fill a window, then measures.
    fn measure(
        &mut self,
        session: &mut Session<'_>,
        share: f64,
        wrong: &mut Mismatches,
    ) -> Result<Measurement, DeviceError> {
        let mut repeat = self.timed(session, wrong)?;
        while repeat > 4 && self.grow(session)? {
            repeat = self.timed(session, wrong)?;
        }
        let samples = session.measure(share, |session, number| {
            let elapsed = self.multiply(session, SelfFault::None, (repeat, 1 + number), wrong)?;
            Ok(sample(self.work.cost().operations, repeat, elapsed))
        })?;
        let Work { types, m, n, k, fragments, owners, size, .. } = self.work;
        let unit = if types.element().is_integer() { Unit::OpsPerS } else { Unit::FlopPerS };
        let method = format!(
            "{size} x {size} x {size}, {m}x{n}x{k}, {fragments}x{fragments} accumulators, {owners} subgroups a workgroup, \
             {repeat} products a window"
        );
        Ok(measurement(&format!("product-{}", types.name()), unit, method, samples))
    }

    /// How many products fill a window; the first run of a kernel includes its compilation on some drivers.
    fn timed(&mut self, session: &mut Session<'_>, wrong: &mut Mismatches) -> Result<u32, DeviceError> {
        self.multiply(session, SelfFault::None, (1, 0), wrong)?;
        Ok(repeats(self.multiply(session, SelfFault::None, (1, 0), wrong)?))
    }

    /// Doubles the size where device and plan have room; false where they have not.
    fn grow(&mut self, session: &mut Session<'_>) -> Result<bool, DeviceError> {
        let info = session.device.info();
        let next = Work { size: self.work.size * 2, ..self.work };
        let bytes = next.result_words().max(next.operand_words()) as u64 * 4;
        let room = bytes <= info.binding_bytes_max.0 && bytes * 4 <= info.memory_bytes.0;
        if info.kind == DeviceKind::Cpu || next.size > SIZES.1 || !room || !next.divides() {
            return Ok(false);
        }
        self.free(session);
        let Self { workgroups, components, .. } = *self;
        *self = Self { workgroups, components, ..Self::new(session, &next)? };
        Ok(true)
    }
}
