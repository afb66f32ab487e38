//! Looking for dead children without taking their status.

#![expect(unsafe_code, reason = "rustix does not tell whose status `waitid` found")]

use std::io;
use std::mem::MaybeUninit;

/// The number of a child that is dead and whose status nobody has taken yet; `None` if there is none.
pub fn dead_child() -> io::Result<Option<i32>> {
    let mut found = MaybeUninit::<libc::siginfo_t>::zeroed();
    let look = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: the pointer is to a whole `siginfo_t`, which lives longer than the call.
    let result = unsafe { libc::waitid(libc::P_ALL, 0, found.as_mut_ptr(), look) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: every bit pattern is a `siginfo_t`, and it was zeroed before `waitid` wrote to it.
    let found = unsafe { found.assume_init() };
    // SAFETY: `waitid` fills the fields of SIGCHLD, or leaves the zeroes.
    let pid = unsafe { found.si_pid() };
    Ok((pid != 0).then_some(pid))
}
