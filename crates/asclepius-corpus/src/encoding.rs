//! Files that are not UTF-8, turned into it before anything looks for an article in them.
//!
//! What settles the encoding, first to last: a mark of byte order, the zero bytes beside the first character of UTF-16,
//! the XML declaration; without any it is UTF-8, which costs nothing here and is checked where an article is judged.

use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};
use memchr::memmem;

/// No XML declaration is longer; what is, declares nothing.
const DECLARATION_BYTES: usize = 1024;
/// A byte that no UTF-8 holds. It stands for what could not be decoded, so that the article around it is refused and
/// its neighbours are not.
const UNDECODED: u8 = 0xff;

/// Turns the bytes of one file into UTF-8, however they arrive.
pub(crate) struct Transcoder {
    decoder: Decoder,
    /// It was told that the file ends, and takes no more.
    ended: bool,
}

/// What the beginning of a file says about its encoding.
pub(crate) enum Told {
    /// More bytes are needed.
    Unsure,
    Utf8,
    Other(Transcoder),
}

impl Transcoder {
    /// The encoding's name, for messages.
    pub fn name(&self) -> &'static str {
        self.decoder.encoding().name()
    }

    /// Appends `bytes` to `text` as UTF-8; `last` when the file ends with them, after which nothing is added.
    pub fn append(&mut self, mut bytes: &[u8], text: &mut Vec<u8>, last: bool) {
        if self.ended {
            return;
        }
        self.ended = last;
        loop {
            // Room for all of it, unless something cannot be decoded.
            let most = self.decoder.max_utf8_buffer_length_without_replacement(bytes.len());
            let start = text.len();
            text.resize(start + most.unwrap_or(bytes.len()).max(16), 0);
            let (result, read, written) =
                self.decoder.decode_to_utf8_without_replacement(bytes, &mut text[start..], last);
            text.truncate(start + written);
            bytes = &bytes[read..];
            match result {
                DecoderResult::InputEmpty => return,
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(..) => text.push(UNDECODED),
            }
        }
    }
}

/// Reads off the encoding from a file's first bytes; `whole` when it has no more than these.
///
/// # Errors
/// When it is an encoding that is not read, or the declaration cannot be true.
pub(crate) fn tell(bytes: &[u8], whole: bool) -> Result<Told, String> {
    if bytes.len() < 4 && !whole {
        return Ok(Told::Unsure);
    }
    let blank = |byte: u8| matches!(byte, b'<' | b' ' | b'\t' | b'\r' | b'\n');
    match bytes {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] | [b'<', 0, 0, 0, ..] | [0, 0, 0, b'<', ..] => {
            return Err("it is UTF-32, which is not read".to_owned());
        }
        [0x4c, 0x6f, 0xa7, 0x94, ..] => return Err("it is EBCDIC, which is not read".to_owned()),
        [0xef, 0xbb, 0xbf, ..] => return Ok(Told::Utf8),
        [0xff, 0xfe, ..] => return Ok(Told::Other(transcoder(UTF_16LE))),
        [0xfe, 0xff, ..] => return Ok(Told::Other(transcoder(UTF_16BE))),
        [first, 0, second, 0, ..] if blank(*first) && *second != 0 => return Ok(Told::Other(transcoder(UTF_16LE))),
        [0, first, 0, second, ..] if blank(*first) && *second != 0 => return Ok(Told::Other(transcoder(UTF_16BE))),
        _ => {}
    }
    if bytes.iter().take(4).any(|byte| *byte == 0) {
        return Err("it is no UTF-8".to_owned());
    }
    if !bytes.starts_with(b"<?xml") {
        return Ok(Told::Utf8);
    }
    let within = &bytes[..bytes.len().min(DECLARATION_BYTES)];
    let Some(end) = memmem::find(within, b"?>") else {
        return Ok(if whole || bytes.len() >= DECLARATION_BYTES { Told::Utf8 } else { Told::Unsure });
    };
    match declared(&within[..end]) {
        Some(label) => of_label(label),
        None => Ok(Told::Utf8),
    }
}

fn of_label(label: &[u8]) -> Result<Told, String> {
    // Standards for pages read it as Windows' superset; here a byte beyond it is an error, or UTF-8 after all.
    if [&b"us-ascii"[..], b"ascii"].iter().any(|ascii| label.trim_ascii().eq_ignore_ascii_case(ascii)) {
        return Ok(Told::Utf8);
    }
    let shown = || String::from_utf8_lossy(&label[..label.len().min(40)]).into_owned();
    let Some(encoding) = Encoding::for_label_no_replacement(label) else {
        return Err(format!("it declares the encoding {:?}, which is not known", shown()));
    };
    match encoding {
        // The declaration itself was read a byte a character.
        _ if encoding == UTF_16LE || encoding == UTF_16BE => {
            Err(format!("it declares the encoding {:?} and is not written in it", shown()))
        }
        _ if encoding == UTF_8 => Ok(Told::Utf8),
        other => Ok(Told::Other(transcoder(other))),
    }
}

fn transcoder(encoding: &'static Encoding) -> Transcoder {
    Transcoder { decoder: encoding.new_decoder_with_bom_removal(), ended: false }
}

/// The value of `encoding` in the inside of an XML declaration.
fn declared(declaration: &[u8]) -> Option<&[u8]> {
    let after = memmem::find(declaration, b"encoding")? + b"encoding".len();
    let rest = declaration[after..].trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let (quote, rest) = rest.split_first().filter(|(quote, _)| matches!(quote, b'"' | b'\''))?;
    Some(&rest[..memchr::memchr(*quote, rest)?])
}

#[cfg(test)]
mod tests {
    use encoding_rs::{SHIFT_JIS, WINDOWS_1252};

    use super::*;

    fn told(bytes: &[u8]) -> Result<&'static str, String> {
        tell(bytes, true).map(|told| match told {
            Told::Unsure => "unsure",
            Told::Utf8 => "UTF-8",
            Told::Other(transcoder) => transcoder.name(),
        })
    }

    #[test]
    fn a_mark_of_byte_order_comes_before_zeros_and_those_before_the_declaration() {
        for (bytes, name) in [
            (&b""[..], "UTF-8"),
            (b"<a", "UTF-8"),
            (b"<?xml version='1.0'?>", "UTF-8"),
            (b"<?xml version='1.0' encoding='US-ASCII'?>", "UTF-8"),
            (b"<?xml version='1.0' encoding = \"Latin1\" ?>", "windows-1252"),
            (b"<?xml version='1.0' encoding='utf8'?>", "UTF-8"),
            (b"<?xml version='1.0' encoding='Shift_JIS'?>", "Shift_JIS"),
            (b"<?xml version='1.0' encoding='GB18030'?>", "gb18030"),
            (b"<?xml version='1.0' encoding=latin1?>", "UTF-8"),
            (b"\xef\xbb\xbf<?xml version='1.0' encoding='latin1'?>", "UTF-8"),
            (b"\xff\xfe<\0?\0", "UTF-16LE"),
            (b"\xfe\xff\0<\0?", "UTF-16BE"),
            (b"<\0?\0x\0", "UTF-16LE"),
            (b"\0\n\0<", "UTF-16BE"),
        ] {
            assert_eq!(told(bytes).as_deref(), Ok(name), "{}", bytes.escape_ascii());
        }
        for (bytes, what) in [
            (&b"<?xml version='1.0' encoding='x-none'?>"[..], "\"x-none\", which is not known"),
            (b"<?xml version='1.0' encoding='UTF-7'?>", "not known"),
            (b"<?xml version='1.0' encoding='utf-16'?>", "not written in it"),
            (b"\xff\xfe\0\0<\0\0\0", "UTF-32"),
            (b"\0\0\0<", "UTF-32"),
            (b"\x4c\x6f\xa7\x94", "EBCDIC"),
            (b"\0\x01\x02\x03", "no UTF-8"),
        ] {
            assert!(told(bytes).is_err_and(|told| told.contains(what)), "{}", bytes.escape_ascii());
        }
        assert!(matches!(tell(b"<?x", false), Ok(Told::Unsure)));
        assert!(matches!(tell(b"<?xml version='1.0' enc", false), Ok(Told::Unsure)));
        assert!(matches!(tell(&[&b"<?xml "[..], &[b' '; DECLARATION_BYTES]].concat(), false), Ok(Told::Utf8)));
    }

    #[test]
    fn text_comes_out_the_same_however_its_bytes_arrive() {
        let text = "39.1 °C, β 𝛽 日本";
        let wide = |order: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(order).collect::<Vec<u8>>();
        let (kanji, _, _) = SHIFT_JIS.encode("日本");
        for (encoding, bytes, expected) in [
            (UTF_16LE, wide(u16::to_le_bytes), text),
            (UTF_16BE, wide(u16::to_be_bytes), text),
            (WINDOWS_1252, b"39.1 \xb0C \x93a\x94".to_vec(), "39.1 °C “a”"),
            (SHIFT_JIS, kanji.into_owned(), "日本"),
        ] {
            for step in [1, 2, 3, 64] {
                let (mut transcoder, mut found) = (transcoder(encoding), Vec::new());
                bytes.chunks(step).for_each(|chunk| transcoder.append(chunk, &mut found, false));
                transcoder.append(&[], &mut found, true);
                assert_eq!(String::from_utf8(found).as_deref(), Ok(expected), "{} {step}", encoding.name());
            }
        }
        let mut found = Vec::new();
        transcoder(UTF_16LE).append(b"a\0\0\xd8b\0c", &mut found, true);
        assert_eq!(found, b"a\xffb\xff", "half a pair, half a unit");
    }
}
