//! The readers and the licence gate against inputs that were changed at random, always the same ones: whatever arrives
//! has an outcome, and nothing that contradicts itself is admitted.

use asclepius_corpus::{CorpusConfig, Outcome, SourceKind, ingest_small};
use asclepius_schema::Licence;

/// Numbers that look drawn (SplitMix64).
struct Draws(u64);

impl Draws {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % end.max(1) as u64) as usize
    }

    /// `bytes` with a few stretches cut, doubled, moved, or replaced by what `pieces` holds.
    fn mutate(&mut self, bytes: &[u8], pieces: &[&[u8]]) -> Vec<u8> {
        let mut changed = bytes.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(changed.len() + 1);
            let end = (at + self.below(60)).min(changed.len());
            match self.below(5) {
                0 => drop(changed.drain(at..end)),
                1 => {
                    let copy = changed[at..end].to_vec();
                    let to = self.below(changed.len() + 1);
                    changed.splice(to..to, copy);
                }
                2 => changed.iter_mut().skip(at).take(1).for_each(|byte| *byte = self.0 as u8),
                3 => {
                    let piece = pieces[self.below(pieces.len())];
                    changed.splice(at..end, piece.iter().copied());
                }
                _ => changed.truncate(at.max(changed.len() / 2)),
            }
        }
        changed
    }
}

fn outcomes(kind: SourceKind, bytes: &[u8]) -> Vec<Outcome> {
    let config = CorpusConfig {
        licences: vec![Licence::Cc0, Licence::CcBy, Licence::CcByNcSa],
        min_words: 5,
        ..CorpusConfig::default()
    };
    let mut all = Vec::new();
    let mut take = |outcome| {
        all.push(outcome);
        Ok(())
    };
    // A table's header may be damaged: an error that says so is an answer.
    let _ = ingest_small(&config, "input", kind, bytes, &mut take);
    all
}

const XML: &str = "<?xml version=\"1.0\"?><!DOCTYPE article [<!ENTITY drug \"aspirin\">]><set>\
    <article xmlns:xlink=\"x\" article-type=\"case-report\"><front><article-meta><article-id pub-id-type=\"pmcid\">PMC7.2</article-id>\
    <title-group><article-title>Fever &amp; cough</article-title></title-group><permissions><license license-type=\"open-access\" \
    xlink:href=\"https://creativecommons.org/licenses/by/4.0/\"><license-p>CC BY</license-p></license></permissions></article-meta></front>\
    <body><sec><title>Case 1</title><p>A 45-year-old man was admitted with fever [<xref ref-type=\"bibr\" rid=\"a\">1</xref>, 2] and was given &drug; \
    in the hospital. He left.</p><!-- note --><list><list-item><p>He was of the opinion that it was the cold.</p></list-item></list></sec>\
    <sec><title>Case 2</title><p>A 7-year-old girl was seen with the same (<xref ref-type=\"fig\">Fig. 1</xref>), and she was in bed for a week.</p></sec>\
    </body><back><ref-list><ref><p>x<![CDATA[</ref-list>]]></p></ref></ref-list></back></article><article/></set>";

const PIECES: [&[u8]; 16] = [
    b"<article>",
    b"</article>",
    b"<p>",
    b"</p>",
    b"<sec>",
    b"<!--",
    b"-->",
    b"<![CDATA[",
    b"]]>",
    b"<?",
    b"&drug;",
    b"&#x110000;",
    b"\xff\xfe",
    b"\"",
    b"<ref-list>",
    "\u{e000}(é–\u{2028}".as_bytes(),
];

#[test]
fn any_change_of_an_article_has_an_outcome() {
    let mut draws = Draws(1);
    let mut admitted = 0;
    for _ in 0..4000 {
        let found = outcomes(SourceKind::Xml, &draws.mutate(XML.as_bytes(), &PIECES));
        assert!(!found.is_empty());
        admitted += found.iter().filter(|outcome| matches!(outcome, Outcome::Admitted { .. })).count();
    }
    assert!(admitted > 200, "changes so rough that nothing is read: {admitted}");
}

#[test]
fn any_change_of_a_table_has_an_outcome() {
    let csv = "patient_id,patient_uid,PMID,file_path,title,patient,age,gender\r\n0,7-1,3,a,T,\"A 60-year-old man, ill.\nHe left.\",\"[[60.0, 'year']]\",M\r\n\
               1,8-1,4,a,T,A 5-day-old boy.,\"[[5.0, 'day']]\",M\r\n";
    let json = r#"[{"patient_id": "0", "patient_uid": "7-1", "PMID": "3", "title": "T", "patient": "A man.\nHe left the ward.", "age": [[60.0, "year"]], "gender": "M"}]"#;
    let pieces: [&[u8]; 8] = [b"\"", b",", b"\r\n", b"[", b"}", b"\\ud800", b"9e999", b"\xff"];
    let mut draws = Draws(2);
    for _ in 0..2000 {
        outcomes(SourceKind::PmcPatientsCsv, &draws.mutate(csv.as_bytes(), &pieces));
        outcomes(SourceKind::PmcPatientsJson, &draws.mutate(json.as_bytes(), &pieces));
        outcomes(SourceKind::TarGz, &draws.mutate(json.as_bytes(), &pieces));
    }
}

#[test]
fn titles_of_several_lines_leave_the_attribution_one() {
    let csv = "patient_id,patient_uid,PMID,title,patient,age,gender\r\n0,7-1,3,\"Fever.\n A\r\ncase.\",He was ill and left the ward.,[],M\r\n";
    let json = r#"[{"patient_id": 0, "patient_uid": "7-1", "PMID": 3, "title": "Fever.\n A\r\ncase.", "patient": "He was ill and left the ward.", "age": [], "gender": null}]"#;
    for (kind, bytes) in [(SourceKind::PmcPatientsCsv, csv), (SourceKind::PmcPatientsJson, json)] {
        let found = outcomes(kind, bytes.as_bytes());
        let Outcome::Admitted { reports, .. } = &found[0] else { panic!("{found:?}") };
        assert_eq!(reports[0].title, "Fever. A case.");
        assert!(reports[0].attribution.starts_with("Fever. A case. PMC7, as cut out"), "{}", reports[0].attribution);
        assert!(!reports[0].attribution.contains(char::is_control));
    }
}

#[test]
fn no_statement_with_a_restriction_beside_it_is_admitted() {
    const OPEN: [&str; 4] = [
        "CC BY 4.0",
        "Creative Commons Attribution License",
        "open access",
        "https://creativecommons.org/licenses/by/4.0/",
    ];
    const CLOSED: [&str; 6] = [
        "CC BY-NC",
        "Attribution-NonCommercial-NoDerivatives",
        "https://creativecommons.org/licenses/by-nd/4.0/",
        "for non-commercial use only",
        "no derivatives may be made",
        "licensed under CC-BY-SA",
    ];
    let mut draws = Draws(3);
    for round in 0..3000 {
        let mut said: Vec<&str> = (0..draws.below(4)).map(|_| OPEN[draws.below(4)]).collect();
        said.insert(draws.below(said.len() + 1), CLOSED[draws.below(6)]);
        let text = said.join([". ", "; ", " ", " and "][draws.below(4)]);
        let xml = XML.replace("<license-p>CC BY</license-p>", &format!("<license-p>{text}</license-p>"));
        let found = outcomes(SourceKind::Xml, xml.as_bytes());
        assert!(matches!(found[0], Outcome::Dropped(_)), "{round}: {text}");
    }
}
