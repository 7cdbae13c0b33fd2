//! What the consumer costs and how fast it hands over, with real processes on a localcloud in this one.
//!
//! `cargo bench -p dataplane --bench consumer` prints the costs, each beside a baseline of the same run, and with
//! `-- throughput` or `-- exec` a part of them;
//! `cargo bench -p dataplane --bench consumer -- times 50` how long starts and takeovers take, over so many runs.

mod exec;
mod process;
mod throughput;
mod times;
mod world;

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    // `cargo test --benches` runs this too, and has no use for it.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    match &arguments[..] {
        [] => {
            println!("| what | figure | baseline | ratio | goal |\n|---|---|---|---|---|");
            runtime.block_on(throughput::run());
            runtime.block_on(exec::run());
        }
        // What a bench asks of a process of its own.
        [what, endpoint_url] if what == "fetch" => runtime.block_on(throughput::fetch(endpoint_url)),
        [what] if what == "throughput" => runtime.block_on(throughput::run()),
        [what] if what == "exec" => runtime.block_on(exec::run()),
        [what, runs] if what == "times" => runtime.block_on(times::run(runs.parse().expect("a number of runs"))),
        other => panic!("not nothing, `throughput`, `exec` or `times N`: {other:?}"),
    }
}
