//! Weights on disk: safetensors files, one tensor at a time, in Hugging Face's directory layout.

use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use asclepius_ops::Parameter;
use candle_core::{DType, Device, Tensor};
use safetensors::SafeTensorError;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{ModelConfig, ModelError, Result, parameter_shapes};

/// Bytes of tensors in one file of a sharded checkpoint.
const SHARD_BYTES: usize = 5_000_000_000;

/// Bytes a header may have; the format's own limit.
const HEADER_LIMIT: u64 = 100_000_000;

/// The largest number of f16.
const F16_LIMIT: f32 = 65_504.0;

/// What a tokenizer leaves in a model directory; copied along with the weights.
const TOKENIZER_FILES: [&str; 9] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    "generation_config.json",
];

/// One tensor's entry in a safetensors header.
#[derive(Debug, Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (u64, u64),
}

impl Entry {
    fn dtype(&self) -> Option<DType> {
        Some(match self.dtype.as_str() {
            "F64" => DType::F64,
            "F32" => DType::F32,
            "F16" => DType::F16,
            "BF16" => DType::BF16,
            "I64" => DType::I64,
            "U32" => DType::U32,
            "U8" => DType::U8,
            _ => return None,
        })
    }
}

/// A safetensors file whose header has been checked against its length; tensors are read as they are asked for.
#[derive(Debug)]
pub struct TensorFile {
    path: PathBuf,
    file: fs_err::File,
    entries: BTreeMap<String, Entry>,
    data_start: u64,
}

impl TensorFile {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// When the file cannot be read, or is cut short, or its header is not one.
    pub fn open(path: &Path) -> Result<Self> {
        let mut file = fs_err::File::open(path)?;
        let length = file.metadata()?.len();
        let damaged = |problem: String| ModelError::Damaged { path: path.to_owned(), problem };
        let mut size = [0; 8];
        file.read_exact(&mut size).map_err(|_| damaged(format!("{length} bytes are too few for a header")))?;
        let header_size = u64::from_le_bytes(size);
        if header_size > HEADER_LIMIT || header_size + 8 > length {
            return Err(damaged(format!("a header of {header_size} bytes in a file of {length}")));
        }
        let mut header = vec![0; header_size as usize];
        file.read_exact(&mut header)?;
        let mut values: BTreeMap<String, Value> =
            serde_json::from_slice(&header).map_err(|error| damaged(format!("header: {error}")))?;
        values.remove("__metadata__");
        let mut entries = BTreeMap::new();
        let data_start = header_size + 8;
        let mut data_end = 0;
        for (name, value) in values {
            let entry: Entry = serde_json::from_value(value).map_err(|error| damaged(format!("{name}: {error}")))?;
            let dtype = entry.dtype().ok_or_else(|| damaged(format!("{name}: type {} is not read", entry.dtype)))?;
            let bytes = entry.shape.iter().try_fold(dtype.size_in_bytes(), |bytes, &size| bytes.checked_mul(size));
            let (start, end) = entry.data_offsets;
            if bytes.is_none() || end.checked_sub(start) != bytes.map(|bytes| bytes as u64) {
                let text = format!("{name}: {:?} of {dtype:?} does not lie between {start} and {end}", entry.shape);
                return Err(damaged(text));
            }
            data_end = data_end.max(end);
            entries.insert(name, entry);
        }
        if length - data_start != data_end {
            return Err(damaged(format!(
                "{} bytes of data, where the header asks for {data_end}",
                length - data_start
            )));
        }
        Ok(Self { path: path.to_owned(), file, entries, data_start })
    }

    /// The tensors' names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// A tensor's shape.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.entries.get(name).map(|entry| entry.shape.as_slice())
    }

    /// A tensor's type.
    pub fn dtype(&self, name: &str) -> Option<DType> {
        self.entries.get(name)?.dtype()
    }

    /// Reads a tensor as `dtype`; `None` keeps the file's type.
    ///
    /// # Errors
    /// When there is no such tensor, or it cannot be read.
    pub fn read(&mut self, name: &str, dtype: Option<DType>, device: &Device) -> Result<Tensor> {
        let damaged =
            |problem: &str| ModelError::Damaged { path: self.path.clone(), problem: format!("{name}: {problem}") };
        let entry = self.entries.get(name).ok_or_else(|| damaged("is not there"))?;
        let stored = entry.dtype().ok_or_else(|| damaged("has a type that is not read"))?;
        let (start, end) = entry.data_offsets;
        let mut bytes = vec![0; (end - start) as usize];
        self.file.seek(SeekFrom::Start(self.data_start + start))?;
        self.file.read_exact(&mut bytes)?;
        let tensor = Tensor::from_raw_buffer(&bytes, stored, &entry.shape, &Device::Cpu)?;
        Ok(tensor.to_device(device)?.to_dtype(dtype.unwrap_or(stored))?)
    }
}

/// Reads every tensor of one file, in the file's types, by name.
///
/// # Errors
/// When the file is missing or damaged.
pub fn read_tensors(path: &Path, device: &Device) -> Result<BTreeMap<String, Tensor>> {
    let mut file = TensorFile::open(path)?;
    let names: Vec<String> = file.names().map(str::to_owned).collect();
    names.into_iter().map(|name| Ok((name.clone(), file.read(&name, None, device)?))).collect()
}

/// Writes tensors to one file, through a temporary name beside it.
///
/// # Errors
/// When the file cannot be written.
pub fn write_tensors(path: &Path, tensors: &BTreeMap<String, Tensor>) -> Result<()> {
    let temporary = temporary_beside(path)?;
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize_to_file(tensors, Some(metadata), &temporary).map_err(|error| match error {
        // A full disk stays one.
        SafeTensorError::IoError(error) => {
            std::io::Error::new(error.kind(), format!("{}: {error}", path.display())).into()
        }
        other => ModelError::Damaged { path: path.to_owned(), problem: other.to_string() },
    })?;
    publish(temporary, path)
}

/// Writes bytes through a temporary name beside `path`.
pub(crate) fn write_bytes(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = temporary_beside(path)?;
    fs_err::write(&temporary, bytes)?;
    publish(temporary, path)
}

/// The directory a path lies in.
fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A temporary file beside `path`, in a directory that is made where it is missing.
pub(crate) fn temporary_beside(path: &Path) -> Result<tempfile::TempPath> {
    fs_err::create_dir_all(parent(path))?;
    Ok(tempfile::Builder::new().prefix(".partial-").tempfile_in(parent(path))?.into_temp_path())
}

/// As [`publish`], but never over a file that is there.
pub(crate) fn publish_new(temporary: tempfile::TempPath, path: &Path) -> Result<()> {
    if path.exists() {
        return Err(ModelError::Exists(path.to_owned()));
    }
    publish(temporary, path)
}

fn publish(temporary: tempfile::TempPath, path: &Path) -> Result<()> {
    // A temporary file is private to its owner; what is published follows the usual rule.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs_err::set_permissions(&temporary, std::fs::Permissions::from_mode(0o644))?;
    }
    fs_err::File::open(&temporary)?.sync_all()?;
    temporary.persist(path).map_err(|error| {
        std::io::Error::new(error.error.kind(), format!("failed to write {}: {}", path.display(), error.error))
    })?;
    Ok(())
}

/// A Hugging Face directory's weight files, which hold exactly the tensors the configuration asks for.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    files: Vec<TensorFile>,
    places: BTreeMap<String, usize>,
}

impl Checkpoint {
    /// Opens every file and compares names and shapes.
    pub(crate) fn open(dir: &Path, config: &ModelConfig) -> Result<Self> {
        let files = open_files(dir)?;
        let expected = parameter_shapes(config);
        let (mut unexpected, mut misshapen) = (Vec::new(), Vec::new());
        let mut places = BTreeMap::new();
        for (index, file) in files.iter().enumerate() {
            for name in file.names() {
                match (expected.get(name), file.shape(name)) {
                    (Some(wanted), Some(found)) if wanted == found => {
                        places.insert(name.to_owned(), index);
                    }
                    (Some(wanted), found) => {
                        misshapen.push(format!("{name}: {:?} for {wanted:?}", found.unwrap_or(&[])));
                    }
                    (None, _) if redundant(name, config) => {
                        tracing::debug!(tensor = name, "left out: it follows from the others");
                    }
                    (None, _) => unexpected.push(name.to_owned()),
                }
            }
        }
        let missing: Vec<String> = expected
            .keys()
            .filter(|name| {
                !places.contains_key(*name) && !misshapen.iter().any(|text| text.starts_with(&format!("{name}:")))
            })
            .cloned()
            .collect();
        if !(missing.is_empty() && unexpected.is_empty() && misshapen.is_empty()) {
            return Err(ModelError::Tensors { path: dir.to_owned(), missing, unexpected, misshapen });
        }
        Ok(Self { files, places })
    }

    /// Reads a tensor as `dtype`; `None` keeps the file's type.
    pub(crate) fn read(&mut self, name: &str, dtype: Option<DType>, device: &Device) -> Result<Tensor> {
        // An unknown name is reported by the first file, as one that is not there.
        let file = self.places.get(name).copied().unwrap_or(0);
        self.files[file].read(name, dtype, device)
    }

    /// The type that every tensor has, or f32 where they differ.
    pub(crate) fn dtype(&self) -> DType {
        let mut types = self.places.iter().map(|(name, &file)| self.files[file].dtype(name));
        match types.next().flatten() {
            Some(first) if types.all(|other| other == Some(first)) => first,
            _ => DType::F32,
        }
    }
}

/// The weights of a Hugging Face directory: exactly the tensors the configuration asks for, read as `dtype`, one after
/// the other, each as `hold` holds it.
pub(crate) fn read_model(
    dir: &Path,
    config: &ModelConfig,
    dtype: DType,
    device: &Device,
    hold: &dyn Fn(&str, &Tensor) -> Result<Parameter>,
) -> Result<BTreeMap<String, Parameter>> {
    let mut checkpoint = Checkpoint::open(dir, config)?;
    let names: Vec<String> = checkpoint.places.keys().cloned().collect();
    let read = |name: String| {
        let parameter = hold(&name, &checkpoint.read(&name, Some(dtype), device)?)?;
        Ok((name, parameter))
    };
    names.into_iter().map(read).collect()
}

/// Tensors some checkpoints carry although they follow from others: the tied head, and the rotary frequencies that early
/// versions of transformers stored.
fn redundant(name: &str, config: &ModelConfig) -> bool {
    (config.tied && name == "lm_head.weight") || name.ends_with(".rotary_emb.inv_freq")
}

/// The names of all tensors of a Hugging Face directory, from its files' headers.
pub(crate) fn tensor_names(dir: &Path) -> Result<Vec<String>> {
    Ok(open_files(dir)?.iter().flat_map(TensorFile::names).map(str::to_owned).collect())
}

/// Opens the weight files of a directory; every tensor must lie where the index, if there is one, says.
fn open_files(dir: &Path) -> Result<Vec<TensorFile>> {
    let path = dir.join("model.safetensors.index.json");
    if !path.is_file() {
        let whole = dir.join("model.safetensors");
        let pickles = ["pytorch_model.bin", "pytorch_model.bin.index.json"];
        if !whole.exists()
            && let Some(found) = pickles.into_iter().find(|name| dir.join(name).exists())
        {
            return Err(ModelError::OnlyPickle { path: dir.to_owned(), found: found.to_owned() });
        }
        return Ok(vec![TensorFile::open(&whole)?]);
    }
    let index = read_index(&path)?;
    let problem =
        |tensor: &str, problem: String| ModelError::Index { path: path.clone(), tensor: tensor.to_owned(), problem };
    let mut names: Vec<&str> = index.values().map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    let mut files = Vec::new();
    for name in &names {
        if !dir.join(name).is_file() {
            return Err(problem(name, "is named, but there is no such file".to_owned()));
        }
        files.push(TensorFile::open(&dir.join(name))?);
    }
    for (tensor, name) in &index {
        let holders: Vec<&str> =
            names.iter().zip(&files).filter(|(_, file)| file.shape(tensor).is_some()).map(|(name, _)| *name).collect();
        if holders != [name.as_str()] {
            return Err(problem(tensor, format!("should be in {name} only, but is in {holders:?}")));
        }
    }
    for (name, file) in names.iter().zip(&files) {
        if let Some(stray) = file.names().find(|tensor| !index.contains_key(*tensor)) {
            return Err(problem(stray, format!("is in {name}, but not in the index")));
        }
    }
    Ok(files)
}

/// The file of each tensor.
fn read_index(path: &Path) -> Result<BTreeMap<String, String>> {
    let text = fs_err::read_to_string(path)?;
    let value: Value =
        serde_json::from_str(&text).map_err(|source| ModelError::Json { path: path.to_owned(), source })?;
    let map = value.get("weight_map").and_then(Value::as_object).filter(|map| !map.is_empty());
    let map = map.ok_or_else(|| ModelError::Config {
        path: path.to_owned(),
        key: "weight_map".to_owned(),
        problem: "is missing or empty".to_owned(),
    })?;
    map.iter()
        .map(|(tensor, file)| match file.as_str() {
            Some(name) if Path::new(name).file_name() == Some(name.as_ref()) => Ok((tensor.clone(), name.to_owned())),
            _ => Err(ModelError::Index {
                path: path.to_owned(),
                tensor: tensor.clone(),
                problem: format!("{file} is no name of a file in the directory"),
            }),
        })
        .collect()
}

/// Writes a Hugging Face directory; weights in order of name, a new file every [`SHARD_BYTES`].
pub(crate) fn write_model(
    dir: &Path,
    config: &ModelConfig,
    parameters: &[Parameter],
    tokenizer_dir: Option<&Path>,
) -> Result<()> {
    write_shards(dir, parameters, SHARD_BYTES)?;
    if let Some(source) = tokenizer_dir {
        copy_tokenizer(source, dir)?;
    }
    let mut config = config.clone();
    if let Some(parameter) = parameters.first() {
        config.set_dtype(parameter.value().dtype());
    }
    write_directory_json(dir, &config)
}

/// Copies what a tokenizer leaves in a model directory.
pub(crate) fn copy_tokenizer(source: &Path, dir: &Path) -> Result<()> {
    for name in TOKENIZER_FILES {
        if source.join(name).is_file() {
            write_bytes(&dir.join(name), &fs_err::read(source.join(name))?)?;
        }
    }
    Ok(())
}

/// Writes `generation_config.json` and `config.json`.
pub(crate) fn write_directory_json(dir: &Path, config: &ModelConfig) -> Result<()> {
    write_generation_config(dir, config)?;
    write_json(&dir.join("config.json"), &config.to_json())
}

/// The base's `generation_config.json` where it was copied, with the configuration's end tokens among its own: a model
/// trained to end with one of them must also be stopped by it.
fn write_generation_config(dir: &Path, config: &ModelConfig) -> Result<()> {
    let path = dir.join("generation_config.json");
    let mut value = if path.is_file() {
        let text = fs_err::read_to_string(&path)?;
        serde_json::from_str(&text).map_err(|source| ModelError::Json { path: path.clone(), source })?
    } else {
        json!({ "_from_model_config": true })
    };
    if let (Some(bos), Some(Value::Null) | None) = (config.bos, value.get("bos_token_id")) {
        value["bos_token_id"] = json!(bos);
    }
    let mut ends: Vec<Value> = match value.get("eos_token_id") {
        Some(Value::Array(ends)) => ends.clone(),
        None | Some(Value::Null) => Vec::new(),
        Some(end) => vec![end.clone()],
    };
    for end in &config.eos {
        if !ends.contains(&json!(end)) {
            ends.push(json!(end));
        }
    }
    match ends.as_slice() {
        [] => {}
        [end] => value["eos_token_id"] = end.clone(),
        _ => value["eos_token_id"] = Value::Array(ends),
    }
    write_json(&path, &value)
}

fn write_shards(dir: &Path, parameters: &[Parameter], shard_bytes: usize) -> Result<()> {
    let values: BTreeMap<&str, Tensor> = parameters.iter().map(|p| (p.name(), p.value().detach())).collect();
    let size = |value: &Tensor| value.elem_count() * value.dtype().size_in_bytes();
    let sizes: Vec<(String, usize)> =
        parameters.iter().map(|p| (p.name().to_owned(), size(&values[p.name()]))).collect();
    write_in_shards(dir, &sizes, shard_bytes, &mut |name| Ok(values[name].clone()))
}

/// Writes tensors of these names and bytes in order, a new file every [`SHARD_BYTES`]; each is read when its file's turn
/// comes, so that no more than one file's are in memory.
pub(crate) fn write_sharded(
    dir: &Path,
    sizes: &[(String, usize)],
    read: &mut dyn FnMut(&str) -> Result<Tensor>,
) -> Result<()> {
    write_in_shards(dir, sizes, SHARD_BYTES, read)
}

fn write_in_shards(
    dir: &Path,
    sizes: &[(String, usize)],
    shard_bytes: usize,
    read: &mut dyn FnMut(&str) -> Result<Tensor>,
) -> Result<()> {
    let mut shards: Vec<Vec<&str>> = vec![Vec::new()];
    let (mut filled, mut total) = (0, 0);
    for (name, bytes) in sizes {
        if filled > 0 && filled + bytes > shard_bytes {
            shards.push(Vec::new());
            filled = 0;
        }
        filled += bytes;
        total += bytes;
        if let Some(shard) = shards.last_mut() {
            shard.push(name);
        }
    }
    let mut map = BTreeMap::new();
    for (index, shard) in shards.iter().enumerate() {
        let file = match shards.len() {
            1 => "model.safetensors".to_owned(),
            count => format!("model-{:05}-of-{count:05}.safetensors", index + 1),
        };
        let tensors =
            shard.iter().map(|name| Ok(((*name).to_owned(), read(name)?))).collect::<Result<BTreeMap<_, _>>>()?;
        write_tensors(&dir.join(&file), &tensors)?;
        map.extend(shard.iter().map(|name| ((*name).to_owned(), file.clone())));
    }
    if shards.len() == 1 {
        return Ok(());
    }
    write_json(
        &dir.join("model.safetensors.index.json"),
        &json!({ "metadata": { "total_size": total }, "weight_map": map }),
    )
}

/// A tensor in another type.
///
/// # Errors
/// [`ModelError::OutOfRange`] when a finite weight would become infinite in f16.
pub(crate) fn cast(name: &str, tensor: &Tensor, dtype: DType) -> Result<Tensor> {
    if dtype == DType::F16 && tensor.dtype() != DType::F16 {
        let largest: f32 = tensor.to_dtype(DType::F32)?.abs()?.max_all()?.to_scalar()?;
        if largest > F16_LIMIT && largest.is_finite() {
            return Err(ModelError::OutOfRange { tensor: name.to_owned(), largest });
        }
    }
    Ok(tensor.to_dtype(dtype)?)
}

/// Makes the directory `out` from what `fill` writes in a directory beside it: whole or not at all.
///
/// # Errors
/// When `out` exists, cannot be made, or `fill` fails.
pub fn publish_directory(out: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    if out.exists() {
        return Err(ModelError::Exists(out.to_owned()));
    }
    let parent = parent(out);
    fs_err::create_dir_all(parent)?;
    let temporary = tempfile::Builder::new().prefix(".partial-").tempdir_in(parent)?;
    fill(temporary.path())?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs_err::set_permissions(temporary.path(), std::fs::Permissions::from_mode(0o755))?;
    }
    fs_err::rename(temporary.path(), out)?;
    // What was renamed is not there to be removed.
    let _ = temporary.keep();
    Ok(())
}

/// JSON as Hugging Face writes it: indented by two, a newline at the end.
pub(crate) fn write_json(path: &Path, value: &Value) -> Result<()> {
    let mut text =
        serde_json::to_string_pretty(value).map_err(|source| ModelError::Json { path: path.to_owned(), source })?;
    text.push('\n');
    write_bytes(path, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter(name: &str, size: usize) -> Parameter {
        Parameter::frozen(name, &Tensor::ones(size, DType::F32, &Device::Cpu).expect("small"))
    }

    #[test]
    fn shards_are_cut_in_order_and_found_again() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let parameters = [parameter("a", 3), parameter("b", 5), parameter("c", 2)];
        write_shards(dir.path(), &parameters, 32).expect("writable");
        let files = open_files(dir.path()).expect("an index");
        let names: Vec<Vec<&str>> = files.iter().map(|file| file.names().collect()).collect();
        assert_eq!(names, [vec!["a", "b"], vec!["c"]]);
        let index = fs_err::read_to_string(dir.path().join("model.safetensors.index.json")).expect("written");
        let index: Value = serde_json::from_str(&index).expect("JSON");
        assert_eq!(index["metadata"]["total_size"], 40);
        assert_eq!(index["weight_map"]["c"], "model-00002-of-00002.safetensors");
    }

    #[test]
    fn damaged_files_are_named() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("model.safetensors");
        for bytes in [&b"abc"[..], &u64::MAX.to_le_bytes(), b"\x02\0\0\0\0\0\0\0{]", b"\x02\0\0\0\0\0\0\0{}x"] {
            fs_err::write(&path, bytes).expect("writable");
            assert!(matches!(TensorFile::open(&path), Err(ModelError::Damaged { .. })), "{bytes:?}");
        }
    }
}
