//! Loading is strict: what is missing, too much, misplaced or not safetensors is named.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use asclepius_model::checkpoint::{read_tensors, write_tensors};
use asclepius_model::{Decoder, ModelError};
use candle_core::{DType, Device, Tensor};
use serde_json::json;
use tempfile::TempDir;

const INDEX: &str = "model.safetensors.index.json";

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/golden/qwen2")
}

fn tensors() -> BTreeMap<String, Tensor> {
    read_tensors(&golden().join("model.safetensors"), &Device::Cpu).expect("a golden model")
}

fn empty() -> TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    fs_err::copy(golden().join("config.json"), directory.path().join("config.json")).expect("writable");
    directory
}

fn load(directory: &TempDir) -> Result<Decoder, ModelError> {
    Decoder::load(directory.path(), DType::F32, &Device::Cpu)
}

/// The model in two files; gives the map of the index.
fn sharded(directory: &TempDir) -> BTreeMap<String, String> {
    let mut map = BTreeMap::new();
    let mut shards = [BTreeMap::new(), BTreeMap::new()];
    for (index, (name, tensor)) in tensors().into_iter().enumerate() {
        map.insert(name.clone(), format!("{}.safetensors", index % 2));
        shards[index % 2].insert(name, tensor);
    }
    for (index, shard) in shards.iter().enumerate() {
        write_tensors(&directory.path().join(format!("{index}.safetensors")), shard).expect("writable");
    }
    map
}

fn write_index(directory: &TempDir, map: &BTreeMap<String, String>) {
    fs_err::write(directory.path().join(INDEX), json!({ "weight_map": map }).to_string()).expect("writable");
}

#[track_caller]
fn refuses(directory: &TempDir, words: &[&str]) {
    let message = load(directory).expect_err("it is not what it should be").to_string();
    for word in words {
        assert!(message.contains(word), "{word:?} is not in {message:?}");
    }
}

#[test]
fn missing_and_unexpected_tensors_are_listed_together() {
    let directory = empty();
    let mut changed = tensors();
    let moved = changed.remove("model.layers.1.mlp.up_proj.weight").expect("there");
    changed.remove("model.norm.weight");
    changed.insert("model.layers.1.mlp.other.weight".to_owned(), moved);
    write_tensors(&directory.path().join("model.safetensors"), &changed).expect("writable");
    let error = load(&directory).expect_err("not the model's tensors");
    let ModelError::Tensors { missing, unexpected, misshapen, .. } = error else { panic!("{error}") };
    assert_eq!(missing, ["model.layers.1.mlp.up_proj.weight", "model.norm.weight"]);
    assert_eq!(unexpected, ["model.layers.1.mlp.other.weight"]);
    assert!(misshapen.is_empty());
}

#[test]
fn shards_are_read_where_the_index_says() {
    let directory = empty();
    write_index(&directory, &sharded(&directory));
    let loaded = load(&directory).expect("whole");
    let whole = Decoder::load(&golden(), DType::F32, &Device::Cpu).expect("a golden model");
    let flat = |tensor: &Tensor| tensor.flatten_all().and_then(|flat| flat.to_vec1::<f32>()).expect("numbers");
    for (a, b) in loaded.parameters().iter().zip(whole.parameters()) {
        assert_eq!((a.name(), flat(a.value())), (b.name(), flat(b.value())));
    }
}

#[test]
fn an_index_that_names_a_missing_file_is_refused() {
    let directory = empty();
    write_index(&directory, &sharded(&directory));
    fs_err::remove_file(directory.path().join("1.safetensors")).expect("there");
    refuses(&directory, &[INDEX, "1.safetensors", "no such file"]);
}

#[test]
fn a_tensor_in_another_file_than_the_index_says_is_refused() {
    let directory = empty();
    let mut map = sharded(&directory);
    let name = "model.layers.0.self_attn.k_proj.bias";
    let file = map.get_mut(name).expect("there");
    *file = if file == "0.safetensors" { "1.safetensors" } else { "0.safetensors" }.to_owned();
    write_index(&directory, &map);
    refuses(&directory, &[INDEX, name]);
}

#[test]
fn a_tensor_the_index_does_not_name_is_refused() {
    let directory = empty();
    let mut map = sharded(&directory);
    map.remove("model.norm.weight");
    write_index(&directory, &map);
    refuses(&directory, &[INDEX, "model.norm.weight", "not in the index"]);
}

#[test]
fn an_index_does_not_lead_out_of_the_directory() {
    let directory = empty();
    let mut map = sharded(&directory);
    map.insert("model.norm.weight".to_owned(), "../elsewhere.safetensors".to_owned());
    write_index(&directory, &map);
    refuses(&directory, &[INDEX, "model.norm.weight", "../elsewhere.safetensors"]);
}

#[test]
fn sixteen_bit_weights_load_as_what_they_round_to() {
    for dtype in [DType::F16, DType::BF16] {
        let directory = empty();
        let rounded: BTreeMap<String, Tensor> =
            tensors().into_iter().map(|(name, tensor)| (name, tensor.to_dtype(dtype).expect("a cast"))).collect();
        write_tensors(&directory.path().join("model.safetensors"), &rounded).expect("writable");
        let loaded = load(&directory).expect("sound");
        assert_eq!(loaded.dtype(), DType::F32);
        for parameter in loaded.parameters() {
            let wide = rounded[parameter.name()].to_dtype(DType::F32).expect("a cast");
            let flat = |tensor: &Tensor| tensor.flatten_all().and_then(|flat| flat.to_vec1::<f32>()).expect("numbers");
            assert_eq!(flat(parameter.value()), flat(&wide), "{dtype:?} {}", parameter.name());
        }
    }
}

#[test]
fn pickles_are_not_read_and_the_message_says_so() {
    for name in ["pytorch_model.bin", "pytorch_model.bin.index.json"] {
        let directory = empty();
        fs_err::write(directory.path().join(name), b"anything").expect("writable");
        refuses(&directory, &[name, "only safetensors and GGUF are read"]);
    }
}

#[test]
fn a_header_whose_sizes_overflow_is_refused() {
    let directory = empty();
    let header = br#"{"model.norm.weight":{"dtype":"F32","shape":[9223372036854775807,4],"data_offsets":[0,16]}}"#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    bytes.extend([0; 16]);
    fs_err::write(directory.path().join("model.safetensors"), bytes).expect("writable");
    refuses(&directory, &["model.safetensors", "model.norm.weight"]);
}
