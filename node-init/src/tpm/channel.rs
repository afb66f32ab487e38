//! Bytes to a TPM and back: the device of Linux's resource manager, or a Unix socket that takes the same bytes (`swtpm`).

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tpm2_protocol::constant::TPM_MAX_COMMAND_SIZE;

use super::TpmFault;
use crate::clock::Clock;

/// The longest a TPM may take for one command: some make an RSA key in half a minute.
const COMMAND_MAX: Duration = Duration::from_secs(120);
/// Tag, size and code.
const HEADER_BYTES: usize = 10;

/// An open TPM.
pub struct Channel {
    wire: Wire,
    clock: Box<dyn Clock>,
}

enum Wire {
    Device(File),
    Socket(UnixStream),
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Channel").finish_non_exhaustive()
    }
}

impl Channel {
    /// Opens a device, or connects to a socket.
    pub fn open(path: &Path, clock: Box<dyn Clock>) -> Result<Self, TpmFault> {
        let failed = |source| TpmFault::Open { path: path.to_owned(), source };
        let wire = if std::fs::metadata(path).map_err(failed)?.file_type().is_socket() {
            let socket = UnixStream::connect(path).map_err(failed)?;
            socket.set_nonblocking(true).map_err(failed)?;
            Wire::Socket(socket)
        } else {
            let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
            let mut options = OpenOptions::new();
            options.read(true).write(true).custom_flags(nonblocking);
            Wire::Device(options.open(path).map_err(failed)?)
        };
        Ok(Self { wire, clock })
    }

    /// One command, and the whole response.
    pub(super) fn exchange(&mut self, command: &[u8]) -> io::Result<Vec<u8>> {
        let deadline = self.clock.now() + COMMAND_MAX;
        // A command is shorter than any buffer on its way, and a device takes it whole or not at all.
        self.wire.writer().write_all(command)?;
        let (mut response, mut piece) = (Vec::new(), [0; TPM_MAX_COMMAND_SIZE]);
        loop {
            self.await_readable(deadline)?;
            match self.wire.reader().read(&mut piece) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => response.extend_from_slice(&piece[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
            }
            match size(&response) {
                Some(size) if !(HEADER_BYTES..=TPM_MAX_COMMAND_SIZE).contains(&size) => {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "a response of impossible size"));
                }
                Some(size) if response.len() == size => return Ok(response),
                Some(size) if response.len() > size => {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "bytes after the response"));
                }
                _ => {}
            }
        }
    }

    fn await_readable(&self, deadline: Duration) -> io::Result<()> {
        let left = deadline.saturating_sub(self.clock.now());
        let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::from_borrowed_fd(self.wire.fd(), PollFlags::IN)], Some(&timeout)) {
            Ok(0) => Err(io::ErrorKind::TimedOut.into()),
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Wire {
    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Self::Device(file) => file,
            Self::Socket(socket) => socket,
        }
    }

    fn reader(&mut self) -> &mut dyn Read {
        match self {
            Self::Device(file) => file,
            Self::Socket(socket) => socket,
        }
    }

    fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Device(file) => file.as_fd(),
            Self::Socket(socket) => socket.as_fd(),
        }
    }
}

/// The size that a response gives itself, once enough of it is there.
fn size(response: &[u8]) -> Option<usize> {
    let bytes: [u8; 4] = response.get(2..6)?.try_into().ok()?;
    usize::try_from(u32::from_be_bytes(bytes)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Manual, Monotonic};
    use std::os::unix::net::UnixListener;

    /// A TPM that answers every command with the same bytes.
    fn answering(answer: &'static [u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tpm");
        let listener = UnixListener::bind(&path).unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut command = [0; 64];
            let _ = stream.read(&mut command);
            // In pieces, as a socket may deliver it.
            for piece in answer.chunks(3) {
                let _ = stream.write_all(piece);
            }
        });
        (dir, path)
    }

    fn exchange(answer: &'static [u8]) -> io::Result<Vec<u8>> {
        let (_dir, path) = answering(answer);
        Channel::open(&path, Box::new(Monotonic::start())).unwrap().exchange(b"command")
    }

    #[test]
    fn a_response_is_whole_or_an_error() {
        let whole = b"\x80\x01\x00\x00\x00\x0c\x00\x00\x00\x00ab";
        assert_eq!(exchange(whole).unwrap(), whole);
        assert_eq!(exchange(&whole[..11]).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(exchange(b"").unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        for odd in [b"\x80\x01\x00\x00\x00\x09\x00\x00\x00", b"\x80\x01\xff\xff\xff\xff\x00\x00\x00"] {
            assert_eq!(exchange(odd).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
    }

    #[test]
    fn a_tpm_that_says_nothing_is_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tpm");
        let _listener = UnixListener::bind(&path).unwrap();
        /// Each look at the clock is a minute later.
        #[derive(Default)]
        struct Hasty(Manual);
        impl Clock for Hasty {
            fn now(&self) -> Duration {
                self.0.sleep(Duration::from_secs(60));
                self.0.now()
            }
            fn sleep(&self, duration: Duration) {
                self.0.sleep(duration);
            }
        }
        let mut channel = Channel::open(&path, Box::<Hasty>::default()).unwrap();
        channel.clock.sleep(COMMAND_MAX);
        let deadline = channel.clock.now();
        assert_eq!(channel.await_readable(deadline).unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_tpm_that_is_not_there_says_what_to_look_at() {
        let error = Channel::open(Path::new("/dev/no-tpm"), Box::new(Monotonic::start())).unwrap_err();
        assert!(error.to_string().contains("enabled in the firmware"), "{error}");
    }
}
