//! The human gate: whether the patient is a person.
//!
//! People are bitten by dogs, ride horses and carry porcine valves, so a mention decides nothing. What decides is who
//! is given an age, who the title says the case is in, and what kind of journal it is.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use asclepius_schema::Reason;
use regex::Regex;

use crate::pattern::{literals, pattern};

use crate::article::{Article, Section};

/// Kinds of animal, singular. Names that are also parts of the body, trades or verbs are left out.
const ANIMALS: &str = "dog dogs puppy puppies bitch cat cats kitten kittens tomcat queen_cat horse horses pony ponies mare stallion gelding foal filly \
colt donkey mule cow cows cattle bull bulls heifer heifers bovine_patient buffalo buffaloes bison yak sheep ewe ewes ram lamb lambs goat goats doe buck \
pig pigs piglet piglets sow boar swine rabbit rabbits hare hares guinea-pig guinea-pigs hamster hamsters gerbil chinchilla ferret ferrets rat rats mouse mice \
hedgehog hedgehogs squirrel squirrels bat bats fox foxes wolf wolves coyote jackal bear bears panda pandas lion lions tiger tigers leopard leopards cheetah \
cheetahs jaguar puma lynx otter otters mink minks badger raccoon raccoons skunk weasel mongoose hyena elephant elephants rhinoceros rhino hippopotamus \
giraffe giraffes zebra zebras camel camels dromedary alpaca alpacas llama llamas deer reindeer elk moose antelope gazelle ibex chamois kangaroo kangaroos \
wallaby wallabies koala koalas wombat opossum possum sloth anteater armadillo tapir monkey monkeys macaque macaques baboon baboons chimpanzee chimpanzees \
gorilla gorillas orangutan orangutans lemur lemurs marmoset marmosets primate primates dolphin dolphins porpoise whale whales sea-lion manatee walrus \
bird birds parrot parrots parakeet budgerigar cockatiel cockatoo macaw canary finch chicken chickens hen hens rooster broiler broilers duck ducks goose geese \
turkey_poult pigeon pigeons dove owl owls eagle eagles hawk hawks falcon falcons vulture vultures heron stork crane cranes swan swans flamingo flamingos \
penguin penguins ostrich ostriches emu pelican pelicans gull peacock pheasant quail snake snakes python pythons boa lizard lizards iguana iguanas gecko \
geckos chameleon bearded-dragon tortoise tortoises turtle turtles terrapin crocodile crocodiles alligator frog frogs toad toads salamander fish salmon trout \
carp koi goldfish shark sharks tilapia catfish retriever terrier bulldog poodle chihuahua dachshund labrador beagle rottweiler spaniel schnauzer pug \
dalmatian greyhound pomeranian corgi husky malinois akita bichon weimaraner pekingese samoyed hound whippet collie sheepdog shih-tzu doberman mastiff pitbull shorthair longhair crossbred crossbreed mixed-breed thoroughbred holstein \
warmblood quarter-horse appaloosa canid felid";

/// Words after an animal's name that make a person of it again, or an illness or thing.
const NOT_THE_ANIMAL: [&str; 109] = [
    "farm",
    "farms",
    "ranch",
    "ranger",
    "operator",
    "driver",
    "market",
    "trader",
    "vendor",
    "merchant",
    "catcher",
    "fighter",
    "jockey",
    "groom",
    "abattoir",
    "slaughterhouse",
    "cook",
    "monger",
    "fisherman",
    "hobbyist",
    "fancier's",
    "breeder's",
    "handler's",
    "keeper's",
    "farmer's",
    "worker's",
    "virus",
    "hepatitis",
    "hev",
    "fever",
    "lungworm",
    "roundworm",
    "heartworm",
    "parasite",
    "strain",
    "gut",
    "hook",
    "bile",
    "gallbladder",
    "urine",
    "hair",
    "neck",
    "face",
    "herder",
    "herders",
    "herdsman",
    "herding",
    "butcher",
    "seller",
    "shearer",
    "hunter",
    "hunters",
    "dealer",
    "enthusiast",
    "caretaker",
    "feeder",
    "worker",
    "workers",
    "slaughterer",
    "shepherd",
    "licking",
    "owner",
    "owners",
    "breeder",
    "breeders",
    "handler",
    "handlers",
    "keeper",
    "keepers",
    "farmer",
    "farmers",
    "rider",
    "riders",
    "trainer",
    "walker",
    "lover",
    "groomer",
    "fancier",
    "fanciers",
    "breeding",
    "bite",
    "bites",
    "bitten",
    "scratch",
    "scratches",
    "kick",
    "attack",
    "attacks",
    "exposure",
    "contact",
    "scan",
    "eye",
    "eyes",
    "pox",
    "flu",
    "valve",
    "meat",
    "milk",
    "lung",
    "tapeworm",
    "hookworm",
    "sting",
    "bone",
    "dander",
    "allergy",
    "venom",
    "model",
    "syndrome",
    "ear",
];

/// Nouns that only a person is called by.
const PEOPLE: [&str; 40] = [
    "man",
    "woman",
    "boy",
    "girl",
    "gentleman",
    "lady",
    "infant",
    "neonate",
    "newborn",
    "child",
    "baby",
    "toddler",
    "teenager",
    "adolescent",
    "teen",
    "youth",
    "mother",
    "father",
    "housewife",
    "student",
    "farmer",
    "worker",
    "nurse",
    "physician",
    "teacher",
    "engineer",
    "soldier",
    "athlete",
    "driver",
    "veterinarian",
    "caucasian",
    "hispanic",
    "asian",
    "african",
    "american",
    "primigravida",
    "multigravida",
    "gravida",
    "smoker",
    "schoolboy",
];

/// Words that end the noun phrase after an age.
const STOPS: [&str; 34] = [
    "with",
    "who",
    "whose",
    "was",
    "is",
    "had",
    "has",
    "having",
    "presented",
    "presenting",
    "presents",
    "admitted",
    "referred",
    "after",
    "from",
    "in",
    "at",
    "came",
    "visited",
    "underwent",
    "complained",
    "and",
    "suffering",
    "on",
    "diagnosed",
    "without",
    "developed",
    "following",
    "attended",
    "consulted",
    "attacked",
    "bitten",
    "living",
    "of",
];

fn is_animal(word: &str) -> bool {
    static NAMES: LazyLock<WordSet> =
        LazyLock::new(|| WordSet::new(ANIMALS.split_whitespace().filter(|name| !name.contains('_'))));
    NAMES.contains(word)
}

fn is_one_of_people(word: &str) -> bool {
    static NAMES: LazyLock<WordSet> = LazyLock::new(|| WordSet::new(PEOPLE.into_iter()));
    NAMES.contains(word)
}

/// Words in lower case, found without regard to it.
struct WordSet {
    /// By first letter and length.
    words: Vec<Vec<&'static str>>,
}

impl WordSet {
    /// Longer words share a place.
    const LONGEST: usize = 31;

    fn new(all: impl Iterator<Item = &'static str>) -> Self {
        let mut words = vec![Vec::new(); 26 << 5];
        for word in all {
            words[Self::place(word).expect("it begins with a letter")].push(word);
        }
        Self { words }
    }

    fn place(word: &str) -> Option<usize> {
        let first = word.as_bytes().first()?.to_ascii_lowercase();
        first.is_ascii_lowercase().then(|| usize::from(first - b'a') << 5 | word.len().min(Self::LONGEST))
    }

    fn contains(&self, word: &str) -> bool {
        Self::place(word).is_some_and(|place| self.words[place].iter().any(|known| known.eq_ignore_ascii_case(word)))
    }
}

/// By byte: whether it is part of a word, and whether it joins two parts of one.
const IN_WORD: u8 = 1;
const JOINING: u8 = 2;
const BYTES: [u8; 256] = {
    let mut bytes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        bytes[byte] = match byte as u8 {
            part if part.is_ascii_alphanumeric() || part >= 0x80 => IN_WORD,
            b'-' | b'\'' => JOINING,
            _ => 0,
        };
        byte += 1;
    }
    bytes
};

/// Words as written: letters and digits, and hyphens and apostrophes inside.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let bytes = text.as_bytes();
    let kind = |at: usize| bytes.get(at).map_or(0, |byte| BYTES[usize::from(*byte)]);
    let mut at = 0;
    std::iter::from_fn(move || {
        at += bytes[at..].iter().position(|byte| BYTES[usize::from(*byte)] == IN_WORD)?;
        let start = at;
        let mut plain = true;
        while kind(at) == IN_WORD || kind(at) == JOINING && kind(at + 1) == IN_WORD {
            plain &= bytes[at] < 0x80;
            at += 1;
        }
        let word = &text[start..at];
        // Signs beyond ASCII are no letters.
        Some(if plain { word } else { word.trim_matches(|character: char| !character.is_alphanumeric()) })
    })
    .filter(|word| !word.is_empty())
}

fn lower_words(text: &str) -> Vec<String> {
    words(text).map(str::to_lowercase).collect()
}

/// Who the ages in a text belong to.
#[derive(Debug, Default)]
struct Aged {
    people: usize,
    animals: usize,
    /// Animals that somebody met: "bitten by a 3-year-old dog", "his 3-year-old dog".
    met: usize,
    /// Given an age, but called "male", "female", "patient" only.
    open: usize,
}

/// Where a text may speak of an age: at "old", "of age" and "y/o", with room for what stands before.
fn around_ages(text: &str) -> Vec<(usize, usize)> {
    static ENDS: LazyLock<AhoCorasick> =
        LazyLock::new(|| literals(["old", "OLD", "Old", "of age", "of-age", "OF AGE", "y/o", "Y/O", "yo", "YO"]));
    /// More than the longest number in words, its unit, and blanks.
    const ROOM: usize = 48;
    let mut stretches: Vec<(usize, usize)> = Vec::new();
    for end in ENDS.find_iter(text) {
        let start = text.floor_char_boundary(end.start().saturating_sub(ROOM));
        let end = text.ceil_char_boundary((end.end() + 2).min(text.len()));
        match stretches.last_mut() {
            Some(last) if start <= last.1 => last.1 = end,
            _ => stretches.push((start, end)),
        }
    }
    stretches
}

fn aged(text: &str) -> Aged {
    static AGE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)\b(?:[a-z]+|\d+(?:\.\d+)?)[\s\u{a0}-]*(?:years?|yrs?|months?|weeks?|days?)[\s\u{a0}-]*(?:old|of[\s-]age)\b,?|\by/?o\b",
        )
    });
    static MET: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"(?i)(?:\b(?:his|her|their|whose|by|from|with|to)|['’]s)\s+(?:(?:an?|the|own|pet|family)\s+)*$")
    });
    let mut found = Aged::default();
    let ages = around_ages(text).into_iter().flat_map(|(start, end)| {
        AGE.find_iter(&text[start..end]).map(move |age| (start + age.start(), start + age.end()))
    });
    for (start, end) in ages {
        let after = &text[end..text.floor_char_boundary((end + 160).min(text.len()))];
        let after = after.split([';', '\n']).next().unwrap_or_default();
        let after = after.split(". ").next().unwrap_or_default();
        let after = lower_words(after);
        let phrase = after.iter().take(9).take_while(|word| !STOPS.contains(&word.as_str())).collect::<Vec<_>>();
        let neutered = phrase.iter().any(|word| matches!(word.as_str(), "neutered" | "spayed" | "gelded" | "entire"))
            || phrase.windows(2).any(|pair| {
                matches!(pair[0].as_str(), "castrated" | "intact") && matches!(pair[1].as_str(), "male" | "female")
            });
        let person = phrase.iter().position(|word| PEOPLE.contains(&word.as_str()));
        let animal = phrase.iter().enumerate().position(|(at, word)| {
            let next = phrase.get(at + 1).map_or("", |word| word.as_str());
            // A calf may also hurt.
            (is_animal(word) || matches!(word.as_str(), "calf" | "calves")) && !NOT_THE_ANIMAL.contains(&next)
        });
        match (person, animal) {
            _ if neutered => found.animals += 1,
            (Some(person), Some(animal)) if animal < person => found.animals += 1,
            (Some(_), _) => found.people += 1,
            (None, Some(_)) if MET.is_match(before(text, start)) => found.met += 1,
            (None, Some(_)) => found.animals += 1,
            (None, None) => found.open += 1,
        }
    }
    // Without anybody who could have met them, they are the patients.
    if found.people + found.open + found.animals == 0 {
        found.animals = std::mem::take(&mut found.met);
    }
    found
}

/// The last few words before a place in a text.
fn before(text: &str, at: usize) -> &str {
    let start = text[..at].char_indices().rev().take(40).last().map_or(at, |(start, _)| start);
    &text[start..at]
}

/// Whether the animal at this place is only part of a name: "rat hepatitis", "pig farm".
fn is_compound(next: Option<&str>) -> bool {
    next.is_some_and(|next| NOT_THE_ANIMAL.iter().any(|known| known.eq_ignore_ascii_case(next)))
}

/// Whether the title says that the case is in an animal: "… in a cat receiving chemotherapy".
fn title_is_about_an_animal(title: &str) -> bool {
    let words = lower_words(title);
    for (at, word) in words.iter().enumerate() {
        let next = words.get(at + 1).map_or("", String::as_str);
        if !is_animal(word) || NOT_THE_ANIMAL.contains(&next) {
            continue;
        }
        let before = &words[at.saturating_sub(7)..at];
        // "in a cat", "of two captive tigers", but not "bitten by a dog", "contact with cats".
        let lead = before
            .iter()
            .rposition(|word| matches!(word.as_str(), "in" | "of" | "by" | "with" | "from" | "to" | "after" | "and"));
        if lead.is_some_and(|lead| matches!(before[lead].as_str(), "in" | "of" | "and"))
            && !before.iter().any(|word| is_person(word))
        {
            return true;
        }
    }
    false
}

fn is_person(word: &str) -> bool {
    const MORE: [&str; 8] = ["human", "humans", "patient", "patients", "women", "men", "children", "people"];
    is_one_of_people(word) || MORE.iter().any(|known| known.eq_ignore_ascii_case(word))
}

fn is_pronoun(word: &str) -> bool {
    word.len() <= 3 && ["he", "she", "his", "her", "mr", "mrs"].iter().any(|known| known.eq_ignore_ascii_case(word))
}

/// Refuses a case whose patient is an animal.
pub(crate) fn check(article: &Article) -> Result<(), (Reason, String)> {
    static VETERINARY: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)veterin|\bvet\b|animal (?:science|health|diseases?|practice)|\bequine\b|\bavian\b|wildlife|companion animal|feline medicine|canine medicine",
        )
    });
    static CARE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"(?i)\b(?:veterinar\w*|the owners?|spayed|neutered|castrated|feline|euthani[sz]ed|littermates?)\b")
    });
    static BROUGHT: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)\b(?:presented|referred|admitted|brought|taken|evaluated)(?: (?:for|with) [^.;,]{3,60}?)?(?: \w+)? (?:to|at|by|into) (?:[\w’'-]+,? ){0,7}veterinary (?:[a-z]+ ){0,2}(?:hospital|clinic|cent(?:er|re)|college|school|practice|service|surgery)",
        )
    });
    // "in a Cownose Ray (Rhinoptera bonasus)"
    static SPECIES: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"\b[Ii]n (?:an?|two|three|captive|wild)\s[^():]{3,60}\((?:[A-Z][a-z]+|[A-Z]\.) (?:[a-z]{3,}(?:us|is|um|a|i|ae|ens|ans|es|er|or|on|os))\)",
        )
    });
    let refuse = |detail: String| Err((Reason::NotHuman, detail));
    let mut text = format!("{}\n{}\n", article.title, article.summary);
    for paragraph in article.body.as_ref().map(Section::paragraphs).unwrap_or_default() {
        text.push_str(&paragraph.text);
        text.push('\n');
    }
    let ages = aged(&text);
    // An age without a noun that only people go by may be either's; then it takes what is said of animals in care.
    let (mut animals, mut people) = (0, 0);
    if ages.people == 0 {
        let mut all = words(&text).peekable();
        while let Some(word) = all.next() {
            animals += usize::from(is_animal(word) && !is_compound(all.peek().copied()));
        }
        if animals >= 4 {
            people = words(&text).filter(|word| is_person(word) || is_pronoun(word)).count();
        }
    }
    // Asked only where something else speaks of an animal: the text is long.
    let open_to_doubt = || {
        ages.people == 0 && (ages.open == 0 || animals >= 4 && animals > people || CARE.find_iter(&text).count() >= 2)
    };
    let in_title = title_is_about_an_animal(&article.title);
    let veterinary = VETERINARY.is_match(&article.journal);
    let heading = article.headings.iter().chain(&article.keywords).find(|heading| {
        VETERINARY.is_match(heading)
            || (article.headings.contains(heading) && words(heading).count() <= 2 && words(heading).any(is_animal))
    });
    if ages.animals > 0 && ages.people == 0 && (ages.animals > ages.open || open_to_doubt()) {
        return refuse(format!("{} ages are an animal's, none a person's", ages.animals));
    }
    if in_title && (ages.animals > 0 || open_to_doubt()) {
        return refuse("the title says so".to_owned());
    }
    if veterinary && (ages.people == 0 || ages.animals > 0) {
        return refuse(format!("journal {}", article.journal));
    }
    if let Some(heading) = heading.filter(|_| ages.animals > ages.people || open_to_doubt()) {
        return refuse(format!("subject {heading}"));
    }
    if ages.people == 0 {
        if animals >= 5 && animals > people {
            return refuse(format!("{animals} words name animals, {people} people"));
        }
        if BROUGHT.is_match(&text) {
            return refuse("the patient was brought to a veterinary hospital".to_owned());
        }
        if SPECIES.captures(&article.title).is_some_and(|found| !words(&found[0]).any(is_person)) {
            return refuse("the title names the patient's species".to_owned());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::article::Block;
    use crate::prose::Paragraph;

    fn human(title: &str, journal: &str, text: &str) -> bool {
        let paragraph = Paragraph { text: text.to_owned(), ..Paragraph::default() };
        let body = Section { blocks: vec![Block::Paragraph(paragraph)], ..Section::default() };
        let article =
            Article { title: title.to_owned(), journal: journal.to_owned(), body: Some(body), ..Article::default() };
        check(&article).is_ok()
    }

    #[test]
    fn animals_as_patients_are_refused() {
        for (title, journal, text) in [
            ("Osteopathy in a Dog", "Case Reports", "A 9-year-old neutered male was presented."),
            ("Nasal lymphoma in a cat receiving chemotherapy", "", "The patient was treated."),
            ("A rare sarcoma", "", "A 5-year-old spayed female Labrador Retriever was referred with a limp."),
            ("Vomiting", "", "A 4-year-old intact female Pomeranian was presented. The owner had seen it eat."),
            ("Eye removed in a Cownose Ray (Rhinoptera bonasus)", "", "A 5-year-old female was kept in an aquarium."),
            ("A tumour in a kid", "", "A 45-day-old male was presented to the Veterinary Teaching Hospital."),
            (
                "Stabilization in an eagle",
                "",
                "An adult male eagle, 32 years old, was seen. The eagle was lame. The bird flew.",
            ),
            ("Coronavirus in a herd", "", "One 11-month-old female PI calf (Brown breed) was found ill."),
            ("Fever", "", "Our clinic was presented with a 3-year-old dog. The dog was lame."),
            ("A rare sarcoma", "", "A 12-year-old, castrated male, domestic shorthair cat was referred."),
            ("A rare sarcoma", "Frontiers in Veterinary Science", "The patient was lame for two days."),
            ("Virus in red-crowned cranes (Grus japonensis): a case report", "", "Two cranes died."),
            ("A tumour", "", "A two-year-old Holstein heifer was examined. The owner reported weight loss."),
            ("Colic in two alpacas", "", "Both recovered."),
            ("Wobbler", "", "Case 2 is a four-and-one-half-year-old, 28.4 kg, intact female Doberman pinscher."),
        ] {
            assert!(!human(title, journal, text), "{title} {journal} {text}");
        }
    }

    #[test]
    fn people_who_meet_animals_are_people() {
        for (title, text) in [
            ("Capnocytophaga sepsis after a dog bite", "A 60-year-old man was bitten by his 3-year-old dog."),
            ("Pasteurella in a cat owner", "A 45-year-old female cat owner presented with fever."),
            ("Brucellosis in a sheep farmer", "A 52-year-old male presented after contact with sheep and goats."),
            ("Q fever in a goat herder", "A 45-year-old male presented with fever."),
            ("Orf", "A 30-year-old male sheep farmer had a nodule."),
            ("Psittacosis", "A 70-year-old woman kept parrots, canaries, pigeons, hens, ducks and geese."),
            (
                "Rabies in a child",
                "A 7-year-old boy was attacked by a 2-year-old dog. The dog died. The dog was tested. Dogs and cats.",
            ),
            ("Facial injury", "The patient fell from a horse. He wore no helmet. She saw the horse."),
            (
                "Sepsis after a bite of a dog",
                "A 58-year-old male was bitten by his 3-year-old dog. The dog was healthy.",
            ),
            ("Meningitis in a pig farm owner", "A 58-year-old male pig farm owner came with fever."),
            ("Back pain in a crane operator", "A 58-year-old crane operator came with pain."),
            ("Jaundice by infection of rat hepatitis E virus", "A 58-year-old male came with jaundice."),
            ("A case of bird fancier's lung", "A 58-year-old male came with cough."),
            ("Swelling in a child (Wuchereria bancrofti)", "A 9-year-old male came with a swelling. He was well."),
            ("Pain in the calf", "A 45-year-old male with calf pain was seen. He smoked."),
            (
                "Sepsis",
                "A 34-year-old female was admitted after being bitten by a cat at a veterinary clinic. She had fever.",
            ),
            ("Turkey sandwich syndrome", "A 7 year old patient from Turkey."),
        ] {
            assert!(human(title, "", text), "{title} {text}");
        }
    }
}
