//! GGUF out and in again: every golden model comes back bit for bit, and what is damaged, hostile or has no form there is
//! refused by name.

use std::collections::BTreeMap;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use asclepius_model::gguf::config::read_config;
use asclepius_model::gguf::value::GgufValue;
use asclepius_model::gguf::{self, GgufFile};
use asclepius_model::rotary::RotaryScaling;
use asclepius_model::{Decoder, ModelConfig, ModelError, Source, export_directory, parameter_shapes};
use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{DType, Device, Tensor};
use serde_json::json;
use tempfile::TempDir;

const FAMILIES: [&str; 11] = [
    "llama",
    "llama-biases",
    "llama-linear",
    "llama-yarn-whole",
    "llama3",
    "mistral",
    "phi",
    "phi-first",
    "phi3",
    "qwen2",
    "qwen3",
];

fn golden(family: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/golden").join(family)
}

fn temporary() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

/// Every tensor's numbers, as bits of f32, by today's names.
fn bits(source: &mut Source) -> BTreeMap<String, Vec<u32>> {
    let names: Vec<String> = parameter_shapes(source.config()).into_keys().collect();
    names
        .into_iter()
        .map(|name| {
            let tensor = source.read(&name).expect("there").to_dtype(DType::F32).expect("f32");
            let values = tensor.flatten_all().and_then(|flat| flat.to_vec1::<f32>()).expect("numbers");
            (name, values.into_iter().map(f32::to_bits).collect())
        })
        .collect()
}

/// What a configuration computes with. YaRN's attention factor, which goes through a quotient in f32, to six digits.
fn computed(config: &ModelConfig) -> String {
    let mut rotary = config.rotary.clone();
    if let RotaryScaling::Yarn { attention_factor, .. } = &mut rotary.scaling {
        *attention_factor = (*attention_factor * 1e5).round();
    }
    let sizes = [
        config.vocab_size,
        config.hidden_size,
        config.intermediate_size,
        config.layers,
        config.heads,
        config.key_value_heads,
        config.head_dim,
        config.max_positions,
    ];
    let flags = [config.tied, config.query_bias, config.output_bias, config.feed_forward_bias];
    let rest = (config.norm_epsilon, config.window, config.activation, config.bos, &config.eos);
    format!("{:?} {sizes:?} {flags:?} {rest:?} {rotary:?}", config.family)
}

fn exported(family: &str, directory: &Path, dtype: GgmlDType) -> PathBuf {
    let path = directory.join(format!("{family}.gguf"));
    let mut source = Source::open(&golden(family)).expect("a golden model");
    gguf::export(&mut source, &golden(family), &path, dtype).expect("it has a form in GGUF");
    path
}

#[test]
fn golden_models_come_back_bit_for_bit() {
    for family in FAMILIES {
        let directory = temporary();
        let out = directory.path().join("back");
        gguf::import(&exported(family, directory.path(), GgmlDType::F32), &out, None).expect(family);
        let mut before = Source::open(&golden(family)).expect("a golden model");
        let mut after = Source::open(&out).expect("what was imported loads strictly");
        assert_eq!(computed(after.config()), computed(before.config()), "{family}");
        assert_eq!(bits(&mut after), bits(&mut before), "{family}");
    }
}

#[test]
fn the_rows_of_a_llama_s_queries_lie_as_llama_cpp_wants_them() {
    let directory = temporary();
    let mut file = GgufFile::open(&exported("llama", directory.path(), GgmlDType::F32)).expect("sound");
    let mut source = Source::open(&golden("llama")).expect("a golden model");
    let rows = |tensor: Tensor| tensor.to_vec2::<f32>().expect("a matrix");
    let theirs = rows(file.read("blk.1.attn_k.weight").expect("there"));
    let ours = rows(source.read("model.layers.1.self_attn.k_proj.weight").expect("there"));
    // 3 heads of 6 features: features 0, 1, 2 turn with 3, 4, 5, which are their neighbours there.
    for (place, feature) in [0, 3, 1, 4, 2, 5].into_iter().enumerate() {
        for head in 0..3 {
            assert_eq!(theirs[6 * head + place], ours[6 * head + feature], "head {head}, feature {feature}");
        }
    }
}

#[test]
fn scaling_that_llama_cpp_cannot_compute_is_refused_by_name() {
    let directory = temporary();
    let mut source = Source::open(&golden("llama-yarn")).expect("a golden model");
    let out = directory.path().join("model.gguf");
    let error = gguf::export(&mut source, &golden("llama-yarn"), &out, GgmlDType::F32).expect_err("no form");
    assert!(error.to_string().contains("truncate"), "{error}");
    assert!(!out.exists());
}

#[test]
fn sixteen_bits_stay_sixteen_bits() {
    for (dtype, plain) in [(GgmlDType::F16, DType::F16), (GgmlDType::BF16, DType::BF16)] {
        let directory = temporary();
        let path = exported("qwen3", directory.path(), dtype);
        let (types, _) = GgufFile::open(&path).expect("sound").types();
        // Norms stay f32: 2 a block, 2 of heads a block, and the last.
        assert_eq!(types.get("F32"), Some(&9), "{types:?}");
        let out = directory.path().join("back");
        let imported = gguf::import(&path, &out, None).expect("sound");
        assert_eq!(imported.dtype, plain);
        let name = "model.layers.0.mlp.up_proj.weight";
        let read = |directory: &Path| Source::open(directory).expect("sound").read(name).expect("there");
        let (before, after) = (read(&golden("qwen3")), read(&out));
        assert_eq!(after.dtype(), plain);
        let rounded = before.to_dtype(plain).and_then(|rounded| rounded.to_dtype(DType::F32)).expect("f32");
        let after = after.to_dtype(DType::F32).expect("f32");
        assert_eq!(after.to_vec2::<f32>().expect("a matrix"), rounded.to_vec2::<f32>().expect("a matrix"));
    }
}

/// A random model whose rows fill whole blocks.
fn blocky() -> Decoder {
    let config = json!({
        "model_type": "llama", "vocab_size": 40, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1,
        "num_attention_heads": 4, "num_key_value_heads": 2, "rms_norm_eps": 1e-5, "tie_word_embeddings": true,
    });
    Decoder::init(ModelConfig::from_json(config).expect("sizes that fit"), 7, &Device::Cpu).expect("memory")
}

#[test]
fn eight_bits_are_within_half_a_step() {
    let directory = temporary();
    let path = directory.path().join("model.gguf");
    let mut source = Source::of(&blocky()).expect("no adapters");
    gguf::export(&mut source, directory.path(), &path, GgmlDType::Q8_0).expect("it has a form in GGUF");
    let (types, _) = GgufFile::open(&path).expect("sound").types();
    assert_eq!(types, BTreeMap::from([("F32", 3), ("Q8_0", 8)]));
    let out = directory.path().join("back");
    gguf::import(&path, &out, None).expect("sound");
    let mut after = Source::open(&out).expect("sound");
    let name = "model.layers.0.self_attn.q_proj.weight";
    let flat = |source: &mut Source| {
        let tensor = source.read(name).expect("there");
        tensor.flatten_all().and_then(|flat| flat.to_vec1::<f32>()).expect("numbers")
    };
    for (before, after) in flat(&mut source).chunks(32).zip(flat(&mut after).chunks(32)) {
        let largest = before.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        // Half a step of 1/127 of the block's largest weight, and the scale's own rounding to f16.
        let bound = largest / 127.0 * 0.5 + largest / 1024.0;
        for (a, b) in before.iter().zip(after) {
            assert!((a - b).abs() <= bound, "{a} became {b}, bound {bound}");
        }
    }
}

#[test]
fn rows_that_fill_no_block_become_f16() {
    let directory = temporary();
    let (types, _) = GgufFile::open(&exported("qwen2", directory.path(), GgmlDType::Q8_0)).expect("sound").types();
    assert_eq!(types.get("Q8_0"), None, "54 and 30 columns: {types:?}");
    assert!(types.contains_key("F16"), "{types:?}");
}

#[test]
fn a_weight_too_large_for_f16_is_named() {
    let directory = temporary();
    let decoder = blocky();
    let name = "model.layers.0.mlp.up_proj.weight";
    let large = Tensor::full(1e5_f32, (96, 64), &Device::Cpu).expect("memory");
    decoder.restore(&BTreeMap::from([(name.to_owned(), large)])).expect("the same shape");
    let out = directory.path().join("out");
    let mut source = Source::of(&decoder).expect("no adapters");
    let error = export_directory(&mut source, directory.path(), &out, DType::F16).expect_err("too large");
    assert!(matches!(error, ModelError::OutOfRange { ref tensor, .. } if tensor == name), "{error}");
    assert!(!out.exists(), "nothing half done is left");
    let left = fs_err::read_dir(directory.path()).expect("readable").count();
    assert_eq!(left, 0, "no temporary directory either");
}

#[test]
fn what_is_there_is_not_overwritten() {
    let directory = temporary();
    let path = exported("llama", directory.path(), GgmlDType::F32);
    let out = directory.path().join("there");
    fs_err::create_dir(&out).expect("writable");
    assert!(matches!(gguf::import(&path, &out, None), Err(ModelError::Exists(_))));
    let mut source = Source::open(&golden("llama")).expect("a golden model");
    let error = gguf::export(&mut source, &golden("llama"), &path, GgmlDType::F32).expect_err("it is there");
    assert!(matches!(error, ModelError::Exists(_)), "{error}");
}

#[test]
fn the_first_layout_is_written_in_today_s() {
    let directory = temporary();
    let out = directory.path().join("current");
    let mut source = Source::open(&golden("phi-first")).expect("a golden model");
    export_directory(&mut source, &golden("phi-first"), &out, DType::F32).expect("writable");
    let config = fs_err::read_to_string(out.join("config.json")).expect("written");
    assert!(config.contains("\"phi\"") && !config.contains("n_embd"), "{config}");
    assert_eq!(bits(&mut Source::open(&out).expect("it loads strictly")), bits(&mut source));
}

/// Changes a file's keys and tensors.
type Change<'a> = &'a dyn Fn(&mut BTreeMap<String, Value>, &mut BTreeMap<String, Tensor>);

/// A golden model's file with other keys or tensors, written by candle.
fn rewritten(family: &str, change: Change<'_>) -> (TempDir, PathBuf) {
    let directory = temporary();
    let mut file = GgufFile::open(&exported(family, directory.path(), GgmlDType::F32)).expect("sound");
    let mut keys: BTreeMap<String, Value> = BTreeMap::new();
    for (key, value) in file.metadata().iter() {
        let value = match value {
            GgufValue::Unsigned(value) => Value::U32(*value as u32),
            GgufValue::F32(value) => Value::F32(*value),
            GgufValue::Text(text) => Value::String(text.clone()),
            other => panic!("{key}: {other:?} is not in a golden model's file"),
        };
        keys.insert(key.to_owned(), value);
    }
    let names: Vec<String> = file.names().map(str::to_owned).collect();
    let mut tensors: BTreeMap<String, Tensor> =
        names.into_iter().map(|name| (name.clone(), file.read(&name).expect("there"))).collect();
    change(&mut keys, &mut tensors);
    let quantised: Vec<(String, QTensor)> = tensors
        .into_iter()
        .map(|(name, tensor)| (name, QTensor::quantize(&tensor, GgmlDType::F32).expect("f32 as it is")))
        .collect();
    let path = directory.path().join("changed.gguf");
    let mut output = fs_err::File::create(&path).expect("writable");
    let keys: Vec<(&str, &Value)> = keys.iter().map(|(key, value)| (key.as_str(), value)).collect();
    let tensors: Vec<(&str, &QTensor)> = quantised.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    gguf_file::write(&mut output, &keys, &tensors).expect("writable");
    (directory, path)
}

#[test]
fn a_phi_whose_queries_keys_and_values_are_stacked_is_read_too() {
    let (directory, path) = rewritten("phi", &|_, tensors| {
        for kind in ["weight", "bias"] {
            for layer in 0..2 {
                let mut take = |part| tensors.remove(&format!("blk.{layer}.{part}.{kind}")).expect("there");
                let parts = [take("attn_q"), take("attn_k"), take("attn_v")];
                tensors.insert(format!("blk.{layer}.attn_qkv.{kind}"), Tensor::cat(&parts, 0).expect("fitting"));
            }
        }
    });
    let out = directory.path().join("out");
    gguf::import(&path, &out, None).expect("sound");
    let mut before = Source::open(&golden("phi")).expect("a golden model");
    assert_eq!(bits(&mut Source::open(&out).expect("sound")), bits(&mut before));
}

#[test]
fn what_cannot_be_computed_is_refused_by_its_key_or_tensor() {
    type Change = fn(&mut BTreeMap<String, Value>, &mut BTreeMap<String, Tensor>);
    fn set(keys: &mut BTreeMap<String, Value>, key: &str, value: Value) {
        keys.insert(key.to_owned(), value);
    }
    let changes: [(&str, Change, &[&str]); 7] = [
        ("llama", |keys, _| set(keys, "llama.expert_count", Value::U32(8)), &["llama.expert_count"]),
        (
            "llama",
            |keys, _| set(keys, "llama.rope.scaling.type", Value::String("longrope".to_owned())),
            &["llama.rope.scaling.type", "longrope"],
        ),
        ("llama", |keys, _| set(keys, "llama.rope.dimension_count", Value::U32(4)), &["llama.rope.dimension_count"]),
        ("qwen2", |keys, _| drop(keys.remove("qwen2.block_count")), &["qwen2.block_count", "missing"]),
        (
            "qwen2",
            |keys, _| set(keys, "qwen2.block_count", Value::String("two".to_owned())),
            &["qwen2.block_count", "a text, not an integer"],
        ),
        (
            "llama3",
            |_, tensors| {
                let other = Tensor::new(&[1_f32, 3.0, 8.0], &Device::Cpu).expect("memory");
                tensors.insert("rope_freqs.weight".to_owned(), other);
            },
            &["rope_freqs.weight", "Llama 3"],
        ),
        (
            "phi3",
            |_, tensors| {
                let factors = Tensor::new(&[1_f32, 1.0, 1.0], &Device::Cpu).expect("memory");
                tensors.insert("rope_factors_long.weight".to_owned(), factors);
            },
            &["rope_factors_long.weight", "LongRoPE"],
        ),
    ];
    for (family, change, words) in changes {
        let (directory, path) = rewritten(family, &change);
        let message = gguf::import(&path, &directory.path().join("out"), None).expect_err(words[0]).to_string();
        for word in words.iter().chain(&["changed.gguf"]) {
            assert!(message.contains(word), "{word:?} is not in {message:?}");
        }
    }
}

/// A file that is changed in place, and put back after each look.
struct Patched {
    path: PathBuf,
    bytes: Vec<u8>,
    _directory: TempDir,
}

impl Patched {
    fn new(family: &str) -> Self {
        let directory = temporary();
        let path = exported(family, directory.path(), GgmlDType::F32);
        let bytes = fs_err::read(&path).expect("written");
        Self { path, bytes, _directory: directory }
    }

    fn write(&self, at: usize, bytes: &[u8]) {
        let mut file = fs_err::OpenOptions::new().write(true).open(&self.path).expect("writable");
        file.seek(SeekFrom::Start(at as u64)).and_then(|_| file.write_all(bytes)).expect("writable");
    }

    /// Opens the file with `bytes` at `at`, down to the configuration.
    fn with(&self, at: usize, bytes: &[u8]) -> Result<ModelConfig, ModelError> {
        self.write(at, bytes);
        let read = GgufFile::open(&self.path).and_then(|mut file| read_config(&mut file, DType::F32));
        self.write(at, &self.bytes[at..at + bytes.len()]);
        read
    }

    fn find(&self, text: &str) -> usize {
        let found = self.bytes.windows(text.len()).position(|window| window == text.as_bytes());
        found.expect("the header holds it")
    }

    #[track_caller]
    fn refuses(&self, at: usize, bytes: &[u8], words: &[&str]) {
        let message = self.with(at, bytes).expect_err("damaged").to_string();
        let name = self.path.file_name().expect("a file").to_string_lossy().into_owned();
        for word in words.iter().copied().chain([name.as_str()]) {
            assert!(message.contains(word), "{word:?} is not in {message:?}");
        }
    }
}

#[test]
fn damage_names_the_file_and_the_place() {
    let file = Patched::new("llama");
    file.refuses(0, b"GGML", &["first bytes"]);
    file.refuses(4, &7_u32.to_le_bytes(), &["version", "7"]);
    file.refuses(4, &3_u32.to_be_bytes(), &["big-endian"]);
    file.refuses(8, &u64::MAX.to_le_bytes(), &["tensor count"]);
    file.refuses(16, &(1_u64 << 40).to_le_bytes(), &["key count"]);
    // The length of the first key, and its first letter.
    file.refuses(24, &u64::MAX.to_le_bytes(), &["key 0", "cut short"]);
    file.refuses(32, &[0xff], &["key 0", "UTF-8"]);
    let value = file.find("general.architecture") + "general.architecture".len() + 4 + 8;
    file.refuses(value, b"bloom", &["general.architecture", "bloom", "llama, qwen2, qwen3, phi2, phi3"]);
    let heads = file.find("llama.attention.head_count") + "llama.attention.head_count".len() + 4;
    file.refuses(heads, &7_u32.to_le_bytes(), &["llama.attention.head_count", "7"]);
    file.refuses(heads - 4, &77_u32.to_le_bytes(), &["llama.attention.head_count", "type 77"]);

    let tensor = "blk.0.attn_k.weight";
    let after = file.find(tensor) + tensor.len();
    file.refuses(after, &9_u32.to_le_bytes(), &[tensor, "9 dimensions"]);
    file.refuses(after + 4, &(1_u64 << 62).to_le_bytes(), &[tensor]);
    file.refuses(after + 20, &16_u32.to_le_bytes(), &[tensor, "type 16", "Q4_K"]);
    file.refuses(after + 24, &(1_u64 << 50).to_le_bytes(), &[tensor, "cut short"]);
    file.refuses(after + 24, &u64::MAX.to_le_bytes(), &[tensor]);
    file.refuses(after + 24, &4_u64.to_le_bytes(), &[tensor, "multiple of 32"]);
    file.refuses(after + 24, &0_u64.to_le_bytes(), &[tensor, "lies on the bytes of"]);
}

#[test]
fn no_single_byte_makes_it_panic() {
    for family in ["llama3", "phi"] {
        let file = Patched::new(family);
        let header = file.find("output_norm.weight") + 100;
        let mut refused = 0;
        for at in 0..header {
            for byte in [0x00, 0x7f, 0xff] {
                refused += usize::from(file.with(at, &[byte]).is_err());
            }
        }
        assert!(refused > header, "{refused} of {} changes were noticed", 3 * header);
    }
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let file = Patched::new("llama");
    let length = file.bytes.len();
    let cuts = (0..4096).chain((4096..length).step_by(997)).chain([length - 33]);
    for cut in cuts {
        fs_err::write(&file.path, &file.bytes[..cut]).expect("writable");
        let error = GgufFile::open(&file.path).expect_err("cut short");
        assert!(error.to_string().contains("llama.gguf"), "{error}");
    }
}

#[test]
fn tensors_too_few_and_too_many_are_both_named() {
    let file = Patched::new("llama");
    let directory = temporary();
    file.write(file.find("blk.1.ffn_down.weight"), b"blk.7.ffn_down.weight");
    let out = directory.path().join("out");
    let error = gguf::import(&file.path, &out, None).expect_err("another tensor");
    let ModelError::Tensors { missing, unexpected, .. } = error else { panic!("{error}") };
    assert_eq!(
        (missing, unexpected),
        (vec!["blk.1.ffn_down.weight".to_owned()], vec!["blk.7.ffn_down.weight".to_owned()])
    );
    assert!(!out.exists());
}
