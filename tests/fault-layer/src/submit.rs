//! What is recorded, submitted and waited for.

use std::sync::atomic::Ordering;
use std::time::Duration;

use ash::vk;

use crate::device::{DEVICES, Device, Span, held};
use crate::flip::{self, Change};
use crate::plan::Kind;

pub(crate) unsafe extern "system" fn begin(
    commands: vk::CommandBuffer,
    info: *const vk::CommandBufferBeginInfo<'_>,
) -> vk::Result {
    let known = DEVICES.of(commands);
    held(&known.copies).remove(&commands);
    // SAFETY: the caller's own arguments, passed on.
    unsafe { (known.raw.fp_v1_0().begin_command_buffer)(commands, info) }
}

pub(crate) unsafe extern "system" fn dispatch(commands: vk::CommandBuffer, x: u32, y: u32, z: u32) {
    let known = DEVICES.of(commands);
    if !known.due(|kind| *kind == Kind::DropDispatch).is_empty() {
        return;
    }
    // SAFETY: the caller's own arguments, passed on.
    unsafe { (known.raw.fp_v1_0().cmd_dispatch)(commands, x, y, z) };
    for (fault, _) in known.due(|kind| matches!(kind, Kind::SlowDispatch { .. })) {
        let Kind::SlowDispatch { mib } = fault.kind else { continue };
        flip::dawdle(&known, commands, mib);
    }
}

pub(crate) unsafe extern "system" fn copy(
    commands: vk::CommandBuffer,
    source: vk::Buffer,
    target: vk::Buffer,
    count: u32,
    regions: *const vk::BufferCopy,
) {
    let known = DEVICES.of(commands);
    // SAFETY: the caller's array of `count`.
    let all = unsafe { crate::listed(regions, count) };
    if let Some(region) = all.iter().max_by_key(|region| region.size) {
        let span = Span { buffer: target, from: region.dst_offset, bytes: region.size };
        held(&known.copies).insert(commands, span);
    }
    // SAFETY: the caller's own arguments, passed on.
    unsafe { (known.raw.fp_v1_0().cmd_copy_buffer)(commands, source, target, count, regions) };
    for (fault, _) in known.due(|kind| matches!(kind, Kind::SlowCopy { .. })) {
        let Kind::SlowCopy { mib } = fault.kind else { continue };
        flip::dawdle(&known, commands, mib);
    }
}

pub(crate) unsafe extern "system" fn submit(
    queue: vk::Queue,
    count: u32,
    submits: *const vk::SubmitInfo<'_>,
    fence: vk::Fence,
) -> vk::Result {
    let known = DEVICES.of(queue);
    if let Err(result) = before(&known) {
        return result;
    }
    // SAFETY: the caller's own arguments, passed on.
    let result = unsafe { (known.raw.fp_v1_0().queue_submit)(queue, count, submits, fence) };
    let mut commands = Vec::new();
    // SAFETY: the caller's array of `count`.
    for one in unsafe { crate::listed(submits, count) } {
        // SAFETY: the caller's array of that many.
        commands.extend_from_slice(unsafe { crate::listed(one.p_command_buffers, one.command_buffer_count) });
    }
    after(&known, queue, &commands, result)
}

pub(crate) unsafe extern "system" fn submit2(
    queue: vk::Queue,
    count: u32,
    submits: *const vk::SubmitInfo2<'_>,
    fence: vk::Fence,
) -> vk::Result {
    let known = DEVICES.of(queue);
    if let Err(result) = before(&known) {
        return result;
    }
    // SAFETY: the caller's own arguments, passed on.
    let result = unsafe { (known.raw.fp_v1_3().queue_submit2)(queue, count, submits, fence) };
    let mut commands = Vec::new();
    // SAFETY: the caller's array of `count`.
    for one in unsafe { crate::listed(submits, count) } {
        // SAFETY: the caller's array of that many.
        let infos = unsafe { crate::listed(one.p_command_buffer_infos, one.command_buffer_info_count) };
        commands.extend(infos.iter().map(|info| info.command_buffer));
    }
    after(&known, queue, &commands, result)
}

/// What may go wrong before a submission reaches the device.
fn before(known: &Device) -> Result<(), vk::Result> {
    for (fault, _) in known.due(|kind| matches!(kind, Kind::DelaySubmit { .. })) {
        if let Kind::DelaySubmit { ms } = fault.kind {
            pause(Duration::from_millis(ms));
        }
    }
    if !known.due(|kind| *kind == Kind::Crash).is_empty() {
        std::process::abort();
    }
    if !known.due(|kind| *kind == Kind::Stuck).is_empty() {
        stand_still();
    }
    if !known.due(|kind| *kind == Kind::Lost).is_empty() {
        known.lost.store(true, Ordering::Relaxed);
    }
    if !known.due(|kind| *kind == Kind::Hang).is_empty() {
        known.hung.store(true, Ordering::Relaxed);
    }
    if known.lost.load(Ordering::Relaxed) { Err(vk::Result::ERROR_DEVICE_LOST) } else { Ok(()) }
}

/// What may go wrong with the data once the device has done a submission.
fn after(known: &Device, queue: vk::Queue, commands: &[vk::CommandBuffer], result: vk::Result) -> vk::Result {
    if result != vk::Result::SUCCESS || known.hung.load(Ordering::Relaxed) {
        return result;
    }
    let copied = commands.iter().find_map(|one| held(&known.copies).get(one).copied());
    let spoilt = match copied {
        Some(copied) => spoil(known, queue, copied, |kind| matches!(kind, Kind::FlipCopy { .. })),
        None => Ok(()),
    };
    let largest = known.largest();
    let spoilt = spoilt.and_then(|()| match largest {
        Some(largest) => spoil(known, queue, largest, |kind| {
            matches!(kind, Kind::FlipMemory { .. } | Kind::StuckMemory { .. })
        }),
        None => Ok(()),
    });
    // The layer's own failure must not pass for the device's.
    assert!(spoilt.is_ok(), "spoiling memory: {spoilt:?}");
    result
}

fn spoil(known: &Device, queue: vk::Queue, span: Span, at: fn(&Kind) -> bool) -> Result<(), vk::Result> {
    for (fault, time) in known.due(at) {
        match fault.kind {
            Kind::FlipMemory { bit, place } => {
                flip::change(known, queue, span, elsewhere(place, time), Change::Flip(1 << bit))?;
            }
            Kind::FlipCopy { bit, place } => {
                flip::change(known, queue, span, place, Change::Flip(1 << bit))?;
            }
            Kind::StuckMemory { bit, place } => {
                flip::change(known, queue, span, place, Change::Set(1 << bit))?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Another place each time: a bit that is turned over twice is right again.
fn elsewhere(place: f64, time: u64) -> f64 {
    const GOLDEN: f64 = 0.618_033_988_749_895;
    #[expect(clippy::cast_precision_loss, reason = "any spread will do")]
    let moved = place + GOLDEN * time as f64;
    moved.fract()
}

pub(crate) unsafe extern "system" fn wait_fences(
    device: vk::Device,
    count: u32,
    fences: *const vk::Fence,
    all: vk::Bool32,
    timeout: u64,
) -> vk::Result {
    let known = DEVICES.of(device);
    if let Some(result) = waited(&known, timeout) {
        return result;
    }
    // SAFETY: the caller's own arguments, passed on.
    unsafe { (known.raw.fp_v1_0().wait_for_fences)(device, count, fences, all, timeout) }
}

pub(crate) unsafe extern "system" fn fence_status(device: vk::Device, fence: vk::Fence) -> vk::Result {
    let known = DEVICES.of(device);
    match waited(&known, 0) {
        Some(vk::Result::TIMEOUT) => vk::Result::NOT_READY,
        Some(result) => result,
        // SAFETY: the caller's own arguments, passed on.
        None => unsafe { (known.raw.fp_v1_0().get_fence_status)(device, fence) },
    }
}

pub(crate) unsafe extern "system" fn wait_semaphores(
    device: vk::Device,
    info: *const vk::SemaphoreWaitInfo<'_>,
    timeout: u64,
) -> vk::Result {
    let known = DEVICES.of(device);
    if let Some(result) = waited(&known, timeout) {
        return result;
    }
    // SAFETY: the caller's own arguments, passed on.
    unsafe { (known.raw.fp_v1_2().wait_semaphores)(device, info, timeout) }
}

pub(crate) unsafe extern "system" fn semaphore_value(
    device: vk::Device,
    semaphore: vk::Semaphore,
    value: *mut u64,
) -> vk::Result {
    let known = DEVICES.of(device);
    match waited(&known, 0) {
        Some(vk::Result::TIMEOUT) => {
            // SAFETY: the caller's place for the answer.
            unsafe { *value = 0 };
            vk::Result::SUCCESS
        }
        Some(result) => result,
        // SAFETY: the caller's own arguments, passed on.
        None => unsafe { (known.raw.fp_v1_2().get_semaphore_counter_value)(device, semaphore, value) },
    }
}

pub(crate) unsafe extern "system" fn queue_idle(queue: vk::Queue) -> vk::Result {
    let known = DEVICES.of(queue);
    if let Some(result) = waited(&known, u64::MAX) {
        return result;
    }
    // SAFETY: the caller's own argument, passed on.
    unsafe { (known.raw.fp_v1_0().queue_wait_idle)(queue) }
}

pub(crate) unsafe extern "system" fn device_idle(device: vk::Device) -> vk::Result {
    let known = DEVICES.of(device);
    if let Some(result) = waited(&known, u64::MAX) {
        return result;
    }
    // SAFETY: the caller's own argument, passed on.
    unsafe { (known.raw.fp_v1_0().device_wait_idle)(device) }
}

/// How a wait ends on a device that is lost or hangs; `None` on one that does neither.
fn waited(known: &Device, timeout_ns: u64) -> Option<vk::Result> {
    if known.lost.load(Ordering::Relaxed) {
        return Some(vk::Result::ERROR_DEVICE_LOST);
    }
    if !known.hung.load(Ordering::Relaxed) {
        return None;
    }
    if timeout_ns == u64::MAX {
        stand_still();
    }
    pause(Duration::from_nanos(timeout_ns));
    Some(vk::Result::TIMEOUT)
}

/// Never comes back.
pub(crate) fn stand_still() -> ! {
    loop {
        pause(Duration::from_secs(3600));
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a device that keeps the program waiting is what is played here"
)]
fn pause(long: Duration) {
    std::thread::sleep(long);
}
