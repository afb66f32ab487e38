//! One link and what DHCP servers do to it.

use std::net::{IpAddr, Ipv4Addr};

use super::world::{Honest, World, answer, mac, secs};
use super::*;
use crate::net::dhcp4::Malformed;
use crate::net::dhcp4::message::{Kind, Message, Op};
use crate::net::dhcp4::options::code;
use ::report::MacAddr;

use crate::system::links::Purpose;

const TICK: Duration = Duration::from_millis(20);

fn first_address(network: &Network) -> String {
    network.links[0].addresses[0].to_string()
}

fn reason(world: &World) -> Reason {
    let error = up(world).unwrap_err();
    assert!(world.now() < wish().deadline + secs(1), "the deadline is kept");
    let NetError::NoAddress { links, .. } = error else { panic!("{error}") };
    links[0].reason.clone().unwrap()
}

#[test]
fn a_lease_becomes_an_address_then_routes() {
    let world = World::new(1);
    world.serve(2, |to: &Message| {
        let mut says = Honest::at(7).says(to).unwrap();
        // 192.168.0.0/16 by a gateway that is reached only through the on-link route behind it, and a default route.
        says.options.set(
            code::CLASSLESS_ROUTES,
            [16, 192, 168, 172, 16, 0, 9, 24, 172, 16, 0, 0, 0, 0, 0, 0, 10, 7, 0, 1],
        );
        says.options.set(code::INTERFACE_MTU, [0x23, 0x28]);
        vec![(TICK, says)]
    });
    let network = up(&world).unwrap();
    assert_eq!(first_address(&network), "10.7.0.50/24");
    assert_eq!(network.links[0].gateway, Some([10, 7, 0, 1].into()));
    assert_eq!(network.links[0].reason, None);
    assert_eq!(
        world.inner().calls,
        [
            "up 1",
            "up 2",
            "mtu 2 9000",
            "address 2 10.7.0.50/24 Some(3600s) 102",
            "route 2 172.16.0.0/24 None 102",
            "route 2 192.168.0.0/16 Some(172.16.0.9) 102",
            "route 2 0.0.0.0/0 Some(10.7.0.1) 102",
        ]
    );
}

#[test]
fn what_is_lost_is_sent_again_after_4_8_and_16_seconds() {
    let world = World::new(1);
    let mut lost = 0;
    world.serve(2, move |to: &Message| {
        lost += 1;
        if lost <= 3 { vec![] } else { vec![(TICK, Honest::at(7).says(to).unwrap())] }
    });
    assert_eq!(up(&world).unwrap().links[0].attempts, 5);
    let discovers = world.sent(Kind::Discover);
    let waits = discovers.windows(2).map(|pair| pair[1].at - pair[0].at);
    for (wait, about) in waits.zip([4, 8, 16]) {
        assert!(wait >= secs(about - 1) && wait <= secs(about + 1), "{wait:?} is not about {about} s");
    }
    assert_eq!(discovers.len(), 4);
    assert!(discovers.iter().all(|sent| sent.message.xid == discovers[0].message.xid), "one transaction");
}

#[test]
fn a_slow_server_is_waited_for() {
    let world = World::new(1);
    world.serve(2, Honest::at(7).after(secs(7)));
    assert_eq!(first_address(&up(&world).unwrap()), "10.7.0.50/24");
}

#[test]
fn a_server_that_offers_and_falls_silent_gives_way_to_another() {
    let world = World::new(1);
    world.serve(2, |to: &Message| match to.kind {
        Kind::Discover => vec![(TICK, Honest::at(6).says(to).unwrap())],
        // Its answer comes when it has been given up, and must not count any more.
        _ => Honest::at(6).says(to).map(|late| (secs(14), late)).into_iter().collect(),
    });
    world.serve(2, Honest::at(7).after(secs(1)));
    let mut network = up(&world).unwrap();
    assert_eq!(first_address(&network), "10.7.0.50/24");
    assert!(world.now() > secs(10) && world.now() < secs(20), "{:?}", world.now());
    keep(&mut network, &world, secs(60));
    assert_eq!(world.inner().held[&2].len(), 1);
}

#[test]
fn a_server_that_is_alone_and_silent_is_the_reason() {
    let world = World::new(1);
    world.serve(2, |to: &Message| match to.kind {
        Kind::Discover => vec![(TICK, Honest::at(6).says(to).unwrap())],
        _ => vec![],
    });
    assert_eq!(reason(&world), Reason::Silent { server: [10, 6, 0, 1].into() });
    assert!(world.sent(Kind::Request).len() >= 4, "it is asked again when nobody else offers");
}

#[test]
fn after_a_refusal_it_asks_anew_and_another_server_is_preferred() {
    let world = World::new(1);
    world.serve(2, |to: &Message| match to.kind {
        Kind::Discover => vec![(TICK, Honest::at(6).says(to).unwrap())],
        _ => vec![(TICK, answer(to, Kind::Nak, [10, 6, 0, 1].into(), Ipv4Addr::UNSPECIFIED))],
    });
    world.serve(2, Honest::at(7).after(secs(1)));
    assert_eq!(first_address(&up(&world).unwrap()), "10.7.0.50/24");
    let discovers = world.sent(Kind::Discover);
    assert_eq!(discovers.len(), 2);
    assert!(discovers[1].at - discovers[0].at >= secs(1));
    assert_ne!(discovers[0].message.xid, discovers[1].message.xid);
}

#[test]
fn a_server_that_always_refuses_says_why_and_is_not_flooded() {
    let world = World::new(1);
    world.serve(2, |to: &Message| match to.kind {
        Kind::Discover => vec![(TICK, Honest::at(6).says(to).unwrap())],
        _ => {
            let mut nak = answer(to, Kind::Nak, [10, 6, 0, 1].into(), Ipv4Addr::UNSPECIFIED);
            nak.options.set(code::MESSAGE, *b"not in the list");
            vec![(TICK, nak)]
        }
    });
    assert_eq!(reason(&world), Reason::Nak { message: Some("not in the list".into()) });
    assert!(world.inner().sent.len() < 80, "{} packets in two minutes", world.inner().sent.len());
}

#[test]
fn of_two_servers_the_first_is_taken_and_the_other_cannot_refuse_it() {
    let world = World::new(1);
    world.serve(2, Honest::at(7).after(TICK * 2));
    world.serve(2, |to: &Message| match to.kind {
        Kind::Discover => vec![(TICK * 3, Honest::at(6).says(to).unwrap())],
        _ => vec![
            (TICK, answer(to, Kind::Nak, [10, 6, 0, 1].into(), Ipv4Addr::UNSPECIFIED)),
            (TICK, Honest::at(6).grant(to, Kind::Ack)),
        ],
    });
    assert_eq!(first_address(&up(&world).unwrap()), "10.7.0.50/24");
    let requests = world.sent(Kind::Request);
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].message.options.address(code::SERVER_ID), Ok(Some([10, 7, 0, 1].into())));
}

#[test]
fn answers_to_others_are_not_taken() {
    let world = World::new(1);
    world.serve(2, |to: &Message| {
        let Some(good) = Honest::at(6).says(to) else { return vec![] };
        let wrong = [
            Message { xid: good.xid.wrapping_add(1), ..good.clone() },
            Message { mac: MacAddr([2, 9, 9, 9, 9, 9]), ..good.clone() },
            Message { op: Op::Request, ..good.clone() },
            // An acknowledgement of what was not asked for.
            Message { kind: Kind::Ack, ..good },
        ];
        wrong.map(|wrong| (TICK, wrong)).into()
    });
    assert!(matches!(reason(&world), Reason::NoDhcp { discovers: 2.. }));
    assert!(world.sent(Kind::Request).is_empty());
}

#[test]
fn a_grant_that_cannot_be_used_is_the_reason() {
    let world = World::new(1);
    world.serve(2, |to: &Message| {
        let mut offer = Honest::at(6).says(to).unwrap();
        offer.options.set(code::LEASE_TIME, [0; 4]);
        vec![(TICK, offer)]
    });
    assert_eq!(reason(&world), Reason::Malformed(Malformed::NoLeaseTime));
}

#[test]
fn garbage_without_end_does_not_keep_the_grant_out() {
    let world = World::new(1);
    for n in 0..2000 {
        world.arrive(Duration::from_millis(n), 2, Purpose::Dhcp4, vec![7; 300]);
    }
    world.serve(2, Honest::at(7).prompt());
    assert_eq!(first_address(&up(&world).unwrap()), "10.7.0.50/24");
}

#[test]
fn half_way_the_server_is_asked_to_go_on() {
    let world = World::new(1);
    world.serve(2, Honest::at(7).prompt());
    let mut network = up(&world).unwrap();
    keep(&mut network, &world, secs(3500));
    let renewals = &world.sent(Kind::Request)[1..];
    assert_eq!(renewals.len(), 1, "{renewals:?}");
    let (sent, message) = (&renewals[0], &renewals[0].message);
    assert_eq!(sent.at.as_secs(), 1800);
    assert_eq!(sent.to, IpAddr::from([10, 7, 0, 1]), "to its server alone");
    assert_eq!((message.client, message.broadcast), (Ipv4Addr::new(10, 7, 0, 50), false));
    // RFC 2131 table 5: neither of them in a renewal.
    assert_eq!(message.options.get(code::SERVER_ID), None);
    assert_eq!(message.options.get(code::REQUESTED_ADDRESS), None);
    assert_eq!(world.called("address").len(), 2, "Linux is told that it lasts longer");
}

#[test]
fn when_its_server_is_gone_any_other_is_asked_and_at_the_end_the_address_goes() {
    let world = World::new(1);
    world.serve(2, Honest::at(7).prompt());
    let mut network = up(&world).unwrap();
    world.no_more_servers();
    keep(&mut network, &world, secs(3599));
    let renewals = &world.sent(Kind::Request)[1..];
    let (to_one, to_any): (Vec<_>, Vec<_>) =
        renewals.iter().partition(|sent| sent.to == IpAddr::from([10, 7, 0, 1]));
    assert!(to_one.len() >= 3 && to_one.iter().all(|sent| sent.at < secs(3151)), "{to_one:?}");
    assert!(to_any.len() >= 2 && to_any.iter().all(|sent| sent.at >= secs(3150)), "{to_any:?}");
    assert!(to_any.iter().all(|sent| sent.to == IpAddr::V4(Ipv4Addr::BROADCAST)));
    for pair in to_one.windows(2).chain(to_any.windows(2)) {
        assert!(pair[1].at - pair[0].at >= secs(59), "not more often than once a minute: {pair:?}");
    }
    assert_eq!(world.inner().held[&2].len(), 1);
    let links = keep(&mut network, &world, secs(3602));
    assert!(world.inner().held[&2].is_empty() && links[0].addresses.is_empty());
    assert_eq!(world.sent(Kind::Discover).len(), 2, "and it looks for another");
}

#[test]
fn a_renewal_that_is_refused_ends_the_lease_and_one_with_another_address_replaces_it() {
    let world = World::new(1);
    world.serve(2, Honest::at(7).prompt());
    let mut network = up(&world).unwrap();
    world.no_more_servers();
    world.serve(2, |to: &Message| {
        let first = to.kind == Kind::Request && to.client != Ipv4Addr::UNSPECIFIED;
        let other = Honest { address: [10, 7, 0, 60].into(), ..Honest::at(7) };
        let nak = answer(to, Kind::Nak, [10, 7, 0, 1].into(), Ipv4Addr::UNSPECIFIED);
        vec![(TICK, if first { nak } else { other.says(to).unwrap() })]
    });
    let links = keep(&mut network, &world, secs(1820));
    assert_eq!(links[0].addresses[0].to_string(), "10.7.0.60/24");
    assert_eq!(world.inner().held[&2].len(), 1, "the refused address is gone");
    world.no_more_servers();
    world.serve(2, Honest { address: [10, 7, 0, 61].into(), ..Honest::at(7) }.prompt());
    let links = keep(&mut network, &world, secs(3700));
    assert_eq!(links[0].addresses[0].to_string(), "10.7.0.61/24");
    assert_eq!(world.inner().held[&2].len(), 1, "the earlier address is gone");
}

#[test]
fn a_lease_for_ever_or_for_a_second_is_kept_without_a_flood() {
    for lease in [u32::MAX, 1] {
        let world = World::new(1);
        world.serve(2, Honest { lease, ..Honest::at(7) }.prompt());
        let mut network = up(&world).unwrap();
        keep(&mut network, &world, secs(60));
        assert_eq!(world.inner().held[&2].len(), 1);
        assert!(world.inner().sent.len() < 130, "{} packets a minute", world.inner().sent.len());
    }
}

#[test]
fn every_packet_names_the_node_as_its_firmware_does() {
    let world = World::new(1);
    world.serve(2, Honest::at(7).prompt());
    up(&world).unwrap();
    for sent in &world.inner().sent {
        assert_eq!(sent.message.options.get(code::CLIENT_ID), Some(&[1, 2, 0, 0, 0, 0, 2][..]));
        assert_eq!((sent.message.mac, sent.message.broadcast), (mac(2), true));
    }
}
