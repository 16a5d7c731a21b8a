//! Runs the dataset stage over generated rows and says how long it took and how much memory it held.
//!
//!     build_stage SAMPLE_RUN DIR NOTES
//!
//! `SAMPLE_RUN` is a directory such as `data/ci-tiny`: the words of its notes, in its sentences, make up the rows. Each
//! report gets a note of most of its sentences, one note in ten is an edited copy of an earlier one, and each note gets
//! an instruction. What `DIR` holds already is taken as it is. Prints one line of JSON.

use std::path::Path;
use std::time::Instant;

use asclepius_dataset::table::Writer;
use asclepius_dataset::{DatasetConfig, DatasetError, Inputs, build, read_instructions, read_notes};
use asclepius_schema::{ArticleId, DroppedWriter, Instruction, Note, Report, ReportId, ids};

/// SplitMix64: the rows are a function of their number.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut drawn = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        drawn = (drawn ^ (drawn >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        drawn ^ (drawn >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

fn generate(sample: &Path, inputs: &Inputs, count: usize) -> Result<(), Box<dyn std::error::Error>> {
    let notes: Vec<Note> = read_notes(&sample.join("notes/notes.parquet"))?.collect::<Result<_, _>>()?;
    let rows: Vec<Instruction> =
        read_instructions(&sample.join("instructions/instructions.parquet"))?.collect::<Result<_, _>>()?;
    let reports: Vec<Report> =
        asclepius_dataset::read_reports(&sample.join("corpus/reports.parquet"))?.collect::<Result<_, _>>()?;
    let sentences: Vec<&str> = reports
        .iter()
        .flat_map(|report| report.report.split(['\n', '.']))
        .map(str::trim)
        .filter(|sentence| sentence.len() > 20)
        .collect();
    let mut writers = (
        Writer::<Report>::create(&inputs.reports)?,
        Writer::<Note>::create(&inputs.notes)?,
        Writer::<Instruction>::create(&inputs.instructions)?,
    );
    let body = |number: usize| -> Vec<String> {
        let mut draw = Draw(number as u64);
        let length = 15 + draw.below(20);
        let vary = |sentence: &str, draw: &mut Draw| {
            let mut word = |word: &str| {
                if draw.below(8) == 0 { format!("term{}", draw.below(50_000)) } else { word.to_owned() }
            };
            sentence.split(' ').map(&mut word).collect::<Vec<_>>().join(" ")
        };
        (0..length)
            .map(|_| {
                let sentence = sentences[draw.below(sentences.len())];
                vary(sentence, &mut draw)
            })
            .collect()
    };
    for number in 0..count {
        let mut draw = Draw(!(number as u64));
        let article = ArticleId::from_pmcid(&(1_000_000 + number / 2).to_string())?;
        let n = (number % 2 + 1) as u32;
        let (patient_id, report_id) = (ids::patient_id(&article, n), ReportId::new(&article, 1, n));
        let copied = number % 10 == 9;
        let own = body(if copied { draw.below(number) } else { number });
        let mut noted: Vec<String> = own.iter().filter(|_| copied || draw.below(4) > 0).cloned().collect();
        if copied {
            let edited = draw.below(noted.len());
            "Seen again in clinic and doing well".clone_into(&mut noted[edited]);
        }
        writers.0.write(&Report {
            patient_id,
            report_id: report_id.clone(),
            article_id: article.clone(),
            report: format!("{}.", own.join(". ")),
            ..reports[number % reports.len()].clone()
        })?;
        let note = Note {
            patient_id,
            report_id: report_id.clone(),
            article_id: article.clone(),
            note: noted.join(".\n"),
            ..notes[number % notes.len()].clone()
        };
        writers.1.write(&note)?;
        writers.2.write(&Instruction {
            patient_id,
            report_id,
            article_id: article,
            note: note.note,
            index: 0,
            evidence: Vec::new(),
            ..rows[number % rows.len()].clone()
        })?;
    }
    writers.0.finish()?;
    writers.1.finish()?;
    writers.2.finish()?;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the line is what this program is for")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [sample, directory, count] = arguments.as_slice() else {
        return Err("usage: build_stage SAMPLE_RUN DIR NOTES".into());
    };
    let directory = Path::new(directory);
    fs_err::create_dir_all(directory)?;
    let path = |name: &str| directory.join(name);
    let inputs = Inputs {
        reports: path("reports.parquet"),
        notes: path("notes.parquet"),
        instructions: path("instructions.parquet"),
    };
    if !inputs.instructions.exists() {
        generate(Path::new(sample), &inputs, count.parse()?)?;
        println!("generated: run again to measure, so that making the rows counts for nothing");
        return Ok(());
    }
    let out = path("dataset");
    fs_err::create_dir_all(&out)?;
    let mut dropped = DroppedWriter::create(&out)?;
    let started = Instant::now();
    let config = DatasetConfig::default();
    let judged = std::sync::Mutex::new(0.0);
    let summary = build(&inputs, &config, 0, &out, &mut dropped, &|done, total| {
        if 2 * done == total {
            *judged.lock().expect("nobody panics holding it") = started.elapsed().as_secs_f64();
        }
    })?;
    dropped.finish().map_err(DatasetError::from)?;
    println!(
        "{}",
        serde_json::json!({
            "seconds": started.elapsed().as_secs_f64(),
            "judged_seconds": *judged.lock().expect("nobody panics holding it"),
            "notes": summary.notes,
            "instructions": summary.instructions,
            "words": summary.words,
            "membership": summary.membership,
            "peak_rss_bytes": peak_rss_bytes(),
        })
    );
    Ok(())
}

/// The most memory the process has held, as Linux counts it; 0 elsewhere.
fn peak_rss_bytes() -> u64 {
    let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).map_or(0, |kib| kib * 1024)
}
