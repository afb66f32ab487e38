//! Several links, cables, neighbours.

use super::world::{Honest, World, mac, secs};
use super::*;
use crate::net::dhcp4::message::{Kind, Message};
use crate::net::dhcp4::options::code;
use crate::system::links::{Prefix, Purpose};

fn names(network: &Network) -> Vec<&str> {
    network.links.iter().map(|link| link.name.as_str()).collect()
}

fn booted_from(link: u32) -> Wish {
    Wish { boot_mac: Some(mac(link)), ..wish() }
}

#[test]
fn a_link_without_carrier_is_left_alone_and_says_so() {
    let world = World::new(2);
    world.without_carrier(2, 0..9999);
    world.serve(3, Honest::at(7).prompt());
    let network = up(&world).unwrap();
    assert_eq!(network.links[0].reason, Some(Reason::NoCarrier));
    assert_eq!(network.links[1].reason, None);
    assert!(world.inner().sent.iter().all(|sent| sent.link == 3));
}

#[test]
fn a_flood_on_one_link_does_not_starve_the_others() {
    let world = World::new(2);
    world.inner().flooded = Some(2);
    world.serve(3, Honest::at(7).prompt());
    let network = up(&world).unwrap();
    assert_eq!(
        (network.links[0].reason.clone().map(|reason| reason.code()), world.now() < secs(1)),
        (Some("MALFORMED"), true)
    );
    assert_eq!(network.links[1].reason, None);
}

#[test]
fn without_any_carrier_the_code_says_so_at_the_deadline() {
    let world = World::new(2);
    world.without_carrier(2, 0..9999);
    world.without_carrier(3, 0..9999);
    let error = up(&world).unwrap_err();
    assert_eq!(error.code(), "NO_CARRIER");
    assert!(error.to_string().contains("e2: no carrier") && error.to_string().contains("e3:"), "{error}");
    assert_eq!(world.now().as_secs(), 120);
}

#[test]
fn a_carrier_that_comes_late_is_used_at_once() {
    let world = World::new(1);
    world.without_carrier(2, 0..40);
    world.serve(2, Honest::at(7).prompt());
    up(&world).unwrap();
    assert!(world.now() >= secs(40) && world.now() < secs(41), "{:?}", world.now());
}

#[test]
fn after_the_cable_was_out_any_server_is_asked_at_once_and_a_refusal_gives_the_address_of_the_new_place() {
    let world = World::new(1);
    world.serve(2, Honest::at(7).prompt());
    let mut network = up(&world).unwrap();
    world.without_carrier(2, 100..110);
    let links = keep(&mut network, &world, secs(105));
    assert_eq!(links[0].reason, Some(Reason::NoCarrier));
    world.no_more_servers();
    world.serve(2, |to: &Message| {
        let foreign = to.client == std::net::Ipv4Addr::new(10, 7, 0, 50);
        let nak = super::world::answer(to, Kind::Nak, [10, 8, 0, 1].into(), [0; 4].into());
        let says = if foreign { Some(nak) } else { Honest::at(8).says(to) };
        says.map(|says| (secs(0), says)).into_iter().collect()
    });
    let links = keep(&mut network, &world, secs(117));
    assert_eq!(links[0].addresses.iter().map(Prefix::to_string).collect::<Vec<_>>(), ["10.8.0.50/24"]);
    let asked = &world.sent(Kind::Request)[1];
    assert!(asked.at < secs(111) && asked.to.to_string() == "255.255.255.255", "{asked:?}");
}

#[test]
fn the_link_the_node_booted_from_is_waited_for_and_preferred() {
    let world = World::new(2);
    world.serve(2, Honest::at(6).prompt());
    world.serve(3, Honest::at(7).after(secs(3)));
    let network = bring_up(&world, &booted_from(3), &world).unwrap();
    assert_eq!(names(&network), ["e3", "e2"]);
    assert!(world.now() >= secs(6) && world.now() < secs(7), "{:?}", world.now());
    assert_eq!(
        world.called("route"),
        ["route 2 0.0.0.0/0 Some(10.6.0.1) 102", "route 3 0.0.0.0/0 Some(10.7.0.1) 100"]
    );
}

#[test]
fn the_link_the_node_booted_from_is_not_waited_for_without_end() {
    let world = World::new(2);
    world.serve(2, Honest::at(6).prompt());
    let network = bring_up(&world, &booted_from(3), &world).unwrap();
    assert!(world.now() >= PREFERENCE && world.now() < PREFERENCE + secs(1), "{:?}", world.now());
    assert!(matches!(network.links[0].reason, Some(Reason::NoDhcp { .. })));
}

#[test]
fn what_several_servers_tell_is_put_together_the_preferred_first() {
    let world = World::new(2);
    for link in [2, 3] {
        let network = u8::try_from(link).unwrap();
        world.serve(link, move |to: &Message| {
            let mut says = Honest::at(network).says(to).unwrap();
            says.options.set(code::DOMAIN_SERVER, [10, 0, 0, 9, 10, network, 0, 3]);
            says.options.set(code::HOSTNAME, format!("node-{link}"));
            says.options.set(224, format!("https://inventory-{link}"));
            vec![(secs(1), says)]
        });
    }
    let network = bring_up(&world, &booted_from(3), &world).unwrap();
    let dns: Vec<String> = network.dns.iter().map(ToString::to_string).collect();
    assert_eq!(dns, ["10.0.0.9", "10.3.0.3", "10.2.0.3"]);
    assert_eq!(network.hostname.as_deref(), Some("node-3"));
    assert_eq!(network.options[&224], "https://inventory-3");
}

#[test]
fn a_machine_without_ethernet_is_told_soon_and_a_link_that_comes_late_is_taken() {
    let world = World::new(0);
    assert!(matches!(up(&world), Err(NetError::NoLink)));
    assert_eq!(world.now(), APPEARANCE);
    let world = World::new(0);
    world.plug(5, secs(12));
    world.serve(5, Honest::at(7).prompt());
    assert_eq!(names(&up(&world).unwrap()), ["e5"]);
}

#[test]
fn a_network_without_a_router_will_do_when_nothing_better_comes() {
    let world = World::new(1);
    world.serve(2, |to: &Message| {
        let mut says = Honest::at(7).says(to).unwrap();
        says.options.remove(&[code::ROUTER]);
        vec![(secs(0), says)]
    });
    let network = up(&world).unwrap();
    assert_eq!((network.links[0].gateway, network.links[0].reason.clone()), (None, None));
    assert!(world.now() >= PREFERENCE && world.now() < PREFERENCE + secs(1));
}

#[test]
fn an_address_by_ipv6_alone_needs_a_router() {
    let world = World::new(1);
    let prefix = Prefix { address: "fd77::5".parse().unwrap(), length: 64 };
    world.inner().v6 = Some((prefix, "fe80::1".parse().unwrap()));
    let network = bring_up(&world, &Wish { ipv6: true, ..wish() }, &world).unwrap();
    assert_eq!(network.links[0].addresses, [prefix]);
    assert_eq!(network.links[0].gateway, Some("fe80::1".parse().unwrap()));
    let world = World::new(1);
    world.inner().v6 =
        Some((Prefix { address: "fe80::5".parse().unwrap(), length: 64 }, "fe80::1".parse().unwrap()));
    assert!(
        bring_up(&world, &Wish { ipv6: true, ..wish() }, &world).is_err(),
        "a link-local address is not enough"
    );
}

fn frame(seconds: u8) -> Vec<u8> {
    let head = [&[0; 12][..], &[0x88, 0xcc]].concat();
    let elements = [2, 7, 4, 2, 0, 0, 0, 0, 9, 4, 5, 5, b's', b'w', b'p', b'7', 6, 2, 0, seconds, 0, 0];
    [head, elements.into()].concat()
}

#[test]
fn a_neighbour_is_heard_and_goes_when_it_says_so_and_the_keeper_tells() {
    let world = World::new(1);
    world.serve(2, Honest::at(7).prompt());
    world.arrive(secs(30), 2, Purpose::Lldp, frame(120));
    world.arrive(secs(50), 2, Purpose::Lldp, frame(0));
    let network = up(&world).unwrap();
    let (stop, mut told) = (AtomicBool::new(false), Vec::new());
    let mut changed = |links: &[LinkReport]| {
        told.push(links[0].neighbour.as_ref().map(|neighbour| neighbour.port.clone()));
        stop.store(told.len() == 2, Ordering::Relaxed);
    };
    network.keeper.run(&world, &world, &stop, &mut changed).unwrap();
    assert_eq!(told, [Some("swp7".to_owned()), None]);
    assert!(world.now() >= secs(50) && world.now() < secs(52));
}
