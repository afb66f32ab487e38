//! Linux behind the traits of [`super`]: the only unsafe code of node-init.

pub mod links;
mod packet;
mod proc_net;

/// The machine that this program runs on.
#[derive(Debug, Default, Clone, Copy)]
pub struct Linux;
