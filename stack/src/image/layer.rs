//! The one layer of an image: a tar archive without times, owners or names of this machine.

use std::{collections::BTreeSet, io, path::Path};

use flate2::{Compression, GzBuilder};

pub(super) struct File<'a> {
    path: &'static str,
    mode: u32,
    bytes: &'a [u8],
}

impl<'a> File<'a> {
    pub(super) fn new(path: &'static str, mode: u32, bytes: &'a [u8]) -> Self {
        Self { path, mode, bytes }
    }
}

/// An archive of `files` and the directories above them, owned by root, dated 1970.
pub(super) fn tar(files: &[File<'_>]) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for directory in directories(files) {
        append(&mut archive, &format!("{}/", directory.display()), tar::EntryType::Directory, 0o755, &[])?;
    }
    for file in files {
        append(&mut archive, file.path, tar::EntryType::Regular, file.mode, file.bytes)?;
    }
    archive.into_inner()
}

fn directories<'a>(files: &[File<'a>]) -> BTreeSet<&'a Path> {
    files
        .iter()
        .flat_map(|file| Path::new(file.path).ancestors().skip(1))
        .filter(|directory| !directory.as_os_str().is_empty())
        .collect()
}

fn append(
    archive: &mut tar::Builder<Vec<u8>>,
    path: &str,
    kind: tar::EntryType,
    mode: u32,
    bytes: &[u8],
) -> io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(bytes.len() as u64);
    archive.append_data(&mut header, path, bytes)
}

/// Compresses without a file name, a time or an operating system in the header.
pub(super) fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    /// "Unknown" in RFC 1952.
    const NO_OPERATING_SYSTEM: u8 = 255;
    let mut compressor =
        GzBuilder::new().mtime(0).operating_system(NO_OPERATING_SYSTEM).write(Vec::new(), Compression::best());
    io::Write::write_all(&mut compressor, bytes)?;
    compressor.finish()
}
