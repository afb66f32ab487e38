//! Our own functions under libc's names. The linker takes them for every call in the program, of Rust and of C alike; each
//! makes the system call itself.

#![allow(unreachable_pub, reason = "the linker reaches them")]
#![allow(
    unsafe_code,
    reason = "these are libc's functions: they are handed raw pointers and hand them to Linux"
)]

use std::ffi::{CStr, OsStr, c_char, c_int, c_long, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use libc::{mode_t, off_t, size_t, ssize_t};

use crate::recording::{Call, Disk, Event, Target, closed, disk_of, opened, target_of};

/// What a failed call gives.
const FAILED: c_long = -1;

fn fail(errno: i32) -> c_long {
    // SAFETY: the location of this thread's error number, which is always there.
    let place = unsafe { libc::__errno_location() };
    // SAFETY: it is valid for writes as long as the thread runs.
    unsafe { *place = errno };
    FAILED
}

/// # Safety
/// `path` is a C string.
unsafe fn path_of<'a>(path: *const c_char) -> &'a Path {
    // SAFETY: the caller's promise, which is that of the function that we stand in for.
    Path::new(OsStr::from_bytes(unsafe { CStr::from_ptr(path) }.to_bytes()))
}

/// # Safety
/// As open(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn open(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    // SAFETY: the caller's promise. Without O_CREAT the third argument is not given, and Linux does not look at it.
    let call = || unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path, flags, mode) };
    // SAFETY: the caller's promise.
    let found = disk_of(unsafe { path_of(path) });
    let descriptor = match found {
        None => call(),
        Some((disk, inside)) => {
            // SAFETY: the caller's promise.
            let is_folder = unsafe { path_of(path) }.is_dir();
            open_recorded(&disk, inside, (flags, is_folder), call)
        }
    };
    as_int(descriptor)
}

fn open_recorded(
    disk: &Arc<Disk>,
    inside: PathBuf,
    (flags, is_folder): (c_int, bool),
    call: impl FnOnce() -> c_long,
) -> c_long {
    let mut state = disk.state();
    let descriptor = call();
    if descriptor < 0 {
        return descriptor;
    }
    let target = if is_folder {
        Target::Folder(inside)
    } else {
        let is_new = !state.is_known(&inside);
        let file = state.name(&inside);
        if is_new {
            state.push(Event::Create { file, path: inside });
        } else if flags & libc::O_TRUNC != 0 {
            state.push(Event::Truncate { file, len: 0 });
        }
        Target::File(file)
    };
    opened(as_int(descriptor), Arc::clone(disk), target);
    descriptor
}

/// # Safety
/// As open(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn open64(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { open(path, flags | libc::O_LARGEFILE, mode) }
}

/// # Safety
/// As close(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn close(descriptor: c_int) -> c_int {
    closed(descriptor);
    // SAFETY: the caller's promise.
    as_int(unsafe { libc::syscall(libc::SYS_close, descriptor) })
}

/// # Safety
/// As write(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn write(descriptor: c_int, bytes: *const c_void, count: size_t) -> ssize_t {
    let Some((disk, Target::File(file))) = target_of(descriptor) else {
        // SAFETY: the caller's promise.
        return as_size(unsafe { libc::syscall(libc::SYS_write, descriptor, bytes, count) });
    };
    let mut state = disk.state();
    if let Some(errno) = state.strikes(Call::Write) {
        return as_size(fail(errno));
    }
    // SAFETY: the caller's promise.
    let written = unsafe { libc::syscall(libc::SYS_write, descriptor, bytes, count) };
    if let Ok(length @ 1..) = usize::try_from(written) {
        // After the write: a descriptor that appends is only then where it wrote.
        // SAFETY: it asks where an open file stands and moves nothing.
        let end = unsafe { libc::lseek(descriptor, 0, libc::SEEK_CUR) };
        let offset = usize::try_from(end).unwrap_or_default() - length;
        // SAFETY: Linux just read these bytes from there.
        let bytes = unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), length) }.to_vec();
        state.push(Event::Write { file, offset, bytes });
    }
    as_size(written)
}

/// # Safety
/// As pwrite(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pwrite64(
    descriptor: c_int,
    bytes: *const c_void,
    count: size_t,
    offset: off_t,
) -> ssize_t {
    // SAFETY: the caller's promise.
    let call = || unsafe { libc::syscall(libc::SYS_pwrite64, descriptor, bytes, count, offset) };
    let Some((disk, Target::File(file))) = target_of(descriptor) else { return as_size(call()) };
    let mut state = disk.state();
    if let Some(errno) = state.strikes(Call::Write) {
        return as_size(fail(errno));
    }
    let written = call();
    if let (Ok(length @ 1..), Ok(offset)) = (usize::try_from(written), usize::try_from(offset)) {
        // SAFETY: Linux just read these bytes from there.
        let bytes = unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), length) }.to_vec();
        state.push(Event::Write { file, offset, bytes });
    }
    as_size(written)
}

/// # Safety
/// As pwrite(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pwrite(
    descriptor: c_int,
    bytes: *const c_void,
    count: size_t,
    offset: off_t,
) -> ssize_t {
    // SAFETY: the caller's promise.
    unsafe { pwrite64(descriptor, bytes, count, offset) }
}

/// # Safety
/// As ftruncate(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ftruncate64(descriptor: c_int, length: off_t) -> c_int {
    // SAFETY: the caller's promise.
    let call = || unsafe { libc::syscall(libc::SYS_ftruncate, descriptor, length) };
    let Some((disk, Target::File(file))) = target_of(descriptor) else { return as_int(call()) };
    let mut state = disk.state();
    if let Some(errno) = state.strikes(Call::Truncate) {
        return as_int(fail(errno));
    }
    let done = call();
    if let (0, Ok(len)) = (done, usize::try_from(length)) {
        state.push(Event::Truncate { file, len });
    }
    as_int(done)
}

/// # Safety
/// As ftruncate(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ftruncate(descriptor: c_int, length: off_t) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { ftruncate64(descriptor, length) }
}

/// # Safety
/// As fsync(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsync(descriptor: c_int) -> c_int {
    // SAFETY: the caller's promise.
    sync(descriptor, || unsafe { libc::syscall(libc::SYS_fsync, descriptor) })
}

/// # Safety
/// As fdatasync(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdatasync(descriptor: c_int) -> c_int {
    // SAFETY: the caller's promise.
    sync(descriptor, || unsafe { libc::syscall(libc::SYS_fdatasync, descriptor) })
}

fn sync(descriptor: c_int, call: impl FnOnce() -> c_long) -> c_int {
    let Some((disk, target)) = target_of(descriptor) else { return as_int(call()) };
    let mut state = disk.state();
    if state.ignores_syncs() {
        return 0;
    }
    if let Some(errno) = state.strikes(Call::Sync) {
        if let Target::File(file) = target {
            state.push(Event::SyncFailed { file });
        }
        return as_int(fail(errno));
    }
    let done = call();
    if done == 0 {
        state.push(match target {
            Target::File(file) => Event::Sync { file },
            Target::Folder(path) => Event::SyncFolder { path },
        });
    }
    as_int(done)
}

/// # Safety
/// As unlink(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unlink(path: *const c_char) -> c_int {
    // SAFETY: the caller's promise.
    let call = || unsafe { libc::syscall(libc::SYS_unlinkat, libc::AT_FDCWD, path, 0) };
    // SAFETY: the caller's promise.
    let Some((disk, inside)) = disk_of(unsafe { path_of(path) }) else { return as_int(call()) };
    let mut state = disk.state();
    if let Some(errno) = state.strikes(Call::Entry) {
        return as_int(fail(errno));
    }
    let done = call();
    if done == 0 {
        state.forget(&inside);
        state.push(Event::Remove { path: inside });
    }
    as_int(done)
}

/// # Safety
/// As rename(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rename(from: *const c_char, to: *const c_char) -> c_int {
    let folder = libc::AT_FDCWD;
    // SAFETY: the caller's promise.
    let call = || unsafe { libc::syscall(libc::SYS_renameat2, folder, from, folder, to, 0) };
    // SAFETY: the caller's promise.
    let inside = (disk_of(unsafe { path_of(from) }), disk_of(unsafe { path_of(to) }));
    let (Some((disk, from)), Some((_, to))) = inside else { return as_int(call()) };
    let mut state = disk.state();
    if let Some(errno) = state.strikes(Call::Entry) {
        return as_int(fail(errno));
    }
    let done = call();
    if done == 0 {
        state.rename(&from, &to);
        state.push(Event::Rename { from, to });
    }
    as_int(done)
}

/// Linux gives an `int` in a register of its own width.
#[expect(clippy::cast_possible_truncation, reason = "a descriptor, 0 or -1")]
fn as_int(result: c_long) -> c_int {
    result as c_int
}

#[expect(clippy::cast_possible_truncation, reason = "both are the width of a register")]
fn as_size(result: c_long) -> ssize_t {
    result as ssize_t
}
