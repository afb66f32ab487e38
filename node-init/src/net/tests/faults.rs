//! Linux refuses, one call after the other.

use super::world::{Honest, World, secs};
use super::*;
use crate::net::dhcp4::message::Message;
use crate::net::dhcp4::options::code;

fn world() -> World {
    let world = World::new(2);
    world.without_carrier(3, 0..9999);
    world.serve(2, |to: &Message| {
        let mut says = Honest::at(7).says(to).unwrap();
        says.options.set(code::INTERFACE_MTU, [0x23, 0x28]);
        vec![(secs(0), says)]
    });
    world.inner().v6 = Some((
        crate::system::links::Prefix { address: "fe80::5".parse().unwrap(), length: 64 },
        "fe80::1".parse().unwrap(),
    ));
    world
}

fn start(world: &World) -> Result<Network, NetError> {
    bring_up(world, &Wish { ipv6: true, ..wish() }, world)
}

/// Calls that a boot without faults makes.
fn calls() -> usize {
    let world = world();
    start(&world).unwrap();
    let counted = world.inner().counted;
    assert!(counted > 20, "{counted} calls");
    counted
}

#[test]
fn one_call_that_is_refused_costs_time_and_no_more_wherever_it_is() {
    for nth in 0..calls() {
        let world = world();
        world.refuse(nth..nth + 1);
        match start(&world) {
            Ok(network) => {
                assert_eq!(network.links[0].addresses[0].to_string(), "10.7.0.50/24", "call {nth}");
                assert_eq!(network.links[0].reason, None, "call {nth}");
                assert!(world.inner().calls.iter().any(|call| call.starts_with("route 2")), "call {nth}");
                assert!(world.now() < secs(10), "call {nth} cost {:?}", world.now());
            }
            // Without a list of links, or without loopback, there is nothing to go on with.
            Err(error) => assert!(matches!(error, NetError::Link(_)), "call {nth}: {error}"),
        }
    }
}

/// What comes of it when a kind of call is always refused: nothing, an error at once, or a reason at the deadline.
fn refused_for_good(doing: &'static str) -> String {
    let world = world();
    world.refuse_all(doing);
    let ended = start(&world);
    match ended {
        Ok(network) => {
            assert_eq!(network.links[0].reason, None);
            "network".into()
        }
        Err(NetError::NoAddress { links, .. }) => {
            assert!(world.now() >= wish().deadline && world.now() < wish().deadline + secs(1));
            format!("{}: {}", links[0].reason.as_ref().unwrap().code(), links[0].reason.as_ref().unwrap())
        }
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_kind_of_call_that_is_refused_for_good_ends_in_its_reason_or_was_not_needed() {
    let table = [
        ("listing", "listing on link 0"),
        ("switching on", "switching on on link 1"),
        ("reading the carrier", "LINK: it could not be set up: reading the carrier: refused"),
        ("opening a port", "LINK: it could not be set up: opening a port: refused"),
        ("sending", "LINK: it could not be set up: sending to DHCP: refused"),
        ("receiving", "NO_DHCP: no DHCP server answered 5 packets: is the VLAN right, is there a relay?"),
        ("setting the MTU", "LINK: it could not be set up: setting the MTU: refused"),
        ("adding an address", "LINK: it could not be set up: adding an address: refused"),
        ("adding a route", "LINK: it could not be set up: adding a route: refused"),
        ("removing an address", "network"),
        ("reading addresses", "network"),
        ("reading the router", "network"),
    ];
    for (doing, expected) in table {
        assert_eq!(refused_for_good(doing), expected, "{doing}");
    }
}

#[test]
fn the_keeper_bears_a_short_trouble_tells_of_a_lost_carrier_and_gives_up_after_a_minute() {
    let world = world();
    let network = start(&world).unwrap();
    let counted = world.inner().counted;
    world.refuse(counted..counted + 20);
    let (stop, mut seen) = (AtomicBool::new(false), 0);
    let mut changed = |_: &[LinkReport]| {
        seen += 1;
        world.refuse(0..usize::MAX);
    };
    world.without_carrier(2, 40..50);
    let error = network.keeper.run(&world, &world, &stop, &mut changed).unwrap_err();
    assert_eq!(error.doing, "listing");
    assert!(world.now() >= secs(40) + PATIENCE && seen == 1, "{seen} changes, {:?}", world.now());
}
