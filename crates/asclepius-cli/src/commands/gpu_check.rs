//! `asclepius gpu-check`: a device held to the CPU, as a table and as JSON; `asclepius gpu-bench`: what a step takes on it.

use std::fmt::Write;
use std::path::Path;

use anyhow::anyhow;
use asclepius_schema::write_atomically;
use asclepius_train::device_bench::{Workload, measure};
use asclepius_train::device_check::{Report, check};

use crate::failure::{Failure, Outcome};
use crate::output;

/// Checks the device of that name; fails where a bound is missed.
pub fn run(device: &str, json: Option<&Path>, seed: u64, shapes: usize) -> Outcome {
    let opened = asclepius_ops::device(device).map_err(Failure::usage)?;
    let report = check(&opened, seed, shapes)?;
    output::data(&table(&report))?;
    if let Some(path) = json {
        let mut text = serde_json::to_string_pretty(&report)?;
        text.push('\n');
        write_atomically(path, text.as_bytes())?;
    }
    match report.missed() {
        0 => Ok(()),
        missed => Err(Failure::Failed(anyhow!("{device}: {missed} checks missed their bound or did not run"))),
    }
}

/// Times steps of `workload` on the device of that name.
pub fn bench(device: &str, workload: &Workload) -> Outcome {
    let opened = asclepius_ops::device(device).map_err(Failure::usage)?;
    output::data(&format!("{}\n", serde_json::to_string(&measure(&opened, workload)?)?))?;
    Ok(())
}

fn verdict(holds: bool, error: Option<&str>) -> String {
    match (holds, error) {
        (_, Some(error)) => format!("FAILED: {error}"),
        (true, None) => "ok".to_owned(),
        (false, None) => "MISSED".to_owned(),
    }
}

fn table(report: &Report) -> String {
    let mut text = format!("{}, drawn from seed {}\n\n", report.card, report.seed);
    let _ = writeln!(
        text,
        "{:<22}{:<6}{:>7}{:>11}{:>11}{:>9}",
        "operation", "type", "shapes", "value", "gradient", "bound"
    );
    for finding in &report.operations {
        let _ = writeln!(
            text,
            "{:<22}{:<6}{:>7}{:>11.1e}{:>11.1e}{:>9.0e}  {}",
            finding.operation,
            finding.dtype,
            finding.shapes,
            finding.value,
            finding.gradient,
            finding.bound,
            verdict(finding.holds(), finding.error.as_deref())
        );
    }
    let _ = writeln!(text, "\n{:<22}{:<6}{:>7}{:>11}{:>20}", "training", "type", "steps", "loss", "bound");
    for finding in &report.training {
        let _ = writeln!(
            text,
            "{:<22}{:<6}{:>7}{:>11.1e}{:>20.0e}  {}",
            finding.method,
            finding.dtype,
            finding.losses.len(),
            finding.apart,
            finding.bound,
            verdict(finding.holds(), finding.error.as_deref())
        );
    }
    text
}
