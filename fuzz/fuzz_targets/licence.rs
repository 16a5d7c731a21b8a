//! The licence gate: four statements, one a line, around a fixed case. What is admitted names an open licence, and is
//! refused as soon as a restriction stands beside it.
#![no_main]

use asclepius_corpus::SourceKind;
use asclepius_fuzz::reports;
use asclepius_schema::Licence;

const RESTRICTIONS: [&str; 3] = ["CC BY-NC-ND 4.0", "For non-commercial use only.", "Licensed under CC BY-ND."];

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

fn article([address, label, text, copyright]: [&str; 4], beside: &str) -> String {
    let [address, label, text, copyright] = [address, label, text, copyright].map(escape);
    format!(
        "<article xmlns:xlink=\"x\" article-type=\"case-report\"><front><article-meta><article-id pub-id-type=\"pmcid\">7</article-id>\
         <title-group><article-title>Fever</article-title></title-group><permissions><copyright-statement>{copyright}</copyright-statement>\
         <license license-type=\"{label}\" xlink:href=\"{address}\"><license-p>{text}</license-p>{beside}</license></permissions>\
         </article-meta></front><body><sec><title>Case report</title><p>A 45-year-old man was admitted to the hospital with fever and \
         was given aspirin. He was well on the next day, and he went home with his wife.</p></sec></body></article>"
    )
}

fn licence(xml: &str) -> Option<Licence> {
    reports(SourceKind::Xml, xml.as_bytes()).first().map(|report| report.licence)
}

libfuzzer_sys::fuzz_target!(|text: &str| {
    let mut lines = text.splitn(4, '\n').map(str::trim);
    let statements: [&str; 4] = std::array::from_fn(|_| lines.next().unwrap_or_default());
    let Some(admitted) = licence(&article(statements, "")) else { return };
    let said = text.to_lowercase();
    let open = ["cc", "creative", "commons", "public domain", "publicdomain"];
    assert!(open.iter().any(|word| said.contains(word)), "{admitted:?} without a word of it");
    // Its own class may be what is written beside it.
    for restriction in RESTRICTIONS {
        let beside = article(statements, &format!("<license-p>{restriction}</license-p>"));
        let found = licence(&beside);
        assert!(
            found.is_none_or(|found| found == admitted && admitted == Licence::CcByNcSa),
            "{admitted:?}, with {restriction:?} beside it {found:?}"
        );
    }
});
