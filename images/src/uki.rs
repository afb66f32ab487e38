//! A unified kernel image: the boot stub of systemd, a PE program, with kernel, initramfs and command line as sections of it
//! (UAPI.5, Unified Kernel Image). The firmware starts it as one file. Offsets are those of Microsoft's PE format.

use anyhow::{Context as _, ensure};

const SECTION_BYTES: usize = 40;
/// Initialised data, readable.
const DATA: u32 = 0x4000_0040;

/// The stub with these sections behind its own, in this order.
pub(crate) fn assemble(stub: &[u8], sections: &[(&str, &[u8])]) -> anyhow::Result<Vec<u8>> {
    let mut image = stub.to_vec();
    let pe = word(stub, 0x3c)? as usize;
    ensure!(stub.get(pe..pe + 4) == Some(b"PE\0\0"), "the boot stub is no PE program");
    let optional = pe + 24;
    ensure!(half(stub, optional)? == 0x20b, "the boot stub is no 64-bit program");
    let (align, file_align) = (word(stub, optional + 32)?, word(stub, optional + 36)?);
    ensure!(align.is_power_of_two() && file_align.is_power_of_two(), "the boot stub's alignment is odd");
    let count = usize::from(half(stub, pe + 6)?);
    let table = optional + usize::from(half(stub, pe + 20)?);
    let end = table + (count + sections.len()) * SECTION_BYTES;
    ensure!(
        end <= word(stub, optional + 60)? as usize,
        "the boot stub has no room for {} sections",
        sections.len()
    );
    let mut address = 0;
    for at in (0..count).map(|number| table + number * SECTION_BYTES) {
        address = address.max(word(stub, at + 12)? + word(stub, at + 8)?);
    }
    let mut at = table + count * SECTION_BYTES;
    for (name, content) in sections {
        address = address.next_multiple_of(align);
        image.resize(image.len().next_multiple_of(file_align as usize), 0);
        let size =
            u32::try_from(content.len()).with_context(|| format!("section `{name}` is beyond 4 GiB"))?;
        let offset = u32::try_from(image.len()).context("the image is beyond 4 GiB")?;
        let mut header = [0; SECTION_BYTES];
        ensure!(name.len() <= 8, "`{name}` is too long for the name of a section");
        header[..name.len()].copy_from_slice(name.as_bytes());
        let raw = size.next_multiple_of(file_align);
        for (place, value) in [(8, size), (12, address), (16, raw), (20, offset), (36, DATA)] {
            header[place..place + 4].copy_from_slice(&u32::to_le_bytes(value));
        }
        image[at..at + SECTION_BYTES].copy_from_slice(&header);
        at += SECTION_BYTES;
        image.extend_from_slice(content);
        image.resize(image.len().next_multiple_of(file_align as usize), 0);
        address = address.checked_add(size).context("the image is beyond 4 GiB")?;
    }
    let sections = u16::try_from(count + sections.len())?;
    image[pe + 6..pe + 8].copy_from_slice(&sections.to_le_bytes());
    // Size of the loaded image; the checksum is only asked of drivers.
    image[optional + 56..optional + 60].copy_from_slice(&address.next_multiple_of(align).to_le_bytes());
    image[optional + 64..optional + 68].copy_from_slice(&[0; 4]);
    Ok(image)
}

fn word(bytes: &[u8], at: usize) -> anyhow::Result<u32> {
    let part = bytes.get(at..at + 4).context("the boot stub ends too early")?;
    Ok(u32::from_le_bytes(part.try_into()?))
}

fn half(bytes: &[u8], at: usize) -> anyhow::Result<u16> {
    let part = bytes.get(at..at + 2).context("the boot stub ends too early")?;
    Ok(u16::from_le_bytes(part.try_into()?))
}
