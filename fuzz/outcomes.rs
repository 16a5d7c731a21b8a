//! The public door of the corpus, as the targets use it: whatever bytes arrive, every outcome is checked.

use asclepius_corpus::{CorpusConfig, Outcome, SourceKind, ingest_small};
use asclepius_schema::{Licence, Report};

/// The reports that `bytes` come to. An unreadable table's header is an error and an answer too.
///
/// # Panics
/// When an outcome holds what none may hold.
pub fn reports(kind: SourceKind, bytes: &[u8]) -> Vec<Report> {
    let config = CorpusConfig {
        licences: vec![Licence::Cc0, Licence::CcBy, Licence::CcByNcSa],
        min_words: 5,
        ..CorpusConfig::default()
    };
    let mut admitted = Vec::new();
    let mut take = |outcome| {
        match outcome {
            Outcome::Admitted { article_id, reports, skipped } => {
                assert!(!reports.is_empty(), "{article_id} is admitted without a patient");
                assert!(skipped.iter().all(|dropped| !dropped.detail.is_empty()));
                for report in &reports {
                    assert_eq!(report.article_id, article_id);
                    assert!(report.report.split_whitespace().count() >= config.min_words);
                    assert!(config.licences.contains(&report.licence), "{:?}", report.licence);
                    assert!(!report.attribution.contains('\n') && !report.attribution.is_empty());
                    assert!(report.tables.iter().chain(&report.captions).all(|text| !text.trim().is_empty()));
                    assert!(report.age.is_none_or(|age| age.value.is_finite()), "{:?}", report.age);
                }
                admitted.extend(reports);
            }
            Outcome::Dropped(dropped) | Outcome::PartDropped(dropped) => assert!(!dropped.id.is_empty() && !dropped.detail.is_empty(), "{dropped:?}"),
        }
        Ok(())
    };
    let _ = ingest_small(&config, "input", kind, bytes, &mut take);
    admitted
}
