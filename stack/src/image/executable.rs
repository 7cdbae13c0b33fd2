//! Whether a file can be the only program of a container.

use super::Architecture;

/// ECS pulls an image at each start of a task: larger executables make every scale-out slow.
const LARGEST: usize = 200 * 1024 * 1024;

const MAGIC: &[u8] = b"\x7fELF";
const CLASS_64: u8 = 2;
const LITTLE_ENDIAN: u8 = 1;
/// `PT_INTERP`: the program asks for a dynamic loader.
const INTERPRETER: u32 = 3;

/// Why an executable would not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnfitExecutable {
    #[error("it is not a 64-bit Linux program (ELF): build it for a target such as aarch64-unknown-linux-musl")]
    NotElf,
    #[error("it is for ELF machine {actual}, tasks need {expected} ({architecture:?}): build it for that processor")]
    Architecture { architecture: Architecture, expected: u16, actual: u16 },
    #[error("it is for ELF machine {machine}, and Fargate has ARM64 (183) and X86_64 (62): build it for one of them")]
    Processor { machine: u16 },
    #[error("it needs a dynamic loader, which the image does not have: link it statically (a musl target does)")]
    Dynamic,
    #[error("it has {size} bytes, more than {LARGEST}: strip its symbols")]
    Large { size: usize },
}

/// `EM_AARCH64` and `EM_X86_64`.
const ARM64: u16 = 183;
const AMD64: u16 = 62;

pub(super) fn architecture(file: &[u8]) -> Result<Architecture, UnfitExecutable> {
    match Header::read(file).ok_or(UnfitExecutable::NotElf)?.machine {
        ARM64 => Ok(Architecture::Arm64),
        AMD64 => Ok(Architecture::Amd64),
        machine => Err(UnfitExecutable::Processor { machine }),
    }
}

pub(super) fn check(file: &[u8], architecture: Architecture) -> Result<(), UnfitExecutable> {
    if file.len() > LARGEST {
        return Err(UnfitExecutable::Large { size: file.len() });
    }
    let header = Header::read(file).ok_or(UnfitExecutable::NotElf)?;
    let expected = match architecture {
        Architecture::Arm64 => ARM64,
        Architecture::Amd64 => AMD64,
    };
    if header.machine != expected {
        return Err(UnfitExecutable::Architecture { architecture, expected, actual: header.machine });
    }
    if header.segments(file).any(|kind| kind == INTERPRETER) {
        return Err(UnfitExecutable::Dynamic);
    }
    Ok(())
}

/// What matters of an ELF-64 header (System V ABI, chapter 4).
struct Header {
    machine: u16,
    /// Where the program headers start, how long one is, how many there are.
    table: usize,
    entry: usize,
    count: usize,
}

impl Header {
    fn read(file: &[u8]) -> Option<Self> {
        let fits = file.starts_with(MAGIC) && file.get(4) == Some(&CLASS_64) && file.get(5) == Some(&LITTLE_ENDIAN);
        if !fits {
            return None;
        }
        Some(Self {
            machine: u16::from_le_bytes(array(file, 18)?),
            table: usize::try_from(u64::from_le_bytes(array(file, 32)?)).ok()?,
            entry: usize::from(u16::from_le_bytes(array(file, 54)?)),
            count: usize::from(u16::from_le_bytes(array(file, 56)?)),
        })
    }

    /// The kind of each program header that lies within the file.
    fn segments(&self, file: &[u8]) -> impl Iterator<Item = u32> {
        (0..self.count)
            .map_while(move |index| array(file, self.table.checked_add(index * self.entry)?))
            .map(u32::from_le_bytes)
    }
}

fn array<const N: usize>(file: &[u8], at: usize) -> Option<[u8; N]> {
    file.get(at..at.checked_add(N)?)?.try_into().ok()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The shortest file that passes for an executable: a header and one program header of `segment`.
    pub(in crate::image) fn elf(machine: u16, segment: u32) -> Vec<u8> {
        let mut file = vec![0; 120];
        file[..4].copy_from_slice(MAGIC);
        file[4] = CLASS_64;
        file[5] = LITTLE_ENDIAN;
        file[18..20].copy_from_slice(&machine.to_le_bytes());
        file[32..40].copy_from_slice(&64_u64.to_le_bytes());
        file[54..56].copy_from_slice(&56_u16.to_le_bytes());
        file[56..58].copy_from_slice(&1_u16.to_le_bytes());
        file[64..68].copy_from_slice(&segment.to_le_bytes());
        file
    }

    #[test]
    fn a_static_program_for_the_right_processor_is_accepted() {
        assert_eq!(check(&elf(183, 1), Architecture::Arm64), Ok(()));
        assert_eq!(check(&elf(62, 1), Architecture::Amd64), Ok(()));
    }

    #[test]
    fn a_program_for_another_processor_is_refused() {
        let refusal = check(&elf(62, 1), Architecture::Arm64);
        assert_eq!(
            refusal,
            Err(UnfitExecutable::Architecture { architecture: Architecture::Arm64, expected: 183, actual: 62 })
        );
    }

    #[test]
    fn the_processor_of_a_program_is_read_from_it() {
        assert_eq!(architecture(&elf(183, 1)), Ok(Architecture::Arm64));
        assert_eq!(architecture(&elf(62, 1)), Ok(Architecture::Amd64));
        assert_eq!(architecture(&elf(243, 1)), Err(UnfitExecutable::Processor { machine: 243 }));
        assert_eq!(architecture(b"#!/bin/sh"), Err(UnfitExecutable::NotElf));
    }

    #[test]
    fn a_dynamically_linked_program_is_refused() {
        assert_eq!(check(&elf(183, INTERPRETER), Architecture::Arm64), Err(UnfitExecutable::Dynamic));
    }

    #[test]
    fn scripts_and_cut_files_are_refused() {
        for file in [b"#!/bin/sh\n".as_slice(), b"", &elf(183, 1)[..20]] {
            assert_eq!(check(file, Architecture::Arm64), Err(UnfitExecutable::NotElf));
        }
    }
}
