use asclepius_corpus::*;
fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let rounds: usize = args[0].parse().unwrap();
    let config = CorpusConfig {
        inputs: args[1..].iter().map(Into::into).collect(),
        licences: vec![
            asclepius_schema::Licence::Cc0,
            asclepius_schema::Licence::CcBy,
            asclepius_schema::Licence::CcByNcSa,
        ],
        ..CorpusConfig::default()
    };
    let t = std::time::Instant::now();
    for r in 0..rounds {
        ingest(
            &config,
            &mut |o| {
                if r == 0 {
                    println!("{o:#?}");
                }
                Ok(())
            },
            &|_, _| (),
        )
        .unwrap();
    }
    let bytes: u64 = sources(&config).unwrap().iter().map(|s| s.bytes).sum();
    eprintln!("{:.2} MB/s", bytes as f64 * rounds as f64 / 1e6 / t.elapsed().as_secs_f64());
}
