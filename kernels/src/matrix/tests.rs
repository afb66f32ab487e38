use super::*;
use crate::chain::share;

fn work(types: Types, fragments: u32) -> Work {
    Work {
        types,
        whole: false,
        m: 8,
        n: 4,
        k: 8,
        fragments,
        owners: 3,
        invocations: 24,
        workgroups: 7,
        rounds: 6,
        seed: 0x5eed,
        wanted: Data::Exact,
    }
}

fn run(work: &Work, fault: SelfFault) -> (Vec<u32>, Vec<u32>) {
    let mut operands = operands(work);
    assert_eq!(operands.len(), work.operand_words());
    let (mut results, mut groups) = (vec![0; work.result_words()], vec![0; work.groups()]);
    let buffers = &mut [&mut operands[..], &mut results, &mut groups];
    (work.kernel().reference)(buffers, &work.params(fault), 0..work.workgroups);
    (results, groups)
}

#[test]
fn the_reference_gives_what_the_integers_say() {
    for types in Types::ALL {
        for (fragments, rounds) in [(2, 2), (2, 14), (4, 6), (4, 40)] {
            let work = Work { rounds, ..work(types, fragments) };
            let (results, groups) = run(&work, SelfFault::None);
            let expected = Expected::new(&work);
            let all: Vec<u32> = (0..21).flat_map(|owner| expected.tile(owner)).collect();
            assert!(results == all, "{types:?} {fragments} {rounds}");
            assert_eq!(groups[0], 7);
            let words = &results[results.len() / 7..][..results.len() / 7];
            let sum = (0..).zip(words).fold(0u32, |sum, (at, word)| sum.wrapping_add(share(at, *word)));
            assert_eq!(groups[2], sum);
        }
    }
}

#[test]
fn sums_of_the_most_rounds_stay_exact() {
    for types in Types::ALL {
        let Some(max) = types.exact_max() else { continue };
        for (fragments, k) in [(2, 8), (4, 16), (4, 32), (2, 128)] {
            let long = Work { k, workgroups: 1, owners: 16, ..work(types, fragments) };
            let long = Work { rounds: long.rounds_max(), ..long };
            assert!(long.rounds >= 64, "{types:?} {fragments} {k}: only {} rounds", long.rounds);
            let expected = Expected::new(&long);
            let values = (0..CLASSES).flat_map(|owner| {
                let tile = expected.tile(owner);
                let accumulator = types.accumulator();
                operands::unpack(&tile, accumulator.per_word())
                    .into_iter()
                    .map(move |bits| accumulator.decode(bits))
                    .collect::<Vec<_>>()
            });
            let largest = values.map(i64::abs).max().unwrap();
            assert!(largest <= max && largest > 16, "{types:?} {fragments} {k}: {largest} of {max}");
        }
    }
}

#[test]
fn a_round_or_a_product_too_few_is_seen_in_most_components() {
    for types in Types::ALL {
        for fragments in [2, 4] {
            let right = Work { rounds: 64, ..work(types, fragments) };
            for rounds in [0, 2, 32, 60, 62, 66] {
                let (right, wrong) = (Expected::new(&right), Expected::new(&Work { rounds, ..right }));
                let (right, wrong) = (right.tile(0), wrong.tile(0));
                let differ = right.iter().zip(&wrong).filter(|(a, b)| a != b).count();
                assert!(differ * 2 > right.len(), "{types:?} {fragments} {rounds}: {differ}");
            }
        }
    }
}

#[test]
fn every_owner_has_a_tile_of_its_own_unless_data_are_random() {
    for types in Types::ALL {
        let work = work(types, 2);
        let expected = Expected::new(&work);
        let tiles: Vec<_> = (0..2 * CLASSES).map(|owner| expected.tile(owner)).collect();
        let same = (0..tiles.len()).flat_map(|a| (0..a).map(move |b| (a, b)));
        let same = same.filter(|(a, b)| tiles[*a] == tiles[*b]).count();
        assert!(same <= 2, "{types:?}: {same} pairs of owners with one tile");
    }
    let random = Work { wanted: Data::Random, ..work(Types::F16F32, 2) };
    let (results, _) = run(&random, SelfFault::None);
    let tile = random.tile_words();
    assert_eq!(results[..tile], results[16 * tile..][..tile]);
    assert_ne!(results[..tile], results[tile..][..tile]);
}

#[test]
fn random_sums_stay_finite_and_use_their_mantissa() {
    for types in [Types::F16F16, Types::F16F32, Types::Bf16F32, Types::E4m3F32, Types::E5m2F32] {
        let work = Work { wanted: Data::Random, workgroups: 1, ..work(types, 4) };
        let work = Work { rounds: work.rounds_max().min(2000), ..work };
        let (results, _) = run(&work, SelfFault::None);
        let accumulator = types.accumulator();
        let components = operands::unpack(&results, accumulator.per_word());
        assert!(components.iter().all(|bits| accumulator.decode_float(*bits).is_finite()), "{types:?}");
        let fractions = components.iter().filter(|bits| accumulator.decode_float(**bits).fract() != 0.0);
        assert!(fractions.count() * 2 > components.len(), "{types:?}");
    }
}

#[test]
fn a_planted_fault_shows_in_its_word_and_nowhere_else() {
    for types in Types::ALL {
        for (fragments, from) in [(2, 0), (2, 5), (4, 30)] {
            let work = Work { rounds: 40, ..work(types, fragments) };
            let (clean, clean_groups) = run(&work, SelfFault::None);
            let (fault, word) = work.fault(2, 1, from, 1 << 17);
            let (results, groups) = run(&work, fault);
            let differ: Vec<_> = (0..results.len()).filter(|at| results[*at] != clean[*at]).collect();
            assert_eq!(differ, [word], "{types:?}");
            assert_eq!(word / work.tile_words(), 2 * 3 + 1);
            let differ: Vec<_> = (0..groups.len()).filter(|at| groups[*at] != clean_groups[*at]).collect();
            assert_eq!(differ, [3]);
        }
    }
}

#[test]
fn a_stuck_lane_shows_only_in_its_words_of_first_accumulators() {
    let work = work(Types::S8S32, 2);
    let (clean, _) = run(&work, SelfFault::None);
    let (results, _) = run(&work, SelfFault::StuckLane { lane: 7, mask: 0x10 });
    let differ: Vec<_> = (0..results.len()).filter(|at| results[*at] != clean[*at]).collect();
    assert!(differ.len() > 5, "{differ:?}");
    assert!(differ.iter().all(|at| at % work.tile_words() == 7), "{differ:?}");
}

#[test]
fn the_cost_counts_every_multiplication_and_addition() {
    let work = work(Types::F16F32, 4);
    assert_eq!(work.cost().operations, 21 * 6 * 64 * (8 * 4 * 8) * 2);
}
