//! Texts that join and leave while others are continued: each as if it were alone.

use std::collections::BTreeMap;

use asclepius_model::generate::step;
use asclepius_model::{Batch, Cache, Decoder, Finish, Made, ModelConfig, ModelError, Sampling, generate};
use candle_core::Device;
use serde_json::{Value, json};

fn decoder(changes: &Value) -> Decoder {
    let mut config = json!({
        "model_type": "llama", "hidden_act": "silu", "vocab_size": 37, "hidden_size": 24, "intermediate_size": 40,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0, "max_position_embeddings": 2048, "tie_word_embeddings": true, "initializer_range": 0.2,
        "bos_token_id": 0, "eos_token_id": 1,
    });
    for (key, change) in changes.as_object().expect("an object") {
        config[key] = change.clone();
    }
    Decoder::init(ModelConfig::from_json(config).expect("sound"), 11, &Device::Cpu).expect("small")
}

fn prompt(tokens: u32) -> Vec<u32> {
    (0..tokens).map(|index| (index * index + tokens) % 37).collect()
}

#[test]
fn who_joins_between_steps_changes_nobody() {
    for changes in [json!({}), json!({ "model_type": "mistral", "sliding_window": 100 })] {
        let decoder = decoder(&changes);
        // Some are read over several steps; the last one waits for them.
        let prompts = [prompt(3), prompt(700), prompt(1300), prompt(1), prompt(513)];
        let sampling = |seed| Sampling { temperature: 0.8, seed, max_new_tokens: 9, ..Sampling::default() };
        let mut batch = Batch::new(&decoder);
        let mut made: BTreeMap<u64, (Vec<u32>, Option<Finish>)> = BTreeMap::new();
        let mut steps = 0;
        while steps < prompts.len() || !batch.is_empty() {
            if let Some(prompt) = prompts.get(steps) {
                batch.join(steps as u64, prompt, &sampling(steps as u64)).expect("it fits");
            }
            steps += 1;
            for Made { id, token, finish } in batch.step().expect("sound") {
                let (tokens, ended) = made.entry(id).or_default();
                tokens.extend(token);
                *ended = finish;
            }
        }
        for (id, (tokens, ended)) in made {
            let alone = generate(&decoder, &prompts[id as usize], &sampling(id)).expect("it fits");
            assert_eq!((tokens, ended), (alone.tokens, Some(alone.finish)), "{id} {changes}");
        }
    }
}

#[test]
fn a_prompt_read_in_pieces_is_the_prompt() {
    for changes in [json!({}), json!({ "model_type": "mistral", "sliding_window": 100 })] {
        let decoder = decoder(&changes);
        let prompt = prompt(1500);
        let pieces = generate(&decoder, &prompt, &Sampling { max_new_tokens: 1, ..Sampling::default() });
        let whole = step(&decoder.frozen(), &prompt, &mut vec![Cache::default(); decoder.block_count()]);
        let likeliest = whole.and_then(|scores| Ok(scores.argmax(0)?.to_scalar::<u32>()?)).expect("sound");
        assert_eq!(pieces.expect("it fits").tokens, [likeliest], "{changes}");
    }
}

#[test]
fn who_leaves_or_cannot_come_in_changes_nobody() {
    let decoder = decoder(&json!({}));
    let sampling = Sampling { max_new_tokens: 6, ..Sampling::default() };
    let alone = generate(&decoder, &prompt(5), &sampling).expect("it fits");
    let mut batch = Batch::new(&decoder);
    for (id, tokens) in [(0, 4), (1, 5), (2, 600), (3, 600)] {
        batch.join(id, &prompt(tokens), &sampling).expect("it fits");
    }
    assert!(matches!(batch.join(4, &[], &sampling), Err(ModelError::Prompt { .. })));
    assert!(matches!(batch.join(4, &[36, 37], &sampling), Err(ModelError::Ops(_))));
    let mut tokens = Vec::new();
    for leaves in [3, 0, 2, 9] {
        tokens.extend(batch.step().expect("sound").into_iter().filter(|made| made.id == 1));
        batch.leave(leaves);
    }
    assert_eq!(batch.len(), 1);
    while !batch.is_empty() {
        tokens.extend(batch.step().expect("sound"));
    }
    assert_eq!(tokens.into_iter().filter_map(|made| made.token).collect::<Vec<_>>(), alone.tokens);
}
