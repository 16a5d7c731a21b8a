//! Names of persons and of places smaller than a state: what stands before or after them, and lists of the common ones.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::PhiKind;

/// Given names, and those family names that are no words, from many languages.
static KNOWN: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    "aaliyah aaron abdul abdullah abebe abigail achieng adaeze adam adebayo adele aditi adrian agnes agnieszka ahmad ahmed aicha aiko aisha akash akiko akira alan alana alba albert alberto alejandra \
alejandro aleksandr alena alessandra alessandro alexander alexandra alexei ali alice alicia alina aliya allison amadou amal amanda amara amelia amina amir amira amit amy ana anahit anastasia anders andre andrea andreas andrei andrew \
andrzej angela angelica anil anita anjali ankit ann anna anne annette annika anthony antoine anton antonia antonio anya aoife apinya ariana arjun armando arnold arthur arturo asha ashley astrid audrey aurora austin aya ayesha ayumi babajide barbara bartosz beatrice beatriz \
benjamin bernard bernice beth betty bianca birgit bjorn bogdan boris brandon brenda brian bridget brigitte bruno camila camille carl carla carlos carmen carol carolina caroline carolyn caterina catherine cecilia cedric celine chandra chantal charles charlotte chen cheng chiamaka chiara chidi \
chika chinedu chioma chloe chris christian christina christine christopher ciara claire clara claudia claudio colin connor constance craig cristina cynthia dagmar daisuke dalia damian daniel daniela danielle danuta darius david dawit dawn deborah deepa deepak denise dennis derek devon diana diane diego dieter \
dimitri dimitrios dina dmitri dolores dominic dominik donald donna doris dorota dorothy douglas duc dylan ebony edith edward edwin efua ekaterina elaine eleanor elena eleni eliana elias elif elisa elizabeth ella ellen elsa emeka emi emil emilia emily emma emmanuel enrique eric erica erik erin ernesto esperanza esra esteban esther ethan eugene eva \
evelyn fabian fatima fatma fatou federico felipe felix feng fernanda fernando filip fiona florence francesca francesco francisco francois frank franz fredrik frida gabriel gabriela gareth gary geoffrey george georgia gerald gerard gertrude giorgio giovanna giovanni giulia giuseppe gloria gordon greta gregory guadalupe guillermo gunnar gustavo \
guy habiba hana hanna hannah hans harold haruto harry hassan hector heidi heinrich helen helena helga henrik henry herbert hideo hiroshi hoang howard hugo hui hyun ian ibrahim ignacio igor imani imran inga ingrid ioana irene irina irma isaac isabel isabella ivan ivana jack jackson jacob jacqueline jacques jaime james jamal jan jane janet janice jan jaroslav jasmine jason javier jean jeffrey jelena \
jennifer jens jeremy jerome jessica jesus jiaying jin joan joanna joao joel joerg johan johanna john jonas jonathan jorge jose josef joseph josephine joshua joyce juan juanita judith julia julian julie jun jurgen justin kamal karen karim karin karl karolina katarzyna kate katherine kathleen katja kavita kazuo keiko keith kelly kenji kenneth kevin khadija khalid kim kimberly kiran kofi krishna kristen kristina krzysztof kumar kwabena kwame \
kyoko lakshmi lamar larissa larry lars latoya laura lauren laurent layla lea leila lena leo leon leonard leonardo leticia li liam lila lilian lin linda lisa ljiljana logan lorenzo lorraine louis louise lucas lucia lucy luis luisa lukas luke lydia maeve magdalena mahmoud maja malcolm malik mamadou manuel mara marc marcel marcela marco marcus margaret margarita maria mariam marian mariana marie marina mario marisol marjorie marko marlene marta martha martin \
martina agnieszka aino alasdair amelie anahita anneliese annika arash astou beata bjork branislav cillian declan dieter eamon eilidh eero ewa ferenc folake giorgos gretel hamza harriet hye ilse ingeborg istvan jaakko jadwiga jiro joaquin kaito kaori kateryna kerstin kjell laszlo leilani lieke lieselotte ludmila maarten maeve mairead malgorzata marek marguerite mirela nasir nils niamh noemi oisin olumide oriol pilar radka rajiv roisin ruairi sakari sandeep sanne shreya sigurd sinead soren stanislaw sunniva tamas tariku tevita tomoyo torsten ulrike vasile vedran vidar wanja winston woo xiomara yannick yasuo yetunde yuto zdenka zofia zoltan martina mary masako mateo mateusz matilda matteo matthew matthias maureen maurice max maya mehmet mei melanie melissa mercedes michael michal michel michelle miguel mihai mikael mike mikhail milan milena min ming mina miriam mirjana mohamed mohammad mohammed moses muhammad mustafa nadia nancy naomi natalia natalie natasha nathan neha nelson ngozi nguyen nia nicholas nicola nicolas nicole niklas nikolai nikos nina nisha noah noor nora norma nuria odile oksana olaf olga oliver olivia \
oluwaseun omar oscar osama otto owen pablo padma pamela paolo patricia patrick paul paula paulo pavel pedro peggy penelope peter petra philip pierre piotr pooja prakash preethi priscilla priya rachel rafael raj rajesh ralph ramon rashid raul ravi raymond rebecca renata rhonda ricardo richard rita robert roberta roberto rodrigo roger roland romain ronald rosa rosalind rosario ruben rukhsana russell ruth ryan sabine sadia said sakura salma salvatore sam samantha samir samuel \
sana sandra sanjay santiago sara sarah saskia satoshi scott sean sebastian selma sergei sergio seung shabnam shanice shankar sharon sheila shinji shirley shreya siddharth sigrid silvia simon simone siobhan sofia solomon sonia sophia sophie stanislav stefan stefania stella stephanie stephen steven stuart sunita surya susan susana suresh svetlana sven sylvia tadeusz takashi takeshi tamara tania tanisha tanya tariq tatiana teresa thabo thandiwe theodore theresa thi thomas tiago tiffany timothy \
tomasz tomas tomoko toshio tracy tran tuan tyler tyrone ulrich umar ursula valentina valeria vanessa venkatesh vera veronica victor victoria vijay vikram vincent viola violeta virginia vivek vladimir wanda wanjiru walter wei wendy werner wilhelm william winifred wojciech xavier xiao xin yasmin yasmine yevgeny yolanda yoko yosef youssef yuki yukiko yuri yusuf yvette yvonne zahra zainab zanele zara zbigniew zeynep zhang zoe zsofia zuzana \
smith johnson williams jones miller davis garcia rodriguez martinez hernandez lopez gonzalez wilson anderson moore lee perez thompson harris sanchez clark ramirez lewis robinson nguyen allen wright torres hill flores adams \
nelson mitchell campbell carter gomez phillips evans turner diaz cruz edwards collins reyes stewart morris morales murphy rogers gutierrez ortiz morgan cooper peterson reed howard ramos watson chavez \
mendoza ruiz hughes alvarez castillo sanders patel myers foster jimenez powell jenkins perry sullivan coleman butler henderson barnes gonzales fisher vasquez simmons romero jordan patterson alexander hamilton griffin dixon \
silva santos oliveira souza ferreira pereira costa schmidt schneider fischer weber meyer wagner becker schulz hoffmann koch bauer richter wolf schroeder neumann schwarz zimmermann braun krueger hofmann hartmann lange muller mueller rossi russo ferrari esposito bianchi \
romano colombo ricci marino greco bruno gallo conti deluca kowalski nowak wisniewski wojcik kaminski lewandowski novak svoboda dvorak horvath nagy kovacs szabo popescu ionescu ivanov petrov sidorov smirnov kuznetsov popov sokolov volkov papadopoulos dimitriou \
yilmaz kaya demir celik hansen johansen olsen larsen andersen nilsson johansson karlsson eriksson larsson olsson persson svensson lindqvist lindstrom virtanen korhonen nieminen jansen bakker visser dubois lefevre moreau laurent leroy girard bonnet dupont fontaine rousseau \
tanaka suzuki sato takahashi watanabe ito yamamoto nakamura kobayashi kato yoshida yamada sasaki matsumoto inoue kimura hayashi shimizu wang zhao huang zhou liu yang wu xu sun zhu hu guo lin luo zheng liang xie song tang park choi jung kang cho yoon jang lim han shin kwon hwang pham phan vu dang bui ngo duong \
singh sharma kumar gupta verma reddy rao nair iyer menon mehta shah desai joshi kapoor malhotra chopra banerjee mukherjee chatterjee das ghosh bose khan hussain malik iqbal chaudhry qureshi siddiqui rahman islam hossain akhtar begum okafor okonkwo eze adeyemi adebayo obi nwosu mensah owusu boateng asante diallo traore keita \
diop ndiaye sow mwangi kamau otieno odhiambo wanjiku njoroge mbeki dlamini nkosi zulu khumalo haddad khoury nasser mansour farouk hassan saleh abbas aziz hosseini rezaei karimi cohen levy mizrahi goldberg friedman rosenberg katz shapiro obrien oconnor kelly walsh ryan byrne doyle gallagher macdonald mackenzie mcdonald"
        .split_whitespace()
        .collect()
});

/// Of those, words that are also words, eponyms or drugs: a name only beside another name or a title.
const AMBIGUOUS: &[&str] = &[
    "hill",
    "wolf",
    "min",
    "jordan",
    "lee",
    "long",
    "park",
    "cooper",
    "reed",
    "cruz",
    "butler",
    "foster",
    "fisher",
    "dixon",
    "das",
    "sow",
    "song",
    "han",
    "sun",
    "said",
    "van",
    "dawn",
    "aurora",
    "florence",
    "georgia",
    "virginia",
    "victoria",
    "jackson",
    "charlotte",
    "austin",
    "jan",
    "li",
    "lin",
    "wei",
    "max",
    "mike",
    "hu",
    "wu",
    "lim",
    "obi",
    "islam",
    "alexander",
    "wilson",
    "graham",
    "martin",
    "koch",
    "meyer",
    "allen",
    "adams",
    "evans",
    "kim",
    "thi",
    "duc",
    "hui",
    "jin",
    "jun",
    "ana",
    "viola",
    "phillips",
    "hamilton",
    "simmons",
    "barnes",
    "turner",
    "morris",
    "murphy",
    "moore",
    "parkinson",
    "perry",
    "ito",
    "kaya",
    "sam",
    "art",
    "mercedes",
    "norma",
    "alba",
    "penelope",
    "sydney",
    "yang",
    "costa",
    "lange",
    "diana",
    "stewart",
    "carter",
    "wright",
    "collins",
    "russell",
    "frank",
    "guy",
    "nelson",
    "conti",
    "cho",
    "kang",
    "san",
    "francisco",
    "santiago",
    "morgan",
    "joseph",
    "john",
    "mary",
    "james",
    "paul",
    "thomas",
    "vincent",
    "luke",
    "jude",
    "watson",
    "romano",
    "marie",
    "braun",
    "weber",
    "wagner",
    "fischer",
    "richter",
    "bauer",
    "zimmermann",
    "bianchi",
    "ricci",
    "walter",
    "becker",
    "chen",
    "silva",
    "reye",
    "reyes",
    "sato",
    "kimura",
    "santos",
    "logan",
    "george",
    "colombo",
    "rosario",
    "milan",
    "ali",
];

/// Towns, large enough that their names are known, that are no given names.
static TOWNS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    "albuquerque amsterdam anchorage ankara athens atlanta auckland baghdad baltimore bangalore bangkok barcelona beijing beirut belfast belgrade bengaluru berlin birmingham bogota boise bologna boston brisbane bristol brooklyn brussels bucharest budapest buffalo \
busan cairo calgary cambridge canberra caracas cardiff casablanca chennai chicago chongqing cincinnati cleveland cologne columbus copenhagen dakar dallas damascus delhi denver detroit dhaka doha dresden dubai dublin durban edinburgh edmonton florence frankfurt fresno geneva \
ghent glasgow gothenburg guadalajara guangzhou haifa hamburg hanoi harare havana helsinki honolulu houston hyderabad indianapolis istanbul jakarta jerusalem johannesburg kabul kampala karachi kathmandu kinshasa kolkata krakow kuala kumasi kyiv kyoto lagos lahore lausanne leeds leipzig lima \
lisbon liverpool ljubljana london louisville lyon madrid malmo managua manchester manhattan manila marrakesh marseille medellin melbourne memphis miami milwaukee minneapolis mogadishu mombasa monterrey montreal moscow mumbai munich nagoya nairobi naples nashville newark newcastle nottingham oakland omaha \
orlando osaka oslo ottawa oxford paris perth philadelphia phoenix pittsburgh portland porto prague pune queens quito rabat raleigh reykjavik riga rochester rome rotterdam sacramento saigon salzburg sapporo sarajevo seattle seoul seville shanghai sheffield shenzhen singapore sofia spokane stockholm \
stuttgart sydney taipei tallinn tampa tbilisi tehran tijuana tokyo toledo toronto tucson tulsa tunis turin utrecht valencia vancouver venice vienna vilnius warsaw winnipeg wuhan yokohama zagreb zurich albany springfield"
        .split_whitespace()
        .collect()
});

/// Countries, states and their adjectives: wide enough to stay.
pub(super) static WIDE: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    "afghanistan africa alabama alberta arabia borneo congo java lombardy manitoba nigerian ontario patagonia punjab quebec rajasthan sabah sarawak saskatchewan sicily sumatra tuscany alaska albania algeria america american angola arab argentina arizona arkansas asia asian australia austria bangladesh belgium bolivia bosnia brazil britain bulgaria burma california cambodia cameroon canada caribbean chile china chinese colombia colorado \
connecticut croatia cuba cyprus czech delaware denmark dominican ecuador egypt england eritrea estonia ethiopia europe european finland florida france french gambia germany german ghana greece guatemala guinea guyana haiti hawaii honduras hungary iceland idaho illinois india indian indiana indonesia iowa iran iraq ireland israel \
italy jamaica japan japanese kansas kazakhstan kentucky kenya korea korean kosovo kuwait laos latvia lebanon liberia libya lithuania louisiana macedonia maine malawi malaysia mali maryland massachusetts mauritius mexican mexico michigan minnesota mississippi missouri moldova mongolia montana morocco mozambique myanmar namibia \
nebraska nepal netherlands nevada new niger nigeria north norway ohio oklahoma oman ontario oregon pakistan palestine panama paraguay pennsylvania peru philippines poland portugal puerto qatar quebec romania russia rwanda saudi scotland senegal serbia sierra slovakia slovenia somalia south spain sri sudan sweden switzerland syria taiwan \
tanzania tennessee texas thailand togo tunisia turkey uganda ukraine united kingdom states uruguay usa utah uzbekistan venezuela vermont vietnam wales washington west wisconsin wyoming yemen zambia zimbabwe middle east eastern western northern southern central saharan hispanic latin the icu ed er"
        .split_whitespace()
        .collect()
});

/// What follows an eponym.
pub(super) static AFTER_EPONYM: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(?:['’]s?)?[-–\s]*(?i:disease|syndrome|sign|signs|test|catheter|cath|phenomenon|criteria|score|scale|class|classification|stain|staining|lymphoma|sarcoma|tumou?r|palsy|ulcer|fracture|procedure|operation|repair|maneuver|manoeuvre|bodies|body|cells?|virus|agar|reflex|esophagus|thyroiditis|disorder|triad|anastomosis|drain|tube|position|contracture|hernia|gangrene|node|nodule|cyst|duct|ring|stage|grade|index|formula|method|incision|approach|technique|flap|line|clamp|retractor|needle|wires?|loop|chorea|ataxia|dementia|encephalopathy|aphasia|area|method|medium|solution|lactate|equation|anomaly|malformation|glomerulonephritis|granulomatosis|arteritis|vasculitis|nephropathy|neuropathy|gland|joint|valve|shunt|pouch|forceps|splint|cast|pressure|collar|exercise|murmur|breathing|respiration|type|positive|negative|coma|hallpike|barre|barré|jakob|strauss|jogren|nevus|thyroid|rings?|organisms?|test(?:ing)?|histolog\w+|sleep\squality|cognitive|declaration|scientific|[A-C][1-3](?:L[1-4])?(?:B[1-3]p?)?|et al|stool|screen(?:ing)?|carrier|brace|sling|protocol|consensus|guidelines?|trial|study|cohort|bag|rules?|stag(?:e|ing)|man(?:o)?euvres?|maneuvers?|compression|infection|habitus|visual|criteri(?:a|on)|wedge|staging|(?:[a-z]+\s){1,2}(?:signs?|tests?|scores?|scale|index|classification|criteria|grade|questionnaire|chart|manoeuvres?))\b").expect("the pattern is valid")
});

/// What a single letter belongs to that ends a sentence: "hepatitis B. Viral load", "20 Gy/10 F. Partial response".
static LETTERED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)(?:\d|(?-u:\b)(?:grades?|types?|class|stage|hepatitis|troponin|vitamin|groups?|factor|influenza|chromogranin|immunoglobulin|protein|panel|phase|category|subtype|serotype|lead|child(?:-pugh)?|score|plan|arm|part|step|case|patient|appendix|fig(?:ure)?s?\.?|hemoglobin))$")
        .expect("the pattern is valid")
});

/// Before a label, where the name is a product's: "brand name: ...".
static PRODUCT_NAME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)(?-u:\b)(?:brand|trade|generic|product|drug|gene|code)\s$").expect("the pattern is valid")
});

/// What follows the name of a place that is as wide as a state.
static PROVINCE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\s(?i:province|state)(?-u:\b)").expect("the pattern is valid"));

const WORD: &str = r"(?:(?:O['’]|Mc|Mac|D['’]|Al-|al-|El-|el-|Abu-)?[A-ZÀ-ÞŁŚŠŽČĆĐ][\p{Ll}'’]+(?:-[A-ZÀ-ÞŁŚŠŽČ]?[\p{L}]+)?|(?:O['’]|Mc)?[A-ZÀ-ÞŁ]{3,}(?:-[A-ZÀ-Þ]{2,})?)";
const PARTICLE: &str =
    r"(?:van der|van den|van|von|de la|de las|del|de|da|dos|di|der|den|bin|bint|ibn|ben|ter|le|la|al|el|du)";

struct Patterns {
    titled: Regex,
    labelled: Regex,
    credentials: Regex,
    initials: Regex,
    reversed: Regex,
    run: Regex,
    subject: Regex,
    place: Regex,
    facility: Regex,
    /// "Drs. A and B": the last of them.
    coupled: Regex,
    /// "Name: Family, Given".
    indexed: Regex,
    /// Two capitalised words before an age or a number of the patient's.
    known_by: Regex,
    /// Two capitalised words behind what is done with persons.
    met: Regex,
}

static PATTERNS: LazyLock<Patterns> = LazyLock::new(|| {
    let sequence = format!(
        r"(?:[A-Z]\.[\s\-]?){{0,3}}(?:{PARTICLE}\s)?{WORD}(?:[ \t]+(?:[A-Z]\.?[ \t]+)?(?:{PARTICLE}\s)?{WORD}){{0,3}}"
    );
    let new = |pattern: &str| Regex::new(&super::ascii_boundaries(pattern)).expect("the pattern is valid");
    Patterns {
        titled: new(&format!(
            r"\b(?:Drs?|DR|Doctor|MR|Mrs?|MRS|Ms|MS|Miss|Mister|Mx|Prof|PROF|Professor|Sir|Madam|Dame|Nurse|Sister|Father|Rev|Reverend|Pastor|Rabbi|Imam|Capt|Captain|Sgt|Lt|Señora?|Sra?|Herr|Frau|Mme|Mlle|Monsieur|Madame|Signora?|RN|Therapist|Midwife|Surgeon|Judge|Officer|Uncle|Aunt|(?:Baby|BABY|Newborn)\s(?:[Bb]oy|[Gg]irl|BOY|GIRL|[Tt]win(?:\s[AB12])?))\b\.?[ \t]+(?P<id>{sequence})"
        )),
        labelled: new(&format!(
            r"(?:(?:(?i:patient(?:(?:['’]s)?\sname)?|pt(?:\sname)?|full\sname|first\sname|last\sname|surname|maiden\sname|given\sname|family\sname|name|attending(?:\sphysician)?|resident\sphysician|physician|surgeon|assistant|anesthesi\w+|anaesth\w+|provider|pcp|gp|consultant|cardiologist|oncologist|neurologist|radiologist|pathologist|registrar|intern|interpreter|(?:electronically\s)?signed(?:\sby)?|dictated(?:\sby)?|transcribed(?:\sby)?|reviewed\sby|authori[sz]ed\sby|verified\sby|witness(?:ed\sby)?|seen\sby|examined\sby|evaluated\sby|operated\sby|performed\sby|referred\sby|accompanied\sby|cared\sfor\sby|prepared\sby|entered\sby|cc|attn|attention|dear|sincerely|regards|next\sof\skin|nok|emergency\scontact|guardian|care\s?giver|carer|proxy|informant|spouse|wife|husband|partner|mother|father|mom|dad|son|daughter|brother|sister|nephew|niece|cousin|aunt|uncle|grandmother|grandfather|grandson|granddaughter|friend|neighbou?r|roommate|fianc[eé]e?|employer|named|called|known\sas|alias|aka|contact|spoke\s(?:with|to)|discussed\swith|speak\sto|per|(?:for\s)?referring|referral\sof|for\sseeing|regarding|re|on\sbehalf\sof|consent\s(?:from|of)|history\sfrom|with\sher|with\shis|scribe|fellow|extern|author|operator|perfusionist|midwife|doula|advocate|coordinator|dentist|optometrist|chiropractor|intensivist|hospitalist|geriatrician|p(?:a)?ediatrician|obstetrician|psychiatrist|psychologist|dermatologist|urologist|nephrologist|hematologist|endocrinologist|gastroenterologist|pulmonologist|rheumatologist|internist|team|on[- ]call|social\sworker|case\smanager|nurse|therapist|technician|pharmacist|dietitian|chaplain|lawyer|teacher)\b)|(?i:a\.k\.a\.?))(?:\s(?i:is|was|are))?\s*[:,\-–]?\s*(?i:is\s|named\s|called\s|\()?(?P<id>{sequence})"
        )),
        credentials: new(&format!(
            r"\b(?P<id>{sequence}),?\s+(?:M\.?D\.?|D\.?O\.?|R\.?N\.?|Ph\.?D\.?|N\.?P\.?|PA-?C?|MBBS|FRCS|FACS|FRCP|FACC|DDS|LCSW|MSW|CRNA|PharmD|DPM|APRN|DNP|BSN|CNM|MPH|OD|LPN|CNA|DPT|PT|OT)\b"
        )),
        initials: new(&format!(
            r"\b(?P<id>(?:[A-Z]\.\s?){{1,3}}(?:{PARTICLE}\s)?[A-ZÀ-Þ][\p{{Ll}}'’]{{2,}}(?:-[A-Z]\p{{Ll}}+)?)"
        )),
        reversed: new(&format!(r"\b(?P<id>{WORD},\s{WORD}(?:\s[A-Z]\b\.?)?)")),
        run: new(&format!(r"(?P<id>{WORD}(?:[ \t]+(?:[A-Z]\.[ \t]+)?(?:{PARTICLE}\s)?{WORD}){{0,3}})")),
        coupled: new(&format!(
            r"\b(?:Drs|DRS|Doctors|Profs|Messrs|Mr and Mrs)\b\.?[ \t]+{sequence}(?:,[ \t]{sequence})*,?[ \t](?:and|&)[ \t](?P<id>{sequence})"
        )),
        indexed: new(&format!(
            r"(?:(?i:(?:patient|pt|full|legal)?\s?name|patient|pt)\s*:)[ \t]*(?P<id>{WORD}(?:[ \t]{WORD})?,[ \t]{WORD}(?:[ \t](?:[A-Z]\b\.?|{WORD}))?)"
        )),
        known_by: new(&format!(
            r"(?P<id>{WORD}(?:,[ \t]{WORD}|[ \t]+(?:[A-Z]\.?[ \t]+)?(?:{PARTICLE}\s)?{WORD})(?:[ \t]{WORD})?)[\s,;(]{{1,3}}(?:(?i:dob|d\.o\.b|mrn|nhs|pid)\b|\d{{1,3}}[- ]?(?:[MF]\b|[my]/?[of]\b|yo?\b|y\.o|(?i:year|yr)s?[- ]old))"
        )),
        met: new(&format!(
            r"(?i:\b(?:saw|met|remind(?:ed)?|telephoned|phoned|counsel+ed|thank(?:ed)?|informed|(?:worked|walked|seen|met|spoke|talked|staffed|reviewed|discussed|rounded|co-signed|signed)\s(?:with|by)|(?:obtained|given|taken|provided|granted|collected|completed)\s(?:by|from)))[ \t]+(?P<id>{WORD}[ \t]+(?:[A-Z]\.[ \t])?(?:{PARTICLE}\s)?{WORD}(?:[ \t]{WORD})?)"
        )),
        subject: new(&format!(
            r"\b(?P<id>{WORD}\s+(?:[A-Z]\.\s)?(?:{PARTICLE}\s)?{WORD}(?:\s{WORD})?),?\s(?:is an?\s|was\s(?:seen|admitted|extubated|intubated|discharged|transferred|referred|brought|taken|born|examined|evaluated|sent|last\sseen)|(?:presents|presented|reports|reported|denies|denied|states|stated|tolerated|underwent|complains|complained|came|fell|arrived|called|agreed|agrees|consented|refused|lives|works|feels|felt|says|said|has\sbeen\s(?:seen|followed))\b)"
        )),
        place: new(
            r"(?i:\b(?:lives?|living|lived|resid(?:es?|ed|ing)|resident|residing|native|born|raised|grew up|moved|relocated|travel(?:l?ed|l?ing)?|transferred|flew|trip|visit(?:ed|ing)?|vacation(?:ed|ing)?|holiday(?:ed|ing)?|honeymoon(?:ed)?|stayed|stationed|deployed|studied|camped|hiked|fled|employed|town|city|village|municipality|suburb|district|county|hometown|neighbou?rhood|commutes?|drove|based|farm|home|house|works?|address|returned|flown|practice|clinic|hospital)\s(?:alone\s|with\s\w+\s\w+\s)?(?:in|at|from|of|to|near|outside|around|is|for|back to|back from)|\b(?:address|city|town|village|county|municipality|hometown|birthplace|place of birth|location)\s?:|\bfrom|\bnear)\s+(?i:the\s(?:city|town|village|suburb)\sof\s|downtown\s|rural\s|nearby\s|central\s)?(?P<id>(?:St\.?\s|Saint\s|San\s|Santa\s|El\s|La\s|Los\s|Las\s|New\s|Port\s|Fort\s|North\s|South\s|East\s|West\s)?[A-ZÀ-ÞŁ][\p{Ll}'’\-]+(?:\s(?:de\s|del\s|am\s|upon\s|do\s|da\s)?[A-ZÀ-Þ][\p{Ll}'’\-]+){0,2})",
        ),
        facility: new(
            r"\b(?P<id>(?:(?:St\.?|Saint|Mount|Mt\.?)\s)?[A-ZÀ-Þ][\p{Ll}'’.\-]+(?:\s(?:of\s|de\s)?[A-ZÀ-Þ][\p{Ll}'’.\-]+){0,3}?\s(?:County|Parish|Township|Borough|Hospital|Clinic|Medical Cent(?:er|re)|Infirmary|Nursing Home|Care Home|Hospice|High School|Elementary|Nursery|Kindergarten|School|Primary|Academy|Pharmacy|Prison|Jail|Station|Barracks|Airport|Cottage|Church|Mosque|Temple|Shelter|Health Centre|Medical Practice|Facility|Klinikum|Lodge|Manor|University|College|Village|Valley|Falls|Heights|Springs|Beach|Prefecture))\b",
        ),
    }
});

/// Capitalised words that are no names, whatever stands before them.
static WORDS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    "the a an and or of in on at by for with to from he she they it his her this that these those there no not was were is are had has have be been as but if then when after before during since while patient patients pt mr mrs ms dr note notes history present illness past medical surgical family social physical exam examination chief complaint \
hospital course assessment plan discharge admission medications medication allergies review systems labs laboratory imaging results procedure procedures impression findings summary diagnosis diagnoses vital vitals signs general neuro neurological cardiac cardiovascular respiratory abdominal abdomen gi gu skin extremities musculoskeletal psychiatric follow up followup condition disposition instructions date time service department emergency \
intensive care unit ward clinic medicine surgery internal pediatrics radiology pathology cardiology neurology oncology orthopedics ct mri ecg ekg echo xray ray ultrasound us pet eeg cbc cmp bmp lft wbc rbc hb hgb hct plt crp esr bun inr pt ptt aptt ast alt alp csf icu ed er or picu nicu opd iv im po sc prn bid tid qid daily stat \
left right upper lower bilateral chest head neck back heart lung lungs liver kidney brain spine pelvis blood urine sputum stool biopsy tissue bone marrow lymph nodes aspirin insulin heparin vitamin iron oxygen tylenol lasix lipitor plavix coumadin keppra zosyn ativan valium zofran augmentin bactrim flagyl levaquin rocephin ancef lovenox decadron prilosec protonix nexium synthroid humira remicade \
monday tuesday wednesday thursday friday saturday sunday january february march april may june july august september october november december today yesterday tomorrow christmas easter ramadan spring summer autumn winter american african asian caucasian hispanic white black european indian chinese japanese korean arab english spanish french german latin greek catholic christian muslim jewish hindu buddhist \
escherichia staphylococcus streptococcus klebsiella pseudomonas mycobacterium candida aspergillus salmonella enterococcus clostridium clostridioides helicobacter legionella listeria neisseria plasmodium toxoplasma cytomegalovirus epstein barr covid influenza hepatitis herpes hiv gram ziehl neelsen giemsa wright papanicolaou \
crohn crohns parkinson parkinsons alzheimer alzheimers foley hodgkin hodgkins down downs turner marfan graves hashimoto addison cushing sjogren sjögren raynaud kawasaki behcet behçet wilson huntington hartmann whipple billroth roux swan ganz kirschner bell bells murphy babinski romberg kernig brudzinski homans lasegue phalen tinel rinne weber trendelenburg apgar glasgow braden morse bishop child pugh meld ranson wells geneva killip \
nyha asa ecog karnofsky gleason breslow clark dukes ann arbor fuhrman bosniak hinchey duke jones mcburney rovsing cullen grey virchow bouchard heberden osler janeway roth kayser fleischer reed sternberg burkitt kaposi ewing wilms paget pott colles smith lisfranc le fort salter harris monteggia galeazzi weil felty still takayasu henoch schonlein schönlein guillain barré barre lambert eaton charcot marie tooth friedreich \
arnold chiari dandy walker budd chiari mallory weiss zenker barrett barretts meckel hirschsprung peyer peyronie dupuytren baker bakers volkmann ringer ringers lactate hartmanns bence pompe gaucher fabry niemann pick tay sachs von willebrand recklinghausen hippel lindau ehlers danlos osgood schlatter legg calve perthes jackson pratt penrose hemovac hickman port cath groshong tenckhoff broviac seldinger allen doppler holter \
zollinger ellison conn sheehan simmonds kallmann klinefelter noonan prader willi angelman rett tourette wernicke korsakoff creutzfeldt jakob lewy lou gehrig stevens johnson lyell sweet wegener churg strauss goodpasture alport berger buerger kimmelstiel mantoux schilling coombs kleihauer dix hallpike epley valsalva heimlich mcgill mallampati lachman drawer mcmurray thompson kocher pringle mohs nissen heller ivor lewis \
dressing wound type stage grade class score level phase day week month year seen given started continued please see per none denies reports states alert soft normal negative positive stable clear male female man woman child mother father wife husband son daughter brother sister parents family married single divorced widowed smoker alcohol tobacco drugs lives works retired former current new old other all both any some each \
who cdc fda nhs usa uk va aids als copd dvt uti cad chf htn dm ckd gerd tia cva mi pe afib svt vt sle ra ms tb bp hr rr temp spo2 bmi gcs nad wnl rrr ctab jvd hent heent perrla eomi nkda name mrn dob ssn phone fax tel email address age sex gender record number report specimen consult consultation attending resident physician nurse surgeon provider signed electronically dictated cc re subject dear sincerely regards contact call \
fig figs figure figures table tables panel high low powered power field index declaration scientific scale scales score scores software questionnaire inventory inc system platform kit license licence account insurance member policy plate vehicle device implant portal website url link modified primary secondary lie allis fogarty yankauer veress bovie ligasure robinson cook dobhoff blakemore sengstaken gigli steinmann austin moore salem sump fr capt cdr det sgt lt neurologist nephrologist cardiologist oncologist surgeon urologist dermatologist rheumatologist hepatologist haematologist hematologist endocrinologist gastroenterologist psychiatrist paediatrician pediatrician geriatrician physician anaesthetist registrar sutures fell lived lives collected booked".split_whitespace().collect()
});

/// Persons and places of a text.
pub(super) fn find(text: &str) -> Vec<(PhiKind, Range<usize>)> {
    let patterns = &*PATTERNS;
    let mut found = Vec::new();
    let id = |hit: &regex::Captures<'_>| hit.name("id").map(|id| id.range()).unwrap_or_default();
    for hit in patterns.facility.captures_iter(text) {
        let range = id(&hit);
        let words: Vec<&str> = text[range.clone()].split_whitespace().collect();
        let names = |word: &&str| !is_word(word) && !WIDE.contains(lower(word).as_str()) && !generic(word);
        if words[..words.len() - 1].iter().any(names) && !generic(words[0]) {
            found.push((PhiKind::Geography, range));
        }
    }
    for pattern in [&patterns.titled, &patterns.credentials] {
        for hit in pattern.captures_iter(text) {
            found.extend(trimmed(text, id(&hit), false).map(|range| (PhiKind::Name, range)));
        }
    }
    for hit in patterns.labelled.captures_iter(text) {
        let whole = hit.get(0).map(|whole| whole.start()).unwrap_or_default();
        let before = &text[..whole];
        if before.ends_with(char::is_alphanumeric) || PRODUCT_NAME.is_match(before) {
            continue;
        }
        found.extend(trimmed(text, id(&hit), false).map(|range| (PhiKind::Name, range)));
    }
    for hit in patterns.initials.captures_iter(text) {
        // "8 mmol/L. After" and "39 °C. There" end a sentence with a unit.
        let before = text[..id(&hit).start].trim_end();
        let unit = before.ends_with(['/', '°', '^']) || LETTERED.is_match(before) || text[id(&hit)].contains('\n');
        let range = trimmed(text, id(&hit), false).filter(|range| !unit && has_word(&text[range.clone()]));
        found.extend(range.map(|range| (PhiKind::Name, range)));
    }
    for hit in patterns.coupled.captures_iter(text).chain(patterns.indexed.captures_iter(text)) {
        found.extend(trimmed(text, id(&hit), false).map(|range| (PhiKind::Name, range)));
    }
    for hit in patterns
        .subject
        .captures_iter(text)
        .chain(patterns.met.captures_iter(text))
        .chain(patterns.known_by.captures_iter(text))
    {
        let range = id(&hit);
        if text[range.clone()].split_whitespace().any(|word| is_word(word) || is_town(word) || is_acronym(word)) {
            continue;
        }
        found.extend(trimmed(text, range, false).map(|range| (PhiKind::Name, range)));
    }
    for hit in patterns.reversed.captures_iter(text) {
        let range = id(&hit);
        let mut halves = text[range.clone()].split(',').map(str::trim);
        let (family, given) = (halves.next().unwrap_or_default(), halves.next().unwrap_or_default());
        let given = given.split_whitespace().next().unwrap_or_default();
        // "ANA, ANCA" lists what was tested.
        let is_a_name = is_given(given) || is_given(family) || (is_known(given) && is_known(family));
        if !is_word(family) && !is_word(given) && is_a_name && !is_town(family) {
            found.push((PhiKind::Name, range));
        }
    }
    for hit in patterns.place.captures_iter(text) {
        let range = id(&hit);
        let found_words: Vec<&str> = text[range.clone()].split_whitespace().collect();
        let first = lower(found_words[0]);
        let wide = WIDE.contains(first.as_str())
            && (found_words.len() == 1 || !matches!(first.as_str(), "new" | "north" | "south" | "east" | "west"));
        let wide = wide || found_words.iter().all(|word| WIDE.contains(lower(word).as_str()));
        if !wide
            && !is_word(found_words[0])
            && !AFTER_EPONYM.is_match(&text[range.end..])
            && !PROVINCE.is_match(&text[range.end..])
            && !month(&first)
            && !is_acronym(found_words[0])
        {
            let name = is_given(found_words[0]) && !is_town(found_words[0]);
            found.push((if name { PhiKind::Name } else { PhiKind::Geography }, range));
        }
    }
    for hit in patterns.run.captures_iter(text) {
        if let Some((kind, range)) = in_run(text, id(&hit)) {
            found.push((kind, range));
        }
    }
    // "ProTaper" and "SpO2" only begin like names.
    found.retain(|(_, range)| !text[range.end..].starts_with(char::is_alphanumeric));
    found
}

/// A run of capitalised words with a known name or town in it.
fn in_run(text: &str, range: Range<usize>) -> Option<(PhiKind, Range<usize>)> {
    let range = trimmed(text, range, true)?;
    let words: Vec<&str> = text[range.clone()].split_whitespace().collect();
    if words.iter().any(|word| is_town(word)) && !words.iter().any(|word| is_given(word) && !is_town(word)) {
        return Some((PhiKind::Geography, range));
    }
    if (2..=3).contains(&words.len()) && words.iter().all(|word| could_be_a_name(word)) && among_persons(text, &range) {
        return Some((PhiKind::Name, range));
    }
    let known = words.iter().filter(|word| is_known(word)).count();
    let certain = words.iter().any(|word| is_given(word));
    let enough = certain || (known >= 1 && words.len() >= 2);
    enough.then_some((PhiKind::Name, range))
}

/// Whether a capitalised word is none of medicine or of everyday language, as far as the lists and endings tell.
fn could_be_a_name(word: &str) -> bool {
    const ENDINGS: &[&str] = &[
        "ic", "ics", "tion", "sion", "ment", "ness", "ity", "ous", "ive", "ing", "scopy", "gram", "graphy", "itis",
        "osis", "emia", "aemia", "ectomy", "ology", "pathy", "ical", "ular", "eal", "ance", "ence", "ture", "ized",
        "ised", "ated", "ium", "oid", "ary", "ory", "ible", "able", "ant", "ent", "ine", "ate", "ase", "ol", "mab",
        "ex", "ix", "ax", "yl", "ost", "sure", "ized", "ful", "less", "ship", "ward", "ly", "cus", "ccus", "ella",
    ];
    let lower = lower(word);
    let letters = word.chars().filter(|letter| letter.is_lowercase()).count();
    letters >= 2
        && !is_word(word)
        && !is_town(word)
        && !WIDE.contains(lower.as_str())
        && !super::super::faithful::is_common(&lower)
        && !super::super::faithful::counts_or_measures(&lower)
        && (is_known(word) || !(lower.len() > 4 && ENDINGS.iter().any(|ending| lower.ends_with(ending))))
}

/// Whether what stands before speaks of persons, not of diseases and products.
fn among_persons(text: &str, range: &Range<usize>) -> bool {
    static BEFORE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?-u:\b)(?:by|to|told|called|asked|saw|met|her|his|their|daughter|son|wife|husband|mother|father|patient|thank|named|colleague|fellow|student|resident|intern|doctor|nurse|surgeon|therapist|let|and) $")
            .expect("the pattern is valid")
    });
    static VERB: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^,? (?:is|was|has|had|will|does|did|walk\w*|ate|slept|ask\w*|tolerat\w*|attend\w*|presents?|presented|reports?|denie[sd]|says|said|wants|wished|agreed|declined|underwent|lives|works|remains|notes|feels|came|went|returned|called|arrived)(?-u:\b)")
            .expect("the pattern is valid")
    });
    // The last bytes may cut a letter, which is none of the words.
    let from = (0..=range.start.saturating_sub(16)).rev().find(|&from| text.is_char_boundary(from)).unwrap_or(0);
    BEFORE.is_match(&text[from..range.start]) || VERB.is_match(&text[range.end..])
}

/// Without words at either end that are no names; nothing where an eponym is all there is.
fn trimmed(text: &str, range: Range<usize>, run: bool) -> Option<Range<usize>> {
    let (mut start, mut end) = (range.start, range.end);
    loop {
        let slice = &text[start..end];
        let first = slice.split_whitespace().next()?;
        let foreign = is_acronym(first) && !is_known(first);
        if !is_word(first) && !foreign {
            break;
        }
        // "Dr. Wilson" is a person, "Wilson disease" is not.
        if !run
            && is_eponym(first)
            && !AFTER_EPONYM.is_match(&text[start + first.len()..])
            && !slice[first.len()..].trim().is_empty()
        {
            break;
        }
        if !run
            && is_eponym(first)
            && slice.len() == first.len()
            && !AFTER_EPONYM.is_match(&text[end..])
            && titled_before(text, start)
        {
            break;
        }
        let rest = slice[first.len()..].trim_start();
        if rest.is_empty() {
            return None;
        }
        start = end - rest.len();
    }
    loop {
        let slice = &text[start..end];
        let last = slice.split_whitespace().next_back()?;
        let word = is_word(last) && !is_eponym(last);
        let foreign = is_acronym(last) && !is_known(last) && slice.chars().any(char::is_lowercase);
        let keep = slice.len() == last.len() || !(word || foreign);
        if keep {
            break;
        }
        end = start + slice[..slice.len() - last.len()].trim_end().len();
    }
    let stripped =
        text[start..end].trim_end_matches("'s").trim_end_matches("’s").trim_end_matches(['\'', '’', '-', '.']);
    let end = start + stripped.len();
    // "Mr. Achterhof's cell" is his telephone.
    let titled = !run && titled_before(text, start);
    (end > start && (titled || !AFTER_EPONYM.is_match(&text[end..]))).then_some(start..end)
}

/// Whether more than initials is left.
fn has_word(name: &str) -> bool {
    name.split(|letter: char| !letter.is_alphabetic()).any(|word| word.chars().nth(1).is_some())
}

fn titled_before(text: &str, start: usize) -> bool {
    let before = text[..start].trim_end().trim_end_matches('.');
    ["Dr", "DR", "Drs", "Mr", "MR", "Mrs", "MRS", "Ms", "Miss", "Prof", "Professor", "Doctor", "Nurse", "Sister"]
        .iter()
        .any(|title| before.ends_with(title))
}

pub(super) fn lower(word: &str) -> String {
    let trimmed = word.trim_matches(|c: char| !c.is_alphanumeric());
    trimmed.trim_end_matches("'s").trim_end_matches("’s").to_lowercase()
}

pub(super) fn plain(word: &str) -> String {
    let word = lower(word);
    let folded = word.chars().map(|letter| match letter {
        'á' | 'à' | 'â' | 'ä' | 'ã' | 'å' | 'ą' => 'a',
        'é' | 'è' | 'ê' | 'ë' | 'ę' | 'ě' => 'e',
        'í' | 'ì' | 'î' | 'ï' => 'i',
        'ó' | 'ò' | 'ô' | 'ö' | 'õ' | 'ø' => 'o',
        'ú' | 'ù' | 'û' | 'ü' | 'ů' => 'u',
        'ñ' | 'ń' => 'n',
        'ç' | 'č' | 'ć' => 'c',
        'ł' => 'l',
        'š' | 'ś' | 'ş' => 's',
        'ž' | 'ź' | 'ż' => 'z',
        'ý' => 'y',
        'ř' => 'r',
        other => other,
    });
    folded.filter(|letter| !matches!(letter, '\'' | '’')).collect()
}

fn is_known(word: &str) -> bool {
    let plain = plain(word);
    KNOWN.contains(plain.as_str()) || plain.split('-').all(|part| KNOWN.contains(part)) && plain.contains('-')
}

pub(super) fn is_given(word: &str) -> bool {
    is_known(word) && !AMBIGUOUS.contains(&plain(word).as_str())
}

fn is_town(word: &str) -> bool {
    TOWNS.contains(plain(word).as_str())
}

fn is_eponym(word: &str) -> bool {
    is_known(word)
}

pub(super) fn is_acronym(word: &str) -> bool {
    let letters: Vec<char> = word.chars().filter(|c| c.is_alphabetic()).collect();
    letters.len() >= 2 && letters.iter().all(|c| c.is_uppercase())
}

pub(super) fn is_word(word: &str) -> bool {
    let lower = lower(word);
    WORDS.contains(lower.as_str()) || super::super::faithful::is_drug_or_clinical(&lower)
}

fn generic(word: &str) -> bool {
    matches!(
        lower(word).as_str(),
        "outpatient"
            | "local"
            | "general"
            | "community"
            | "our"
            | "this"
            | "day"
            | "regional"
            | "tertiary"
            | "the"
            | "a"
            | "district"
            | "affiliated"
            | "first"
            | "second"
            | "third"
            | "provincial"
            | "university"
            | "teaching"
            | "municipal"
            | "referring"
    )
}

fn month(word: &str) -> bool {
    matches!(
        word,
        "january"
            | "february"
            | "march"
            | "april"
            | "may"
            | "june"
            | "july"
            | "august"
            | "september"
            | "october"
            | "november"
            | "december"
    )
}
