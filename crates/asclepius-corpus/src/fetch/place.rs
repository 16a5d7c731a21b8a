//! Where an article lies in the bucket, as its name and its metadata say.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// An article, or one version of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The digits of the PMCID.
    pub article: u64,
    /// The version; `None` for every one.
    pub version: Option<u32>,
}

impl FromStr for Version {
    type Err = String;

    /// `PMC123`, `123` or `PMC123.2`.
    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || format!("{text:?} is no PMCID: PMC123 or PMC123.2");
        let bare = text.strip_prefix("PMC").unwrap_or(text);
        let (article, version) =
            bare.split_once('.').map_or((bare, None), |(article, version)| (article, Some(version)));
        if !(1..=12).contains(&article.len()) || !article.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(refuse());
        }
        let version = version.map(str::parse).transpose().map_err(|_| refuse())?;
        Ok(Self { article: article.parse().map_err(|_| refuse())?, version })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PMC{}", self.article)?;
        self.version.map_or(Ok(()), |version| write!(formatter, ".{version}"))
    }
}

impl Version {
    /// `PMC123.1`; version 1 where none is given.
    pub(super) fn stem(&self) -> String {
        format!("PMC{}.{}", self.article, self.version.unwrap_or(1))
    }

    /// The version that a metadata key is of.
    pub(super) fn of_key(key: &str) -> Option<Self> {
        let version: Self = key.strip_prefix("metadata/")?.strip_suffix(".json")?.parse().ok()?;
        version.version.is_some().then_some(version)
    }
}

pub(super) fn metadata_key(version: &Version) -> String {
    format!("metadata/{}.json", version.stem())
}

pub(super) fn is_md5(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[derive(Debug, Deserialize)]
struct Metadata {
    #[serde(default)]
    license_code: Option<String>,
    #[serde(default)]
    is_retracted: Option<bool>,
    #[serde(default)]
    xml_url: Option<String>,
    #[serde(default)]
    xml_md5: Option<String>,
}

/// What metadata says of an article's XML.
#[derive(Debug)]
pub(super) struct Place {
    pub key: String,
    pub md5: Option<String>,
    pub licence: Option<String>,
    pub retracted: bool,
}

impl Place {
    /// Reads metadata. Its address may be of any scheme: only the key at its end counts, and that must be this
    /// version's own, since it is asked of the bucket and of nobody else.
    pub fn parse(bytes: &[u8], version: &Version) -> Result<Self, String> {
        let metadata: Metadata = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let address = metadata.xml_url.ok_or("it names no XML")?;
        let (path, more) = address.find(['?', '#']).map_or((address.as_str(), ""), |at| address.split_at(at));
        let stem = version.stem();
        let key = format!("{stem}/{stem}.xml");
        if path != key && !path.ends_with(&format!("/{key}")) {
            return Err(format!("its XML is not {key}"));
        }
        let inline = more.trim_start_matches(['?', '#']).split('&').find_map(|part| part.strip_prefix("md5="));
        let md5 = metadata.xml_md5.as_deref().or(inline).map(str::to_ascii_lowercase);
        if let Some(md5) = md5.as_deref().filter(|md5| !is_md5(md5)) {
            return Err(format!("{:?} is no MD5", md5.chars().take(40).collect::<String>()));
        }
        let retracted = metadata.is_retracted.unwrap_or(false);
        Ok(Self { key, md5, licence: metadata.license_code, retracted })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_held_to_their_shape() {
        let version: Version = "PMC12.3".parse().expect("a version");
        assert_eq!(version, Version { article: 12, version: Some(3) });
        assert_eq!("12".parse::<Version>().expect("an article").to_string(), "PMC12");
        for bad in ["", "PMC", "PMC12.x", "12/..", "../12", "PMC1234567890123"] {
            assert!(bad.parse::<Version>().is_err(), "{bad}");
        }
        assert_eq!(Version::of_key("metadata/PMC12.3.json"), Some(version));
        assert_eq!(Version::of_key("metadata/PMC12.json"), None);
        let md5 = "0123456789abcdef0123456789ABCDEF";
        for address in ["s3://bucket/PMC12.3/PMC12.3.xml", "https://elsewhere.example/PMC12.3/PMC12.3.xml"] {
            let place = Place::parse(format!("{{\"xml_url\": \"{address}?md5={md5}\"}}").as_bytes(), &version)
                .expect("a place");
            assert_eq!((place.key.as_str(), place.md5), ("PMC12.3/PMC12.3.xml", Some(md5.to_lowercase())));
        }
        for bad in [
            "{}",
            "{",
            r#"{"xml_url": "s3://b/PMC13.1/PMC13.1.xml"}"#,
            r#"{"xml_url": "PMC12.3/PMC12.3.xml", "xml_md5": "x"}"#,
        ] {
            assert!(Place::parse(bad.as_bytes(), &version).is_err(), "{bad}");
        }
    }
}
