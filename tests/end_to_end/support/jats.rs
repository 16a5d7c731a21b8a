//! Articles as PubMed Central files them: small ones made up on the spot, and the project's own under another licence.

use std::path::Path;

use super::binary::root;

/// A case report of a man with a fever. Its text is its own, so that no two are taken for the same.
#[derive(Debug, Clone)]
pub struct Jats {
    id: String,
    licence: String,
    year: Option<i32>,
    subjects: Vec<&'static str>,
    patients: Vec<&'static str>,
}

/// One under CC BY 4.0.
pub fn article(id: &str) -> Jats {
    Jats {
        id: id.to_owned(),
        licence: "licenses/by/4.0".to_owned(),
        year: Some(2019),
        subjects: vec!["Case Report"],
        patients: vec!["A 45-year-old man"],
    }
}

impl Jats {
    /// Another licence, by the end of its address.
    pub fn licence(mut self, licence: &str) -> Self {
        licence.clone_into(&mut self.licence);
        self
    }

    /// Another year, or none.
    pub fn year(mut self, year: Option<i32>) -> Self {
        self.year = year;
        self
    }

    /// One more subject heading.
    pub fn subject(mut self, subject: &'static str) -> Self {
        self.subjects.push(subject);
        self
    }

    /// These patients, each as a case of its own where they are several.
    pub fn patients(mut self, patients: &[&'static str]) -> Self {
        self.patients = patients.to_vec();
        self
    }

    /// The article.
    pub fn xml(&self) -> String {
        let Self { id, licence, .. } = self;
        let year = self.year.map(|year| format!("<pub-date pub-type=\"epub\"><year>{year}</year></pub-date>"));
        let subjects: Vec<String> = self
            .subjects
            .iter()
            .map(|subject| format!("<subj-group><subject>{subject}</subject></subj-group>"))
            .collect();
        let cases: Vec<String> = self
            .patients
            .iter()
            .zip(1..)
            .map(|(patient, n)| format!("<sec><title>Case {n}</title><p>{}</p></sec>", self.case(patient, n)))
            .collect();
        let cases = match self.patients.as_slice() {
            [only] => format!("<p>{}</p>", self.case(only, 1)),
            _ => cases.concat(),
        };
        format!(
            "<article xmlns:xlink=\"x\" article-type=\"case-report\"><front><journal-meta><journal-title-group>\
             <journal-title>Journal of Invented Cases</journal-title></journal-title-group></journal-meta><article-meta>\
             <article-id pub-id-type=\"pmcid\">{id}</article-id><article-id pub-id-type=\"doi\">10.5555/{id}</article-id>\
             <article-categories>{}</article-categories><title-group><article-title>Fever after drug {id}\
             </article-title></title-group><contrib-group><contrib contrib-type=\"author\"><name><surname>Doe</surname>\
             <given-names>J</given-names></name></contrib></contrib-group>{}<permissions><license \
             xlink:href=\"https://creativecommons.org/{licence}/\"/></permissions></article-meta></front><body><sec>\
             <title>Case report</title>{cases}</sec></body></article>",
            subjects.concat(),
            year.unwrap_or_default()
        )
    }

    fn case(&self, patient: &str, n: usize) -> String {
        let drug = format!("{}x{n}", self.id.to_lowercase().replace('.', "v"));
        let days: Vec<String> =
            (1..25).map(|day| format!("On day {day} {drug} was given {day} times and {drug}l{day} rose. ")).collect();
        format!("{patient} was admitted with fever. {}", days.concat())
    }
}

/// One of the project's sample reports under another licence, by the end of its address.
pub fn sample(name: &str, licence: &str) -> String {
    let path = root().join("data/case-reports").join(format!("{name}.xml"));
    let xml = fs_err::read_to_string(path).expect("committed");
    let (before, rest) = xml.split_once("<permissions>").expect("it has a licence");
    let (_, after) = rest.split_once("</permissions>").expect("well-formed");
    let permissions = format!(
        "<permissions><license xmlns:xlink=\"http://www.w3.org/1999/xlink\" \
         xlink:href=\"https://creativecommons.org/{licence}/\"><license-p>See there.</license-p></license></permissions>"
    );
    format!("{before}{permissions}{after}")
}

/// Writes a file below a folder, with the folders it takes.
pub fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) {
    let path = folder.join(name);
    fs_err::create_dir_all(path.parent().expect("below a folder")).expect("writable");
    fs_err::write(path, content).expect("writable");
}
