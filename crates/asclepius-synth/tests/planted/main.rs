//! Planted errors: the gates on faithful texts, and on the same texts with one fact changed.
//!
//! Each kind of error changes one fact in one place. Sources are halved: rules were tuned on one half, and the bounds
//! below are for the other. `cargo test --release -p asclepius-synth --test planted -- --nocapture` prints every table,
//! and what was missed in the half that may be looked at.

mod cases;
mod kinds;

use std::collections::BTreeMap;

use asclepius_text::GatesConfig;
use asclepius_text::gates::faithful::{Pair, Reading};
use asclepius_text::gates::{Gate, grounded};

use cases::Case;
use kinds::{another_noun, another_sex, foreign_statements, kinds, planted};

type Scores = Vec<(String, f32)>;

fn comparing(all: Scores) -> Scores {
    all.into_iter().filter(|(name, _)| Gate::COMPARING.iter().any(|gate| gate.name() == name)).collect()
}

/// What the gates on a note say: the same as all gates together, without those that compare nothing.
fn of_note(note: &str, report: &Reading) -> Scores {
    let note = Reading::of(note);
    let pair = Pair::new(&note, report);
    Gate::COMPARING.iter().map(|gate| (gate.name().to_owned(), pair.unsupported(*gate).len() as f32)).collect()
}

#[derive(Default)]
struct Row {
    planted: usize,
    caught: usize,
    missed: Vec<String>,
}

#[derive(Default)]
struct Table {
    texts: usize,
    /// Untouched texts with anything against them, and what.
    wrong: usize,
    /// How many of them each gate flags.
    by_gate: BTreeMap<&'static str, usize>,
    rows: BTreeMap<&'static str, Row>,
    flagged: Vec<String>,
}

impl Table {
    /// Counts an untouched text.
    fn untouched(&mut self, name: &str, scores: &Scores, text: &str, source: &str) {
        self.texts += 1;
        let (text, source) = (Reading::of(text), Reading::of(source));
        let pair = Pair::new(&text, &source);
        let wrong: Vec<_> = Gate::COMPARING.iter().zip(scores).filter(|(_, (_, score))| *score > 0.0).collect();
        for (gate, _) in &wrong {
            *self.by_gate.entry(gate.name()).or_default() += 1;
            self.flagged.push(format!("{name}: {}: {:?}", gate.name(), pair.unsupported(**gate)));
        }
        self.wrong += usize::from(!wrong.is_empty());
    }

    /// Counts a planted error. A text that was flagged before must be flagged more.
    fn plant(&mut self, kind: &'static str, before: &Scores, after: &Scores, shown: &str) {
        let row = self.rows.entry(kind).or_default();
        row.planted += 1;
        let caught = after.iter().zip(before).any(|(after, before)| after.1 > before.1);
        row.caught += usize::from(caught);
        if !caught {
            row.missed.push(shown.to_owned());
        }
    }

    #[expect(clippy::print_stdout, reason = "the tables are what --nocapture is for")]
    fn print(&self, title: &str, show: bool) {
        println!("\n{title}: {} texts, {} untouched ones flagged: {:?}", self.texts, self.wrong, self.by_gate);
        for (name, row) in &self.rows {
            let share = 100.0 * row.caught as f64 / row.planted as f64;
            println!("{name:30} {:4} of {:4} caught, {share:5.1} %", row.caught, row.planted);
        }
        if !show {
            return;
        }
        println!("{:#?}", self.flagged);
        for (name, row) in &self.rows {
            for missed in row.missed.iter().take(40) {
                println!("missed {name}: {missed}");
            }
        }
    }

    fn hold(&self, most_flagged_percent: usize, least_caught_percent: usize, short: &[(&str, usize)]) {
        let flagged = self.wrong;
        assert!(flagged * 100 <= self.texts * most_flagged_percent, "{flagged} of {}: {:?}", self.texts, self.flagged);
        for (name, row) in &self.rows {
            let bound = short.iter().find(|(kind, _)| kind == name).map_or(least_caught_percent, |(_, bound)| *bound);
            assert!(row.caught * 100 >= row.planted * bound, "{name}: {} of {}", row.caught, row.planted);
        }
    }
}

/// Whether the changed text still states something there: an answer without its "No", or one that says that the note
/// does not tell, has no fact to hold to the note.
fn states(text: &str, changed: &str) -> bool {
    let at = text.bytes().zip(changed.bytes()).take_while(|(one, other)| one == other).count();
    let opening = at == 0 && (text.starts_with("No,") || text.starts_with("No."));
    !(opening || text.contains("The note does not") && at < 20)
}

fn plant_all(table: &mut Table, name: &str, text: &str, untouched: &Scores, scores: impl Fn(&str) -> Scores) {
    for kind in kinds() {
        for (changed, shown) in planted(&kind, text) {
            if !states(text, &changed) {
                continue;
            }
            table.plant(kind.name, untouched, &scores(&changed), &format!("{name}: {shown}"));
        }
    }
    if let Some(changed) = another_sex(text) {
        table.plant("sex", untouched, &scores(&changed), name);
    }
}

fn measure(cases: &[&Case], all: &[&Case]) -> Table {
    let mut table = Table::default();
    for case in cases {
        let source = Reading::of(&case.source);
        let scores = |note: &str| of_note(note, &source);
        let untouched = scores(&case.text);
        table.untouched(&case.name, &untouched, &case.text, &case.source);
        plant_all(&mut table, &case.name, &case.text, &untouched, scores);
        if let Some(note) = another_noun(&case.text) {
            table.plant("sex, introduction alone", &untouched, &scores(&note), &case.name);
        }
        let position = all.iter().position(|other| other.name == case.name).unwrap_or_default();
        let other = all[(position + 7) % all.len()];
        for statement in foreign_statements(&other.text) {
            let note = format!("{}\n- {statement}\n", case.text);
            table.plant(
                "another patient's statement",
                &untouched,
                &scores(&note),
                &format!("{}: {statement}", case.name),
            );
        }
    }
    table
}

#[test]
fn errors_in_extracted_notes_are_caught_and_faithful_notes_pass() {
    let cases = cases::extracted();
    let all: Vec<&Case> = cases.iter().collect();
    let half = |held_back| all.iter().copied().filter(|case| case.held_back == held_back).collect::<Vec<_>>();
    measure(&half(false), &all).print("extracted notes, tuned on", true);
    let table = measure(&half(true), &all);
    table.print("extracted notes, held back", false);
    table.hold(5, 90, BELOW_NINETY);
}

#[test]
fn faithful_notes_pass() {
    let cases = cases::surveyed();
    for held_back in [false, true] {
        let mut table = Table::default();
        for case in cases.iter().filter(|case| case.held_back == held_back) {
            table.untouched(&case.name, &of_note(&case.text, &Reading::of(&case.source)), &case.text, &case.source);
        }
        table.print(if held_back { "surveyed, held back" } else { "surveyed, tuned on" }, !held_back);
        if held_back {
            table.hold(5, 90, &[]);
        }
    }
}

#[test]
fn errors_in_notes_and_answers_of_other_wording_are_caught_and_faithful_ones_pass() {
    let written = cases::written();
    let all: Vec<&Case> = written.iter().map(|written| &written.note).collect();
    for held_back in [false, true] {
        let half: Vec<_> = written.iter().filter(|written| written.note.held_back == held_back).collect();
        let notes: Vec<&Case> = half.iter().map(|written| &written.note).collect();
        let title = if held_back { "held back" } else { "tuned on" };
        measure(&notes, &all).print(&format!("written notes, {title}"), !held_back);
        let mut table = Table::default();
        for written in half {
            let note = &written.note;
            for (question, answer) in &written.answers {
                let scores = |answer: &str| {
                    comparing(GatesConfig::default().judge_instruction(question, answer, &note.text).scores)
                };
                let untouched = scores(answer);
                table.untouched(&note.name, &untouched, answer, &format!("{}\n{question}", note.text));
                plant_all(&mut table, &note.name, answer, &untouched, scores);
            }
        }
        table.print(&format!("written answers, {title}"), !held_back);
    }
}

#[test]
fn errors_in_notes_of_another_hand_are_caught_and_faithful_ones_pass() {
    let cases = cases::fresh("fresh");
    let all: Vec<&Case> = cases.iter().collect();
    let table = measure(&all, &all);
    table.print("notes of another hand", true);
    table.hold(10, 90, OTHER_HAND);
    let dropped = dropped(&cases);
    assert!(dropped.len() * 100 <= all.len() * 5, "{dropped:?}");
}

/// Notes that are dropped without any setting, and why.
fn dropped(cases: &[Case]) -> Vec<String> {
    let judged = cases.iter().filter_map(|case| {
        let judged = GatesConfig::default().judge_note(&case.text, Some(&case.source));
        judged.failed.map(|(gate, _)| format!("{}: {gate:?}", case.name))
    });
    judged.collect()
}

#[test]
fn errors_in_unseen_notes_are_caught_and_other_words_for_the_same_pass() {
    changed_by_hand("unseen", UNSEEN, [64, 53, 72]);
}

/// The same for notes that were written after the mend which the unseen ones asked for.
#[test]
fn errors_in_notes_written_later_are_caught_and_other_words_for_the_same_pass() {
    changed_by_hand("later", LATER, [71, 90, 82]);
}

/// Notes in words of their own with changes of every kind. They were written before the rules for such words and the rules
/// tuned on them since, so that the bounds hold what was reached and say nothing of notes by another hand.
#[test]
fn errors_in_notes_in_words_of_their_own_are_caught_and_faithful_ones_pass() {
    let cases = cases::fresh("free");
    let mut table = Table::default();
    for case in &cases {
        table.untouched(&case.name, &of_note(&case.text, &Reading::of(&case.source)), &case.text, &case.source);
    }
    let mut reworded = 0;
    for (at, kind, changed, shown) in cases::changes("free", &cases) {
        let source = Reading::of(&cases[at].source);
        let (before, after) = (of_note(&cases[at].text, &source), of_note(&changed, &source));
        match IN_OWN_WORDS.iter().find(|(name, _)| *name == kind) {
            Some((name, _)) => table.plant(name, &before, &after, &shown),
            None => {
                assert_eq!(kind, "reworded");
                reworded += usize::from(after.iter().zip(&before).any(|(after, before)| after.1 > before.1));
            }
        }
    }
    table.print("notes in words of their own", true);
    table.hold(MOST_FLAGGED, 90, IN_OWN_WORDS);
    assert!(reworded <= 1, "{reworded} faithful changes of wording are flagged");
    let dropped = dropped(&cases);
    assert!(dropped.is_empty(), "{dropped:?}");
}

fn changed_by_hand(folder: &str, short: &[(&str, usize)], [turned, added, removed]: [usize; 3]) {
    let cases = cases::fresh(folder);
    let all: Vec<&Case> = cases.iter().collect();
    let planted = measure(&all, &all);
    planted.print(&format!("{folder} notes"), true);
    planted.hold(50, 90, short);
    let dropped = dropped(&cases);
    assert!(dropped.is_empty(), "{dropped:?}");
    let mut table = Table::default();
    let mut reworded = Vec::new();
    for (at, kind, changed, shown) in cases::changes(folder, &cases) {
        let source = Reading::of(&cases[at].source);
        let (before, after) = (of_note(&cases[at].text, &source), of_note(&changed, &source));
        if kind == "reworded" {
            let more = after.iter().zip(&before).any(|(after, before)| after.1 > before.1);
            reworded.push((shown, more));
            continue;
        }
        let kind = ["result turned", "negation added", "negation dropped"].into_iter().find(|one| *one == kind);
        table.plant(kind.expect("a kind"), &before, &after, &shown);
    }
    table.print(&format!("{folder} notes, changed by hand"), true);
    table.hold(0, 0, &[("result turned", turned), ("negation added", added), ("negation dropped", removed)]);
    let wrong: Vec<_> = reworded.iter().filter(|(_, more)| *more).map(|(shown, _)| shown).collect();
    assert!(reworded.len() >= 7 && wrong.is_empty(), "{wrong:#?}");
}

/// Of notes in words of their own, how many in a hundred some gate flags.
const MOST_FLAGGED: usize = 42;
/// Every kind of change in them, and what is caught.
const IN_OWN_WORDS: &[(&str, usize)] = &[
    ("age", 100),
    ("dose", 85),
    ("drug", 100),
    ("entity", 70),
    ("foreign", 75),
    ("interval", 90),
    ("negation added", 45),
    ("negation dropped", 66),
    ("result turned", 58),
    ("sex", 100),
    ("side", 90),
    ("unit", 100),
    ("value", 75),
];

/// Kinds that fall short of ninety in a hundred, and what they reach.
const BELOW_NINETY: &[(&str, usize)] = &[("result turned", 80)];

/// The same for the unseen notes, which put much in words of their own.
const UNSEEN: &[(&str, usize)] = &[
    ("interval unit", 89),
    ("left and right", 85),
    ("negation added", 40),
    ("negation dropped", 70),
    ("result turned", 68),
    ("sex, introduction alone", 90),
];

/// The same for the notes written later.
const LATER: &[(&str, usize)] = &[
    ("age", 50),
    ("another patient's statement", 88),
    ("left and right", 75),
    ("negation dropped", 68),
    ("result turned", 80),
];

/// The same for notes of another hand.
const OTHER_HAND: &[(&str, usize)] =
    &[("left and right", 75), ("negation added", 25), ("negation dropped", 60), ("result turned", 50), ("sex", 85)];

#[test]
#[expect(clippy::print_stdout, reason = "the tables are what --nocapture is for")]
fn words_tell_whose_patient_a_note_is_about() {
    let mut cases: Vec<Case> = cases::written().into_iter().map(|written| written.note).collect();
    cases.extend(cases::fresh("fresh"));
    let article = |case: &Case| case.name.chars().take_while(|letter| letter.is_alphanumeric()).collect::<String>();
    let mut own: Vec<f32> = cases.iter().map(|case| grounded(&case.text, &case.source).score).collect();
    let mut others = Vec::new();
    for case in &cases {
        let strangers = cases.iter().filter(|other| article(other) != article(case));
        others.extend(strangers.map(|other| grounded(&case.text, &other.source).score));
    }
    own.sort_by(f32::total_cmp);
    others.sort_by(f32::total_cmp);
    println!(
        "grounded: {} notes, own report {:.2} and more, median {:.2}; another's 95 % below {:.2}, most {:.2}",
        own.len(),
        own[0],
        own[own.len() / 2],
        others[others.len() * 95 / 100],
        others[others.len() - 1],
    );
    assert!(own.len() >= 40 && own[0] >= 0.5, "{own:?}");
    assert!(others[others.len() - 1] < 0.4, "the default threshold lies between");
}
