//! What nodes ask.

pub(super) mod enrol;
pub(super) mod report;
pub(super) mod heartbeat;

pub(super) use enrol::decode_hex;
