//! Buffers: zero when new, what is written comes back, memory is given back.

use std::time::Duration;

use burnin::device::{Device, DeviceError, Transfer};
use kernels::mix::mix32;
use report::Bytes;

/// Far more than any transfer here needs.
const DEADLINE: Duration = Duration::from_secs(60);

fn noise(seed: u32, words: usize) -> Vec<u32> {
    (seed..).take(words).map(mix32).collect()
}

pub(crate) fn new_buffers_are_zero<D: Device>(device: &mut Option<D>) {
    let device = device.as_mut().unwrap();
    for bytes in [4, 20, 4096, 33 << 20] {
        // Memory that was used before is what a driver may hand out again.
        for _ in 0..2 {
            let words = usize::try_from(bytes / 4).unwrap();
            let buffer = device.allocate(Bytes(bytes)).unwrap();
            let mut found = vec![1; words];
            device.read_back(buffer, 0, &mut found, DEADLINE).unwrap();
            assert!(found.iter().all(|word| *word == 0), "{bytes} bytes");
            device.upload(buffer, 0, &noise(1, words), DEADLINE).unwrap();
            device.free(buffer);
        }
    }
}

pub(crate) fn words_come_back_at_odd_offsets_and_across_the_staging_size<D: Device>(device: &mut Option<D>) {
    const WORDS: usize = (9 << 20) + 5;
    let device = device.as_mut().unwrap();
    let buffer = device.allocate(Bytes(WORDS as u64 * 4)).unwrap();
    let mut model = vec![0; WORDS];
    // The staging buffers of both backends hold 4 Mi words.
    let parts = [(0, WORDS), (1, 1), (3, 2), (12_345, 777), (7, (4 << 20) + 9), (WORDS - 1, 1), (5, 0)];
    for (seed, (first, len)) in (1..).zip(parts) {
        let words = noise(seed << 24, len);
        model[first..first + len].copy_from_slice(&words);
        device.upload(buffer, first as u64, &words, DEADLINE).unwrap();
        let mut found = vec![0; len];
        device.read_back(buffer, first as u64, &mut found, DEADLINE).unwrap();
        assert!(found == words, "{len} words from {first} on differ");
    }
    let mut found = vec![0; WORDS];
    device.read_back(buffer, 0, &mut found, DEADLINE).unwrap();
    let wrong = found.iter().zip(&model).position(|(found, model)| found != model);
    assert_eq!(wrong, None);
    let mut found = vec![0; WORDS - 3];
    device.read_back(buffer, 3, &mut found, DEADLINE).unwrap();
    assert!(found == model[3..]);
}

/// A device in the processor's memory would grow by 1.9 GiB; another may run out.
pub(crate) fn a_buffer_given_back_can_be_had_again_thirty_times<D: Device>(device: &mut Option<D>) {
    let device = device.as_mut().unwrap();
    let mut before = None;
    for round in 0..30 {
        let buffer = device.allocate(Bytes::mib(64)).unwrap();
        device.upload(buffer, 0, &[round], DEADLINE).unwrap();
        device.free(buffer);
        before = before.or_else(|| Some(resident_kib()));
    }
    let grown = resident_kib().saturating_sub(before.unwrap_or_default());
    assert!(grown < 256 << 10, "this process has grown by {grown} KiB");
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("reading /proc/self/status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux tells VmRSS");
    line.trim().trim_end_matches(" kB").parse().expect("a number of KiB")
}

pub(crate) fn more_than_the_memory_is_refused_and_the_device_goes_on<D: Device>(device: &mut Option<D>) {
    let device = device.as_mut().unwrap();
    for bytes in [Bytes(1 << 50), Bytes(u64::MAX)] {
        let refused = device.allocate(bytes).unwrap_err();
        assert!(matches!(refused, DeviceError::OutOfMemory { bytes: b, .. } if b == bytes), "{refused:?}");
    }
    let buffer = device.allocate(Bytes::mib(1)).unwrap();
    device.upload(buffer, 1, &[7], DEADLINE).unwrap();
    let mut found = [0; 2];
    device.read_back(buffer, 0, &mut found, DEADLINE).unwrap();
    assert_eq!(found, [0, 7]);
}

pub(crate) fn transfers_carry_words_both_ways_and_leave_the_rest_alone<D: Device>(device: &mut Option<D>) {
    const WORDS: usize = (5 << 20) + 3;
    let device = device.as_mut().unwrap();
    let buffer = device.allocate(Bytes(WORDS as u64 * 4)).unwrap();
    let mut model = noise(7, WORDS);
    device.upload(buffer, 0, &model, DEADLINE).unwrap();
    // Larger and smaller than what was copied before, once and in a row.
    for (seed, words, repeat) in [(1 << 24, 1000, 1), (2 << 24, WORDS - 2, 3), (3 << 24, 1, 2)] {
        let sent = noise(seed, words);
        model[..words].copy_from_slice(&sent);
        let elapsed = device.transfer(buffer, Transfer::ToDevice(&sent), repeat, DEADLINE).unwrap();
        assert!(elapsed.host > Duration::ZERO);
        let mut found = vec![0; WORDS];
        device.read_back(buffer, 0, &mut found, DEADLINE).unwrap();
        assert!(found == model, "{words} words to the device, {repeat} times");
        let mut fetched = vec![0; words + 2];
        let elapsed = device.transfer(buffer, Transfer::ToHost(&mut fetched), repeat, DEADLINE).unwrap();
        assert!(elapsed.host > Duration::ZERO);
        assert!(fetched == model[..words + 2], "{words} words and two to the host, {repeat} times");
    }
    device.free(buffer);
}
