//! A byte-level BPE tokenizer from texts alone, for models that start from random weights.

use std::path::PathBuf;

use serde_json::{Map, Value, json};
use tokenizers::decoders::byte_level::ByteLevel;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, NormalizerWrapper, Tokenizer, TokenizerImpl};

use super::files::Parts;
use super::{SpecialNames, TextTokenizer, failed};
use crate::TextError;
use crate::template::ASCLEPIUS;

impl TextTokenizer {
    /// Trains byte-level BPE on `texts`: GPT-2's word boundaries, each digit a token of its own (measurements stay
    /// legible to a small model). The same texts in the same order give the same tokenizer. `vocab_size` counts the
    /// special tokens and the 256 bytes; few texts may yield less. The chat template is this project's own.
    ///
    /// # Errors
    /// When the tokenizer library fails.
    pub fn train_bpe<'t>(
        texts: impl Iterator<Item = &'t str> + Send,
        vocab_size: usize,
        specials: &SpecialNames,
    ) -> Result<Self, TextError> {
        let names = [&specials.bos, &specials.eos, &specials.pad];
        let words = ByteLevel::new(false, true, true);
        let mut trained =
            TokenizerImpl::<BPE, NormalizerWrapper, Sequence, TemplateProcessing, ByteLevel>::new(BPE::default());
        trained.with_pre_tokenizer(Some(Sequence::new(vec![
            PreTokenizerWrapper::Digits(Digits::new(true)),
            PreTokenizerWrapper::ByteLevel(words),
        ])));
        trained.with_decoder(Some(words));
        let mut trainer = BpeTrainer::builder()
            .vocab_size(vocab_size)
            .min_frequency(2)
            .show_progress(false)
            .special_tokens(names.map(|name| AddedToken::from(name.as_str(), true)).to_vec())
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
            .build();
        trained.train(&mut trainer, texts).map_err(failed("train"))?;

        let bos = trained.token_to_id(&specials.bos).expect("the trainer puts special tokens in the vocabulary");
        let single = TemplateProcessing::builder()
            .try_single(format!("{} $A", specials.bos))
            .and_then(|builder| builder.try_pair(format!("{0} $A {0} $B", specials.bos)))
            .map(|builder| builder.special_tokens(vec![(specials.bos.clone(), bos)]).build());
        let processor = single
            .map_err(Into::into)
            .and_then(|built| built.map_err(Into::into))
            .map_err(failed("take a post-processor"))?;
        trained.with_post_processor(Some(processor));

        let json = Tokenizer::from(trained).to_string(true).map_err(failed("write itself"))?;
        let config = json!({
            "add_prefix_space": false,
            "bos_token": specials.bos,
            "clean_up_tokenization_spaces": false,
            "eos_token": specials.eos,
            "pad_token": specials.pad,
            "tokenizer_class": "PreTrainedTokenizerFast",
        });
        let Value::Object(config) = config else { unreachable!("the literal is an object") };
        Self::assemble(Parts {
            json,
            config,
            special_map: Map::new(),
            chat_template: Some(ASCLEPIUS.to_owned()),
            model_ids: [None; 3],
            path: PathBuf::from("a trained tokenizer"),
        })
    }
}
