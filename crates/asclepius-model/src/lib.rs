//! Decoders, LoRA, Hugging Face and PEFT weights, generation.
