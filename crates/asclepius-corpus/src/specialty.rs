//! The medical specialties that an article's subjects name: headings of its journal, MeSH terms, keywords.
//!
//! A subject counts when it is the name of a specialty, whole or as one part of a compound heading ("Obstetrics and
//! Gynecology", "Case Report: Cardiology"). A disease or organ is no specialty here: it says too little about who treated it.

/// A specialty and the other names it goes by, in lower case and with British spellings brought to American ones.
const SPECIALTIES: [(&str, &[&str]); 42] = [
    ("Allergy and Immunology", &["allergy", "immunology", "clinical immunology", "allergology"]),
    ("Anesthesiology", &["anesthesia", "anesthesiology", "anesthesiology resuscitation"]),
    (
        "Cardiology",
        &["cardiology", "cardiovascular medicine", "cardiovascular disease", "cardiovascular", "pediatric cardiology"],
    ),
    ("Critical Care", &["critical care", "critical care medicine", "intensive care", "intensive care medicine"]),
    (
        "Dentistry and Oral Medicine",
        &["dentistry", "oral medicine", "oral health", "oral surgery", "maxillofacial surgery", "dental medicine"],
    ),
    ("Dermatology", &["dermatology", "venereology", "dermatopathology", "pediatric dermatology"]),
    ("Emergency Medicine", &["emergency medicine"]),
    (
        "Endocrinology and Metabolism",
        &["endocrinology", "endocrinology metabolism", "metabolism", "diabetology", "pediatric endocrinology"],
    ),
    ("Family Medicine", &["family medicine", "general practice", "primary care", "family practice"]),
    ("Gastroenterology", &["gastroenterology", "hepatology", "pediatric gastroenterology"]),
    ("Genetics", &["genetics", "medical genetics", "clinical genetics", "genetics medical", "genomics"]),
    ("Geriatrics", &["geriatrics", "geriatric medicine", "gerontology"]),
    (
        "Gynecology and Obstetrics",
        &["gynecology", "obstetrics", "women health", "womens health", "maternal fetal medicine"],
    ),
    ("Hematology", &["hematology", "pediatric hematology"]),
    (
        "Infectious Diseases",
        &["infectious disease", "infectious diseases", "communicable disease", "tropical medicine", "virology"],
    ),
    ("Internal Medicine", &["internal medicine", "medicine internal"]),
    ("Legal and Forensic Medicine", &["forensic medicine", "legal medicine", "forensic science"]),
    ("Microbiology", &["microbiology", "medical microbiology", "clinical microbiology", "parasitology", "mycology"]),
    ("Neonatology", &["neonatology", "perinatology"]),
    ("Nephrology", &["nephrology", "urology nephrology", "pediatric nephrology"]),
    ("Neurology", &["neurology", "clinical neurology", "pediatric neurology", "child neurology"]),
    ("Neurosurgery", &["neurosurgery", "neurological surgery", "spine surgery"]),
    ("Nuclear Medicine", &["nuclear medicine"]),
    ("Nutrition", &["nutrition", "clinical nutrition", "dietetics"]),
    ("Oncology", &["oncology", "medical oncology", "surgical oncology", "radiation oncology", "pediatric oncology"]),
    ("Ophthalmology", &["ophthalmology"]),
    ("Orthopedics", &["orthopedics", "orthopedic surgery", "orthopedic", "sports medicine", "traumatology"]),
    (
        "Otolaryngology",
        &["otolaryngology", "otorhinolaryngology", "ent", "head neck surgery", "laryngology", "otology"],
    ),
    ("Palliative Medicine", &["palliative care", "palliative medicine", "pain medicine", "pain management"]),
    ("Pathology", &["pathology", "surgical pathology", "anatomic pathology"]),
    ("Pediatrics", &["pediatrics", "pediatric", "pediatric medicine", "child health", "pediatric surgery"]),
    ("Pharmacology", &["pharmacology", "clinical pharmacology", "pharmacy", "drug safety"]),
    ("Physiology", &["physiology", "clinical physiology"]),
    (
        "Psychiatry",
        &[
            "psychiatry",
            "adolescent psychiatry",
            "child psychiatry",
            "mental health",
            "psychology",
            "clinical psychology",
        ],
    ),
    (
        "Public Health",
        &["public health", "epidemiology", "preventive medicine", "occupational medicine", "environmental health"],
    ),
    (
        "Pulmonology",
        &["pulmonology", "pulmonary medicine", "respiratory medicine", "respiratory", "respirology", "pneumology"],
    ),
    ("Radiology", &["radiology", "interventional radiology", "diagnostic imaging", "medical imaging"]),
    ("Rehabilitation", &["rehabilitation", "physical medicine", "physiotherapy", "physical therapy"]),
    ("Rheumatology", &["rheumatology"]),
    (
        "Surgery",
        &[
            "surgery",
            "general surgery",
            "plastic surgery",
            "thoracic surgery",
            "cardiac surgery",
            "cardiothoracic surgery",
            "cardiovascular surgery",
            "vascular surgery",
            "transplantation",
            "trauma surgery",
            "pediatric surgery",
        ],
    ),
    ("Toxicology", &["toxicology", "clinical toxicology", "medical toxicology"]),
    ("Urology", &["urology", "andrology", "urology nephrology"]),
];

/// The specialties named, each once, in the order of the alphabet.
pub(crate) fn named(subjects: &[String]) -> Vec<&'static str> {
    let mut found = Vec::new();
    for subject in subjects {
        let plain = plain(subject);
        let whole =
            plain.replace(" and ", " ").split_whitespace().filter(|word| *word != "|").collect::<Vec<_>>().join(" ");
        let parts = plain.split('|').flat_map(|part| part.split(" and "));
        for name in std::iter::once(whole.as_str()).chain(parts) {
            let name = name.trim();
            found
                .extend(SPECIALTIES.iter().filter(|(_, names)| names.contains(&name)).map(|(specialty, _)| *specialty));
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// In lower case and American spelling, words apart by one blank, and `|` where punctuation separates parts.
fn plain(subject: &str) -> String {
    let mut text = String::with_capacity(subject.len());
    for character in subject.chars().flat_map(char::to_lowercase) {
        match character {
            '\'' | '\u{2019}' => {}
            '&' => text.push_str(" and "),
            ',' | ';' | ':' | '/' | '|' | '(' | ')' | '.' | '\u{2013}' | '\u{2014}' => text.push_str(" | "),
            '-' => text.push(' '),
            letter => text.push(letter),
        }
    }
    let words: Vec<String> = text
        .split_whitespace()
        .map(|word| {
            let word = word.replace("paed", "ped").replace("gynaec", "gynec").replace("haemat", "hemat");
            word.replace("anaesth", "anesth")
        })
        .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_count_whole_or_as_parts_and_nothing_else_does() {
        let of = |subject: &str| named(&[subject.to_owned()]);
        for (subject, specialties) in [
            ("Oncology", vec!["Oncology"]),
            ("Cardiovascular Medicine", vec!["Cardiology"]),
            ("Paediatrics", vec!["Pediatrics"]),
            ("Case Report: Gynaecology", vec!["Gynecology and Obstetrics"]),
            ("Obstetrics & Gynecology", vec!["Gynecology and Obstetrics"]),
            ("Child and Adolescent Psychiatry", vec!["Psychiatry"]),
            ("Radiology, Nuclear Medicine & Medical Imaging", vec!["Nuclear Medicine", "Radiology"]),
            ("Urology & Nephrology", vec!["Nephrology", "Urology"]),
            ("Head and Neck Surgery", vec!["Otolaryngology"]),
            ("Ear, Nose and Throat (ENT)", vec!["Otolaryngology"]),
            ("Case Report", vec![]),
            ("kidney transplantation", vec![]),
            ("breast cancer", vec![]),
            ("Stroke", vec![]),
            ("Medicine", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(of(subject), specialties, "{subject}");
        }
    }
}
