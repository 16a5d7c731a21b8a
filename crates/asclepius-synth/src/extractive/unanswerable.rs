//! Questions on what the note leaves untold, and the reply that says so and why.

use std::sync::LazyLock;

use asclepius_schema::Task;
use regex::Regex;

use super::chart::Chart;
use super::lexicon::pattern;

/// What a record often holds and a case report often does not: how it is called, and the words that would tell of it.
const TOPICS: [(&str, &str); 14] = [
    ("blood group", r"blood (?:group|type)|\bABO\b|\brhesus\b"),
    (
        "occupation",
        r"occupation|\bjob\b|works? as|worked? (?:as|in|at)|works (?:in|at)|profession|employ|farmer|teacher|retired|worker",
    ),
    ("alcohol intake", r"alcohol|ethanol|EtOH|dr[aiu]nk|beer|wine"),
    ("smoking history", r"smok|tobacco|cigar|pack[- ]year|nicotine"),
    ("drug allergies", r"allerg|NKDA|hypersensitiv"),
    ("family history", r"family|famil|FHx?|mother|father|parent|brother|sister|sibling|relative|hereditary"),
    ("vaccination status", r"vaccin|immuni[sz]"),
    ("travel history", r"travel|abroad|endemic"),
    ("marital status", r"married|wife|husband|single|divorced|widow|marriage|spouse"),
    ("advance directive", r"directive|resuscitat|DNR|DNI|code status|palliative"),
    ("diet before admission", r"\bdiet|nutrition|fasting|vegetarian|\beat"),
    ("health insurance", r"insur|medicare|medicaid"),
    ("sleep pattern", r"sleep|insomnia|OSA|snor"),
    ("visual acuity", r"visual|vision|acuity|ocular|\beyes?\b|blind"),
];

/// Abbreviations of the wards that some note does not use.
const ABBREVIATIONS: [&str; 10] = ["BiPAP", "CABG", "PEG", "TURP", "ERCP", "AVF", "PICC", "SLR", "LVAD", "TAVR"];

static ABSENT: LazyLock<Vec<Regex>> =
    LazyLock::new(|| TOPICS.iter().map(|(_, cues)| pattern(&format!("(?i){cues}"))).collect());

/// The fixed words of a reply that a note does not answer, beside the question's own topic.
pub(crate) const REPLY_WORDS: &str =
    "The note does not mention the patient's, so it cannot be answered from it. use abbreviation";

/// A question the note does not answer, with the reply.
pub(crate) fn for_task(task: Task, chart: &Chart<'_>) -> Vec<(String, String)> {
    let holds = |cues: &Regex| chart.lines.iter().any(|line| cues.is_match(line.text));
    if task == Task::Abbreviation {
        return ABBREVIATIONS
            .iter()
            .filter(|short| !chart.lines.iter().any(|line| line.text.contains(*short)))
            .map(|short| (format!("What does \"{short}\" mean where this note uses it?"), unused(short)))
            .collect();
    }
    TOPICS
        .iter()
        .zip(ABSENT.iter())
        .filter(|(_, cues)| !holds(cues))
        .map(|((topic, _), _)| (question(task, topic), untold(topic)))
        .collect()
}

fn question(task: Task, topic: &str) -> String {
    match task {
        Task::Ner => format!("Extract every mention of the patient's {topic}."),
        Task::Relation => format!("How does the note relate the patient's {topic} to the illness?"),
        Task::Temporal => format!("When in the course was the patient's {topic} recorded?"),
        Task::Coreference => format!("Which words of the note refer back to the patient's {topic}?"),
        Task::Paraphrase => format!("Reword what is said about the patient's {topic}."),
        Task::Summary => format!("Sum up the patient's {topic} in one line."),
        Task::Abbreviation | Task::Qa => format!("What does the note say about the patient's {topic}?"),
    }
}

fn untold(topic: &str) -> String {
    format!("The note does not mention the patient's {topic}, so it cannot be answered from it.")
}

fn unused(short: &str) -> String {
    format!("The note does not use the abbreviation \"{short}\", so it cannot be answered from it.")
}

/// The reply to a question of unknown origin for which the note has no line.
pub(crate) fn nothing_found() -> String {
    "The note does not mention it, so it cannot be answered from it.".to_owned()
}
