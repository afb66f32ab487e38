//! Many who claim to be one, all at once.

#![allow(clippy::unwrap_used, reason = "a test ends where it breaks")]

mod support;

use std::io::Write as _;
use std::time::Instant;

use inventory::identity::Why;
use report::wire::Identity;
use support::direct::{Direct, enrolment};
use support::{random, random_uuid};
use tokio::task::JoinSet;

#[test]
#[expect(clippy::disallowed_methods, reason = "the figure is for people; nothing is decided by it")]
fn of_a_thousand_clones_of_one_uuid_one_owns_it_and_the_others_are_quarantined() {
    const CLONES: usize = 1000;
    let direct = Direct::new();
    let uuid = random_uuid();
    let tokens = direct.tokens(CLONES);
    let started = Instant::now();
    let answers = direct.runtime.block_on(async {
        let mut set = JoinSet::new();
        for (n, token) in tokens.into_iter().enumerate() {
            // Every other one has a board of its own, which tells it apart: that teaches nothing either.
            let board_serial = n.is_multiple_of(2).then(|| format!("bn{n:05}x"));
            let identity = Identity { product_uuid: Some(uuid.clone()), board_serial, ..Identity::default() };
            let (store, request) = (direct.store.clone(), enrolment(token, random(), &identity));
            set.spawn(async move { store.enrol(request).await });
        }
        set.join_all().await
    });
    let took = started.elapsed();
    let count = |state: &str| answers.iter().filter(|answer| answer.as_ref().unwrap().state == state).count();
    let (owners, quarantined) = (count("registering"), count("quarantined"));
    let _ = writeln!(
        std::io::stderr(),
        "{CLONES} clones of one UUID at once: {owners} owner, {quarantined} quarantined, in {:.1} s",
        took.as_secs_f64()
    );
    assert_eq!((owners, quarantined), (1, CLONES - 1));
    let whys: Vec<_> =
        direct.view().nodes(None).unwrap().into_iter().filter_map(|node| node.reason).collect();
    let known = [Why::Ambiguous, Why::ClonedUuid, Why::EvidenceMissing].map(Why::as_str);
    assert_eq!(whys.len(), CLONES - 1);
    assert!(whys.iter().all(|why| known.iter().any(|word| why.contains(word))), "{whys:?}");
}

#[test]
fn of_sixty_four_enrolments_with_one_token_at_once_one_succeeds() {
    const CLAIMANTS: usize = 64;
    let direct = Direct::new();
    let token = direct.tokens(1).pop().unwrap();
    let answers = direct.runtime.block_on(async {
        let mut set = JoinSet::new();
        for _ in 0..CLAIMANTS {
            let identity = Identity { product_uuid: Some(random_uuid()), ..Identity::default() };
            let (store, request) = (direct.store.clone(), enrolment(token.clone(), random(), &identity));
            set.spawn(async move { store.enrol(request).await });
        }
        set.join_all().await
    });
    let let_in = answers.iter().filter(|answer| answer.is_ok()).count();
    let refused =
        answers.iter().filter_map(|answer| answer.as_ref().err()).filter(|r| r.code.as_str() == "token_used");
    let refused = refused.count();
    let _ = writeln!(
        std::io::stderr(),
        "{CLAIMANTS} enrolments with one token at once: {let_in} let in, {refused} refused"
    );
    assert_eq!((let_in, refused), (1, CLAIMANTS - 1));
    assert_eq!(direct.view().nodes(None).unwrap().len(), 1);
}
