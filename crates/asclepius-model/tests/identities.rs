//! What must hold of any decoder without an oracle: the same numbers by two ways.

use asclepius_model::generate::step;
use asclepius_model::{
    AllLinear, Cache, Decoder, Finish, LoraConfig, LoraTargets, MicroBatch, ModelConfig, ModelError, Recompute,
    Sampling, evaluate, generate, generate_batch, loss_and_gradients, loss_and_gradients_by_graph,
    loss_and_gradients_by_tape,
};
use asclepius_ops::{Documents, GradientBuffer, Parameter, PhiloxKey, Targets};
use candle_core::{DType, Device, Tensor};
use serde_json::{Value, json};

fn config(changes: &Value) -> ModelConfig {
    let mut value = json!({
        "model_type": "llama", "hidden_act": "silu", "vocab_size": 37, "hidden_size": 24, "intermediate_size": 40,
        "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0, "max_position_embeddings": 64, "tie_word_embeddings": true, "initializer_range": 0.2,
        "bos_token_id": 0, "eos_token_id": 1,
    });
    for (key, change) in changes.as_object().expect("an object") {
        value[key] = change.clone();
    }
    ModelConfig::from_json(value).expect("sound")
}

fn decoder(changes: &Value) -> Decoder {
    Decoder::init(config(changes), 11, &Device::Cpu).expect("small")
}

/// Three documents of 7, 1 and 12 tokens; the first token of each and some others are not supervised.
fn batch() -> MicroBatch {
    let cumulative = vec![0, 7, 8, 20];
    let ids: Vec<u32> = (0..20).map(|index| (index * 11 + 3) % 37).collect();
    let positions = cumulative.windows(2).flat_map(|pair| 0..pair[1] - pair[0]).collect();
    let labels: Vec<Option<u32>> = (0..20).map(|index| (index % 3 != 2).then_some((index * 5 + 1) % 37)).collect();
    MicroBatch::new(ids, positions, cumulative, &labels).expect("20 of each")
}

fn trained(decoder: &Decoder, batch: &MicroBatch, key: Option<PhiloxKey>, recompute: Recompute) -> (f64, Vec<f32>) {
    let buffer = GradientBuffer::new(&decoder.parameters()).expect("f32");
    let loss = loss_and_gradients(decoder, batch, key, recompute).expect("a sound batch");
    (loss, buffer.flat().expect("no device").to_vec1().expect("f32"))
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let squares = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>();
    let apart = squares(&mut a.iter().zip(b).map(|(a, b)| f64::from(a - b)));
    (apart / squares(&mut b.iter().map(|&b| f64::from(b)))).sqrt()
}

fn families() -> Vec<Value> {
    vec![
        json!({}),
        json!({ "tie_word_embeddings": false, "attention_bias": true, "mlp_bias": true }),
        json!({ "model_type": "mistral", "sliding_window": 4 }),
        json!({ "model_type": "qwen2" }),
        json!({ "model_type": "qwen3", "head_dim": 8 }),
        json!({ "rope_scaling": { "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 16 } }),
        phi("phi"),
        phi("phi-msft"),
        json!({ "model_type": "phi3", "sliding_window": 4, "tie_word_embeddings": false }),
    ]
}

fn phi(model_type: &str) -> Value {
    json!({ "model_type": model_type, "hidden_act": "gelu_new", "layer_norm_eps": 1e-5, "partial_rotary_factor": 0.4,
        "tie_word_embeddings": false })
}

/// One graph over the whole decoder, as autograd would have it.
fn plain(decoder: &Decoder, batch: &MicroBatch) -> (f64, Vec<f32>) {
    let context = decoder.context(&batch.positions, batch.documents.clone(), None).expect("small");
    let mut x = decoder.embed(&batch.ids).expect("in range");
    for index in 0..decoder.block_count() {
        x = decoder.block(index, &x, &context).expect("fits");
    }
    let loss = decoder.head(&x).and_then(|x| decoder.loss(&x, &batch.targets)).expect("fits");
    let mut store = loss.backward().expect("differentiable");
    let gradients = decoder.trainable().into_iter().flat_map(|parameter| {
        let gradient = store.remove(parameter.value()).expect("every parameter gets a gradient");
        gradient.flatten_all().and_then(|gradient| gradient.to_vec1::<f32>()).expect("f32")
    });
    let gradients = gradients.collect();
    (f64::from(loss.to_scalar::<f32>().expect("a scalar")), gradients)
}

#[test]
fn a_block_at_a_time_is_plain_autograd_and_recomputing_changes_no_bit() {
    for changes in families() {
        let mut decoder = decoder(&changes);
        decoder.train_all().expect("small");
        let (expected_loss, expected) = plain(&decoder, &batch());
        let (loss, gradients) = trained(&decoder, &batch(), None, Recompute::None);
        assert!((loss - expected_loss).abs() < 1e-6 * expected_loss, "{changes}: {loss} {expected_loss}");
        assert!(distance(&gradients, &expected) < 1e-6, "{changes}: {}", distance(&gradients, &expected));
        for recompute in [Recompute::Selective, Recompute::Block] {
            assert_eq!(trained(&decoder, &batch(), None, recompute), (loss, gradients.clone()), "{changes}");
        }
        for recompute in [Recompute::None, Recompute::Block] {
            let buffer = GradientBuffer::new(&decoder.parameters()).expect("f32");
            let by_graph = loss_and_gradients_by_graph(&decoder, &batch(), None, recompute).expect("a sound batch");
            assert!((loss - by_graph).abs() < 1e-6 * loss, "{changes}: {loss} {by_graph}");
            let by_graph: Vec<f32> = buffer.flat().expect("no device").to_vec1().expect("f32");
            assert!(distance(&gradients, &by_graph) < 1e-6, "{changes}: {}", distance(&gradients, &by_graph));
        }
        let mut on_tape = Vec::new();
        for recompute in [Recompute::None, Recompute::Selective, Recompute::Block] {
            let buffer = GradientBuffer::new(&decoder.parameters()).expect("f32");
            let by_tape = loss_and_gradients_by_tape(&decoder, &batch(), None, recompute).expect("a sound batch");
            assert!((loss - by_tape).abs() < 1e-6 * loss, "{changes}: {loss} {by_tape}");
            let by_tape: Vec<f32> = buffer.flat().expect("no device").to_vec1().expect("f32");
            assert!(distance(&gradients, &by_tape) < 1e-6, "{changes}: {}", distance(&gradients, &by_tape));
            on_tape.push(by_tape);
        }
        assert!(on_tape.iter().all(|gradients| *gradients == on_tape[0]), "{changes}: recomputing changed a bit");
        assert_eq!(evaluate(&decoder, &batch()).expect("a sound batch"), loss, "{changes}");
    }
}

#[test]
fn adapters_on_a_tape_are_adapters_on_slices() {
    for changes in families() {
        for (dropout, quantised) in [(0.0, false), (0.3, false), (0.0, true)] {
            let mut decoder = decoder(&changes);
            decoder.attach(&LoraConfig { rank: 3, alpha: 6.0, dropout, ..LoraConfig::default() }, 5).expect("small");
            for parameter in decoder.trainable() {
                // B begins at zero, where A has no gradient.
                let shape = parameter.value().shape().clone();
                let values = PhiloxKey::new(8).fold_name(parameter.name()).normals(shape.elem_count());
                let values = Tensor::from_vec(values, &shape, &Device::Cpu).expect("small");
                parameter.set(&(values * 0.2).expect("small")).expect("its own shape");
            }
            if quantised {
                decoder.quantise().expect("small");
            }
            let key = Some(PhiloxKey::new(3));
            let (loss, expected) = trained(&decoder, &batch(), key, Recompute::None);
            for recompute in [Recompute::None, Recompute::Selective, Recompute::Block] {
                let buffer = GradientBuffer::new(&decoder.parameters()).expect("f32");
                let found = loss_and_gradients_by_tape(&decoder, &batch(), key, recompute).expect("a sound batch");
                assert!((loss - found).abs() < 1e-6 * loss, "{changes}: {loss} {found}");
                let found: Vec<f32> = buffer.flat().expect("no device").to_vec1().expect("f32");
                assert!(distance(&found, &expected) < 2e-6, "{changes}: {}", distance(&found, &expected));
            }
        }
    }
}

#[test]
fn gradients_are_the_slopes_of_the_loss() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for changes in families() {
        decoder(&changes).save(dir.path(), None).expect("writable");
        let mut decoder = Decoder::load(dir.path(), DType::F64, &Device::Cpu).expect("just written");
        decoder.train_all().expect("small");
        let buffer = GradientBuffer::new(&decoder.parameters()).expect("f64");
        loss_and_gradients(&decoder, &batch(), None, Recompute::Block).expect("a sound batch");
        for parameter in buffer.parameters() {
            // The slope along one random direction of each tensor.
            let shape = parameter.value().shape().clone();
            let direction = PhiloxKey::new(5).fold_name(parameter.name()).normals(shape.elem_count());
            let direction =
                Tensor::from_vec(direction, &shape, &Device::Cpu).and_then(|d| d.to_dtype(DType::F64)).expect("f64");
            let gradient = parameter.gradient().expect("no device").expect("in the buffer");
            let slope: f64 =
                (gradient * &direction).and_then(|p| p.sum_all()).and_then(|sum| sum.to_scalar()).expect("a scalar");
            let original = parameter.value().detach().copy().expect("small");
            let at = |shift: f64| {
                let moved = (&original + (&direction * shift).expect("f64")).expect("one shape");
                parameter.set(&moved).expect("one shape");
                evaluate(&decoder, &batch()).expect("a sound batch")
            };
            let numeric = (at(1e-6) - at(-1e-6)) / 2e-6;
            at(0.0);
            assert!(
                (slope - numeric).abs() < 1e-6 * (1.0 + slope.abs()),
                "{changes} {}: {slope} {numeric}",
                parameter.name()
            );
        }
    }
}

#[test]
fn documents_in_one_pack_are_documents_one_by_one() {
    let mut decoder = decoder(&json!({}));
    decoder.train_all().expect("small");
    let batch = batch();
    let (loss, gradients) = trained(&decoder, &batch, None, Recompute::None);
    let buffer = GradientBuffer::new(&decoder.parameters()).expect("f32");
    let mut sum = 0.0;
    for pair in batch.documents.query.windows(2) {
        let rows = pair[0] as usize..pair[1] as usize;
        let inside = batch.targets.rows().iter().zip(batch.targets.labels());
        let (target_rows, labels) = inside
            .filter(|(row, _)| rows.contains(&(**row as usize)))
            .map(|(row, label)| (row - pair[0], *label))
            .unzip();
        let single = MicroBatch {
            ids: batch.ids[rows.clone()].to_vec(),
            positions: batch.positions[rows.clone()].to_vec(),
            documents: Documents::single(rows.len(), rows.len()).expect("as many"),
            targets: Targets::new(target_rows, labels).expect("rising"),
        };
        sum += loss_and_gradients(&decoder, &single, None, Recompute::None).expect("a sound batch");
    }
    assert!((loss - sum).abs() < 1e-6 * loss, "{loss} {sum}");
    let separate: Vec<f32> = buffer.flat().expect("no device").to_vec1().expect("f32");
    assert!(distance(&gradients, &separate) < 1e-6, "{}", distance(&gradients, &separate));
}

#[test]
fn the_cache_gives_what_the_whole_text_gives() {
    for changes in families() {
        let decoder = decoder(&changes);
        let ids: Vec<u32> = (0..11).map(|index| (index * 7 + 2) % 37).collect();
        let positions: Vec<u32> = (0..11).collect();
        let context = decoder.context(&positions, Documents::single(11, 11).expect("as many"), None).expect("small");
        let mut x = decoder.embed(&ids).expect("in range");
        for index in 0..decoder.block_count() {
            x = decoder.block(index, &x, &context).expect("fits");
        }
        let whole: Vec<Vec<f32>> =
            decoder.head(&x).and_then(|x| decoder.logits(&x)).expect("fits").to_vec2().expect("f32");
        let mut caches = vec![Cache::default(); decoder.block_count()];
        for (part, last) in [(0..5, 4), (5..6, 5), (6..7, 6), (7..11, 10)] {
            let logits: Vec<f32> = step(&decoder, &ids[part], &mut caches).expect("in range").to_vec1().expect("f32");
            assert!(distance(&logits, &whole[last]) < 1e-5, "{changes} at {last}");
        }
    }
}

#[test]
fn greedy_generation_repeats_and_ends() {
    let decoder = decoder(&json!({}));
    let sampling = Sampling { max_new_tokens: 10, ..Sampling::default() };
    let first = generate(&decoder, &[3, 4, 5], &sampling).expect("a sound prompt");
    assert_eq!(first.tokens.len(), 10);
    assert_eq!(first.finish, Finish::Length);
    assert_eq!(generate(&decoder, &[3, 4, 5], &sampling).expect("a sound prompt"), first);
    let stopping = Sampling { stop: vec![first.tokens[0]], ..sampling.clone() };
    let stopped = generate(&decoder, &[3, 4, 5], &stopping).expect("a sound prompt");
    assert_eq!((stopped.tokens.len(), stopped.finish), (0, Finish::Stop));
    let long = Sampling { max_new_tokens: 1000, ..sampling.clone() };
    assert_eq!(generate(&decoder, &[3; 60], &long).expect("a sound prompt").tokens.len(), 4);
    let drawn = |seed| {
        let sampling = Sampling { temperature: 1.0, top_p: Some(0.9), seed, ..sampling.clone() };
        generate(&decoder, &[3], &sampling).expect("a sound prompt").tokens
    };
    assert_eq!(drawn(1), drawn(1));
    assert_ne!(drawn(1), drawn(2));
    assert!(matches!(generate(&decoder, &[], &sampling), Err(ModelError::Prompt { .. })));
}

#[test]
fn penalties_are_taken_for_what_was_made() {
    let decoder = decoder(&json!({}));
    let plain = Sampling { max_new_tokens: 30, ..Sampling::default() };
    let made = |sampling: &Sampling| generate(&decoder, &[3, 4, 5], sampling).expect("a sound prompt").tokens;
    let distinct = |tokens: &[u32]| tokens.iter().collect::<std::collections::BTreeSet<_>>().len();
    let repeating = made(&plain);
    assert!(distinct(&repeating) < 30, "the likeliest token comes again: {repeating:?}");
    let never_twice = made(&Sampling { presence_penalty: 1e6, ..plain.clone() });
    assert_eq!((distinct(&never_twice), never_twice[0]), (30, repeating[0]));
    // Of 37 tokens each comes once, then each a second time: a count weighs more than any score.
    let by_count = made(&Sampling { frequency_penalty: 1e6, max_new_tokens: 59, ..plain.clone() });
    assert_eq!((distinct(&by_count[..37]), distinct(&by_count[37..])), (37, 22));
    let sought = made(&Sampling { presence_penalty: -1e6, ..plain });
    assert_eq!(distinct(&sought), 1);
}

#[test]
fn prompts_together_are_prompts_one_by_one() {
    for changes in families() {
        let decoder = decoder(&changes);
        let prompts: Vec<Vec<u32>> =
            [1, 9, 3].iter().map(|&count| (0..count).map(|index| (index * 7 + count) % 37).collect()).collect();
        let prompts: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
        for temperature in [0.0, 0.8] {
            // A stop token that some prompts reach and others do not.
            let sampling =
                Sampling { temperature, seed: 3, max_new_tokens: 12, stop: vec![5, 11], ..Sampling::default() };
            let together = generate_batch(&decoder, &prompts, &sampling, &mut |_, _| true).expect("short prompts");
            for (prompt, together) in prompts.iter().zip(together) {
                assert_eq!(generate(&decoder, prompt, &sampling).expect("a short prompt"), together, "{changes}");
            }
        }
        let mut given = Vec::new();
        let cancelled = generate_batch(&decoder, &prompts, &Sampling::default(), &mut |prompt, token| {
            given.push((prompt, token));
            prompt != 1
        });
        let cancelled = cancelled.expect("short prompts");
        assert_eq!((cancelled[1].finish, cancelled[1].tokens.len()), (Finish::Cancelled, 1), "{changes}");
        assert!(cancelled[0].tokens.len() > 1 && cancelled[2].tokens.len() > 1, "{changes}");
        let counted: usize = cancelled.iter().map(|generation| generation.tokens.len()).sum();
        assert_eq!(given.len(), counted, "{changes}");
    }
}

#[test]
fn weights_survive_the_disk_and_strangers_are_refused() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let decoder = decoder(&json!({ "tie_word_embeddings": false }));
    decoder.save(dir.path(), None).expect("writable");
    let again = Decoder::load(dir.path(), DType::F32, &Device::Cpu).expect("just written");
    for (a, b) in decoder.parameters().iter().zip(again.parameters()) {
        assert_eq!(a.name(), b.name());
        let values = |p: &Parameter| p.value().flatten_all().and_then(|t| t.to_vec1::<f32>()).expect("f32");
        assert_eq!(values(a), values(&b));
    }
    assert!(dir.path().join("generation_config.json").is_file());

    let mut changed = decoder.config().clone().to_json();
    changed["tie_word_embeddings"] = json!(false);
    changed["num_hidden_layers"] = json!(4);
    changed["vocab_size"] = json!(38);
    fs_err::write(dir.path().join("config.json"), changed.to_string()).expect("writable");
    match Decoder::load(dir.path(), DType::F32, &Device::Cpu) {
        Err(ModelError::Tensors { missing, unexpected, misshapen, .. }) => {
            assert!(missing.contains(&"model.layers.3.mlp.up_proj.weight".to_owned()), "{missing:?}");
            assert_eq!(unexpected, Vec::<String>::new());
            assert_eq!(misshapen.len(), 2, "{misshapen:?}");
        }
        other => panic!("{other:?}"),
    }
    let weights = dir.path().join("model.safetensors");
    let bytes = fs_err::read(&weights).expect("readable");
    fs_err::write(&weights, &bytes[..bytes.len() - 1]).expect("writable");
    assert!(matches!(Decoder::load(dir.path(), DType::F32, &Device::Cpu), Err(ModelError::Damaged { .. })));
}

fn lora(dropout: f32) -> LoraConfig {
    LoraConfig { rank: 3, alpha: 6.0, dropout, ..LoraConfig::default() }
}

/// Adapters as they are after some training: B is not zero any more.
fn adapted(dropout: f32) -> Decoder {
    let mut decoder = decoder(&json!({ "attention_bias": true }));
    decoder.attach(&lora(dropout), 5).expect("all-linear matches");
    for parameter in decoder.trainable() {
        if parameter.name().ends_with("lora_B.weight") {
            let values = PhiloxKey::new(9).fold_name(parameter.name()).normals(parameter.value().elem_count());
            let values = Tensor::from_vec(values, parameter.value().shape(), &Device::Cpu).expect("same shape");
            parameter.set(&(values * 0.1).expect("f32")).expect("same shape");
        }
    }
    decoder
}

#[test]
fn fresh_adapters_change_nothing_and_only_they_are_trained() {
    let mut decoder = decoder(&json!({}));
    let before = evaluate(&decoder, &batch()).expect("a sound batch");
    decoder.attach(&lora(0.0), 5).expect("all-linear matches");
    assert_eq!(evaluate(&decoder, &batch()).expect("a sound batch"), before);
    assert_eq!(decoder.trainable().len(), 3 * 7 * 2);
    assert!(matches!(decoder.attach(&lora(0.0), 5), Err(ModelError::AlreadyAdapted)));
    let dir = tempfile::tempdir().expect("a temporary directory");
    assert!(matches!(decoder.save_adapter(dir.path(), "base"), Err(ModelError::EmptyAdapter { .. })));
    let line = decoder.trainable_parameters().to_string();
    assert!(line.starts_with("trainable params: 3,240 || all params: "), "{line}");

    let (_, gradients) = trained(&decoder, &batch(), None, Recompute::None);
    assert!(gradients.iter().any(|&g| g != 0.0));
    let buffer = GradientBuffer::new(&decoder.parameters()).expect("f32");
    loss_and_gradients(&decoder, &batch(), None, Recompute::None).expect("a sound batch");
    for parameter in buffer.parameters() {
        let gradient = parameter.gradient().expect("no device").expect("in the buffer");
        let size: f32 = gradient.abs().and_then(|g| g.sum_all()).and_then(|sum| sum.to_scalar()).expect("a scalar");
        assert_eq!(size > 0.0, parameter.name().ends_with("lora_B.weight"), "{}", parameter.name());
    }
}

#[test]
fn a_quantised_base_trains_the_same_adapters_and_merges_into_dense_weights() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut bare = decoder(&json!({}));
    bare.save(dir.path(), None).expect("a new directory");
    bare.quantise().expect("room");
    let loaded = Decoder::load_quantised(dir.path(), DType::F32, &Device::Cpu).expect("as it was saved");
    let [kept, read] = [&bare, &loaded].map(|decoder| evaluate(decoder, &batch()).expect("a sound batch"));
    assert_eq!(kept, read);
    assert!(matches!(bare.train_all(), Err(ModelError::Quantised { .. })));
    let refused = bare.save(&dir.path().join("again"), None).expect_err("4 bits are no checkpoint");
    assert!(refused.to_string().contains("layers.0"), "{refused}");

    let dense = adapted(0.3);
    let mut quantised = dense.clone();
    quantised.quantise().expect("adapted");
    let held = |decoder: &Decoder| decoder.parameters().iter().filter(|parameter| parameter.nf4().is_some()).count();
    assert_eq!((held(&dense), held(&quantised)), (0, 3 * 7));

    // What it computes is what dense weights of the decoded values compute, on slices and by the graph.
    let mut decoded = quantised.clone();
    for parameter in quantised.parameters().iter().filter(|parameter| parameter.nf4().is_some()) {
        let own = decoded.parameters().into_iter().find(|own| own.name() == parameter.name()).expect("a copy");
        assert!(own.value().sum_all().and_then(|sum| sum.to_scalar::<f32>()).expect("f32").is_nan());
    }
    decoded.merge().expect("adapted");
    assert_eq!(held(&decoded), 0);
    let (merged, adapted) = [&decoded, &quantised].map(|d| evaluate(d, &batch()).expect("a sound batch")).into();
    assert!((merged - adapted).abs() < 1e-5 * merged, "{merged} {adapted}");
    let apart = evaluate(&dense, &batch()).expect("a sound batch") - adapted;
    assert!(apart != 0.0 && apart.abs() < 0.1 * adapted, "4 bits are felt, a little: {apart}");

    let key = Some(PhiloxKey::new(1).fold(17));
    let (loss, gradients) = trained(&quantised, &batch(), key, Recompute::None);
    for recompute in [Recompute::Selective, Recompute::Block] {
        assert_eq!(trained(&quantised, &batch(), key, recompute), (loss, gradients.clone()));
    }
    let (expected, by_autograd) = plain(&quantised, &batch());
    let (loss, gradients) = trained(&quantised, &batch(), None, Recompute::None);
    assert!((loss - expected).abs() < 1e-6 * expected);
    assert!(distance(&gradients, &by_autograd) < 1e-6);
    assert_eq!(quantised.trainable().len(), dense.trainable().len());
}

#[test]
fn adapters_are_plain_autograd_too_and_dropout_is_drawn_again() {
    let decoder = adapted(0.0);
    let (expected_loss, expected) = plain(&decoder, &batch());
    let (loss, gradients) = trained(&decoder, &batch(), None, Recompute::Block);
    assert!((loss - expected_loss).abs() < 1e-6 * expected_loss);
    assert!(distance(&gradients, &expected) < 1e-6);

    let decoder = adapted(0.3);
    let key = Some(PhiloxKey::new(1).fold(17));
    let dropped = trained(&decoder, &batch(), key, Recompute::None);
    assert_eq!(trained(&decoder, &batch(), key, Recompute::Block), dropped);
    assert_ne!(trained(&decoder, &batch(), Some(PhiloxKey::new(1).fold(18)), Recompute::None).0, dropped.0);
}

#[test]
fn the_residual_dropout_of_phi_is_drawn_by_key_in_training_only() {
    let mut changes = phi("phi");
    changes["resid_pdrop"] = json!(0.3);
    let (mut dropping, mut plain) = (decoder(&changes), decoder(&phi("phi")));
    dropping.train_all().expect("small");
    plain.train_all().expect("small");
    let of = |decoder: &Decoder, key| trained(decoder, &batch(), key, Recompute::Block);
    let key = Some(PhiloxKey::new(1).fold(17));
    assert_eq!(of(&dropping, None), of(&plain, None));
    assert_eq!(of(&plain, key), of(&plain, None));
    assert_eq!(trained(&dropping, &batch(), key, Recompute::None), of(&dropping, key));
    assert_ne!(of(&dropping, key).0, of(&dropping, None).0);
    assert_ne!(of(&dropping, key).0, of(&dropping, Some(PhiloxKey::new(1).fold(18))).0);
}

#[test]
fn adapters_survive_the_disk_and_the_merge() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let decoder = adapted(0.1);
    let loss = evaluate(&decoder, &batch()).expect("a sound batch");
    decoder.save_adapter(dir.path(), "some/base").expect("writable");
    let mut again = self::decoder(&json!({ "attention_bias": true }));
    let base = evaluate(&again, &batch()).expect("a sound batch");
    assert!((base - loss).abs() > 1e-3 * loss, "the adapter does something");
    again.load_adapter(dir.path()).expect("just written");
    assert_eq!(evaluate(&again, &batch()).expect("a sound batch"), loss);
    assert_eq!(again.lora().map(|lora| lora.dropout), Some(0.1));
    assert!(again.trainable().is_empty());
    assert!(matches!(again.save(dir.path(), None), Err(ModelError::AlreadyAdapted)));
    again.merge().expect("adapters are there");
    let merged = evaluate(&again, &batch()).expect("a sound batch");
    assert!((merged - loss).abs() < 1e-5 * loss, "{merged} {loss}");
    assert!(again.merge().is_err());

    let mut other = self::decoder(&json!({ "attention_bias": true, "num_hidden_layers": 2 }));
    match other.load_adapter(dir.path()) {
        Err(ModelError::Tensors { missing, unexpected, .. }) => {
            assert_eq!((missing.len(), unexpected.len()), (0, 14));
        }
        result => panic!("{result:?}"),
    }
    assert!(other.lora().is_none());
}

#[test]
fn targets_must_match() {
    let mut decoder = decoder(&json!({}));
    let named = |names: &[&str]| LoraConfig {
        targets: LoraTargets::Names(names.iter().map(|&name| name.to_owned()).collect()),
        ..lora(0.0)
    };
    match decoder.attach(&named(&["q_proj", "Wqkv"]), 0) {
        Err(ModelError::NoSuchTarget { target, available }) => {
            assert_eq!(target, "Wqkv");
            assert!(available.contains(&"k_proj".to_owned()));
        }
        other => panic!("{other:?}"),
    }
    decoder.attach(&named(&["q_proj", "model.layers.1.mlp.up_proj"]), 0).expect("both are there");
    assert_eq!(decoder.trainable().len(), 2 * (3 + 1));
    assert!(LoraConfig { rank: 0, ..lora(0.0) }.validate().is_err());
    let parsed: LoraConfig = serde_json::from_value(json!({ "targets": "all-linear" })).expect("the keyword");
    assert_eq!(parsed.targets, LoraTargets::Keyword(AllLinear::AllLinear));
    assert!(serde_json::from_value::<LoraConfig>(json!({ "targets": "all" })).is_err());
}

#[test]
fn a_batch_or_buffer_that_does_not_fit_is_refused() {
    let mut decoder = decoder(&json!({}));
    decoder.train_all().expect("small");
    let no_buffer = loss_and_gradients(&decoder, &batch(), None, Recompute::None);
    assert!(matches!(no_buffer, Err(ModelError::NoGradientBuffer { .. })));
    assert!(MicroBatch::new(vec![1, 2], vec![0], vec![0, 2], &[]).is_err());
    assert!(matches!(ModelConfig::from_json(json!({ "model_type": "gpt2" })), Err(ModelError::UnknownFamily { .. })));
}
