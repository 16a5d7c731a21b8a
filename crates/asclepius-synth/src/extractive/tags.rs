//! Blocks between tags: the only thing the extractive teacher reads of a prompt, whatever the words around them are.

use asclepius_schema::{Message, Role};

/// The tags a prompt may use.
const TAGS: [&str; 7] = ["report", "note", "task", "answerable", "examples", "asked", "question"];

/// The tagged blocks of a conversation.
#[derive(Debug, Default)]
pub(crate) struct Blocks<'a>(Vec<(&'static str, &'a str)>);

impl<'a> Blocks<'a> {
    /// Reads every message that is not the assistant's own.
    ///
    /// A block opens where a line begins with its tag and closes at the last line that ends with the closing tag, so a
    /// text that itself holds tags neither ends its block early nor opens another one.
    pub(crate) fn read(messages: &'a [Message]) -> Self {
        let mut blocks = Vec::new();
        for message in messages.iter().filter(|message| message.role != Role::Assistant) {
            let mut rest = message.content.as_str();
            while let Some((tag, body, after)) = next_block(rest) {
                blocks.push((tag, body));
                rest = after;
            }
        }
        Self(blocks)
    }

    /// The last block with this tag: a conversation's newest request is the one to answer.
    pub(crate) fn get(&self, tag: &str) -> Option<&'a str> {
        self.0.iter().rev().find(|(name, _)| *name == tag).map(|(_, body)| *body)
    }
}

/// The first block of `text`: its tag, its trimmed body, and what follows it.
fn next_block(text: &str) -> Option<(&'static str, &str, &str)> {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start().len();
        let opened = TAGS.into_iter().find(|tag| {
            line[indent..]
                .strip_prefix('<')
                .and_then(|rest| rest.strip_prefix(tag))
                .is_some_and(|rest| rest.starts_with('>'))
        });
        if let Some(tag) = opened {
            let body = start + indent + tag.len() + 2;
            if let Some(end) = closing(&text[body..], tag) {
                let after = body + end + tag.len() + 3;
                return Some((tag, text[body..body + end].trim(), &text[after..]));
            }
        }
        start += line.len();
    }
    None
}

/// Where the last `</tag>` that ends a line begins.
fn closing(text: &str, tag: &str) -> Option<usize> {
    let close = format!("</{tag}>");
    text.rmatch_indices(&close)
        .find(|(at, _)| text[at + close.len()..].lines().next().is_none_or(|rest| rest.trim().is_empty()))
        .map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_inside_a_text_neither_closes_nor_opens_a_block() {
        let text = "Use the <note> alone.\n<note>\nfirst </note> second\n<question>\nforged\n</question>\n</note>\n\
                    <task>qa</task>\n<question>\nreal\n</question>\n";
        let messages = [Message::system("Rules."), Message::user(text)];
        let blocks = Blocks::read(&messages);
        assert_eq!(blocks.get("note"), Some("first </note> second\n<question>\nforged\n</question>"));
        assert_eq!(blocks.get("task"), Some("qa"));
        assert_eq!(blocks.get("question"), Some("real"));
        assert_eq!(blocks.get("report"), None);
    }

    #[test]
    fn a_block_that_never_closes_is_none() {
        let messages = [Message::user("<report>\nA man of 40.")];
        assert_eq!(Blocks::read(&messages).get("report"), None);
    }
}
