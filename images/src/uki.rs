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

#[cfg(test)]
mod tests {
    use super::*;

    /// The smallest head of a program with one section: 8 bytes of it at address 0x1000.
    fn stub() -> Vec<u8> {
        let mut stub = vec![0; 0x400];
        let mut put = |at: usize, bytes: &[u8]| stub[at..at + bytes.len()].copy_from_slice(bytes);
        put(0x3c, &[0x40]);
        put(0x40, b"PE\0\0\x64\x86\x01");
        put(0x54, &[0xf0]);
        put(0x58, &[0x0b, 0x02]);
        put(0x58 + 32, &0x1000_u32.to_le_bytes());
        put(0x58 + 36, &0x200_u32.to_le_bytes());
        put(0x58 + 60, &0x200_u32.to_le_bytes());
        put(0x148, b".text");
        put(0x150, &8_u32.to_le_bytes());
        put(0x154, &0x1000_u32.to_le_bytes());
        put(0x158, &0x200_u32.to_le_bytes());
        put(0x15c, &0x200_u32.to_le_bytes());
        stub
    }

    #[test]
    fn the_sections_hold_what_was_given_and_do_not_overlap() {
        let big = vec![7; 0x1801];
        let given: [(&str, &[u8]); 2] = [(".cmdline", b"quiet"), (".linux", &big)];
        let image = assemble(&stub(), &given).unwrap();
        assert_eq!(half(&image, 0x46).unwrap(), 3);
        let mut address = 0x1008;
        for (number, (name, content)) in given.iter().enumerate() {
            let at = 0x148 + (number + 1) * SECTION_BYTES;
            assert!(image[at..at + 8].starts_with(name.as_bytes()));
            let [size, start, raw, offset] = [8, 12, 16, 20].map(|place| word(&image, at + place).unwrap());
            assert_eq!(&image[offset as usize..(offset + size) as usize], *content);
            assert!(start >= address && start % 0x1000 == 0 && offset % 0x200 == 0 && raw % 0x200 == 0);
            assert!((offset + raw) as usize <= image.len());
            address = start + size;
        }
        assert!(word(&image, 0x58 + 56).unwrap() >= address);
    }

    #[test]
    fn a_stub_without_room_or_cut_short_is_refused() {
        let many = [(".a", b"x".as_slice()); 4];
        assert!(assemble(&stub(), &many).unwrap_err().to_string().contains("no room for 4 sections"));
        for length in [0, 0x3f, 0x50, 0x90, 0x150] {
            assert!(assemble(&stub()[..length], &many[..1]).is_err(), "{length}");
        }
    }
}
