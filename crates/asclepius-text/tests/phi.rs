//! The identifier scan against a labelled set: clinical sentences with identifiers of all eighteen kinds in many spellings,
//! and with eponyms, drugs, scores and dates as years that are none.
//!
//! Sentences and values are this file's own; nothing is taken from the scan's patterns or lists. A label counts as found
//! where spans cover at least half of it, a span as right where it lies on a label.
//! `cargo test --release -p asclepius-text --test phi -- --nocapture` prints the table and every miss.

use std::collections::BTreeMap;

use asclepius_text::gates::phi::{PhiKind, scan};

/// Sentences with `{}` where an identifier goes, and identifiers, for one kind.
struct Labelled {
    kind: PhiKind,
    sentences: &'static [&'static str],
    values: &'static [&'static str],
}

const SET: &[Labelled] = &[
    Labelled {
        kind: PhiKind::Name,
        sentences: &[
            "{} is a 54 yo F admitted with cellulitis.",
            "Seen today by Dr. {} in cardiology.",
            "Patient: {}\nService: Medicine",
            "We spoke to her daughter {}, who confirmed the history.",
            "Case discussed with {}, MD, who agrees.",
            "Electronically signed by {} at 14:05.",
            "Mr. {} tolerated the procedure well.",
            "Thank you for referring {} to our service.",
            "Next of kin:  {} (spouse).",
            "{} was extubated on day 2 without stridor.",
            "Mrs {} reports worsening dyspnea since Monday.",
            "PCP: {}. Follow up in 2 weeks.",
        ],
        values: &[
            "Amina Diallo",
            "José Ramírez",
            "Siobhan O'Leary",
            "Nguyen Van Thanh",
            "Priya Raghunathan",
            "Tomasz Zielinski",
            "Fatoumata Camara",
            "Hiroshi Tanaka",
            "Margaret Whitcombe",
            "Olufemi Adeyinka",
            "Ludmila Petrova",
            "Carlos de la Vega",
            "Jean-Luc Moreau",
            "Aaliyah Robinson",
            "Mehmet Yildirim",
            "Ingrid Solberg",
        ],
    },
    Labelled {
        kind: PhiKind::Geography,
        sentences: &[
            "He lives at {} with his wife.",
            "She was transferred from a clinic in {} overnight.",
            "Resident of {}, retired teacher.",
            "Home address: {}.",
            "The patient grew up in {} and moved here for work.",
            "Recently returned from {} with fever.",
            "Sent by ambulance from {}.",
        ],
        values: &[
            "42 Maple Street",
            "Rotterdam",
            "1187 N. Fairview Ave, Apt 4B",
            "Guadalajara",
            "Nairobi",
            "17 Rue de Bretagne",
            "Lincolnshire",
            "Kingsport",
            "88 Orchard Lane",
            "Ashford",
            "Toledo",
            "350 Old Mill Road",
            "Osaka",
            "Galway",
            "2209 Pine Ridge Drive",
            "Novosibirsk",
            "PO Box 731",
        ],
    },
    Labelled {
        kind: PhiKind::Date,
        sentences: &[
            "Admitted {} with chest pain.",
            "Colonoscopy on {} was normal.",
            "DOB: {}",
            "Discharged home on {}.",
            "Next visit scheduled for {} in the clinic.",
            "Symptoms began on {}, after a cold.",
            "Date of surgery - {}.",
        ],
        values: &[
            "03/14/2021",
            "14 March 2021",
            "March 14, 2021",
            "2021-03-14",
            "14.03.2021",
            "3/4/19",
            "Sept 9th, 2018",
            "the 2nd of May 2020",
            "Jan 5",
            "11-Dec-2017",
            "12 Aug",
            "October 2016",
            "07-22-2015",
            "1st February 2022",
            "2019/11/30",
            "Nov. 3, 2020",
            "20200417",
        ],
    },
    Labelled {
        kind: PhiKind::Age,
        sentences: &[
            "A {} woman fell at home.",
            "This {} man was brought in by EMS.",
            "The patient, a {} retired farmer, was confused.",
            "{} female with hip fracture.",
            "HPI: {} gentleman with syncope.",
            "Pleasant {} lady in no distress.",
        ],
        values: &[
            "91-year-old",
            "94 year old",
            "92yo",
            "97 y/o",
            "101-year-old",
            "ninety-three-year-old",
            "90 years old",
            "95-yr-old",
            "98 y.o.",
            "103 year-old",
            "ninety-six year old",
            "99 yo",
            "93 yr old",
            "96-years-old",
            "102yo",
            "91 years of age",
        ],
    },
    Labelled {
        kind: PhiKind::Phone,
        sentences: &[
            "Call {} with questions.",
            "Daughter can be reached at {}.",
            "Mobile: {}",
            "Callback number {} was confirmed.",
            "Please phone {} after 5 pm.",
            "Emergency contact tel. {}.",
            "The pharmacy ({}) was notified.",
        ],
        values: &[
            "(617) 555-0143",
            "617-555-0143",
            "617.555.0143",
            "+1 617 555 0143",
            "+44 20 7946 0958",
            "020 7946 0321",
            "555-0182",
            "+49 30 901820",
            "1-800-555-0199",
            "617 555 0177 ext 22",
            "+91 98765 43210",
            "(212)555-0100",
            "+33 1 42 68 53 00",
            "+81-3-1234-5678",
            "0161 496 0345",
            "+234 803 555 0123",
            "212 555 0191",
        ],
    },
    Labelled {
        kind: PhiKind::Fax,
        sentences: &[
            "Fax: {}",
            "Results faxed to {}.",
            "Records may be sent by fax at {}.",
            "Facsimile {} attn records.",
            "FAX NO. {}",
            "Please send by telefax to {}.",
            "Office fax number is {}.",
        ],
        values: &[
            "(617) 555-0188",
            "617-555-0188",
            "+44 20 7946 0111",
            "617.555.0122",
            "+1 312 555 0166",
            "030 901821",
            "312 555 0107",
            "555-0149",
            "1-888-555-0155",
            "+61 2 5550 1234",
            "(404)555-0161",
            "+41 44 555 01 22",
            "404-555-0102",
            "206 555 0133",
            "(206) 555 0190",
            "+353 1 555 0199",
            "+55 11 5555 0134",
        ],
    },
    Labelled {
        kind: PhiKind::Mail,
        sentences: &[
            "Email {} for the portal link.",
            "Her address is {}.",
            "Contact: {}",
            "Results were mailed to {} today.",
            "He wrote from {} about refills.",
            "e-mail={}",
            "Preferred contact <{}>",
        ],
        values: &[
            "a.diallo@example.org",
            "jramirez77@mail.example.com",
            "m_whitcombe@clinic.example.net",
            "tz@example.pl",
            "hiroshi-tanaka@example.co.jp",
            "o.leary (at) example.ie",
            "priya at example dot com",
            "Ingrid.Solberg@example.no",
            "fcamara+health@example.fr",
            "mehmet@uni.example.edu",
            "x99@example.io",
            "carlos.vega @ example.mx",
            "nurse.station4@hospital.example.org",
            "jl.moreau@sante.example.fr",
            "LUDMILA@EXAMPLE.RU",
            "contact[at]example[dot]org",
            "r2@sub.example.com",
        ],
    },
    Labelled {
        kind: PhiKind::SocialSecurity,
        sentences: &[
            "SSN {}",
            "SSN: {} verified.",
            "Social security number {} on file.",
            "Soc Sec # {}",
            "Her SSN is {}.",
            "Social Security No. {}",
            "(SS# {})",
        ],
        values: &[
            "078-05-1120",
            "219-09-9999",
            "078 05 1120",
            "457-55-5462",
            "219099999",
            "XXX-XX-4821",
            "987-65-4320",
            "123-45-6780",
            "***-**-9911",
            "321 54 9876",
            "111-22-3333",
            "555443333",
            "222-33-4444",
            "404-11-2222",
            "666778888",
            "301-40-5060",
            "xxx-xx-0042",
        ],
    },
    Labelled {
        kind: PhiKind::MedicalRecord,
        sentences: &[
            "MRN: {}",
            "MRN {} reviewed.",
            "Medical record number {}.",
            "Hospital no. {}",
            "Chart # {} pulled.",
            "Patient ID {} was scanned.",
            "NHS number: {}",
        ],
        values: &[
            "00482913",
            "4471-882",
            "H-220194",
            "77 31 442",
            "MR1029384",
            "A0093847",
            "943 476 5919",
            "5512098",
            "000-31-8872",
            "1029384756",
            "B77-1920",
            "20394857",
            "ZX90127",
            "88213",
            "340 112 998",
            "P0012847",
            "7719203-4",
        ],
    },
    Labelled {
        kind: PhiKind::HealthPlan,
        sentences: &[
            "Member ID: {}",
            "Insurance policy number {}.",
            "Medicare {} active.",
            "Health plan beneficiary no. {}",
            "Subscriber # {}",
            "Her insurer lists policy {}.",
            "Medicaid ID {} expired.",
        ],
        values: &[
            "XGH4429180",
            "1EG4-TE5-MK73",
            "W2234 55891",
            "GRP-20394",
            "883920174",
            "ABC123456789",
            "H0034-002",
            "771-20-9938A",
            "QQ1928374",
            "55-0192837",
            "ZGP900112233",
            "M99120038",
            "4420019283",
            "HP-88201-7",
            "BCX7719203",
            "620019384",
            "R55019283",
        ],
    },
    Labelled {
        kind: PhiKind::Account,
        sentences: &[
            "Account number {}",
            "Acct: {}",
            "Billing account # {} was closed.",
            "Encounter no. {}",
            "Invoice {} was sent.",
            "Credit card ending {} declined.",
            "CSN: {}",
        ],
        values: &[
            "7710293847",
            "4429-1102",
            "AC-99201",
            "100293847",
            "88-120-33",
            "INV20394",
            "4471 8829 1102",
            "55910283",
            "E-4402918",
            "339201847",
            "2019-44021",
            "A1029384",
            "90210-77",
            "6677889",
            "C44019283",
            "3310 2298",
            "71920384",
        ],
    },
    Labelled {
        kind: PhiKind::Licence,
        sentences: &[
            "License number {}",
            "DEA {}",
            "NPI: {}",
            "Driver's license {} presented.",
            "Passport no. {}",
            "Medical licence # {}",
            "Certificate number {} was issued.",
        ],
        values: &[
            "A1234567",
            "BX4420193",
            "1093817465",
            "D400-7788-1234",
            "MD 44019",
            "G20394857",
            "RN-558201",
            "C01X00T47",
            "FW8829104",
            "1548273690",
            "LIC99201",
            "55-201938",
            "S123-4567-8901",
            "K0293847",
            "X4401928",
            "P77019283",
            "NY 4402918",
        ],
    },
    Labelled {
        kind: PhiKind::Vehicle,
        sentences: &[
            "VIN {}",
            "The car (VIN: {}) was totaled.",
            "Vehicle identification number {}.",
            "Vehicle with VIN number {} rolled over.",
        ],
        values: &[
            "1HGCM82633A004352",
            "WVWZZZ1JZXW000001",
            "2FTRX18W1XCA01234",
            "JH4KA8260MC000000",
            "5YJSA1E26HF000337",
            "3VWFE21C04M000001",
            "1FTFW1ET5DFC10312",
            "KNDJT2A65C7401234",
            "1G1YY22G965104123",
        ],
    },
    Labelled {
        kind: PhiKind::Vehicle,
        sentences: &[
            "License plate {}",
            "The driver's plate was {}.",
            "Number plate {} noted by police.",
            "Vehicle registration {} recorded.",
            "Struck by a car with tag {}.",
        ],
        values: &[
            "8XYZ412",
            "KLM-4471",
            "AB12 CDE",
            "B-MW 1234",
            "7ABC123",
            "HRT 902",
            "LD63 XKP",
            "GHX-77A",
            "4TRK901",
            "NN 22 BB",
            "M-AX 771",
            "FJ09 WRL",
        ],
    },
    Labelled {
        kind: PhiKind::Device,
        sentences: &[
            "Serial number {}",
            "Pacemaker S/N {} interrogated.",
            "Device ID: {}",
            "Implant lot {} recorded.",
            "Insulin pump serial no. {}",
            "ICD generator, SN: {}",
            "UDI {}",
        ],
        values: &[
            "PJN482913",
            "4471-AX-09",
            "SN0029384",
            "BTX 99201",
            "77X19203",
            "A2DR01-558",
            "RQ5590128",
            "00884838044456",
            "GT-4402918",
            "1029384-B",
            "LX88201",
            "NBY20394",
            "M365-7712",
            "55019283",
            "VR220194",
            "D224TRK99",
            "K99-0192",
        ],
    },
    Labelled {
        kind: PhiKind::Url,
        sentences: &[
            "See {} for the leaflet.",
            "Images at {}",
            "Portal: {}",
            "He posts at {} about his illness.",
            "Details ({}) were given.",
            "Visit {} to book.",
            "Source: {} .",
        ],
        values: &[
            "https://portal.example.org/p/4471",
            "http://example.com",
            "www.example.net/patients/diallo",
            "https://my.example.health/u?id=99",
            "ftp://files.example.edu/ct/",
            "example.org/blog/my-surgery",
            "https://example.co.uk/x#a",
            "www.family-example.de",
            "http://203.0.113.7/view",
            "clinic-example.com",
            "https://photos.example.com/a1b2",
            "www.example.fr",
            "http://example.io/~ana",
            "https://t.example.me/zzz",
            "records.example.gov",
            "HTTPS://WWW.EXAMPLE.COM/A",
            "www.example.com.au/story",
        ],
    },
    Labelled {
        kind: PhiKind::Ip,
        sentences: &[
            "Logged in from {}.",
            "IP {}",
            "Monitor address {} on the ward network.",
            "Telehealth session, client {}",
            "Source address: {}",
            "The device at {} went offline.",
            "Access from {} was blocked.",
        ],
        values: &[
            "192.0.2.17",
            "203.0.113.254",
            "10.20.30.40",
            "198.51.100.3",
            "2001:db8:85a3:0:0:8a2e:370:7334",
            "fe80::1ff:fe23:4567:890a",
            "172.16.254.1",
            "2001:db8::1",
            "192.168.1.105",
            "8.8.4.4",
            "203.0.113.9:8080",
            "100.64.0.12",
            "2001:db8:0:1::5",
            "10.0.0.7",
            "198.51.100.77",
            "169.254.10.2",
            "192.0.2.200",
        ],
    },
    Labelled {
        kind: PhiKind::Biometric,
        sentences: &[
            "Identity confirmed by {}.",
            "The {} is stored in the registry.",
            "Consent by {} on the tablet.",
            "{} on file since admission.",
            "Access needed a {}.",
            "We attached the {} to the record.",
            "Enrolled with {} at the kiosk.",
        ],
        values: &[
            "fingerprint",
            "retinal scan",
            "voice print",
            "iris scan",
            "palm vein scan",
            "fingerprint template FP-44019",
            "voiceprint VP2231",
            "iris code IC-9920",
            "thumbprint",
            "facial recognition template",
            "DNA profile",
            "hand geometry",
            "palm print",
            "retina scan",
            "finger print",
            "fingerprint scan 7712",
            "iris template",
        ],
    },
    Labelled {
        kind: PhiKind::PhotoOrOther,
        sentences: &[
            "A {} was taken before surgery.",
            "{} attached to the chart.",
            "We include a {} with consent.",
            "Figure 1 shows a {}.",
            "The {} was uploaded.",
            "See the {} from admission.",
        ],
        values: &[
            "full-face photograph",
            "photograph of the patient's face",
            "facial photograph",
            "full face photo",
            "photo of her face",
            "frontal face image",
            "picture of the face",
            "portrait photograph",
            "passport-style photo",
            "IMG_4471.jpg",
            "face_preop.png",
            "patient-video.mp4",
            "selfie",
            "head and shoulders photograph",
            "unmasked facial image",
            "photograph showing her full face",
            "headshot",
        ],
    },
    Labelled {
        kind: PhiKind::PhotoOrOther,
        sentences: &[
            "Study subject {} was enrolled.",
            "Accession number {}",
            "Specimen ID: {}",
            "Barcode {} was scanned.",
            "Employee number {} on the badge.",
            "Wristband {} checked.",
        ],
        values: &[
            "S-10293",
            "AC20-44019",
            "0012-A-77",
            "88201934",
            "CT2021-5512",
            "E440192",
            "TRX-0099-14",
            "55-2019-8",
            "P00128",
            "990128374",
        ],
    },
];

/// Sentences without any identifier.
const CLEAN: &[&str] = &[
    "History of Crohn's disease and Parkinson disease.",
    "A Foley catheter was placed, 16 Fr.",
    "Biopsy showed Hodgkin lymphoma with Reed-Sternberg cells.",
    "Negative Murphy sign; positive Babinski on the left.",
    "Start Lasix 40 mg IV, Zosyn 4.5 g q6h, and Keppra 500 mg BID.",
    "Glasgow Coma Scale 14, Apgar 8 and 9.",
    "BP 142/88, HR 96, RR 18, T 38.4 C, SpO2 94% on RA.",
    "WBC 14,200, Hb 9.8 g/dL, platelets 210,000.",
    "Grade 3/6 systolic murmur, strength 4/5 in both legs.",
    "An 88-year-old woman with Alzheimer dementia.",
    "He was 89 years old.",
    "Diagnosed in 2014, treated until 2016.",
    "Kaposi sarcoma was excluded.",
    "Whipple procedure was planned.",
    "E. coli grew in urine at 100,000 CFU/mL.",
    "Staphylococcus aureus bacteremia; Candida in sputum.",
    "Epstein-Barr virus IgM negative.",
    "Stage T2N0M0, FIGO IIB, Gleason 3+4=7.",
    "PAST MEDICAL HISTORY: Hypertension, Type 2 diabetes.",
    "Physical Examination: General: alert. Neuro: intact.",
    "HOSPITAL COURSE: The patient improved.",
    "Ringer's lactate 1000 mL was given over 2 hours.",
    "CT Chest showed a 2.5 x 3.1 cm mass.",
    "Patient denied fever, chills, or cough.",
    "Follow Up: Oncology in 6 weeks.",
    "Wilson disease was ruled out by ceruloplasmin 28 mg/dL.",
    "Turner syndrome, 45,X karyotype.",
    "The Marfan phenotype was noted; Ghent criteria were met.",
    "She took Tylenol 650 mg every 6 hours.",
    "Facial droop and facial numbness resolved.",
    "Chart reviewed with the family.",
    "Down syndrome with an AV canal defect.",
    "Cushing syndrome due to an adrenal adenoma.",
    "Ewing sarcoma of the femur with t(11;22).",
    "Kernig and Brudzinski signs were absent.",
    "Ranson score 3 on admission.",
    "NYHA class III, EF 25-30%.",
    "Given Vitamin K 10 mg IV.",
    "A Swan-Ganz catheter showed PCWP of 22.",
    "Roux-en-Y anastomosis was intact.",
    "Lives with his wife and two children.",
    "Born at 32 weeks, 1,450 g.",
    "Immigrated from Mexico as a child.",
    "She may return to work in 4 weeks.",
    "March fracture of the second metatarsal.",
    "Home Medications: Metformin, Lisinopril, Aspirin.",
    "Phone consultation with surgery was done.",
    "A Dobhoff tube was placed.",
    "Sister had breast cancer at 45.",
    "Mother had Graves disease.",
    "Hashimoto thyroiditis in her father.",
    "DISCHARGE DIAGNOSIS: Guillain-Barre Syndrome",
    "Assessment: Acute Kidney Injury, likely prerenal.",
    "The Mallampati score was II.",
    "Jackson-Pratt drain output 40 mL.",
    "Lot of pain in the leg.",
    "Billroth II gastrectomy in 1998.",
    "Wegener granulomatosis, c-ANCA positive at 1:320.",
    "Ventilated with FiO2 0.4, PEEP 8.",
    "Sodium 128, potassium 3.4, chloride 98.",
    "A Kocher incision was made.",
    "Allen test was normal.",
    "Plan: Continue Heparin drip, PTT goal 60-80.",
    "Raynaud phenomenon since her twenties.",
];

/// A sentence and what it identifies, if it does.
type Filled = (String, Option<(PhiKind, std::ops::Range<usize>)>);

fn fill() -> Vec<Filled> {
    let mut rows = Vec::new();
    for set in SET {
        for (at, sentence) in set.sentences.iter().enumerate() {
            for (number, value) in set.values.iter().enumerate() {
                let start = sentence.find("{}").expect("every sentence has a place");
                // Odd spacing in every seventh, a clean sentence before every third.
                let gap = if (at + number) % 7 == 0 { "  " } else { "" };
                let before = if (at * 5 + number) % 3 == 0 { CLEAN[(at * 31 + number * 7) % CLEAN.len()] } else { "" };
                let before = if before.is_empty() { String::new() } else { format!("{before}\n") };
                let text = format!("{before}{}{gap}{value}{}", &sentence[..start], &sentence[start + 2..]);
                let from = before.len() + start + gap.len();
                rows.push((text, Some((set.kind, from..from + value.len()))));
            }
        }
    }
    rows.extend(CLEAN.iter().map(|text| ((*text).to_owned(), None)));
    rows
}

#[test]
#[expect(clippy::print_stdout, reason = "figures and misses are what --nocapture is for")]
fn identifiers_of_all_eighteen_kinds_are_found() {
    let mut table: BTreeMap<PhiKind, (usize, usize, usize)> = BTreeMap::new();
    let (mut right, mut spans) = (0, 0);
    let (mut misses, mut false_alarms) = (Vec::new(), Vec::new());
    for (text, label) in fill() {
        let found = scan(&text);
        let on_label = |span: &std::ops::Range<usize>| {
            label.as_ref().is_some_and(|(_, label)| span.start < label.end && label.start < span.end)
        };
        for span in &found {
            spans += 1;
            if on_label(&span.range) {
                right += 1;
            } else {
                false_alarms.push(format!("{:?} {:?} in {text:?}", span.kind, &text[span.range.clone()]));
            }
        }
        let Some((kind, label)) = &label else { continue };
        let covered: usize = found
            .iter()
            .map(|span| span.range.end.min(label.end).saturating_sub(span.range.start.max(label.start)))
            .sum();
        let row = table.entry(*kind).or_default();
        row.0 += 1;
        if covered * 2 >= label.len() {
            row.1 += 1;
            row.2 += usize::from(found.iter().any(|span| span.kind == *kind && on_label(&span.range)));
        } else {
            misses.push(format!("{kind:?} {:?} in {text:?}", &text[label.clone()]));
        }
    }
    for (kind, (labels, hit, named)) in &table {
        println!(
            "{:20} {hit:4} of {labels:4} found, {:5.1} %; {named} as this kind",
            kind.name(),
            100.0 * *hit as f64 / *labels as f64
        );
    }
    let labels: usize = table.values().map(|row| row.0).sum();
    let hit: usize = table.values().map(|row| row.1).sum();
    println!("all: {hit} of {labels} found, {right} of {spans} spans right");
    for miss in &misses {
        println!("missed {miss}");
    }
    for alarm in &false_alarms {
        println!("false alarm {alarm}");
    }
    assert!(labels >= 2000 && table.len() == 18, "{labels} labels");
    assert!(hit * 100 >= labels * 98, "{hit} of {labels}");
    assert!(right * 100 >= spans * 90, "{right} of {spans}");
}
