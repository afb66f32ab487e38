//! What a dispatch costs: the only source of every rate.

/// Work of one dispatch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Arithmetic: floating-point operations (a fused multiply-add is two) or integer operations, as the kernel says.
    pub operations: u64,
    /// Bytes of device memory read and written by the kernel's purpose; results and counters are not counted.
    pub bytes: u64,
}
