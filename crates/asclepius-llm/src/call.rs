//! One call: what is asked, what makes it the same call again, and how it can end.

use asclepius_schema::{CallLineage, Fingerprint, Message, Reason};
use serde_json::{Map, Value};

use crate::wire::is_cut;

/// One question to the chat API.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The row this call is for: report id, `<report id>#<index>` ..
    pub row_id: String,
    /// What the call is for: `note`, `question`, `answer` ..
    pub stage: &'static str,
    /// The rendered messages.
    pub messages: Vec<Message>,
    /// Sampling temperature.
    pub temperature: f32,
    /// The most tokens the reply may have. Not part of the call's identity.
    pub max_tokens: u32,
    /// The request's `response_format`, for servers that can hold a reply to a JSON schema.
    pub response_format: Option<Value>,
    /// Whether a reply that reached `max_tokens` is a reply, as where a model is measured under a limit. Otherwise it is
    /// asked for once more with room for twice as many, and dropped if it is cut again.
    pub keeps_cut: bool,
}

impl Call {
    /// A call that asks for free text.
    pub fn new(
        row_id: impl Into<String>,
        stage: &'static str,
        messages: Vec<Message>,
        temperature: f32,
        max_tokens: u32,
    ) -> Self {
        Self {
            row_id: row_id.into(),
            stage,
            messages,
            temperature,
            max_tokens,
            response_format: None,
            keeps_cut: false,
        }
    }

    /// The call's identity, 32 hex digits: row, stage, messages, model and the settings that can change a reply's
    /// content. What an attempt adds (token cap, endpoint, timeout, key) does not count, so changing it asks nothing
    /// again that was answered.
    pub fn key(&self, model: &str, extra_body: &Map<String, Value>) -> String {
        Fingerprint::new("call")
            .bytes("row", self.row_id.as_bytes())
            .bytes("stage", self.stage.as_bytes())
            .bytes("messages", &canonical(&self.messages))
            .bytes("model", model.as_bytes())
            .bytes("temperature", &self.temperature.to_le_bytes())
            .setting("response_format", &self.response_format)
            .setting("extra_body", extra_body)
            .finish()
    }
}

/// The messages' JSON with sorted keys, as [`Fingerprint::setting`] would have it, written at once: prompts are long, and
/// every call's identity is looked up.
fn canonical(messages: &[Message]) -> Vec<u8> {
    let mut json = Vec::with_capacity(messages.iter().map(|message| message.content.len() + 64).sum());
    let mut write = |separator: &str, value: &dyn Fn(&mut Vec<u8>) -> serde_json::Result<()>| {
        json.extend_from_slice(separator.as_bytes());
        value(&mut json).expect("text is plain data");
    };
    for (index, message) in messages.iter().enumerate() {
        let open = if index == 0 { r#"[{"content":"# } else { r#"},{"content":"# };
        write(open, &|json| serde_json::to_writer(json, &message.content));
        write(r#","role":"#, &|json| serde_json::to_writer(json, &message.role));
    }
    json.extend_from_slice(if messages.is_empty() { b"[]" } else { b"}]" });
    json
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Completion {
    /// With a text.
    Reply(Reply),
    /// Without one, for good: asking again would end the same way.
    Dropped {
        /// Why.
        reason: Reason,
        /// What exactly, for a person; never the text of a note.
        detail: String,
    },
    /// Without one for now: shut down, budget reached, or a fault that may pass. The next run asks again.
    Pending {
        /// Why.
        detail: String,
    },
}

/// A text from the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The text, without white space around it.
    pub text: String,
    /// The provider's finish reason.
    pub finish_reason: String,
    /// Tokens sent.
    pub prompt_tokens: u32,
    /// Tokens received.
    pub completion_tokens: u32,
    /// The call's identity in the ledger, see [`Call::key`].
    pub request_key: String,
    /// The model that was asked for.
    pub model: String,
}

impl Reply {
    /// Whether it ends where `max_tokens` did, by either name that providers have for that.
    pub fn is_cut(&self) -> bool {
        is_cut(&self.finish_reason)
    }

    /// What a row stores about the call that wrote it.
    pub fn lineage(&self, prompt_hash: &str) -> CallLineage {
        CallLineage {
            prompt_hash: prompt_hash.to_owned(),
            request_key: self.request_key.clone(),
            finish_reason: self.finish_reason.clone(),
            prompt_tokens: i32::try_from(self.prompt_tokens).unwrap_or(i32::MAX),
            completion_tokens: i32::try_from(self.completion_tokens).unwrap_or(i32::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn messages_count_by_their_canonical_json() {
        let messages = [Message::system("a \"b\"\n\u{1}ü</x>"), Message::user(""), Message::assistant("c")];
        for count in 0..=messages.len() {
            let value = serde_json::to_value(&messages[..count]).expect("plain data");
            assert_eq!(canonical(&messages[..count]), asclepius_schema::fingerprint::canonical(&value).into_bytes());
        }
    }

    #[test]
    fn identity_is_what_can_change_the_reply_and_nothing_else() {
        let call = Call::new("PMC1.1-1", "note", vec![Message::user("text")], 0.7, 100);
        let extra = Map::new();
        let key = call.key("m", &extra);
        assert_eq!(key.len(), 32);
        assert_eq!(Call { max_tokens: 7, ..call.clone() }.key("m", &extra), key);

        let mut seeded = Map::new();
        seeded.insert("seed".to_owned(), json!(1));
        let others = [
            Call { row_id: "PMC1.1-2".to_owned(), ..call.clone() }.key("m", &extra),
            Call { stage: "answer", ..call.clone() }.key("m", &extra),
            Call { messages: vec![Message::system("text")], ..call.clone() }.key("m", &extra),
            Call { temperature: 0.0, ..call.clone() }.key("m", &extra),
            Call { response_format: Some(json!({"type": "json_object"})), ..call.clone() }.key("m", &extra),
            call.key("n", &extra),
            call.key("m", &seeded),
        ];
        assert!(others.iter().all(|other| *other != key));
    }
}
