//! Models in and out of GGUF files, and what the model commands say of what they are given.

use std::path::{Path, PathBuf};

use asclepius_text::TextTokenizer;
use serde_json::Value;

use crate::support::{Ended, Workspace, asclepius, finished, json, root, snapshot};

fn golden(family: &str) -> PathBuf {
    root().join("data/golden").join(family)
}

fn export(model: &Path, out: &Path) -> crate::support::Asclepius {
    asclepius(["model", "export"]).arg(model).arg("--out").arg(out)
}

fn import(file: &Path, out: &Path) -> crate::support::Asclepius {
    asclepius(["model", "import"]).arg(file).arg("--out").arg(out)
}

fn info(path: &Path) -> Value {
    let ended = asclepius(["model", "info", "--json"]).arg(path).ends(0);
    serde_json::from_str(&ended.stdout).expect("--json prints JSON")
}

#[test]
fn a_trained_model_goes_to_gguf_and_back_and_says_the_same() {
    let workspace = Workspace::new();
    let (file, back) = (workspace.path().join("model.gguf"), workspace.path().join("back"));
    let trained = finished().stage("pretrain").join("final");
    export(&trained, &file).ends(0);
    import(&file, &back).ends(0);
    let checked = |model: &Path| asclepius(["model", "check"]).arg(model).ends(0).stdout;
    assert_eq!(checked(&back), checked(&trained), "the same loss on the same tokens");

    let load = |directory: &Path| TextTokenizer::load(directory).expect("a tokenizer");
    let (before, after) = (load(&trained), load(&back));
    for text in ["BP 120/80 mmHg, T 38.5 °C", " naïve café\n\n患者 ½", "<|eos|> is text", "don't"] {
        let ids = |tokenizer: &TextTokenizer| tokenizer.encode_text(text).expect("every byte is a token");
        assert_eq!(ids(&after), ids(&before), "{text:?}");
    }
    assert_eq!(after.chat_template(), before.chat_template());
    assert_eq!([after.bos(), after.eos(), after.pad()], [before.bos(), before.eos(), before.pad()]);

    let facts = info(&file);
    assert_eq!((&facts["format"], &facts["pre_tokenizer"]), (&"gguf".into(), &"smollm".into()));
    for key in ["parameters", "tensors", "layers", "vocab_size", "tied_embeddings"] {
        assert_eq!(facts[key], info(&trained)[key], "{key}");
    }
}

#[test]
fn weights_come_back_to_the_byte_and_other_types_are_what_was_asked_for() {
    let workspace = Workspace::new();
    let (file, back) = (workspace.path().join("model.gguf"), workspace.path().join("back"));
    export(&golden("llama-biases"), &file).ends(0).says(&["no tokenizer"]);
    import(&file, &back).ends(0).says(&["no tokenizer"]);
    let weights = |directory: &Path| fs_err::read(directory.join("model.safetensors")).expect("written");
    let tensors =
        |bytes: &[u8]| bytes[8 + u64::from_le_bytes(bytes[..8].try_into().expect("eight")) as usize..].to_vec();
    assert_eq!(tensors(&weights(&back)), tensors(&weights(&golden("llama-biases"))), "in order of name, so of bytes");

    let half = workspace.path().join("half");
    asclepius(["model", "import", "--dtype", "bf16"]).arg(&file).arg("--out").arg(&half).ends(0);
    assert_eq!(json(&half.join("config.json"))["torch_dtype"], "bfloat16");
    assert_eq!(2 * tensors(&weights(&half)).len(), tensors(&weights(&back)).len());
    let again = workspace.path().join("again");
    export(&half, &again).arg("--dtype").arg("f16").ends(0);
    assert_eq!(json(&again.join("config.json"))["torch_dtype"], "float16");
    asclepius(["model", "export", "--dtype", "q8_0"]).arg(&back).arg("--out").arg(workspace.path().join("q")).ends(2);
}

#[test]
fn an_adapter_is_merged_into_what_is_exported() {
    let workspace = Workspace::new();
    let (model, adapter) = (golden("qwen2"), golden("qwen2").join("adapter"));
    let (file, back, merged) =
        (workspace.path().join("model.gguf"), workspace.path().join("back"), workspace.path().join("merged"));
    export(&model, &file).arg("--adapter").arg(&adapter).ends(0);
    import(&file, &back).ends(0);
    asclepius(["model", "merge", "--model"])
        .arg(&model)
        .arg("--adapter")
        .arg(&adapter)
        .arg("--out")
        .arg(&merged)
        .ends(0);
    let weights = |directory: &Path| fs_err::read(directory.join("model.safetensors")).expect("written");
    assert_eq!(weights(&back), weights(&merged));
    assert_ne!(weights(&back), weights(&model));

    let facts = info(&adapter);
    let config = json(&adapter.join("adapter_config.json"));
    assert_eq!((&facts["format"], &facts["rank"]), (&"peft".into(), &config["r"]));
    assert_eq!(facts["targets"], config["target_modules"]);
    let (rank, layers) = (config["r"].as_u64().expect("a rank"), facts["layers"].as_u64().expect("a count"));
    // Seven linear layers a block, two blocks: 54 features, 18 of keys, 30 inside.
    let ends = [(54, 54), (54, 18), (54, 18), (54, 54), (54, 30), (54, 30), (30, 54)];
    assert_eq!(layers, 14);
    assert_eq!(facts["parameters"], 2 * rank * ends.iter().map(|(input, out)| input + out).sum::<u64>());
}

#[test]
fn nothing_is_left_of_an_import_that_fails_and_nothing_is_overwritten() {
    let workspace = Workspace::new();
    let (file, out) = (workspace.path().join("model.gguf"), workspace.path().join("out"));
    export(&golden("phi3"), &file).ends(0);
    export(&golden("phi3"), &file).ends(2).says(&["exists already"]);
    let whole = fs_err::read(&file).expect("written");
    let refused = |bytes: &[u8], words: &[&str]| -> Ended {
        fs_err::write(&file, bytes).expect("writable");
        let before = snapshot(workspace.path());
        let ended = import(&file, &out).ends(1);
        ended.says(words);
        assert_eq!(snapshot(workspace.path()), before, "nothing came of it");
        ended
    };
    refused(&whole[..whole.len() - 1000], &["model.gguf", "cut short"]);
    refused(b"GGUF", &["model.gguf", "version"]);
    refused(b"", &["model.gguf", "first bytes"]);
    fs_err::create_dir(&out).expect("writable");
    import(&file, &out).ends(2).says(&["exists already"]);
    asclepius(["model", "info"]).arg(&file).ends(1).says(&["model.gguf"]);
    asclepius(["model", "info"]).arg(workspace.path().join("nowhere")).ends(2);
}
