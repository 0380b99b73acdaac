//! Servers as processes: this program again, told which to be.

use std::{
    fs,
    future::Future,
    io::{self, BufRead, BufReader, Read},
    net::SocketAddr,
    process::{self, Command, Stdio},
    time::Duration,
};

use tokio::net::TcpListener;

/// Says which server to be.
pub const FLAG: &str = "--serve";

/// A server that runs. Dropping it ends it.
pub struct Child {
    process: process::Child,
    pub address: SocketAddr,
}

impl Child {
    /// Starts the server called `name` and waits until it listens.
    pub fn start(name: &str, upstream: Option<SocketAddr>) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args([FLAG, name]).stdin(Stdio::piped()).stdout(Stdio::piped());
        if let Some(upstream) = upstream {
            command.arg("--upstream").arg(upstream.to_string());
        }
        let mut process = command.spawn().expect("a process");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("it is piped")).read_line(&mut line).expect("its address");
        Self { process, address: line.trim().parse().unwrap_or_else(|_| panic!("{name} did not start")) }
    }

    /// The processor time it took so far, all threads, in and out of the kernel.
    pub fn cpu(&self) -> Duration {
        let stat = self.proc("stat");
        // Behind the name, which may hold anything: `utime` and `stime` are the fields 14 and 15 of all.
        let fields = stat.rsplit_once(')').map(|(_, fields)| fields).expect("a name in parentheses");
        let ticks: u64 = fields.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("ticks")).sum();
        TICK * u32::try_from(ticks).expect("less than a year")
    }

    /// Its memory now, and the most it had.
    pub fn memory(&self) -> String {
        let status = self.proc("status");
        let of = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map_or("?", str::trim).to_owned();
        format!("{} / {}", of("VmRSS:"), of("VmHWM:"))
    }

    fn proc(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.process.id())).expect("it runs")
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It ends when its input does, and has cleared up before.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// Is a server: `run` serves what comes to the listener, until the parent is gone.
pub fn serve<F: Future>(run: impl FnOnce(TcpListener) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("{}", listener.local_addr().expect("it is bound"));
        let orphaned = tokio::task::spawn_blocking(|| io::stdin().read_to_end(&mut Vec::new()));
        tokio::select! {
            _ = run(listener) => {}
            _ = orphaned => {}
        }
    });
}

/// What `/proc` counts in, on every Linux that there is.
const TICK: Duration = Duration::from_millis(10);
