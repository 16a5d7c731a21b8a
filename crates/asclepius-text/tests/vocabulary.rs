//! Tokenizers in the form GGUF files hold them: there and back they encode alike, and what is not known is refused by name.

use std::path::Path;

use asclepius_text::{SpecialNames, TextError, TextTokenizer, TokenKind, Vocabulary, VocabularyModel};
use proptest::prelude::*;

const TEXTS: [&str; 9] = [
    "",
    " ",
    "  Two spaces, then a tab\tand\r\nlines\n\n",
    "BP 120/80 mmHg, T 38.5 °C, CRP >5 µg/mL",
    "naïve café, 患者は胸痛で入院した。",
    "½ tablet, Ⅳ, ²³",
    "don't I'LL we've",
    "<|eos|> stays text",
    "🩺👩‍⚕️\u{a0}\u{3000}",
];

fn trained() -> TextTokenizer {
    let corpus = ["the patient was admitted with chest pain", "the patient was discharged on day three", "day 3 of 10"];
    let texts = corpus.iter().copied().cycle().take(60);
    TextTokenizer::train_bpe(texts, 330, &SpecialNames::default()).expect("trainable")
}

fn again(tokenizer: &TextTokenizer) -> TextTokenizer {
    let vocabulary = tokenizer.to_vocabulary().expect("it has a form in GGUF");
    TextTokenizer::from_vocabulary(&vocabulary, Path::new("model.gguf")).expect("sound")
}

fn ids(tokenizer: &TextTokenizer, text: &str) -> Vec<u32> {
    tokenizer.encode_text(text).expect("every byte is a token")
}

#[test]
fn a_trained_tokenizer_comes_back_the_same() {
    let (before, vocabulary) = (trained(), trained().to_vocabulary().expect("it has a form in GGUF"));
    assert!(matches!(&vocabulary.model, VocabularyModel::ByteLevel { pre, .. } if pre == "smollm"), "digits apart");
    assert_eq!(vocabulary.add_bos, Some(true), "its post-processor puts bos first");
    let after = again(&before);
    assert_eq!([after.bos(), after.eos(), after.pad()], [before.bos(), before.eos(), before.pad()]);
    assert_eq!(after.chat_template(), before.chat_template());
    assert_eq!(after.to_vocabulary().expect("still"), vocabulary);
    for text in TEXTS {
        assert_eq!(ids(&after, text), ids(&before, text), "{text:?}");
        let encode = |tokenizer: &TextTokenizer| tokenizer.encode_template(text).expect("every byte is a token");
        assert_eq!(encode(&after), encode(&before), "{text:?}");
    }
}

proptest! {
    #[test]
    fn any_text_is_encoded_alike(text in "\\PC{0,40}|[ \\t\\n0-9a-z'.]{0,40}") {
        thread_local! {
            static PAIR: (TextTokenizer, TextTokenizer) = { let before = trained(); (again(&before), before) };
        }
        PAIR.with(|(after, before)| {
            prop_assert_eq!(ids(after, &text), ids(before, &text));
            prop_assert_eq!(after.decode(&ids(after, &text)), text);
            Ok(())
        })?;
    }
}

/// Bytes as characters in the order of their code points, and the joint tokens of `merges`.
fn byte_level(pre: &str, merges: &[&str]) -> Result<TextTokenizer, TextError> {
    let mut tokens: Vec<String> = trained().to_vocabulary().expect("a form").tokens[3..259].to_vec();
    tokens.extend(merges.iter().map(|merge| merge.replace(' ', "")));
    let merges = merges.iter().map(|merge| (*merge).to_owned()).collect();
    let model = VocabularyModel::ByteLevel { pre: pre.to_owned(), merges };
    TextTokenizer::from_vocabulary(&plain(model, tokens), Path::new("model.gguf"))
}

fn plain(model: VocabularyModel, tokens: Vec<String>) -> Vocabulary {
    Vocabulary {
        model,
        kinds: vec![TokenKind::Normal; tokens.len()],
        tokens,
        bos: None,
        eos: None,
        unknown: None,
        pad: None,
        add_bos: None,
        add_eos: None,
        strip_right_except: None,
        chat_template: None,
    }
}

#[test]
fn words_are_cut_as_the_name_says() {
    let merges = ["1 2", "12 3", "123 4", "Ġ 1", "a 1", ". .", ".. .", "Ġ Ġ"];
    let pieces = |pre: &str, text: &str| -> Vec<String> {
        let tokenizer = byte_level(pre, &merges).expect(pre);
        ids(&tokenizer, text).into_iter().map(|id| tokenizer.id_to_token(id).expect("a token")).collect()
    };
    // Numbers whole, by three, and digit by digit.
    for (pre, cut) in [
        ("gpt-2", vec!["1234"]),
        ("phi-2", vec!["1234"]),
        ("llama-bpe", vec!["123", "4"]),
        ("dbrx", vec!["123", "4"]),
        ("gpt-4o", vec!["123", "4"]),
        ("default", vec!["123", "4"]),
        ("qwen2", vec!["1", "2", "3", "4"]),
        ("tekken", vec!["1", "2", "3", "4"]),
        ("smollm", vec!["1", "2", "3", "4"]),
        ("starcoder", vec!["1", "2", "3", "4"]),
    ] {
        assert_eq!(pieces(pre, "1234"), cut, "{pre}");
    }
    // A space belongs to the number behind it in GPT-2's words only.
    assert_eq!(pieces("gpt-2", " 1"), ["Ġ1"]);
    assert_eq!(pieces("smollm", " 1"), ["Ġ", "1"]);
    assert_eq!(pieces("llama-bpe", " 1"), ["Ġ", "1"]);
    // Letters and digits never share a word.
    assert_eq!(pieces("gpt-2", "a1"), ["a", "1"]);
    assert_eq!(pieces("gpt-2", "..."), ["..."]);
    // Of three spaces the last goes with the word.
    assert_eq!(pieces("gpt-2", "   b"), ["ĠĠ", "Ġ", "b"]);
}

#[test]
fn composed_characters_are_composed_only_where_the_model_does_so() {
    let apart = "e\u{301}";
    let encode = |pre: &str, text: &str| ids(&byte_level(pre, &[]).expect(pre), text);
    assert_eq!(encode("qwen2", apart), encode("qwen2", "é"));
    assert_ne!(encode("llama-bpe", apart), encode("llama-bpe", "é"));
}

#[test]
fn what_is_not_known_or_does_not_fit_is_named() {
    let said = |result: Result<TextTokenizer, TextError>| result.expect_err("refused").to_string();
    let message = said(byte_level("bloom", &[]));
    for word in ["tokenizer.ggml.pre", "bloom", "smollm", "llama-bpe", "qwen2"] {
        assert!(message.contains(word), "{word} is not in {message}");
    }
    let message = said(byte_level("gpt-2", &["nopair"]));
    assert!(message.contains("tokenizer.ggml.merges") && message.contains("nopair"), "{message}");

    let good = sentence_piece();
    let with = |change: &dyn Fn(&mut Vocabulary)| {
        let mut vocabulary = good.clone();
        change(&mut vocabulary);
        said(TextTokenizer::from_vocabulary(&vocabulary, Path::new("model.gguf")))
    };
    let twice = with(&|vocabulary| vocabulary.tokens[5] = "<s>".to_owned());
    assert!(twice.contains("tokenizer.ggml.tokens") && twice.contains("<s>"), "{twice}");
    let types = with(&|vocabulary| vocabulary.kinds.truncate(9));
    assert!(types.contains("tokenizer.ggml.token_type"), "{types}");
    let outside = with(&|vocabulary| vocabulary.eos = Some(9_999));
    assert!(outside.contains("tokenizer.ggml.eos_token_id") && outside.contains("9999"), "{outside}");
    let scores = with(&|vocabulary| {
        vocabulary.model = VocabularyModel::SentencePiece { scores: vec![0.0], space_prefix: true };
    });
    assert!(scores.contains("tokenizer.ggml.scores"), "{scores}");
}

/// Llama 2's first 259 tokens and a few pieces, the earlier ones merged earlier.
fn sentence_piece() -> Vocabulary {
    let mut tokens: Vec<String> = ["<unk>", "<s>", "</s>"].map(str::to_owned).to_vec();
    let mut kinds = vec![TokenKind::Unknown, TokenKind::Control, TokenKind::Control];
    let mut scores = vec![0.0; 3];
    for byte in 0..=255_u8 {
        tokens.push(format!("<0x{byte:02X}>"));
        kinds.push(TokenKind::Byte);
        scores.push(0.0);
    }
    let pieces = ["▁p", "ai", "in", "▁pa", "ain", "▁pain", "▁", "p", "a", "i", "n", "s"];
    for (rank, piece) in pieces.into_iter().enumerate() {
        tokens.push(piece.to_owned());
        kinds.push(TokenKind::Normal);
        scores.push(-(rank as f32));
    }
    let model = VocabularyModel::SentencePiece { scores, space_prefix: true };
    let mut vocabulary = plain(model, tokens);
    vocabulary.kinds = kinds;
    (vocabulary.unknown, vocabulary.bos, vocabulary.eos) = (Some(0), Some(1), Some(2));
    vocabulary
}

#[test]
fn sentence_piece_merges_the_best_neighbours_and_falls_back_to_bytes() {
    let vocabulary = sentence_piece();
    let tokenizer = TextTokenizer::from_vocabulary(&vocabulary, Path::new("model.gguf")).expect("sound");
    let pieces = |text: &str| -> Vec<String> {
        ids(&tokenizer, text).into_iter().map(|id| tokenizer.id_to_token(id).expect("a token")).collect()
    };
    // ▁p first, then ai; "ain" is worth more than "▁pa", and "▁pain" is all of it.
    assert_eq!(pieces("pain"), ["▁pain"]);
    // "ai" comes before "in", so no "ain" without "ai" + "n".
    assert_eq!(pieces("ains"), ["▁", "ain", "s"]);
    assert_eq!(pieces("  p"), ["▁", "▁", "▁p"]);
    assert_eq!(pieces("pé"), ["▁p", "<0xC3>", "<0xA9>"]);
    assert_eq!(pieces("</s>")[0], "▁", "the string of a token stays text");
    assert_eq!(tokenizer.encode_template("</s>pain").expect("encodable"), [2, 264]);
    for text in ["pain", "  p", "pé 患\n", "ains pain"] {
        assert_eq!(tokenizer.decode(&ids(&tokenizer, text)), text);
    }

    let back = again(&tokenizer);
    for text in TEXTS.into_iter().chain(["pain", "ains", "  p", "spain  ai n"]) {
        assert_eq!(ids(&back, text), ids(&tokenizer, text), "{text:?}");
    }
    assert_eq!(back.to_vocabulary().expect("a form").kinds, vocabulary.kinds);
}

#[test]
fn only_control_tokens_that_are_not_excepted_swallow_spaces() {
    let mut vocabulary = sentence_piece();
    let encode = |vocabulary: &Vocabulary, text: &str| {
        let tokenizer = TextTokenizer::from_vocabulary(vocabulary, Path::new("model.gguf")).expect("sound");
        tokenizer.encode_template(text).expect("encodable").len()
    };
    let kept = (encode(&vocabulary, "<s>  p"), encode(&vocabulary, "</s>  p"));
    vocabulary.strip_right_except = Some(vec!["<s>".to_owned()]);
    assert_eq!((encode(&vocabulary, "<s>  p"), encode(&vocabulary, "</s>  p")), (kept.0, kept.1 - 2));
}
