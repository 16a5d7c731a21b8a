//! The closed lists behind the faithfulness gates: words that carry no fact, units, drugs, findings.

use std::sync::LazyLock;

use regex::Regex;
use rustc_hash::{FxHashMap, FxHashSet};

/// Words that say nothing about a particular patient: grammar, and what any note or report may say.
static COMMON: LazyLock<FxHashSet<&str>> = LazyLock::new(|| {
    "a about above according across active actually acute added adequate adjusted administered admission admit admitted adult after again \
age aged ago all along already also although always among amount an and another any appeared appropriate approximately are around arrival arrived as \
assessed assessment associated at attended back baseline be because became been before began begun being below better between \
both but by came can care case cause caused chief child clear clinic clinical clinically come complain complained complaint complaints complete \
completed complications condition confirmed consent considered consistent consisted contact continue continued control \
controlled could course current currently daily day days decided decision denied denies department despite detailed detected \
determined developed diagnosed diagnosis did discharge discharged discharging discovered discussed disease do documented does \
done drug due during each early either elective elevated emergency ended episode episodes established evaluated evaluation every \
evidence evident exam examination examined except experienced extensive family few final finally finding findings first follow followed \
following for found from full further gave general given gradually had has have having he health healthy help her here high him himself his \
history home hospital hospitalised hospitalized hospitalization hour hours however if illness immediate immediately impression improved \
improvement improving in including increase increased increasing indicated initial initially initiated instructions \
into investigation investigations is it its known lab laboratory labs last late later led left less level levels likely limits local long lot low \
lower made maintained male man management managed marked markedly may measured measuring medical medication medications medicine \
mild minute minutes moderate month months more morning most much multiple name near nearly need needed negative new next night no none normal \
not note noted notes nothing now number observed obtained occurred of off on once one ongoing only onset onto or oral other \
otherwise our out outcome outpatient over overall own past patient patients per performed period persistent person physical place placed plan \
planned point positive possible post pre present presentation presented presenting presents previous previously primary prior \
probable problem procedure procedures progress progressed progressive progressively proved provided rapid rate reason received recent recently recommended \
recovered recovery reduced referred regarding regular related released remained remains remarkable repeat repeated reported reports required respectively \
response rest result resulted results revealed review reviewed right routine said same scheduled second section seen severe sex she short \
should show showed showing shown side sign significant significantly signs since single site size slight slightly small so some soon stable stage standard \
start started status still stopped subsequent subsequently such suddenly suggested suggestive suggesting summary supported suspected symptom symptomatic symptoms \
system systems taken taking test tested tests than that the their them then therapy there therefore these they third this those \
though three through throughout thus time times to today together told took total toward treat treated treatment twice two type unable \
uneventful unknown unremarkable until up upon use used using usual various very visit visited vital vitals was we week weeks well went were \
when where whereas whether which while who whom whose will with within without woman worse year years yes yet you young \
female boy girl yo old gentleman lady infant pt hpi pmh ros dx hx fu f/u service date mg ml cm mm kg day's allergies nkda social systems review \
assessment disposition attending instructions follow-up surgical surgery tolerated underwent include includes included good poor fair \
remain mention mentioned states stated state answer question describe described given line refers mean means stands value values \
yrs mth mths wks hrs mins secs"
        .split_whitespace()
        .collect()
});

/// Whether a word can carry a fact of this patient.
pub(super) fn is_content(word: &str) -> bool {
    word.len() >= 3 && word.chars().any(char::is_alphabetic) && !COMMON.contains(word)
}

/// Drugs that no ending gives away, generic names; of synonyms after `=` the first one counts.
const DRUGS: &str = "insulin aspirin=asa=acetylsalicylic=acetylsalicylate heparin warfarin=coumadin acetaminophen=paracetamol=apap=tylenol morphine fentanyl \
remifentanil sufentanil oxycodone hydrocodone hydromorphone codeine tramadol tapentadol buprenorphine methadone ketamine propofol etomidate \
dexmedetomidine thiopental=thiopentone sevoflurane isoflurane desflurane sugammadex epinephrine=adrenaline norepinephrine=noradrenaline=levophed dopamine \
dobutamine milrinone levosimendan vasopressin terlipressin phenylephrine ephedrine atropine glycopyrrolate=glycopyrronium digoxin amiodarone adenosine lidocaine=lignocaine \
flecainide propafenone sotalol ivabradine ranolazine nitroglycerin=glyceryl isosorbide nitroprusside hydralazine minoxidil clonidine methyldopa doxazosin \
tamsulosin finasteride verapamil diltiazem clopidogrel=plavix ticagrelor prasugrel dipyridamole cilostazol alteplase=tpa tenecteplase streptokinase urokinase \
fondaparinux bivalirudin argatroban protamine spironolactone eplerenone amiloride mannitol acetazolamide indapamide levothyroxine=thyroxine=synthroid \
liothyronine methimazole carbimazole propylthiouracil methotrexate=mtx cyclophosphamide ifosfamide melphalan chlorambucil busulfan bendamustine vincristine vinblastine \
vinorelbine bleomycin etoposide gemcitabine capecitabine fluorouracil=5-fu cytarabine fludarabine cladribine azacitidine decitabine temozolomide dacarbazine \
mercaptopurine hydroxyurea=hydroxycarbamide thalidomide lenalidomide pomalidomide bortezomib carfilzomib asparaginase tretinoin mitotane mitomycin dactinomycin \
linezolid rifampin=rifampicin isoniazid=inh ethambutol pyrazinamide colistin polymyxin amikacin gentamicin tobramycin streptomycin vancomycin teicoplanin daptomycin \
trimethoprim sulfamethoxazole=sulphamethoxazole cotrimoxazole=co-trimoxazole nitrofurantoin fosfomycin chloramphenicol dapsone ivermectin albendazole mebendazole praziquantel chloroquine hydroxychloroquine \
artesunate quinine primaquine amphotericin nystatin terbinafine griseofulvin flucytosine colchicine allopurinol febuxostat probenecid azathioprine mycophenolate \
tacrolimus sirolimus everolimus cyclosporine=ciclosporin=cyclosporin leflunomide sulfasalazine=sulphasalazine mesalamine=mesalazine penicillamine lithium valproate=valproic carbamazepine oxcarbazepine=trileptal \
levetiracetam=keppra phenytoin fosphenytoin lamotrigine topiramate lacosamide zonisamide vigabatrin ethosuximide clobazam phenobarbital=phenobarbitone gabapentin pregabalin haloperidol risperidone olanzapine quetiapine \
aripiprazole clozapine ziprasidone chlorpromazine sertraline citalopram escitalopram fluoxetine paroxetine venlafaxine duloxetine bupropion mirtazapine trazodone amitriptyline \
nortriptyline donepezil memantine rivastigmine levodopa carbidopa pramipexole ropinirole amantadine baclofen tizanidine dantrolene pyridostigmine neostigmine riluzole edaravone \
thiamine pyridoxine cyanocobalamin hydroxocobalamin folate=folic biotin phytonadione calcitriol cholecalciferol ergocalciferol immunoglobulin=ivig tranexamic octreotide desmopressin \
glucagon naloxone flumazenil albuterol=salbutamol ipratropium tiotropium budesonide fluticasone theophylline aminophylline terbutaline formoterol salmeterol oxytocin misoprostol mifepristone \
methylergonovine letrozole anastrozole exemestane tamoxifen fulvestrant clomiphene leuprolide goserelin bicalutamide metoclopramide domperidone sucralfate lactulose loperamide bisacodyl polyethylene \
cholestyramine ursodiol=ursodeoxycholic exenatide liraglutide semaglutide dulaglutide metformin glipizide gliclazide glimepiride glyburide=glibenclamide acarbose pioglitazone etanercept abatacept \
anakinra eculizumab denosumab botulinum timolol latanoprost brimonidine dorzolamide ranibizumab bevacizumab triamcinolone chlorhexidine povidone silver mupirocin hydroxyzine=atarax diphenhydramine \
chlorpheniramine promethazine cetirizine loratadine fexofenadine levocetirizine prednisone prednisolone methylprednisolone=solumedrol=medrol dexamethasone=decadron hydrocortisone betamethasone fludrocortisone \
ibuprofen naproxen diclofenac ketorolac indomethacin=indometacin celecoxib meloxicam furosemide=frusemide=lasix torsemide bumetanide chlorthalidone hydrochlorothiazide oseltamivir acyclovir=aciclovir=zovirax valacyclovir=valaciclovir=valtrex ganciclovir \
remdesivir tocilizumab baricitinib tofacitinib deferoxamine deferasirox edetate dimercaprol pralidoxime acetylcysteine=n-acetylcysteine=nac sildenafil tadalafil bosentan macitentan riociguat treprostinil epoprostenol iloprost \
erythropoietin filgrastim eltrombopag romiplostim iron sucrose cephalexin=cefalexin=keflex amoxicillin=amoxycillin meperidine=pethidine enoxaparin=lovenox=clexane apixaban=eliquis rivaroxaban=xarelto atorvastatin=lipitor rosuvastatin=crestor lorazepam=ativan diazepam=valium ondansetron=zofran adalimumab=humira infliximab=remicade rituximab=rituxan=mabthera ceftriaxone=rocephin metronidazole=flagyl levofloxacin=levaquin pantoprazole=protonix esomeprazole=nexium omeprazole=prilosec beclomethasone=beclometasone estradiol=oestradiol";

static DRUG_NAMES: LazyLock<FxHashMap<&str, &str>> = LazyLock::new(|| {
    let groups = DRUGS.split_whitespace().filter(|group| !matches!(*group, "iron" | "sucrose" | "silver"));
    groups
        .flat_map(|group| group.split('=').map(move |name| (name, group.split('=').next().unwrap_or(group))))
        .collect()
});

/// Beginnings of those names.
pub(super) static DRUG_STEMS: LazyLock<FxHashSet<String>> =
    LazyLock::new(|| DRUG_NAMES.keys().map(|name| super::reading::stem(name)).collect());

static DRUG_ENDING: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"^(?:[a-z]{2,}(?:cillin|mycin|micin|floxacin|cycline|conazole|nidazole|prazole|sartan|[^a]pril|olol|[vs]tatin|[aou]mab|[tl][iu]zumab|tinib|[aeilo]vir|[^a]parin|xaban|gatran|lukast|tidine|setron|gliptin|gliflozin|glitazone|semide|thiazide|triptan|barbital|azepam|azolam|dipine|platin|rubicin|taxel|penem|poetin|dronate|profen|curonium|fenac|coxib|tecan|bactam|fungin|ciclib|parib)|(?:cef|sulfa|predni)[a-z]{3,})$",
    )
    .expect("the pattern is valid")
});

/// The generic name of a drug in lower case, if the word is one.
pub(super) fn drug(word: &str) -> Option<&str> {
    if word.len() < 3 {
        return None;
    }
    DRUG_NAMES.get(word).copied().or_else(|| (word.len() > 5 && DRUG_ENDING.is_match(word)).then_some(word))
}

/// Whether a word that is no drug's name is this one's, misspelt: "meropemen".
pub(super) fn misspells(word: &str, of: &str) -> bool {
    /// Shorter names are too near to words.
    const LEAST: usize = 7;
    const SLIPS: usize = 2;
    let near = word.len().abs_diff(of.len()) <= SLIPS && word.as_bytes().first() == of.as_bytes().first();
    of.len() >= LEAST && near && drug(word).is_none() && strsim::levenshtein(word, of) <= SLIPS
}

/// The generic name of a drug that goes by several.
pub(super) fn generic(word: &str) -> Option<&'static str> {
    DRUG_NAMES.get(word).copied()
}

/// Whether a word is the name of a disease, a finding or a procedure by its ending or by itself.
pub(super) fn is_clinical(word: &str) -> bool {
    static ENDING: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?:itis|[^t]oma|omas|emia|osis|opathy|penia|plegia|paresis|ectomy|ostomy|otomy|plasty|scopy|uria|algia|rrhea|trophy|megaly|sclerosis|emesis|phagia|pnea)$").expect("the pattern is valid")
    });
    const OTHERS: &[&str] = &[
        "fever",
        "cough",
        "headache",
        "nausea",
        "vomiting",
        "pain",
        "rash",
        "edema",
        "swelling",
        "fatigue",
        "weakness",
        "dizziness",
        "syncope",
        "seizure",
        "seizures",
        "chills",
        "jaundice",
        "cyanosis",
        "pallor",
        "clubbing",
        "murmur",
        "tenderness",
        "bleeding",
        "erythema",
        "lesion",
        "lesions",
        "mass",
        "masses",
        "effusion",
        "fracture",
        "hernia",
        "hemorrhage",
        "metastases",
        "metastasis",
        "thrombus",
        "thrombosis",
        "embolism",
        "infection",
        "diabetes",
        "hypertension",
        "asthma",
        "smoking",
        "smoker",
        "alcohol",
        "allergy",
        "allergies",
        "trauma",
        "diarrhea",
        "constipation",
        "icterus",
        "infarction",
        "ischemia",
        "stroke",
        "abscess",
        "deficit",
        "deficits",
        "recurrence",
        "lymphadenopathy",
        "tumor",
        "tumour",
        "cancer",
        "carcinoma",
        "ulcer",
        "ulcers",
        "stenosis",
        "obstruction",
        "dilatation",
        "dilation",
    ];
    OTHERS.contains(&word) || (word.len() > 5 && word != "diagnosis" && word != "prognosis" && ENDING.is_match(word))
}
