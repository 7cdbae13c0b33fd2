//! The functional core stays one: what decides and what reads policies must not know the world.

use std::path::Path;

const FORBIDDEN: [&str; 12] = [
    "async ",
    "await",
    "aws_",
    "tokio",
    "tracing",
    "rand::",
    "std::fs",
    "std::net",
    "std::env",
    "SystemTime",
    "Instant",
    "Timestamp::now",
];

#[test]
fn decide_and_policy_know_no_clock_no_network_and_no_chance() {
    for folder in ["src/decide", "src/policy"] {
        check(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &FORBIDDEN);
    }
}

/// The simulator draws its accidents, but from a seed.
#[test]
fn the_simulator_knows_no_clock_and_no_network() {
    let forbidden: Vec<_> = FORBIDDEN.into_iter().filter(|word| *word != "rand::").chain(["rng()"]).collect();
    check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/simulate"), &forbidden);
}

fn check(folder: &Path, forbidden: &[&str]) {
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            check(&path, forbidden);
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let program = text.lines().take_while(|line| *line != "#[cfg(test)]");
        for line in program.filter(|line| !line.trim_start().starts_with("//")) {
            let found = forbidden.iter().find(|word| line.contains(*word));
            assert!(found.is_none(), "{}: `{}` in `{}`", path.display(), found.unwrap(), line.trim());
        }
        files += 1;
    }
    assert!(files > 3, "{} has only {files} files", folder.display());
}
