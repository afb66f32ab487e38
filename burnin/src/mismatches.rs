//! Wrong answers: counting them, keeping the first, and telling planted ones from real ones.

use report::{Canary, Mismatch, Mismatches};

/// Counts a mismatch and keeps it if there is room.
pub fn add(found: &mut Mismatches, mismatch: Mismatch) {
    found.count += 1;
    found.bits |= mismatch.expected ^ mismatch.found;
    if found.first.len() < Mismatches::KEPT_MAX {
        found.first.push(mismatch);
    }
}

/// Joins mismatches of one kind of place to those of another.
pub fn merge(found: &mut Mismatches, more: Mismatches) {
    found.count += more.count;
    found.bits |= more.bits;
    let room = Mismatches::KEPT_MAX - found.first.len();
    found.first.extend(more.first.into_iter().take(room));
}

/// Scores one planted fault: found if exactly one place was wrong and it is the planted one. What else was wrong is real
/// and goes to `real`.
pub fn score(canary: &mut Canary, seen: Mismatches, planted_at: u64, real: &mut Mismatches) {
    canary.planted += 1;
    let (hits, strays): (Vec<_>, Vec<_>) = seen.first.into_iter().partition(|m| m.byte_address == planted_at);
    canary.found += u32::from(!hits.is_empty());
    let uncounted = seen.count - (hits.len() + strays.len()) as u64;
    if !strays.is_empty() || uncounted > 0 {
        let count = strays.len() as u64 + uncounted;
        canary.strays = canary.strays.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        merge(
            real,
            Mismatches {
                count,
                bits: strays.iter().fold(0, |bits, m| bits | (m.expected ^ m.found)),
                first: strays,
            },
        );
    }
}
