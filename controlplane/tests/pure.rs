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
        let mut files = 0;
        for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
                let found = FORBIDDEN.iter().find(|word| line.contains(*word));
                assert!(found.is_none(), "{}: `{}` in `{}`", path.display(), found.unwrap(), line.trim());
            }
            files += 1;
        }
        assert!(files > 3, "{folder} has only {files} files");
    }
}
