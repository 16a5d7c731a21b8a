//! What stands before and behind persons, places and eponyms: the surroundings by which a capitalised word is told for one
//! of them.

use std::sync::LazyLock;

use regex::Regex;

use super::lists;

/// Kin, as alternatives of a pattern.
pub(super) const KIN: &str = r"do[ñn]a|t[íi]a|abuel[oa]|nonn[oa]|oma|opa|tante|nani|dadi|yiayia|lola|bibi|husb|hubby|bro|sis|dtr|gf|bf|daughters?|sons?|wife|husband|spouse|partner|mother|father|mum|mom|dad|parents?|grandad|granny|grandpa|grandma|nan|gran|grandmother|grandfather|grandson|granddaughter|stepfather|stepmother|brothers?|sisters?|aunt|auntie|uncle|cousin|nephew|niece|(?:grand)?child(?:ren)?|twins|girlfriend|boyfriend|ex-(?:wife|husband)|(?:mother|father|sister|brother|son|daughter)-in-law|god(?:mother|father)|foster (?:mother|father|mom|dad)|fianc[eé]e?|friend|neighbou?r|roommate|carer|care\s?giver|companion|guardian|proxy";

/// What persons are called by their work or part, beside the titles before a name.
pub(super) const CALLINGS: &str = r"patient|pt|attending(?:\sphysician)?|resident(?:\sphysician)?|physician|surgeon|assistant|anesthesi\w+|anaesth\w+|provider|pcp|gp|consultant|cardiologist|oncologist|neurologist|radiologist|pathologist|registrar|intern|interpreter|scribe|fellow|extern|author|operator|perfusionist|midwife|doula|advocate|coordinator|dentist|optometrist|chiropractor|intensivist|hospitalist|geriatrician|p(?:a)?ediatrician|obstetrician|psychiatrist|psychologist|dermatologist|urologist|nephrologist|hematologist|endocrinologist|gastroenterologist|pulmonologist|rheumatologist|internist|social\sworker|case\smanager|nurse|therapist|technician|pharmacist|dietitian|chaplain|lawyer|teacher|preceptor|coach|caseworker|boss|supervisor|landlord|anes|assist|accepting|consulting|referring|requesting|ordering|covering|performing|scrub|circulator|author|poa|hcp|sponsor|pastor|paramedic|trooper|employer|informant|next\sof\skin|nok|emergency\scontact|contact";

fn pattern(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is valid")
}

/// How many bytes before a name are looked at.
const NEAR: usize = 24;

/// Whether persons stand behind such words: kin, callings and what is done with persons.
pub(super) fn is_before_persons(before: &str) -> bool {
    static BEFORE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(&format!(
            concat!(
                r"(?i)(?-u:\b)(?:{kin}|by|with|to|told|called|calls|asked|asks|saw|met|meets|her|his|their|patient|pt|thank|thanks|named|colleague|fellow|student|resident|intern|doctor|nurse|surgeon|therapist|let|per|and|&|",
                r"sponsor|prescriber|recipient|donor|inmate|subject|agent|alternate|notary|solicitor|teacher|coach|foreman|counsellor|coordinator|scrub|crew|compressions|airway|lead|aide|driver|skier|diver|veteran|interpreter|consultant|physio|chaplain|index|reviewed|matron|deacon|detective|inspector|constable|sergeant|reverend|imam|sheikh|bed \d+|\d[.)]|re:?|from|for|of) $",
            ),
            kin = KIN
        ))
    });
    BEFORE.is_match(&before[super::boundary(before, NEAR)..])
}

/// Whether somebody is told, asked or quoted right before.
pub(super) fn is_before_the_told(before: &str) -> bool {
    static TOLD: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)(?-u:\b)(?:report(?:ed|s)? to|told|tells|asked|asks|called|paged|texted|(?:spoke|speaking|talked|plays|lives|stays|came|walks|discussed|reviewed|met|staffed) (?:with|to|w/)|d/w|s/w|per|notified|informed|updated|seen by|signed by|thanks to|thank|relieved by|handed (?:over )?to|endorsed to) $",
        )
    });
    TOLD.is_match(&before[super::boundary(before, 24)..])
}

/// Whether a place stands behind such words.
pub(super) fn is_before_places(before: &str) -> bool {
    static PLACED: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)(?-u:\b)(?:in|at|near|outside|around|lives|born in|moved to|(?:brought|taken|sent|driven|flown|transferred|returned|discharged|drove|went|came) (?:her |him |them |pt |back |home )?to|from|off|address|address:) (?:the )?$",
        )
    });
    PLACED.is_match(&before[super::boundary(before, NEAR)..])
}

/// What persons do, as alternatives of a pattern.
const DEEDS: &str = concat!(
    r"cleaned|dressed|walked|walks|ambulated|ate|eats|slept|sleeps|asked|asks|tells|told|says|said|calls|called|rang|rings|phoned|phones|texted|texts|wrote|writes|replied|replies|reviewed|reviews|reports|reported|denies|denied|states|stated|notes|noted|",
    r"came|comes|went|goes|left|leaves|returned|returns|arrived|arrives|brought|brings|picked|opened|opens|gave|gives|took|takes|drove|drives|lives|lived|works|worked|visits|visited|stays|stayed|moved|fled|fell|managed|manages|refused|refuses|refusing|agreed|agrees|",
    r"disagreed|declined|declines|consented|confirms|confirmed|watched|watches|helps|helped|cares|cared|relapsed|missed|attended|attends|tolerated|tolerates|presented|presents|underwent|served|serves|enjoys|loves|likes|hopes|needs|needed|sent|sends|transfused|intubated|extubated|sedated|catheterised|catheterized|wishes|wished|wants|wanted|thinks|thought|believes|feels|felt|seems|seemed|looks|looked|",
    r"cried|died|dies|smokes|drinks|uses|used|plans|planned|prefers|remains|remained|understands|understood|signed|signs|administered|collected|collects|removed|changed|checked|assessed|saw|sees|met|meets|knows|knew|found|finds|carries|recovered|discharged|admitted|transferred|notified|informed|explained|recalled|insisted|joined|apologi[sz]ed|disclosed|requested|begged|woke|spoke|speaks|laughed|smiled|screamed|vomited|ingested|drank|studies|teaches|plays|swims|weighs|wears",
);

/// Whether a place alone stands behind such words.
pub(super) fn is_within_places(before: &str) -> bool {
    static WITHIN: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?-u:\b)(?:in|at|near|outside|from|via|[Aa]dmi(?:t|ts|ssions?):?|[Hh]ospitali[sz]ations?:?|[Dd]etox:?|[Rr]ehab(?: stay| stays)?:?|[Ll]ives in|[Mm]oved to|[Tt]ransferred to|[Dd]ischarged to|[Bb]ack to|[Rr]eturned to|(?:brought|taken|sent|driven|flown|drove|went) (?:her |him |them |pt )?to) $",
        )
    });
    WITHIN.is_match(&before[super::boundary(before, 24)..])
}

/// Whether what follows is what persons do, feel and are told.
pub(super) fn is_of_persons(after: &str) -> bool {
    static VERB: LazyLock<Regex> = LazyLock::new(|| {
        pattern(&format!(
            concat!(
                r"^,? \(?(?:bed|room|rm|bay|chair|cubicle) ?\w?\d|^(?:\s\((?:{kin})\))?,?(?:['’]s\s[a-z]|\s(?:also |still |then |now |just |only |later |has |had |have |will |would |can |could |did |does |was |is |may |must |should |not |never |often |usually |again )*",
                r"(?:[a-z]+s (?:the|her|his|that|to|in|at|with|me|us|him|them|he|she|about|on|daily|nightly|well|a|an)\b|",
                r"(?:not|has|had|have|will|would|can|could|did|does|was|is|may|should|must|were|are|doing|able|unable|keen|happy|aware|present|well|comfortable|asleep|alert|adherent|supportive|worried|anxious|pleased|motivated|unwell|tearful|fine|tired|at|and [A-Z]|to (?:staff|scrub|round|cover|operate|present|dictate|consent|talk|speak|meet|take|order|page|notify|return|come|go|do|be|get|give|read|handle|decide|dispo|examine|manage|advise|recheck|follow|see|call|bring|review|arrange|check|help|drive|pick|collect|discuss|update|send|sign|fax|write|assist|attend|visit)|{deeds}))(?-u:\b))",
            ),
            kin = KIN,
            deeds = DEEDS,
        ))
    });
    VERB.is_match(after)
}

/// Whether what follows is what persons alone do.
pub(super) fn is_done_by_persons(after: &str) -> bool {
    static DEED: LazyLock<Regex> = LazyLock::new(|| {
        pattern(&format!(
            r"^\s(?:also |still |then |now |just |later |has |had |will |did |does |again )*(?:{DEEDS})(?-u:\b)|^,? \(?(?:bed|room|rm|bay|chair|cubicle) ?\w?\d|^, who(?:['’]s)? |^['’]s (?:{KIN}|room|bed|chart|meds|wishes|care|family|house|home|phone|cell|name|number|mobile|labs|bloods|films|file)(?-u:\b)"
        ))
    });
    static STATE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(concat!(
            r"^\s(?:is|was|has been|remains) (?:a \d|an? \w+ ?-?year|doing|feeling|here|able|unable|alert|awake|tearful|asleep|pleasant|happy|sad|anxious|tired|tolerating|eating|walking|ambulating|asking|complaining|refusing|",
            r"sleeping|living|working|seen|admitted|discharged|brought|accompanied|married|single|divorced|retired|coping|crying|struggling|adamant|her|his|their|worried|agreeable|afraid)(?-u:\b)",
        ))
    });
    DEED.is_match(after) || STATE.is_match(after) || is_of_an_age(after)
}

/// Whether an age stands behind, as it does behind persons alone: ", 5 yr, shy", ", P1, 38+2", " is seven and".
pub(super) fn is_of_an_age(after: &str) -> bool {
    static AGE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(concat!(
            r"^,? \(?(?:\d{1,3} ?(?:y|yo|y/o|yrs?|years?|mo|months?|[MF])(?-u:\b)|G\d ?P\d|P\d\b)|^, \d{1,3},",
            r"|^ (?:is|turns|was|turned) (?:now |only |just |about )?(?:\d{1,3}|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)(?: and | years|,|\.)",
            r"|^ was seen (?:today|in clinic|in consultation|at home|by (?:me|us|our|the|dr)|with (?:her|his)|on the (?:[a-z]+ )?(?:unit|ward))",
        ))
    });
    AGE.is_match(after)
}

/// Whether a state or a country follows, as behind towns: ", TX", ", Ireland".
pub(super) fn is_behind_towns(after: &str) -> bool {
    static STATE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"^,? (?:A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|PA|RI|S[CD]|T[NX]|UT|V[AT]|W[AIVY]|NSW|VIC|QLD|BC|ON|QC|AB|MB|SK|UK|USA?|UAE|NZ)(?-u:\b)",
        )
    });
    STATE.is_match(after)
        || after.strip_prefix(", ").is_some_and(|next| {
            let word = &next[..next.find(|letter: char| !letter.is_alphabetic()).unwrap_or(next.len())];
            word.starts_with(char::is_uppercase) && lists::is_wide(&word.to_lowercase())
        })
}

/// Whether words within brackets are about a person.
pub(super) fn speaks_of_persons(text: &str) -> bool {
    static PERSON: LazyLock<Regex> = LazyLock::new(|| {
        pattern(concat!(
            r"(?i)(?-u:\b)(?:daughter|son|wife|husband|spouse|mother|father|mum|mom|dad|brother|sister|partner|carer|caregiver|nok|kin|nurse|rn|md|np|",
            r"pa|dr|doctor|consultant|registrar|interpreter|friend|contact|aunt|uncle|niece|nephew|cousin|neighbou?r|grand\w+|step\w+|poa|proxy|guardian|",
            r"patient|pt|\d{1,3}\s?(?:yo|yrs?|years|months?|mo)|consulted|notified|aware|paged|accepting|attending|covering|resident|physio|physiotherapist|ot|slt|midwife|surgeon|gp|tel|phone|mobile|cell|ext|dob|née|nee|formerly|aka|known as)(?-u:\b)|\d{3}[- ]\d{3}",
        ))
    });
    PERSON.is_match(text)
}

/// Whether a service of a hospital stands right before, which a person may stand for: "per trauma (Okafor)".
pub(super) fn is_before_a_service(before: &str) -> bool {
    static SERVICE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)(?-u:\b)(?:trauma|surgery|ortho\w*|medicine|cards|cardiology|neuro\w*|renal|nephrology|gi|pulm\w*|onc\w*|heme\w*|radiology|icu|psych\w*|uro\w*|derm\w*|vascular|plastics|palliative|hospice|peds|paeds|anesthesia|anaesthesia|pharmacy|team|service|dispo) $",
        )
    });
    SERVICE.is_match(&before[super::boundary(before, 24)..])
}

/// Whether what stands before makes an eponym of a name: "foramen of Winslow".
pub(super) fn is_of_the_body(before: &str) -> bool {
    static OF: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)(?-u:\b)(?:foram(?:en|ina)|capsules?|canals?|branch(?:es)?|ligaments?|pouch|circle|tetralogy|nodes?|triangle|tubercles?|sphincter|ampulla|fascia|space|points?|signs?|tests?|laws?|loops?|ducts?|veins?|artery|valves?|crypts?|islets?|bundles?|angle|line|zone|area|membrane|muscle|nerve|ganglion|plexus|cells?|fibres?|fibers?|corpuscles?|bodies|disease|syndrome|maneuver|manoeuvre|method|technique|criteria|rule|antrum|cave|cisterna|tendon) of (?:the )?$",
        )
    });
    OF.is_match(&before[super::boundary(before, 24)..])
}

/// Whether a strain is named there: "serovar Dublin".
pub(super) fn is_of_a_strain(before: &str) -> bool {
    let last = before.trim_end().rsplit(char::is_whitespace).next().unwrap_or_default();
    matches!(last, "serovar" | "serotype" | "enterica" | "strain" | "biovar" | "Salmonella" | "subspecies")
        || last.strip_prefix('#').is_some_and(|rest| rest.contains(char::is_alphabetic) || rest.is_empty())
}

/// Whether an article stands right before, as it does before products, devices and kinds, and not before persons.
pub(super) fn is_behind_an_article(before: &str) -> bool {
    let last =
        before.strip_suffix(' ').map(|before| &before[before.rfind(char::is_whitespace).map_or(0, |at| at + 1)..]);
    last.is_some_and(|last| matches!(last, "the" | "The" | "a" | "an" | "A" | "An"))
}

/// Whether what follows makes an eponym of a name: "Wilson disease".
pub(super) fn is_behind_eponyms(after: &str) -> bool {
    static AFTER: LazyLock<Regex> = LazyLock::new(|| {
        pattern(concat!(
            r"^(?:['’]s?)?[-–\s]*(?i:disease|syndrome|sign|signs|test|catheter|cath|phenomenon|criteria|score|scale|class|classification|stain|staining|lymphoma|sarcoma|tumou?r|palsy|ulcer|fracture|procedure|operation|repair|maneuver|manoeuvre|",
            r"bodies|body|cells?|virus|agar|reflex|esophagus|thyroiditis|disorder|triad|anastomosis|drain|tube|position|point|contracture|hernia|gangrene|node|nodule|variant|composite|level|features|delusion|cap|vest|grip|cyst|duct|ring|stage|grade|index|formula|method|incision|approach|technique|flap|line|",
            r"clamp|retractor|needle|wires?|loop|chorea|ataxia|dementia|encephalopathy|aphasia|area|method|medium|solution|lactate|equation|anomaly|malformation|glomerulonephritis|granulomatosis|arteritis|vasculitis|nephropathy|neuropathy|gland|joint|",
            r"valve|shunt|pouch|forceps|splint|cast|pressure|collar|exercise|murmur|breathing|respiration|type|positive|negative|coma|hallpike|barre|barré|jakob|strauss|jogren|nevus|thyroid|rings?|organisms?|test(?:ing)?|histolog\w+|sleep\squality|",
            r"cognitive|declaration|scientific|crunch|[a-z]*(?:meter|scope|tome|graph)|supplement|diet|pollen|feed|[A-C][1-3](?:L[1-4])?(?:B[1-3]p?)?|et al|stool|screen(?:ing)?|nucle(?:us|i)|carrier|brace|sling|protocol|consensus|guidelines?|trial|study|cohort|bag|rules?|stag(?:e|ing)|man(?:o)?euvres?|maneuvers?|compression|infection|",
            r"habitus|antibod(?:y|ies)|antigens?|risk|spotted fever|visual|criteri(?:a|on)|wedge|staging|triage|units?|toxin|vertex|criterion|angle|view|zone|plateau|ratio|number|units|(?:[a-z]+\s){1,2}(?:signs?|tests?|scores?|scale|index|classification|criteria|grade|questionnaire|chart|manoeuvres?|retractors?|forceps|lesions?|fractures?))(?:e?s)?(?-u:\b)",
        ))
    });
    static TWO: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"^ [A-Z][\p{Ll}'’-]+ (?:variant|nodules?|nodes?|syndrome|signs?|phenomenon|disease|hernia|murmur|fracture|criteria)(?-u:\b)|^(?:(?:,| and| or|, and) [A-Z][\w'’-]+){1,3} (?:signs?|tests?|reflex(?:es)?|scores?|criteria|scales?|lesions?|procedures?|syndromes?|diseases?|points?|lines?|drains?|retractors?|classifications?|antibod(?:y|ies)|antigens?)(?-u:\b)",
        )
    });
    TWO.is_match(after) || AFTER.is_match(after)
}

/// Whether what follows makes a product, a province or a shortened term of a name: "Frontal Battery (FAB)".
pub(super) fn is_behind_things(name: &str, after: &str) -> bool {
    static THING: LazyLock<Regex> = LazyLock::new(|| {
        pattern(concat!(
            r"^['’]?s?\s?[™®]|^\s(?i:province|region|state|prefecture|oblast)(?-u:\b)|^['’]s [A-Z]|^–[A-Z]|",
            r"^(?: [A-Z][A-Za-z-]+){0,4} (?:Score|Scale|System|Staging|Index|Tool|Test|Classification|Questionnaire|Criteria|Assessment|Inventory|Survey|Association|Class|Protocol|Trial|Study)(?-u:\b)|",
            r"^\s(?:[a-z]+\s)?(?:software|systems?|devices?|scanners?|kits?|assays?|platforms?|stents?|balloons?|pumps?|mesh|grafts?|clips?|pins?|lasers?|microscopes?|instruments?|analy[sz]ers?|ganglion|pedicle|honey|tape|foam|dressings?|boots?|strip|watch|truck|sedan|bars?|bougies?|stems?|anchors?|blades?|stitch|plates?|screws?|nails?|rods?|cages?|implants?|lens(?:es)?|frames?|beds?|chairs?|tables?|prep|diets?|transmitters?|[A-Z] collars?|buttons?|wraps?|hallucinations?|cannulas?|trocars?|ports?|snares?|baskets?|dilators?|staplers?|probes?|hooks?|elevators?|speculum|laryngoscopes?|regimen|nomogram|charts?|curves?|plots?|battery|cycle|reaction|broth|smears?|mount|count|chamber|wort|fluid|powder|gel|drops|spray|patch|patches|pens?|inhalers?|tubing|meters?|strips|vaccine|booster|mechanical|bioprosthetic|protein|proteinuria|adhesions|esophagectomy|oesophagectomy|osteotomy|arthroplasty|resection|flora|spaniel|terrier|retriever|shepherd|dogs?|cats?|kid|calf|calves|cattle|breed|mare|gelding|goats?|sheep|species|serovar|strain)(?-u:\b)",
        ))
    });
    static ABBREVIATED: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"^(?:\s[A-Za-z]+)?\s\(([A-Z][A-Za-z0-9\-]*[A-Z])s?\)"));
    let initial = name.chars().next();
    let shortened = || ABBREVIATED.captures(after).is_some_and(|hit| hit[1].chars().any(|one| Some(one) == initial));
    THING.is_match(after) || shortened()
}

/// Whether a maker, a product before a figure or a part, or the author of what is cited stands there.
pub(super) fn is_between_things(near: &str, after: &str) -> bool {
    static FIGURE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"^[-‑]\d|^\s(?:\d{1,2}(?:[./-]\d+)?|[IVX]{1,4}[ABab]?)(?:[\s,;)]|\.?$|\.\s)|^\s[A-Z]{1,3}\d|^\s[a-z]\d|^\s\d+[x×]\d|^\s\[\]|^\s\d+(?:[.,]\d+)?(?:\s?(?:ms|cc|mg|g|kg|ml|mL|mcg|µg|μg|IU|units?|mm|cm|Fr|French|G|T|mesh|catheters?|microcatheters?|valves?|devices?)(?-u:\b)|[-‑][A-Z]|x\d)|^(?:[/-][A-Za-z]+)?[™®]",
        )
    });
    static PART: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"^(?:\s[A-Za-z]+)?\s(?i:sutures?|curves?|models?|burs?|patterns?|holes?|capsule|bundle|panels?|cages?|masks?|mouthpieces?|incisions?|points|leaf|map|nuclei|processors?|microcatheters?|guidewires?|injections?|tablets?|cream|ointment|polymerase|laborator(?:y|ies)|diagnostics|healthcare|pharma(?:ceuticals?)?|inc|ltd|gmbh|corp(?:oration)?|company|co)(?-u:\b)",
        )
    });
    // What is taken and fitted: "switched to Asmanex", "home cycler Amia".
    static TAKEN: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)(?-u:\b)(?:start|started|starting|starts|resumed?|continued?|continues|stopped|switched (?:from|to)|takes|taking|tried|using|via|fitted(?: with)?|dose of|mg of|doses of|refills? of|script for|rx for|cycler|pump|valve|stent|graft|inhaler|brand|generic|hearing aids?|monitor|glucometer|meter|pen|cement|device|mask|dressing) $",
        )
    });
    static CITED: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?-u:\b)(?:described|proposed|introduced|developed|defined|classified|published|popularized|popularised|recommended|suggested|modified|according|criteria) (?:by|to|of) (?:[A-Z][\w'’-]+(?:,| and| &) )*$",
        )
    });
    // "A 0.5 McFarland" is a unit.
    static AMOUNT: LazyLock<Regex> = LazyLock::new(|| pattern(r"\d\.\d+\s$"));
    // "Leeds LS9 7TF" is an address.
    static POSTCODE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\s[A-Z]{1,2}\d[A-Z\d]?\s\d[A-Z]{2}(?-u:\b)"));
    // "Anjali V. Menon" has an initial.
    static INITIAL: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\s[IVX]\.\s?[A-Z]\p{Ll}"));
    // "Zosia 5 yo", "Esperanza V. is", "Tenley G1P0" are persons.
    static AGED: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"^\s(?:\d{1,3}\s?(?:y|yo|y/o|yr|yrs|F|M|f|m|mo|wk|year|years|month|months)(?-u:\b)|[A-Z]\.\s[a-z]|G\d)",
        )
    });
    let listed = [". ", ") "]
        .iter()
        .any(|end| near.strip_suffix(end).is_some_and(|near| near.ends_with(|last: char| last.is_ascii_digit())));
    AMOUNT.is_match(near)
        || FIGURE.is_match(after) && ![&POSTCODE, &AGED, &INITIAL].iter().any(|not| not.is_match(after)) && !listed
        || PART.is_match(after)
        || CITED.is_match(near)
        || TAKEN.is_match(near)
}

/// Whether the name of a place that is as wide as a state stands there: "Sichuan province".
pub(super) fn is_behind_provinces(after: &str) -> bool {
    static PROVINCE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\s(?i:province|state)(?-u:\b)"));
    PROVINCE.is_match(after)
}

/// Whether a single letter there ends a sentence: "hepatitis B. Viral load", "20 Gy/10 F. Partial response".
pub(super) fn is_before_a_letter(before: &str) -> bool {
    static LETTERED: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)(?:\d|(?-u:\b)(?:grades?|types?|class|stage|hepatitis|troponin|vitamin|groups?|factor|influenza|chromogranin|immunoglobulin|protein|panel|phase|category|subtype|serotype|lead|child(?:-pugh)?|score|plan|arm|part|step|case|patient|appendix|fig(?:ure)?s?\.?|hemoglobin))$",
        )
    });
    before.ends_with(['/', '°', '^']) || LETTERED.is_match(before)
}

/// Whether the name that follows a label is a product's: "brand name: ...".
pub(super) fn is_before_a_product(before: &str) -> bool {
    static PRODUCT_NAME: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"(?i)(?-u:\b)(?:brand|trade|generic|product|drug|gene|code)\s$"));
    PRODUCT_NAME.is_match(before)
}

/// Whether kin or a calling stands there, right before a name: "girlfriend May", "Uncle Ray".
pub(super) fn is_right_behind_kin(before: &str) -> bool {
    static ROLE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(&format!(
            r"(?i)(?-u:\b)(?:{KIN}|preceptor|coach|nurse|neighbou?r|caseworker|colleague|aide|interpreter) $"
        ))
    });
    ROLE.is_match(&before[super::boundary(before, 24)..])
}

/// Whether a title stands there, with or without its point.
pub(super) fn is_before_the_titled(before: &str) -> bool {
    const TITLES: &[&str] = &[
        "NP",
        "RN",
        "LPN",
        "CNA",
        "Dear",
        "Uncle",
        "Aunt",
        "Auntie",
        "Coach",
        "Dr",
        "DR",
        "Drs",
        "Mr",
        "MR",
        "Mrs",
        "MRS",
        "Ms",
        "Miss",
        "Prof",
        "Professor",
        "Doctor",
        "Nurse",
        "Sister",
    ];
    let before = before.trim_end().trim_end_matches('.');
    TITLES.iter().any(|title| before.ends_with(title))
}
