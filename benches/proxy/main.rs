//! What does the gateway cost beside a proxy that does nothing?
//!
//! `cargo bench --features full --bench proxy`, and behind `--` perhaps `--rounds 5 --seconds 1 --connections 16`.
//!
//! Three servers answer the same requests over loopback: the provider itself (a stand-in that has its answers ready), the
//! smallest reverse proxy that hyper makes, and the gateway with everything on: keys, all layers, annotated answers,
//! records in the journal and from there in SQLite. Each is a process of its own with a runtime of two threads. A few
//! connections ask one request after the other; the servers take turns in each round, so that whatever else the machine
//! does meets all of them.
//!
//! The number to look at is the processor time per request as a ratio: the gateway's over the plain proxy's in the same
//! round, the median of all rounds. It counts the work wherever it is done, in the request, the driver or the kernel.
//! `time` is how long a request took to its last byte; all share the machine with the load, so it says less. Across
//! dialects the plain proxy forwards what the gateway translates.
//!
//! Without `--bench`, as in `cargo test --bench proxy`, each connection asks once: does it all answer?

mod child;
mod gateway;
mod load;
mod plain;
mod provider;
#[path = "../samples/mod.rs"]
mod samples;

use std::{path::Path, time::Duration};

use self::{
    child::Child,
    load::{Load, Workload},
    samples::{Api, Ask},
};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| arguments.iter().position(|argument| argument == name).and_then(|at| arguments.get(at + 1));
    let number = |name: &str, default: f64| option(name).map_or(default, |value| value.parse().expect("a number"));
    if let Some(name) = option(child::FLAG) {
        let upstream = || option("--upstream").expect("a proxy has an upstream").parse().expect("an address");
        return match name.as_str() {
            "provider" => child::serve(provider::run),
            "plain" => child::serve(|listener| plain::run(listener, upstream())),
            "gateway" => child::serve(|listener| gateway::run(listener, upstream())),
            other => panic!("there is no server called {other}"),
        };
    }
    if arguments.iter().any(|argument| argument == "--list") {
        // Test runners ask what is in here: no tests.
        return;
    }
    if !Path::new("/proc/self/stat").exists() {
        println!("processor time is read from /proc, which is not here");
        return;
    }
    let (rounds, seconds) = match arguments.iter().any(|argument| argument == "--bench") {
        true => (number("--rounds", 5.0) as usize, number("--seconds", 1.0)),
        false => (1, 0.0),
    };
    compare(rounds, Duration::from_secs_f64(seconds), number("--connections", 16.0) as usize);
}

fn compare(rounds: usize, time: Duration, connections: usize) {
    let provider = Child::start("provider", None);
    let plain = Child::start("plain", Some(provider.address));
    let gateway = Child::start("gateway", Some(provider.address));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let workloads = workloads();
    let mut rows: Vec<Vec<Row>> = workloads.iter().map(|_| Vec::new()).collect();
    for round in 1..=rounds {
        for (workload, rows) in workloads.iter().zip(&mut rows) {
            let measure = |child: &Child| {
                let load = Load { address: child.address, connections, time };
                let before = child.cpu();
                let asked = runtime.block_on(load.run(workload));
                // What is still on its way to the database counts too.
                std::thread::sleep(AFTERWARDS.min(time));
                Measured {
                    time: asked.elapsed.as_secs_f64() * 1e6,
                    cpu: (child.cpu() - before).as_secs_f64() * 1e6 / asked.requests as f64,
                }
            };
            rows.push(Row { direct: measure(&provider).time, plain: measure(&plain), gateway: measure(&gateway) });
        }
        eprintln!("round {round} of {rounds}");
    }
    println!("\nMedians of {rounds} rounds, {connections} connections; microseconds per request.\n");
    println!("{:<26}{:>12}{:>12}{:>12}{:>12}{:>12}{:>9}", "", "no proxy", "plain", "gateway", "plain", "gateway", "");
    println!("{:<26}{:>12}{:>12}{:>12}{:>12}{:>12}{:>9}", "", "time", "time", "time", "CPU", "CPU", "ratio");
    for (workload, rows) in workloads.iter().zip(&rows) {
        let median = |of: &dyn Fn(&Row) -> f64| median(rows.iter().map(of).collect());
        let ratio = median(&|row| row.gateway.cpu / row.plain.cpu);
        println!(
            "{:<26}{:>12.0}{:>12.0}{:>12.0}{:>12.1}{:>12.1}{:>9.2}",
            workload.name,
            median(&|row| row.direct),
            median(&|row| row.plain.time),
            median(&|row| row.gateway.time),
            median(&|row| row.plain.cpu),
            median(&|row| row.gateway.cpu),
            ratio,
        );
    }
    println!("\nresident memory now, and at most: plain {}, gateway {}", plain.memory(), gateway.memory());
}

/// A round's figures of one workload.
struct Row {
    direct: f64,
    plain: Measured,
    gateway: Measured,
}

/// Microseconds per request.
struct Measured {
    time: f64,
    cpu: f64,
}

fn workloads() -> Vec<Workload> {
    let workload = |name, model, ask, stream| {
        let ending: &[u8] = if stream { b"data: [DONE]\n\n" } else { b"}" };
        Workload::new(name, Api::Chat, model, ask, stream, ending)
    };
    vec![
        workload("chat, 2 KB", gateway::CHAT_MODEL, Ask::Ten, false),
        workload("history, 64 KB", gateway::CHAT_MODEL, Ask::History64K, false),
        workload("image, 1 MB", gateway::CHAT_MODEL, Ask::Image1M, false),
        workload("stream, 100 chunks", gateway::CHAT_MODEL, Ask::Ten, true),
        workload("chat across", gateway::MESSAGES_MODEL, Ask::Ten, false),
        workload("stream across", gateway::MESSAGES_MODEL, Ask::Ten, true),
    ]
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Longer than records wait in the journal.
const AFTERWARDS: Duration = Duration::from_millis(300);
