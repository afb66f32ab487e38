//! A node's network from switching on to losing its lease, without a network: [`world`] is the links, the servers and the
//! clock.

mod faults;
mod leases;
mod links;
mod world;

use std::time::Duration;

use super::*;
use world::{World, secs};

fn wish() -> Wish {
    Wish { boot_mac: None, deadline: secs(120), dhcp4: true, ipv6: false }
}

fn up(world: &World) -> Result<Network, NetError> {
    bring_up(world, &wish(), world)
}

/// Goes on as the keeper does, up to a time.
fn keep(network: &mut Network, world: &World, until: Duration) -> Vec<LinkReport> {
    let engine = &mut network.keeper.0;
    while world.now() < until {
        engine.turn(world, world.now()).unwrap();
        engine.wait(world, world.now(), LOOK.min(until.saturating_sub(world.now())));
    }
    engine.reports()
}
