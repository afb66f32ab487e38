//! The machine as node-init sees it: what the boot asks of Linux, behind traits, so that the boot is tested without a boot.

pub mod links;
pub mod linux;
