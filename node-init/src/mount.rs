//! The file systems of a running node, as a table.

use std::io;
use std::path::Path;

use crate::system::{Mount, System};

/// How much the boot needs one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// Without it there is no boot.
    Required,
    /// Where the kernel has it (`/proc/filesystems`).
    IfSupported,
}

const fn mount(kind: &'static str, target: &'static str) -> Mount {
    Mount { source: kind, target, kind, exec: false, devices: false, read_only: false, data: c"" }
}

/// In the order in which they are mounted; what needs `/proc/filesystems` comes after `/proc`.
#[rustfmt::skip]
const TABLE: &[(Mount, Need)] = &[
    // PCI registers and GPU memory are mapped through files of /dev, so it may not forbid devices or execution.
    (Mount { devices: true, exec: true, data: c"mode=0755", ..mount("devtmpfs", "/dev") }, Need::Required),
    (mount("proc", "/proc"), Need::Required),
    (mount("sysfs", "/sys"), Need::Required),
    (Mount { data: c"mode=0755,size=50%,nr_inodes=100k", ..mount("tmpfs", "/run") }, Need::Required),
    // Drivers write compiled shaders there and map them to run.
    (Mount { exec: true, data: c"mode=1777,size=50%,nr_inodes=100k", ..mount("tmpfs", "/tmp") }, Need::Required),
    (Mount { data: c"mode=1777", ..mount("tmpfs", "/dev/shm") }, Need::IfSupported),
    (Mount { data: c"mode=0620,ptmxmode=0666", ..mount("devpts", "/dev/pts") }, Need::IfSupported),
    (Mount { data: c"nsdelegate,memory_recursiveprot", ..mount("cgroup2", "/sys/fs/cgroup") }, Need::IfSupported),
    (mount("pstore", "/sys/fs/pstore"), Need::IfSupported),
    (mount("securityfs", "/sys/kernel/security"), Need::IfSupported),
    // A slip in it can leave a board without a boot entry, or without a firmware that starts.
    (Mount { read_only: true, ..mount("efivarfs", "/sys/firmware/efi/efivars") }, Need::IfSupported),
];

/// Where devices are where the kernel keeps no devtmpfs: enough to speak and to discard.
const NODES: &[(&str, u32, u32)] = &[
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/kmsg", 1, 11),
    ("/dev/console", 5, 1),
];

/// Links that programs expect in `/dev`.
const LINKS: &[(&str, &str)] = &[
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
];

/// A file system that the boot cannot do without could not be mounted.
#[derive(Debug, thiserror::Error)]
#[error("mounting {kind} on `{target}`: boot a kernel that has it")]
pub struct MountError {
    kind: &'static str,
    target: &'static str,
    #[source]
    source: io::Error,
}

/// Mounts all of them. What is not needed and fails is returned as text.
pub fn mount_all(system: &dyn System) -> Result<Vec<String>, MountError> {
    let mut remarks = Vec::new();
    for (mount, need) in TABLE {
        match (mount_one(system, mount), need) {
            (Ok(()), _) => {}
            (Err(source), Need::Required) => {
                return Err(MountError { kind: mount.kind, target: mount.target, source });
            }
            (Err(_), Need::IfSupported) if !is_supported(system, mount) => {}
            (Err(error), Need::IfSupported) => {
                remarks.push(format!("{} is not on `{}`: {error}", mount.kind, mount.target));
            }
        }
    }
    for (target, link) in LINKS {
        match system.symlink(Path::new(target), Path::new(link)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                remarks.push(format!("linking `{link}`: {error}"));
            }
            _ => {}
        }
    }
    Ok(remarks)
}

fn mount_one(system: &dyn System, mount: &Mount) -> io::Result<()> {
    let there = system.make_dir(Path::new(mount.target));
    match there.and_then(|()| system.mount(mount)) {
        Ok(()) => Ok(()),
        Err(_) if is_mounted(system, mount.target) => Ok(()),
        Err(error) if mount.kind == "devtmpfs" => plain_dev(system, mount).map_err(|_| error),
        Err(error) => Err(error),
    }
}

/// `/dev` on a tmpfs, with the nodes that the boot itself needs.
fn plain_dev(system: &dyn System, mount: &Mount) -> io::Result<()> {
    system.mount(&Mount { source: "tmpfs", kind: "tmpfs", ..*mount })?;
    for (path, major, minor) in NODES {
        system.make_character_device(Path::new(path), *major, *minor)?;
    }
    Ok(())
}

/// Is something mounted there? Without `/proc` nobody knows, and it counts as no.
fn is_mounted(system: &dyn System, target: &str) -> bool {
    let table = system.read(Path::new("/proc/self/mounts")).unwrap_or_default();
    String::from_utf8_lossy(&table).lines().any(|line| line.split(' ').nth(1) == Some(target))
}

fn is_supported(system: &dyn System, mount: &Mount) -> bool {
    let known = system.read(Path::new("/proc/filesystems")).unwrap_or_default();
    let has_kind = |line: &str| line.split_whitespace().next_back() == Some(mount.kind);
    String::from_utf8_lossy(&known).lines().any(has_kind)
        // Its directory is made by the kernel, on hardware that has it.
        && system.list(Path::new(mount.target)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::recorder::Recorder;

    #[test]
    fn a_plain_machine_gets_them_all_without_a_remark() {
        let machine = Recorder::machine();
        assert_eq!(mount_all(&machine).unwrap(), [""; 0]);
        assert_eq!(machine.calls_of("mount").len(), TABLE.len());
    }

    #[test]
    fn what_is_mounted_already_is_fine() {
        let machine = Recorder::machine();
        let table = TABLE.iter().map(|(m, _)| format!("{} {} {} rw 0 0\n", m.source, m.target, m.kind));
        machine.put("/proc/self/mounts", &table.collect::<String>());
        machine.refuse("mount", libc::EPERM);
        assert_eq!(mount_all(&machine).unwrap(), [""; 0]);
    }

    #[test]
    fn a_kernel_without_devtmpfs_gets_its_nodes_made() {
        let machine = Recorder::machine();
        machine.refuse("mount devtmpfs", libc::ENODEV);
        assert_eq!(mount_all(&machine).unwrap(), [""; 0]);
        assert_eq!(machine.calls_of("make_character_device").len(), NODES.len());
    }

    #[test]
    fn what_the_boot_needs_and_cannot_have_is_named() {
        let machine = Recorder::machine();
        machine.refuse("mount sysfs", libc::EPERM);
        assert_eq!(
            mount_all(&machine).unwrap_err().to_string(),
            "mounting sysfs on `/sys`: boot a kernel that has it"
        );
    }

    #[test]
    fn what_the_kernel_has_and_refuses_is_a_remark_and_what_it_has_not_is_none() {
        let machine = Recorder::machine();
        machine.refuse("mount pstore", libc::EIO);
        machine.refuse("mount efivarfs", libc::EIO);
        machine.put("/proc/filesystems", "nodev\tpstore\n");
        machine.put("/sys/fs/pstore/dmesg-erst-1", "");
        let remarks = mount_all(&machine).unwrap();
        assert!(matches!(&remarks[..], [one] if one.starts_with("pstore is not on")), "{remarks:?}");
    }
}
