//! Asks an endpoint for many rows through the whole client, ledger included, and says what that cost.
//!
//!     calls URL LEDGER_DIR CALLS IN_FLIGHT [TIMEOUT_SECONDS [ROWS_AT_ONCE]]
//!
//! Prints one JSON object: seconds, CPU seconds of this process, and its largest resident set at a tenth of the way and
//! at the end. Run again on the same ledger it asks nothing and measures what replaying costs.

use std::path::Path;
use std::time::Instant;

use asclepius_llm::{Call, Client, Completion, TeacherConfig};
use asclepius_schema::{Message, Reason};
use futures::StreamExt;

#[global_allocator]
static ALLOCATOR: asclepius_ops::cpu::memory::Allocator = asclepius_ops::cpu::memory::Allocator;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    asclepius_ops::cpu::memory::keep_freed();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, ledger, calls, in_flight, rest @ ..] = &arguments[..] else {
        return Err("expected URL LEDGER_DIR CALLS IN_FLIGHT [TIMEOUT_SECONDS]".into());
    };
    let (calls, in_flight): (usize, usize) = (calls.parse()?, in_flight.parse()?);
    let config = TeacherConfig {
        endpoint: url.clone(),
        model: Some("mock".to_owned()),
        concurrency: in_flight,
        timeout_seconds: rest.first().map_or(Ok(300.0), |text| text.parse())?,
        price_per_million_input: Some(1.0),
        price_per_million_output: Some(1.0),
        ..TeacherConfig::default()
    };
    let rows_at_once = rest.get(1).map_or(Ok(config.rows_at_once()), |text| text.parse())?;
    let report = "A 54-year-old man came with chest pain that had begun two days before. ".repeat(8);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let started = Instant::now();
    let client = {
        let _inside = runtime.enter();
        Client::open(&config, url, None, Path::new(ledger))?
    };
    let opened = started.elapsed().as_secs_f64();
    let started = Instant::now();
    let early = runtime.block_on(async {
        let rows = futures::stream::iter(0..calls).map(|row| {
            let prompt = format!("Write a note about report {row}. {report}");
            let call = Call::new(format!("row-{row:08}"), "note", vec![Message::user(prompt)], 1.0, 512);
            let client = &client;
            async move { client.complete(&call).await }
        });
        let mut rows = std::pin::pin!(rows.buffered(rows_at_once));
        let (mut done, mut early) = (0, 0);
        while let Some(row) = rows.next().await {
            // With faults some replies are cut off twice, which is an end of its own.
            if let Completion::Dropped { reason, detail } = row?
                && reason != Reason::Truncated
            {
                return Err(format!("a row was dropped: {reason}, {detail}").into());
            }
            done += 1;
            if done == calls / 10 {
                early = status("VmHWM")?;
            }
        }
        Ok::<u64, Box<dyn std::error::Error>>(early)
    })?;
    let seconds = started.elapsed().as_secs_f64();
    let stats = client.stats();
    stats.check()?;
    let result = serde_json::json!({
        "seconds": seconds, "cpu_seconds": cpu_seconds()?, "open_seconds": opened, "sent": stats.sent, "pending": stats.pending,
        "dropped": stats.dropped.values().sum::<u64>(),
        "from_ledger": stats.cached, "resident_kib_early": early, "resident_kib": status("VmHWM")?,
    });
    std::io::Write::write_all(&mut std::io::stdout(), format!("{result}\n").as_bytes())?;
    Ok(())
}

/// User and system time of this process. The clock of these fields ticks 100 times a second on Linux.
fn cpu_seconds() -> Result<f64, Box<dyn std::error::Error>> {
    let text = fs_err::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = text.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks: f64 = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    Ok(ticks / 100.0)
}

fn status(name: &str) -> Result<u64, Box<dyn std::error::Error>> {
    let text = fs_err::read_to_string("/proc/self/status")?;
    let line = text.lines().find(|line| line.starts_with(name)).ok_or("no such line in /proc/self/status")?;
    Ok(line.split_whitespace().nth(1).ok_or("no number there")?.parse()?)
}
