//! A tiny random model on disk, served as an engine.

use std::path::Path;

use asclepius_model::{Decoder, LoraConfig, ModelConfig, Sampling, generate};
use asclepius_schema::Message;
use asclepius_serve::{Engine, EngineError, Gone, ModelEngine, Prompt, Reply, Request, ServeError};
use asclepius_text::{InstructionTemplate, SpecialNames, TextTokenizer};
use candle_core::Device;
use serde_json::json;

const TEXT: &str = "A 43-year-old woman was admitted with chest pain. The pain began at rest.";

/// A model whose weights say nothing, which is enough to see what comes in and what goes out.
fn write_model(directory: &Path) -> TextTokenizer {
    let tokenizer = TextTokenizer::train_bpe([TEXT; 4].into_iter(), 320, &SpecialNames::default()).expect("trained");
    tokenizer.save(directory).expect("writable");
    let config = json!({
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": tokenizer.vocab_size(),
        "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "max_position_embeddings": 256,
        "tie_word_embeddings": true, "initializer_range": 0.4, "hidden_act": "silu",
        "bos_token_id": tokenizer.bos(), "eos_token_id": tokenizer.eos(),
    });
    let config = ModelConfig::from_json(config).expect("a sound configuration");
    Decoder::init(config, 3, &Device::Cpu).expect("memory for it").save(directory, None).expect("writable");
    tokenizer
}

fn request(model: &str, messages: Vec<Message>) -> Request {
    Request {
        model: model.to_owned(),
        prompt: Prompt::Conversation(messages),
        temperature: 0.0,
        top_p: None,
        frequency_penalty: 0.0,
        presence_penalty: 0.0,
        max_tokens: 12,
        seed: 0,
        stop: Vec::new(),
    }
}

#[test]
fn the_served_prompt_is_the_trained_one_and_the_reply_what_the_model_says() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let model = directory.path().join("tiny");
    fs_err::create_dir(&model).expect("writable");
    let tokenizer = write_model(&model);
    let engine = ModelEngine::load(&model, &[], &Device::Cpu).expect("it was just written");
    assert_eq!(engine.models(), ["tiny"]);

    let question = request("tiny", vec![InstructionTemplate::user_message(TEXT, "What began at rest?")]);
    let (text, reply) = engine.complete(&question).expect("answered");
    let prompt = InstructionTemplate::asclepius().encode_prompt(&tokenizer, TEXT, "What began at rest?");
    let prompt = prompt.expect("the template renders");
    assert_eq!(reply.prompt_tokens as usize, prompt.len());

    let decoder = Decoder::load(&model, candle_core::DType::F32, &Device::Cpu).expect("it was just written");
    let stop = vec![tokenizer.eos().expect("it was trained with one")];
    let sampling = Sampling { max_new_tokens: 12, stop, ..Sampling::default() };
    let expected = generate(&decoder, &prompt, &sampling).expect("generated");
    assert_eq!(text, tokenizer.decode(&expected.tokens));
    assert_eq!(reply.completion_tokens as usize, expected.tokens.len());

    let penalised = Request { frequency_penalty: 1.5, presence_penalty: -0.5, ..question.clone() };
    let sampling = Sampling { frequency_penalty: 1.5, presence_penalty: -0.5, ..sampling };
    let expected = generate(&decoder, &prompt, &sampling).expect("generated");
    assert_eq!(engine.complete(&penalised).expect("answered").0, tokenizer.decode(&expected.tokens));
    let drawn = Request { temperature: 1.0, ..question.clone() };
    let of_seed = |seed| engine.complete(&Request { seed, ..drawn.clone() }).expect("answered");
    assert_eq!(of_seed(1), of_seed(1));
    assert_ne!(of_seed(1).0, of_seed(2).0);
}

#[test]
fn requests_that_wait_together_are_answered_as_if_each_came_alone() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    write_model(directory.path());
    let engine = ModelEngine::load(directory.path(), &[], &Device::Cpu).expect("it was just written");
    let name = engine.models().remove(0);
    let requests: Vec<Request> = (0..40)
        .map(|number| {
            let words: Vec<&str> = TEXT.split(' ').take(3 + number % 9).collect();
            let mut request = request(&name, vec![Message::user(words.join(" "))]);
            (request.temperature, request.seed) = (f64::from(number as u32 % 3), number as u64);
            request.max_tokens = number % 13;
            // One that can never be answered keeps nobody else from an answer.
            if number == 7 {
                request.prompt = Prompt::Text(TEXT.repeat(100));
            }
            request
        })
        .collect();
    let answers = |answer: Result<(String, Reply), EngineError>| answer.map_err(|error| error.to_string());
    let alone: Vec<_> = requests.iter().map(|request| answers(engine.complete(request))).collect();
    let together: Vec<_> = std::thread::scope(|scope| {
        let asked: Vec<_> = requests.iter().map(|request| scope.spawn(|| answers(engine.complete(request)))).collect();
        asked.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert_eq!(together, alone);
    assert!(alone[7].is_err() && alone.iter().filter(|answer| answer.is_err()).count() == 1);
}

#[test]
fn a_stop_string_ends_a_reply_before_it() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    write_model(directory.path());
    let engine = ModelEngine::load(directory.path(), &[], &Device::Cpu).expect("it was just written");
    let name = engine.models().remove(0);
    let question = Request { temperature: 1.5, seed: 5, ..request(&name, vec![Message::user(TEXT)]) };
    let (whole, _) = engine.complete(&question).expect("answered");
    let (middle, _) = whole.char_indices().nth(whole.chars().count() / 2).expect("twelve tokens are some text");
    let stop = whole[middle..].chars().next().expect("something follows").to_string();
    let (text, reply) = engine.complete(&Request { stop: vec![stop.clone()], ..question }).expect("answered");
    assert_eq!(text, whole[..whole.find(&stop).expect("it was taken from there")]);
    assert_eq!(reply.finish_reason, "stop");
    assert!(reply.completion_tokens <= 12);
}

#[test]
fn a_conversation_that_does_not_fit_is_refused_with_its_size() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    write_model(directory.path());
    let engine = ModelEngine::load(directory.path(), &[], &Device::Cpu).expect("it was just written");
    let name = engine.models().remove(0);
    let error = engine.complete(&request(&name, vec![Message::user(TEXT.repeat(20))])).expect_err("too long");
    assert!(matches!(error, EngineError::TooLong { tokens, limit: 255 } if tokens > 255), "{error}");
}

#[test]
fn an_adapter_answers_to_its_own_name_and_leaves_the_base_as_it_was() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (model, adapter) = (directory.path().join("tiny"), directory.path().join("sft/final"));
    fs_err::create_dir_all(&model).expect("writable");
    fs_err::create_dir_all(&adapter).expect("writable");
    write_model(&model);
    let mut decoder = Decoder::load(&model, candle_core::DType::F32, &Device::Cpu).expect("it was just written");
    decoder.attach(&LoraConfig { rank: 2, alpha: 64.0, ..LoraConfig::default() }, 1).expect("it has linear layers");
    // An adapter's B starts at zero, and a no-op adapter cannot be saved.
    let moved = decoder.trainable().into_iter().filter(|parameter| parameter.name().contains("lora_B"));
    let moved = moved.map(|parameter| {
        let ones = parameter.value().ones_like().expect("memory for it");
        (parameter.name().to_owned(), ones)
    });
    decoder.restore(&moved.collect()).expect("names and shapes are its own");
    decoder.save_adapter(&adapter, "tiny").expect("writable");

    let alone = ModelEngine::load(&model, &[], &Device::Cpu).expect("it was just written");
    let both = ModelEngine::load(&model, std::slice::from_ref(&adapter), &Device::Cpu).expect("they fit");
    assert_eq!(both.models(), ["tiny", "sft/final"]);
    let ask =
        |engine: &ModelEngine, name| engine.complete(&request(name, vec![Message::user(TEXT)])).expect("answered");
    assert_eq!(ask(&both, "tiny"), ask(&alone, "tiny"));
    assert_ne!(ask(&both, "sft/final").0, ask(&both, "tiny").0);

    let twice = [adapter.clone(), adapter];
    assert!(matches!(ModelEngine::load(&model, &twice, &Device::Cpu), Err(ServeError::SameName { .. })));
}

#[test]
fn who_leaves_is_not_worked_for_any_longer_and_who_stays_is_answered_the_same() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    write_model(directory.path());
    let engine = ModelEngine::load(directory.path(), &[], &Device::Cpu).expect("it was just written");
    let name = engine.models().remove(0);
    let question = Request { temperature: 1.0, max_tokens: 200, ..request(&name, vec![Message::user("pain")]) };
    let whole = engine.complete(&question).expect("answered");
    let gone = Gone::default();
    let (mut heard, leaving) = (0, gone.clone());
    let (left, stayed) = std::thread::scope(|scope| {
        let left = scope.spawn(|| {
            engine.answer(&question, &gone, &mut |_| {
                heard += 1;
                leaving.leave();
            })
        });
        let stayed = scope.spawn(|| engine.complete(&question));
        (left.join().expect("no panic"), stayed.join().expect("no panic"))
    });
    assert!(matches!(left, Err(EngineError::Gone)), "{left:?}");
    assert!(heard >= 1);
    assert_eq!(stayed.expect("answered"), whole);
    // One who left before its turn is not begun.
    let result = engine.answer(&question, &gone, &mut |_| panic!("nothing is made for it"));
    assert!(matches!(result, Err(EngineError::Gone)), "{result:?}");
}

#[test]
fn a_text_is_continued_as_it_stands() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let tokenizer = write_model(directory.path());
    let engine = ModelEngine::load(directory.path(), &[], &Device::Cpu).expect("it was just written");
    let name = engine.models().remove(0);
    let question = Request { prompt: Prompt::Text("The pain <|eos|>".to_owned()), ..request(&name, Vec::new()) };
    let (text, reply) = engine.complete(&question).expect("answered");
    let mut prompt = vec![tokenizer.bos().expect("it was trained with one")];
    prompt.extend(tokenizer.encode_text("The pain <|eos|>").expect("every byte is a token"));
    assert_eq!(reply.prompt_tokens as usize, prompt.len());
    let decoder = Decoder::load(directory.path(), candle_core::DType::F32, &Device::Cpu).expect("just written");
    let stop = vec![tokenizer.eos().expect("it was trained with one")];
    let expected = generate(&decoder, &prompt, &Sampling { max_new_tokens: 12, stop, ..Sampling::default() });
    assert_eq!(text, tokenizer.decode(&expected.expect("generated").tokens));
}
