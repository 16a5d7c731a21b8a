//! Writes a ledger of many calls, then times opening it.
//!
//!     ledger_open DIR [CALLS] [REPLY_BYTES]
//!
//! Prints one JSON object: bytes, and the seconds of five openings.

use std::path::Path;
use std::time::Instant;

use asclepius_llm::{Entry, Intent, Ledger, Outcome};
use futures::StreamExt;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let directory = Path::new(arguments.first().ok_or("DIR is missing")?);
    let calls: u64 = arguments.get(1).map_or(Ok(158_000), |text| text.parse())?;
    let bytes: usize = arguments.get(2).map_or(Ok(2500), |text| text.parse())?;
    let text = "Pt c/o chest pain x2d.\nHx: \"HTN\", DM2. ".repeat(bytes / 30 + 1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    {
        let ledger = Ledger::open(directory)?;
        let write = futures::stream::iter(1..=calls).for_each_concurrent(500, |call| {
            let (ledger, text) = (&ledger, &text);
            let (key, row_id) =
                (format!("{:032x}", call.wrapping_mul(0x9E37_79B9_7F4A_7C15)), format!("PMC{call}.1-1"));
            async move {
                let intent = Intent {
                    intent: call,
                    key: key.clone(),
                    row_id: row_id.clone(),
                    stage: "note".to_owned(),
                    prompt_tokens: 3000,
                    completion_tokens: 4096,
                    cost_usd: Some(0.002),
                    batch: None,
                };
                ledger.announce(&intent).await.expect("the disk has room");
                let outcome = Outcome::Reply {
                    text: text[..bytes].to_owned(),
                    finish_reason: "stop".to_owned(),
                    served_model: "mock".to_owned(),
                };
                let entry = Entry {
                    key,
                    row_id,
                    stage: "note".to_owned(),
                    model: "mock".to_owned(),
                    max_tokens: 4096,
                    prompt_tokens: 800,
                    completion_tokens: 700,
                    intent: call,
                    cost_usd: Some(0.001),
                    outcome,
                };
                ledger.append(&entry).await.expect("the disk has room");
            }
        });
        runtime.block_on(write);
    }
    let size = fs_err::metadata(directory.join("calls.ledger"))?.len();
    let mut seconds = Vec::new();
    for _ in 0..5 {
        let started = Instant::now();
        let ledger = Ledger::open(directory)?;
        seconds.push(started.elapsed().as_secs_f64());
        assert_eq!((ledger.found().entries, ledger.found().open_intents), (calls, 0));
    }
    let result = serde_json::json!({ "calls": calls, "bytes": size, "open_seconds": seconds });
    std::io::Write::write_all(&mut std::io::stdout(), format!("{result}\n").as_bytes())?;
    Ok(())
}
