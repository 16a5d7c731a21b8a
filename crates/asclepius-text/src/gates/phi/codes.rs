//! Numbers and codes by the names that many countries' registers, insurers and laboratories have for them, and by shapes
//! that nothing in medicine has.

use super::PhiKind;

/// What may stand between such a name and the code.
const BETWEEN: &str = r"(?:[\s.:#/]|\b(?i:no|nos|nr|num|number|numbers|id|code|card|ref|n)\b|[º°№])*";
/// A code: groups of letters and figures that hold a figure.
const CODE: &str = r"(?P<id>#?(?:[A-Z]{1,6}[-/. ]?){0,3}\d[\dA-Za-z]*(?:[-/.][A-Za-z]{1,5}\b|[-/. ]?\d[\dA-Za-z]*)*)";

const RECORDS: &str = r"ur|uhid|nhc|ipd?|opd?|hn|dossier|historia cl[ií]nica|folio|nhi|chi|clinic|antenatal|anc|hastane|protokol|fallnummer|patientennummer|krankenakte|episode|file|hospital|hosp|patient|chart|cartella|exp(?:ediente)?|prontu[áa]rio";
const NATIONAL: &str = r"f[øo]dselsnummer|fnr|pnr|personnr|cpr-nr|aadhaa?r|dni(?: madre| padre)?|nie|nif|cpf|rg|cpr|personnummer|pesel|bsn|nric|mykad|ic|kennitala|henkil[öo]tunnus|hetu|codice fiscale|s[ée]curit[ée] sociale|insee|rijksregister(?:nr|nummer)?|(?:tc )?kimlik|tckn|amka|svnr|sv-nr|c[ée]dula|curp|rut|nid|iqama|emirates|my number|mynumber|teudat zehut|national|citizenship|voter|identity(?: card)?|identification|cnp|jmbg|oib|egn|ppsn?|sin|tfn|nin|bvn|last four|ghana card|umid|sss|tin|id";
const PLANS: &str = r"phn|hcn|kvnr|polis(?:nr|nummer)?|versicherungsnummer|adh[ée]rent|p[óo]liza|ap[óo]lice|tessera(?: sanitaria)?|utente|beneficiario|afiliad[oa]|group|nhi card|shif?|sha|nhis|nhif|philhealth|bhyt|esic?|ayushman|pm-?jay|abha|cart[ãa]o sus|sus|(?:kranken)?versichert(?:en)?(?:nr|nummer)|carte vitale|mutuelle|sip|imss|issste|eps|obra social|isapre|fonasa|va card|ihs|scheme|medical aid|health(?: insurance)?(?: card)?|sehat";
const OTHERS: &str = r"case|ref|reference|unhcr|prison|emp|employee|payroll|path|histology|cytology|lab|laboratory|bag|unit|donation|blood bank|run|incident|tag|straw|doc|document|safe|key ?safe|door|ski ?pass|folder|film|slide|block|job|voucher|docket|crime|police|report|custody|roll|school|student|locker|contract|gate(?: code)?|door code|key code|keypad|alarm code|cane|exome|genome|log|claim";
const PERMITS: &str = r"brp|cpso|rpps|regn|colegiad[oa]|visa|green card|reg|registration|licence|license|certificate|permit|passport|medical council|hpcsa|ahpra|nmba|hcpc|gdc|gphc|blue badge|badge|gmc|nmc|mmc|mdcn|prc|(?:notary )?commission|notary|bar|warrant|council|pin|dvla|heavy vehicle";
const DEVICES: &str = r"serials?(?: no| number)?|s/n|lot|batch|asset|transmitter|sensor|controller|handset|machine|monitor|pump|processor|implant|imei|udi|ref|model|generator|hearing aids?|camera|loan(?:er)?|cart|tablet|concentrator|wheelchair|hoist";
const VEHICLES: &str = r"plates?|rego?|registration|vehicle|ambulance|van|truck|lorry|bus|taxi|bike|motorbike|scooter|car|jeep|boat|ship|vessel|narrowboat|hearse|matatu|tuk-?tuk|jeepney|kfz|kennzeichen|targa|matr[íi]cula|placa|immatriculation|cab|transit|saloon|hatchback|caravan|campervan|forklift|rig|auto|autorickshaw|rickshaw|tractor|minibus|coach|camper|rv|atv|quad|snowmobile|helicopter|aircraft|flight|flown by|tag";

pub(super) fn patterns() -> Vec<(PhiKind, String)> {
    let labelled = |label: &str| format!(r"\b(?i:{label})\b{BETWEEN}{CODE}\b");
    vec![
        // By their shape: the numbers that states give to persons.
        (PhiKind::SocialSecurity, concat!(
            r"\b\d{3}\.\d{3}\.\d{3}-\d{2}\b|",
            r"\b\d{2}\.\d{2}\.\d{2}-\d{3}\.\d{2}\b|",
            r"\b(?:19|20)?\d{6}[-+]\d{4}\b|\b(?:0[1-9]|[12]\d|3[01])(?:0[1-9]|1[0-2])\d{2} \d{5}\b|",
            r"\b\d{6}[-+A]\d{3}[0-9A-FHJ-NPR-Y]\b|",
            r"\b[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]\b|",
            r"\b[12]\s?\d{2}\s?\d{2}\s?\d[\dAB]\s?\d{3}\s?\d{3}(?:\s?\d{2})?\b|",
            r"\b[STFGM]\d{7}[A-Z]\b|",
            r"\b\d{17}[\dX]\b|",
            r"\b\d{8}-\d\b|\b\d{8}-?[A-HJ-NP-TV-Z]\b|",
            r"\b\d{1,2}\.\d{3}\.\d{3}-[\dkK]\b|\b\d\.\d{3}\.\d{3}\.\d{3}\b|\b\d{2}\.\d{3}\.\d{3}\b|",
            r"\b\d{4}\s\d{4}\s\d{4}(?:\s\d{4})?\b",
        ).into()),
        // A plate of India.
        (PhiKind::Vehicle, r"\b[A-Z]{2}[- ]\d{1,2}[- ][A-Z]{1,3}[- ]\d{4}\b".into()),
        (PhiKind::SocialSecurity, labelled(NATIONAL)),
        (PhiKind::HealthPlan, labelled(PLANS)),
        (PhiKind::MedicalRecord, labelled(RECORDS)),
        (PhiKind::Licence, labelled(PERMITS)),
        (PhiKind::Account, r"\b\d{2}-\d{2}-\d{2}\s?/\s?\d{6,8}\b".into()),
        (PhiKind::Vehicle, format!(r"\b(?i:{VEHICLES})\b(?:[\s.:#]|\b(?i:no|number|plates?|tag|rego?|registration|noted|by|security|is|was|reads?|in|with|of|owner)\b)*[\s:#]\(?(?P<id>(?:[A-Z]{{1,4}}\d{{1,4}}[A-Z]{{0,3}}|[A-Z]{{1,4}}|\d{{1,4}}[A-Z]{{1,3}})(?:[-\s·]?(?:[A-Z]{{1,3}}\d{{1,4}}[A-Z]{{0,2}}|\d{{2,6}}[A-Z]{{0,3}}|[A-Z]{{2,3}})){{0,3}})\b")),
        (PhiKind::Vehicle, r"\b(?i:flown by|helicopter|aircraft|tail(?: number| no\.?)?)\s(?P<id>[A-Z]\d{2,4}[A-Z]{1,2}|[A-Z]-[A-Z]{4}|[A-Z]{2}-[A-Z]{3})\b".into()),
        // A batch has few figures between its letters.
        (PhiKind::Device, format!(r"\b(?i:{DEVICES})\b(?:[\s.:#]|\b(?i:no|number|id|lot|serial|right|left)\b|\b[RL]\b)*\b(?:[A-Z]{{1,4}}\d|\d)[A-Z0-9.\-]{{4,}}(?:\s[LR]\s[A-Z0-9]{{6,}})?\b")),
        (PhiKind::PhotoOrOther, labelled(OTHERS)),
        // A unit of blood.
        (PhiKind::PhotoOrOther, r"\b[A-Z]\d{4}\s\d{2}\s\d{6}\b".into()),
        (PhiKind::PhotoOrOther, r"\b[A-Z]{1,6}[-/](?:[A-Z]{1,6}[-/])?\d{2,4}[-/]\d{3,}\b|\b[A-Z]{2,5}/[A-Z]{1,5}/\d{3,}\b".into()),
        (PhiKind::PhotoOrOther, r"\b[A-Z]{1,5}\d{2,}-\d{4,}\b|\b\d{2,4}-\d{2}[A-Z]\d{4,}\b|\b[A-Z]{1,4}-[A-Z]{2,6}-\d{2,5}\b|\b[A-Z]\d{6,8}-\d{2,4}\b".into()),
        (PhiKind::PhotoOrOther, r"\b(?P<id>[A-Z]{1,3}-\d{5,})\b".into()),
        (PhiKind::PhotoOrOther, r"\b(?P<id>\d{7,18})\b".into()),
        // Letters and figures in one; how many of which is counted.
        (PhiKind::PhotoOrOther, r"\b(?P<id>[A-Z0-9]{8,20}(?:-\d{2,4})?)\b".into()),
        (PhiKind::PhotoOrOther, r"(?:^|[\s(,:])#\s?(?P<id>[A-Z]{0,3}-?\d{4,}[A-Z0-9\-]*|\d{2,3}-\d{2}-\d{2,4})\b".into()),
        (PhiKind::PhotoOrOther, r"(?i)\b(?:subject |patient |pt |her |his )?initials[:\s]+(?P<id>(?-i:(?:[A-Z]\.\s?){2,3}|[A-Z]{2,3}\b))".into()),
        (PhiKind::Age, r"(?i)\b(?:husband|wife|mother|father|brother|sister|spouse|partner|man|woman|widower?|lady|gentleman|pt|patient|he|she|who)\b,?\s(?:is |was |now |also )?(?P<id>9\d|1[01]\d)(?:[,.;)?]|\s(?:and|who|with|but)\b)".into()),
    ]
}

/// Whether a code is a substance's or a count, and no person's.
pub(super) fn is_of_medicine(code: &str, after: &str, unnamed: bool) -> bool {
    const SUBSTANCES: &[&str] = &[
        "BMS", "GSK", "MK", "AZD", "ABT", "AMG", "LY", "BAY", "SB", "RO", "PF", "JNJ", "TAK", "SAR", "CP", "TMC", "GS",
        "BI", "CC", "ONO", "DS", "SHR", "HLX", "AK", "IBI", "BGB", "TAS", "ASP", "U", "SN", "CI", "RU", "LCL", "NSC",
        "HCT", "MCF", "ICD", "HLA", "CD", "COVID", "SARS", "NCT", "CA", "PMC", "PMID", "EC", "OMIM", "MIM", "NM", "NP",
        "NC", "NG", "GRCh", "RS", "rs", "ENST", "ATCC", "DSM", "CAS",
    ];
    let prefix = code.split(|letter: char| !letter.is_ascii_alphabetic()).next().unwrap_or_default();
    let counted = [
        "copies",
        "cop",
        "cells",
        "CFU",
        "cfu",
        "spores",
        "genomes",
        "reads",
        "bp",
        "Da",
        "/",
        "×",
        "x10",
        "units",
        "IU",
        "platelets",
    ];
    (unnamed && SUBSTANCES.contains(&prefix))
        || counted.iter().any(|unit| after.trim_start().starts_with(unit))
        || unnamed && after.trim_start().starts_with("per ")
}
