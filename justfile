[private]
default:
    @just --list --unsorted

# Run the whole system on this machine.
up *args:
    cargo run --release -- up {{ args }}

test:
    cargo test --workspace

lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    cargo deny check bans licenses sources

# What CI runs.
ci:
    .ci/run
