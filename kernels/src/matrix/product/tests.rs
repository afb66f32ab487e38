use super::*;

fn work(types: Types, size: u32) -> Work {
    Work { types, m: 8, n: 8, k: 16, fragments: 2, owners: 4, invocations: 32, size, seed: 77 }
}

fn run(product: &Product, fault: SelfFault) -> (Vec<u32>, Vec<u32>) {
    let work = &product.work;
    let (mut left, mut right) = (product.left(), product.right());
    assert_eq!((left.len(), right.len()), (work.operand_words(), work.operand_words()));
    let (mut results, mut groups) = (vec![!0; work.result_words()], vec![0; work.groups()]);
    let buffers = &mut [&mut left[..], &mut right, &mut results, &mut groups];
    (work.kernel().reference)(buffers, &work.params(fault), 0..work.workgroups());
    (results, groups)
}

#[test]
fn the_reference_gives_what_the_integers_say() {
    for types in Types::ALL {
        let work = work(types, 192);
        assert!(work.divides());
        let product = Product::new(&work);
        let (results, groups) = run(&product, SelfFault::None);
        assert!(results == product.answer(), "{types:?}");
        assert_eq!(groups[0], work.workgroups());
        assert_eq!(groups[1..], product.sums(&results));
    }
}

#[test]
fn sums_of_the_largest_matrices_stay_exact() {
    for types in [Types::F16F16, Types::E4m3F32] {
        for seed in 0..3 {
            let product = Product::new(&Work { seed, ..work(types, 4096) });
            let (largest, max) = (product.largest() + 16, types.exact_max().unwrap());
            assert!(largest <= max && largest > 200, "{types:?}: {largest} of {max}");
        }
    }
}

#[test]
fn a_planted_fault_shows_in_its_word_and_nowhere_else() {
    for types in Types::ALL {
        let product = Product::new(&work(types, 128));
        let (clean, _) = run(&product, SelfFault::None);
        for (workgroup, from) in [(0, 0), (15, 9)] {
            let fault = product.fault(workgroup, from, 1 << 21);
            let SelfFault::Flip { lane, .. } = fault else { panic!("{fault:?}") };
            let (results, groups) = run(&product, fault);
            let differ: Vec<_> = (0..results.len()).filter(|at| results[*at] != clean[*at]).collect();
            assert_eq!(differ, [lane as usize], "{types:?}");
            assert_eq!(product.workgroup_of(u64::from(lane)), workgroup);
            let sums = product.sums(&clean);
            let wrong = (0..16).filter(|n| groups[1 + n] != sums[*n]).collect::<Vec<_>>();
            assert_eq!(wrong, [workgroup as usize]);
        }
    }
}

#[test]
fn no_two_tiles_are_alike() {
    let product = Product::new(&work(Types::S8S32, 512));
    let answer = product.answer();
    let corner = |tile: u32| {
        let (row, column) = product.work.origin(tile);
        answer[row * 512 + column..][..16].to_vec()
    };
    let corners: std::collections::HashSet<_> = (0..1024).map(corner).collect();
    assert_eq!(corners.len(), 1024);
}
