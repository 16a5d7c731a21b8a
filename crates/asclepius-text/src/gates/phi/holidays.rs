//! Days that have a name, months of other languages and calendars, and days and months without a year.

/// Feasts and holidays of many countries and faiths, as alternatives of a pattern.
pub(super) const HOLIDAYS: &str = concat!(
    r"(?:(?:the|a|one|two|three|four|five|six|ten|\d{1,2}) (?:days?|nights?|eve|weeks?|morning|weekend|monday|tuesday|wednesday|thursday|friday|saturday|sunday) (?:before|after|of) )?(?:(?:greek |orthodox |coptic )?(?:christmas|easter|xmas)(?: (?:eve|day|night|sunday|monday|week|weekend|holidays?|break|morning))?|good friday|maundy thursday|palm sunday|clean monday|orthodox easter|syttende mai|sallah|holy (?:week|thursday|saturday)|ash wednesday|shrove tuesday|mardi gras|carnival|carnaval|pentecost|whit(?:sun| ?sunday| monday)|ascension day|corpus christi day|epiphany|candlemas|michaelmas|martinmas|",
    r"all (?:saints|souls)['’]?s?['’]?(?: day)?|assumption day|st\.? ?(?:patrick|george|andrew|david|nicholas|stephen|lucia|brigid|valentine)['’]?s (?:day|eve|weekend|week)|valentine['’]?s?['’]?(?: day)?|halloween|hallowe['’]en|thanksgiving(?: day| weekend| week)?|boxing day|hogmanay|burns night|bonfire night|guy fawkes(?: night| day)?|new year['’]?s?['’]?(?: (?:eve|day|night|week))|(?:chinese|lunar) new year|",
    r"(?:labou?r|memorial|veterans['’]?|columbus|presidents['’]?|mother['’]?s['’]?|father['’]?s['’]?|independence|republic|national|heritage|freedom|youth|women['’]?s|children['’]?s|teachers['’]?|workers['’]?|democracy|revolution|liberation|victory|unity|constitution|armistice|remembrance|bastille|canada|australia|anzac|waitangi|victoria|family|flag|election|groundhog|earth|may|midsummer|reconciliation|human rights|king['’]?s|queen['’]?s|mandela|madaraka|mashujaa|jamhuri|hari merdeka|culture|respect for the aged|marine|mountain|showa|sports|gandhi jayanti|martin luther king(?: jr\.?)?|mlk|juneteenth) (?:day|eve|weekend)|",
    r"juneteenth|cinco de mayo|d[ií]a de (?:los )?muertos|midsummer(?:['’]s)?(?: eve| day)?|purim|passover|pesach|hanukk?ah|chanukah|rosh hashan(?:ah|a)|yom kipp?ur|sukkot|shavuot|simchat torah|tisha b['’]av|lag ba['’]?omer|tu bishvat|yom ha\w+|",
    r"ramadan|ramadhan|eid(?: al[- ](?:fitr|adha))?(?: day)?|eid ul[- ](?:fitr|adha)|bakrid|ashura|muharram|mawlid|arba['’]?een|laylat al[- ]qadr|nowruz|norouz|yalda|diwali|deepavali|holi|dussehra|dasara|dashain|tihar|navratri|navaratri|durga puja|ganesh chaturthi|janmashtami|raksha bandhan|karva chauth|maha shivaratri|pongal|onam|vishu|ugadi|baisakhi|vaisakhi|bihu|lohri|makar sankranti|poila boishakh|pahela baishakh|chhath(?: puja)?|thaipusam|gurpurab|",
    r"vesak|wesak|waisak|poson|songkran|loy krathong|losar|nyepi|galungan|hari raya(?: (?:aidilfitri|puasa|haji))?|lebaran|t[eế]t|mid[- ]autumn(?: festival)?|moon festival|dragon boat(?: festival)?|qing ?ming(?: festival)?|lantern festival|double ninth|golden week|o?bon(?: festival)|obon|setsubun|tanabata|chuseok|seollal|",
    r"meskel|timkat|timket|enkutatash|genna|fasika|umuganura|kwanzaa|homowo|durbar festival|juhannus|vappu|pfingst(?:en|sonntag|montag)|ostern|oster(?:sonntag|montag)|weihnachten|heiligabend|silvester|dreik[öo]nig|fronleichnam|karfreitag|rosenmontag|allerheiligen|ferragosto|befana|epifania|pasqua|pasquetta|natale|capodanno|ognissanti|no[ëe]l|p[âa]ques|toussaint|pentec[ôo]te|",
    r"semana santa|navidad|nochebuena|nochevieja|pascua|reyes magos|d[ií]a de (?:reyes|la madre)|fiestas patrias|s[ãa]o jo[ãa]o|natal|r[ée]veillon|p[áa]scoa|sinterklaas|koningsdag|kingsday|wigilia|wielkanoc|bo[żz]e narodzenie|kurban bayram[ıi]?|ramazan bayram[ıi]?|[şs]eker bayram[ıi]?|bayram|sham el[- ]nessim)",
);

/// Months of languages whose patients are written of in English, and of other calendars.
pub(super) const FOREIGN_MONTH: &str = concat!(
    "janvier|février|fevrier|mars|avril|mai|juin|juillet|août|aout|septembre|octobre|novembre|décembre|decembre|",
    "enero|febrero|marzo|abril|mayo|junio|julio|agosto|septiembre|octubre|noviembre|diciembre|",
    "januar|februar|märz|juni|juli|oktober|dezember|",
    "gennaio|febbraio|aprile|maggio|giugno|luglio|settembre|ottobre|dicembre|",
    "janeiro|fevereiro|março|maio|junho|julho|setembro|outubro|dezembro|",
    "januari|februari|maart|mei|mrt|augustus|desember|agustus|maret|augusti|oktobar|",
    "ocak|şubat|subat|nisan|mayıs|mayis|haziran|temmuz|ağustos|agustos|eylül|eylul|ekim|kasım|kasim|aralık|aralik|",
    "stycznia|lutego|marca|kwietnia|maja|czerwca|lipca|sierpnia|września|października|listopada|grudnia|",
    "tammikuuta|helmikuuta|maaliskuuta|huhtikuuta|toukokuuta|kesäkuuta|heinäkuuta|elokuuta|syyskuuta|lokakuuta|marraskuuta|joulukuuta|",
    "muharram|safar|rabi al-awwal|rabi al-thani|jumada|rajab|sha['’]?ban|ramadan|shawwal|dhu al-qadah|dhu al-hijjah|",
    "meskerem|tikimt|hidar|tahsas|yekatit|megabit|miazia|ginbot|hamle|nehase|",
    "tishrei|cheshvan|kislev|tevet|shevat|adar|iyar|sivan|tammuz|elul|baisakh|jestha|ashadh|shrawan|bhadra|ashwin|kartik|mangsir|poush|magh|falgun|chaitra",
);

/// Scales, what is rated, and what else has a share behind it: "PHQ 4/11", "CPAP 12/5".
const SCALES: &[&str] = &[
    "abbey",
    "about",
    "acq",
    "act",
    "acuity",
    "adl",
    "adls",
    "ages",
    "aldrete",
    "apache",
    "apgar",
    "apgars",
    "aq",
    "asia",
    "audit",
    "azbio",
    "barthel",
    "basdai",
    "bat",
    "bdi",
    "berg",
    "bims",
    "bipap",
    "bishop",
    "block",
    "blow",
    "bode",
    "borg",
    "bp",
    "bprs",
    "braden",
    "cage",
    "cam",
    "cat",
    "cdr",
    "cdt",
    "cina",
    "ciwa",
    "clock",
    "cnc",
    "comfort",
    "cornell",
    "cows",
    "cpap",
    "cpot",
    "das",
    "dash",
    "dast",
    "digits",
    "dilution",
    "dlqi",
    "easi",
    "ecog",
    "epap",
    "epds",
    "esas",
    "ess",
    "fast",
    "fim",
    "flacc",
    "fois",
    "frax",
    "gad",
    "gad7",
    "gcs",
    "gds",
    "grade",
    "gravida",
    "hads",
    "hama",
    "hamd",
    "haq",
    "hit",
    "iadl",
    "iadls",
    "iddsi",
    "in",
    "iop",
    "ipap",
    "isq",
    "katz",
    "koos",
    "kps",
    "lawton",
    "le",
    "least",
    "lefs",
    "left",
    "level",
    "levels",
    "madrs",
    "mdas",
    "meows",
    "mews",
    "midas",
    "mmrc",
    "mmse",
    "mmt",
    "moca",
    "morse",
    "mrc",
    "mrs",
    "ndi",
    "news",
    "nihss",
    "nips",
    "nodes",
    "norton",
    "npi",
    "nrs",
    "nudesc",
    "od",
    "odi",
    "only",
    "os",
    "pain",
    "painad",
    "panss",
    "pas",
    "pasi",
    "pcl",
    "peep",
    "pews",
    "phq",
    "phq2",
    "phq9",
    "power",
    "ppd",
    "pps",
    "ps",
    "psfs",
    "qsofa",
    "rass",
    "ratio",
    "re",
    "recall",
    "right",
    "rom",
    "room",
    "rpe",
    "sage",
    "sats",
    "scale",
    "scorad",
    "score",
    "scored",
    "scores",
    "settings",
    "silverman",
    "simv",
    "sirs",
    "slums",
    "snot",
    "sofa",
    "stations",
    "steps",
    "stopbang",
    "strength",
    "tinetti",
    "titer",
    "titre",
    "trails",
    "va",
    "vas",
    "ward",
    "wat",
    "waterlow",
    "westley",
    "womac",
    "wong",
    "ymrs",
    "zung",
];

/// Whether two figures with a stroke between are a day and a month, whatever stands before: one of them is no month, and
/// they are neither an eye's acuity, nor days or months in shorthand, nor a share.
pub(super) fn is_day_and_month(figures: &str, before: &str, after: &str) -> bool {
    let Some((first, second)) = figures.split_once('/') else { return false };
    let (Ok(first), Ok(second)) = (first.parse::<u32>(), second.parse::<u32>()) else { return false };
    let zero = |part: &str| part.len() == 2 && part.starts_with('0');
    let halves = figures.split_once('/').map(|(first, second)| (zero(first), zero(second)));
    let low = |part: u32| (1..=12).contains(&part);
    if low(first) && low(second) && halves == Some((true, true)) {
        return !after.starts_with(['/', '-']) && !before.ends_with(['/', '-', '.']);
    }
    // "11/08", but neither "10/10" nor "6/9".
    let padded = low(first) && low(second) && halves.is_some_and(|(first, second)| first || second);
    let (day, month) = (first.max(second), first.min(second));
    if !padded && (!(13..=31).contains(&day) || !(1..=12).contains(&month)) {
        return false;
    }
    let acuity = !figures.starts_with('0') && matches!((first, second), (6, 18 | 24));
    // "14/7" is two weeks, "18/12" a year and a half, "24/7" always.
    let lasting = matches!((first, second), (14 | 21 | 24 | 28, 7) | (..=24, 12));
    // "recall = 7/12", "(Lowry 8/11)".
    let open = before.trim_end().rsplit('(').next().unwrap_or_default();
    let bracketed = after.starts_with(')')
        && before.contains('(')
        && open.starts_with(char::is_uppercase)
        && open.chars().all(char::is_alphabetic);
    if bracketed || before.trim_end().ends_with('=') {
        return false;
    }
    let last =
        before.rsplit(|letter: char| !letter.is_alphanumeric()).find(|word| !word.is_empty()).unwrap_or_default();
    let shared = SCALES.contains(&last.to_lowercase().as_str());
    let counted = [
        "HPF",
        "hpf",
        "high",
        "Glasgow",
        "GCS",
        "nodes",
        "lymph",
        "patients",
        "cases",
        "positive",
        "cores",
        "mg",
        "mcg",
        "units",
        "mm",
        "months",
        "weeks",
        "days",
        "of ",
        "points",
        "joints",
        "with glasses",
        "vision",
    ];
    // "28/9. Then" ends a sentence, "28/9.5" does not end the figure.
    let goes_on =
        after.starts_with(['/', '-']) || after.starts_with('.') && after[1..].starts_with(|c: char| c.is_ascii_digit());
    let counted = counted.iter().any(|word| after.trim_start().starts_with(word));
    !(acuity || lasting || shared || counted || goes_on || before.ends_with(['/', '-', '.', ':']))
}
