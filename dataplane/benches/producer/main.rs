//! What the producer costs, each figure beside a baseline of the same run. `cargo bench -p dataplane` prints the table.
//!
//! Figures are in CPU time of the thread that does the work, so that other work on the machine spoils them less; a ratio
//! to a baseline measured just before and after is what may be compared between machines.

mod aggregation;
mod cpu;
mod http;
mod memory;

fn main() {
    // `cargo test --benches` runs this too, and has no use for it.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    println!("| what | figure | baseline | ratio | goal |\n|---|---|---|---|---|");
    aggregation::run();
    http::run();
    memory::run();
}

/// Prints a line of the table.
fn line(what: &str, figure: &str, baseline: &str, ratio: Option<f64>, goal: &str) {
    let ratio = ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
    println!("| {what} | {figure} | {baseline} | {ratio} | {goal} |");
}

/// A number with its thousands apart.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
