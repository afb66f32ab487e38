//! Every form of the memory sweeps against their reference: bound and by table, 16 and 32 bytes a lane.

use burnin::device::{Device, offers};
use kernels::Kernel;
use kernels::memory::{
    ERROR_WORDS, Errors, FORMS, LANES, Op, Order, RECORDS_MAX, Span, TILE_WORDS, Values, Work,
};
use kernels::mix::mix32;
use report::Backend;

use crate::kernels_agree::Run;

/// Tiles: in chunks of two for a table, so that the last is not full.
const TILES: u32 = 5;
/// Just below the tile from which on words have other numbers.
const BASE: u32 = (1 << 18) - 2;

/// The forms that the device can run.
fn forms(device: &impl Device) -> Vec<&'static Kernel> {
    let info = device.info();
    let wgsl = |form: &Kernel| info.backend != Backend::Portable || form.wgsl.is_some();
    let all = FORMS.into_iter();
    all.filter(|form| wgsl(form) && form.needs.iter().all(|need| offers(info, *need))).collect()
}

fn work(op: Op, values: Values) -> Work {
    let span = Span { first: 0, tiles: TILES, base: BASE, chunk_tiles: 2, region_tiles: 4096 };
    Work { op, values, order: Order::Forward, tiles_each: 1, span }
}

/// Chunks of two tiles or one buffer, with the words that `at` gives for tile and number; two tiles more than are touched.
fn memory(form: &Kernel, at: impl Fn(u32, u32) -> u32) -> Vec<Vec<u32>> {
    let all = TILES + 3;
    let tiles = if form.table { 2 } else { all };
    let chunk = |chunk: u32| {
        let words =
            (chunk * tiles..(chunk + 1) * tiles).flat_map(|tile| (0..TILE_WORDS).map(move |n| (tile, n)));
        words.map(|(tile, n)| at(tile, n)).collect()
    };
    (0..all / tiles).map(chunk).collect()
}

fn run(form: &'static Kernel, work: Work, memory: Vec<Vec<u32>>) -> Run {
    let mut buffers = vec![vec![0; ERROR_WORDS]];
    buffers.extend(memory);
    Run::new(form, buffers, work.params(), work.workgroups())
}

fn every_kind() -> [Values; 5] {
    [
        Values::own_address(0x1234_5678),
        Values::uniform(0xaaaa_5555),
        Values::random(77).complement(),
        Values::lines(11, 0x0f0f_0f0f),
        Values::modulo(13, 0xffff_0000),
    ]
}

pub(crate) fn the_memory_kernels_equal_their_reference<D: Device>(device: &mut Option<D>) {
    let device = device.as_mut().unwrap();
    for form in forms(device) {
        for (values, order) in every_kind()
            .into_iter()
            .zip([Order::Forward, Order::Reverse, Order::Shuffled].into_iter().cycle())
        {
            let shaped = |op, tiles_each| Work { order, tiles_each, ..work(op, values) };
            let stale = || memory(form, |_, n| mix32(n));
            let right = || memory(form, |tile, n| values.at(BASE.wrapping_add(tile), n));
            run(form, shaped(Op::Write, 2), stale()).agrees(device);
            if values.is_victim(0) || values.is_victim(13 * 8) {
                run(form, shaped(Op::WriteOthers, 1), stale()).agrees(device);
            }
            // One wrong word, at a place of its own for each kind.
            let mut flip = shaped(Op::Flip { word: 16_383 - order as u32, mask: 0x8000_0001 }, 1);
            flip.span.first = 4 - order as u32;
            let wrong = run(form, flip, right());
            wrong.agrees(device);
            let wrong = wrong.expected().split_off(1);
            run(form, shaped(Op::Verify, 1), wrong.clone()).agrees(device);
            run(form, shaped(Op::VerifyInvert, 2), wrong).agrees(device);
        }
        let copy = Work {
            span: Span { tiles: 3, ..work(Op::Write, Values::random(1)).span },
            ..work(Op::Copy { tiles: 3 }, Values::random(1))
        };
        run(form, copy, memory(form, |tile, n| mix32(tile ^ n))).agrees(device);
    }
}

pub(crate) fn more_wrong_words_than_records_are_all_counted_with_bit_and_place<D: Device>(
    device: &mut Option<D>,
) {
    let device = device.as_mut().unwrap();
    let values = Values::own_address(7);
    for form in forms(device) {
        for op in [Op::Verify, Op::VerifyInvert] {
            let mut work = Work { order: Order::Shuffled, tiles_each: 2, ..work(op, values) };
            work.span = Span { base: 0, region_tiles: 2, ..work.span };
            let is_wrong = |n: u32| n.is_multiple_of(31);
            let run = run(
                form,
                work,
                memory(form, |tile, n| values.at(tile, n) ^ if is_wrong(n) { 0x110 } else { 0 }),
            );
            let (expected, found) = (run.expected(), run.found(device));
            assert!(expected[1..] == found[1..], "memory after {op:?} by `{}`", form.name);
            let (expected, found) = (Errors::from_words(&expected[0]), Errors::from_words(&found[0]));
            assert_eq!(Errors { records: vec![], ..expected }, Errors { records: vec![], ..found.clone() });
            assert_eq!((found.count, found.strips), (TILES * TILE_WORDS.div_ceil(31), TILES * LANES));
            assert_eq!((found.records.len(), found.set | found.cleared), (RECORDS_MAX as usize, 0x110));
            for record in &found.records {
                let right = values.at(record.tile, record.word);
                assert!(is_wrong(record.word) && record.tile < TILES, "{record:?}");
                assert_eq!(
                    (record.expected, record.found, record.again),
                    (right, right ^ 0x110, [right ^ 0x110; 3])
                );
            }
            let mut places: Vec<_> = found.records.iter().map(|record| (record.tile, record.word)).collect();
            places.sort_unstable();
            places.dedup();
            assert_eq!(places.len(), RECORDS_MAX as usize, "each record another word");
        }
    }
}
