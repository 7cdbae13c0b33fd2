use std::io::Read;

use super::{executable::tests::elf, *};

fn host_process() -> ImageSource {
    ImageSource::HostProcess { command: ["/bin/sh", "-c", "exec sleep 1"].map(str::to_owned).to_vec() }
}

fn binary(executable: Vec<u8>) -> ImageSource {
    let certificates = Bytes::from_static(b"-----BEGIN CERTIFICATE-----\n");
    ImageSource::Binary { executable: executable.into(), certificates, architecture: Architecture::Arm64 }
}

fn text(blob: &Blob) -> &str {
    std::str::from_utf8(&blob.bytes).expect("JSON is UTF-8")
}

fn unpacked(image: &Image) -> Vec<u8> {
    let mut tar = Vec::new();
    flate2::read::GzDecoder::new(&*image.layer.bytes).read_to_end(&mut tar).expect("the layer is gzip");
    tar
}

#[test]
fn the_same_source_gives_the_same_image() {
    for source in [host_process(), binary(elf(183, 1))] {
        assert_eq!(build(&source).expect("builds"), build(&source).expect("builds"));
    }
}

#[test]
fn another_command_gives_another_image() {
    let other = ImageSource::HostProcess { command: vec!["/bin/true".to_owned()] };
    let digest = |source| build(source).expect("builds").digest().clone();
    assert_ne!(digest(&host_process()), digest(&other));
}

#[test]
fn a_host_process_is_an_empty_layer_with_a_label_and_the_command() {
    let image = build(&host_process()).expect("builds");
    assert_eq!(unpacked(&image), vec![0; 1024], "an archive without entries is two empty blocks");
    insta::assert_snapshot!(text(&image.config), @r#"{"architecture":"arm64","os":"linux","config":{"Entrypoint":["/bin/sh","-c","exec sleep 1"],"Labels":{"weir.host-process":"true"}},"rootfs":{"type":"layers","diff_ids":["sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"]}}"#);
}

#[test]
fn a_binary_is_an_executable_and_its_certificates_and_no_root() {
    let executable = elf(183, 1);
    let image = build(&binary(executable.clone())).expect("builds");
    insta::assert_snapshot!(text(&image.config), @r#"{"architecture":"arm64","os":"linux","config":{"User":"65532:65532","Entrypoint":["/app"],"Env":["SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"]},"rootfs":{"type":"layers","diff_ids":["sha256:e91690d9a86f3918f52a0a1a8fc3a5413db91fea6466da5ddd35de350f2ec585"]}}"#);
    let tar = unpacked(&image);
    let mut archive = tar::Archive::new(&*tar);
    let listing: Vec<_> = archive
        .entries()
        .expect("an archive")
        .map(|entry| {
            let entry = entry.expect("an entry");
            let header = entry.header();
            let path = entry.path().expect("a path").display().to_string();
            let (mode, time) = (header.mode().expect("a mode"), header.mtime().expect("a time"));
            format!("{mode:o} {time} {} {path}", entry.size())
        })
        .collect();
    assert_eq!(
        listing,
        [
            "755 0 0 etc/",
            "755 0 0 etc/ssl/",
            "755 0 0 etc/ssl/certs/",
            "444 0 28 etc/ssl/certs/ca-certificates.crt",
            "555 0 120 app"
        ]
    );
}

#[test]
fn the_manifest_names_the_blobs_by_digest_and_size() {
    let image = build(&host_process()).expect("builds");
    let manifest: serde_json::Value = serde_json::from_slice(&image.manifest.bytes).expect("the manifest is JSON");
    for (place, blob) in [("/config", &image.config), ("/layers/0", &image.layer)] {
        let descriptor = manifest.pointer(place).expect(place);
        assert_eq!(descriptor["digest"], Digest::of(&blob.bytes).as_str());
        assert_eq!(descriptor["size"], blob.bytes.len());
    }
    assert_eq!(image.digest(), &Digest::of(&image.manifest.bytes));
}

#[test]
fn a_digest_is_written_as_registries_write_it() {
    let empty = Digest::of(b"");
    assert_eq!(empty.as_str(), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_eq!(empty.tag(), "e3b0c44298fc");
}

#[test]
fn a_binary_that_could_not_start_is_refused() {
    let error = build(&binary(b"#!/bin/sh".to_vec())).expect_err("a script is no executable");
    assert!(matches!(error, BuildError::Executable(UnfitExecutable::NotElf)), "{error:?}");
}
