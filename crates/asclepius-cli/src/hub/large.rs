//! Large files by Git LFS: asked for in one batch, sent whole or in parts to the storage the hub names. What the storage
//! has already, from another push or one that broke off, is not sent again.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderName, HeaderValue};
use reqwest::{Body, Method, RequestBuilder};
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::read;
use super::{Api, Broken, Content, Measured, Repository};

const LFS_JSON: &str = "application/vnd.git-lfs+json";
/// A file gets a minute and as long as this many bytes a second take.
const SLOWEST_BYTES_PER_SECOND: u64 = 50_000;
/// Objects asked for at a time.
const OBJECTS_AT_A_TIME: usize = 256;
/// A part is held in memory while it is sent.
const LARGEST_PART: u64 = 1 << 30;

#[derive(Deserialize)]
struct Batch {
    objects: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    oid: String,
    #[serde(default)]
    actions: Option<Actions>,
    #[serde(default)]
    error: Option<ObjectError>,
}

#[derive(Deserialize)]
struct ObjectError {
    #[serde(default)]
    message: String,
}

/// None of them: the object is there.
#[derive(Default, Deserialize)]
struct Actions {
    #[serde(default)]
    upload: Option<Action>,
    #[serde(default)]
    verify: Option<Action>,
}

#[derive(Deserialize)]
struct Action {
    href: String,
    #[serde(default)]
    header: BTreeMap<String, Value>,
}

impl Action {
    /// Bytes of a part and the address of each, where the file is to come in parts.
    fn parts(&self, what: &str, bytes: u64) -> Result<Option<(u64, Vec<String>)>, Broken> {
        let broken = |problem: String| Broken::Unreadable { what: what.to_owned(), problem };
        let Some(size) = self.header.get("chunk_size") else { return Ok(None) };
        let size = text(size).parse::<u64>().ok().filter(|size| (1..=LARGEST_PART).contains(size));
        let size = size.ok_or_else(|| broken("parts of no size that can be sent".to_owned()))?;
        let mut numbered: Vec<(u64, String)> =
            self.header.iter().filter_map(|(name, address)| Some((name.parse().ok()?, text(address)))).collect();
        numbered.sort_unstable();
        let needed = bytes.div_ceil(size);
        if numbered.len() as u64 != needed {
            return Err(broken(format!("{} addresses for {needed} parts", numbered.len())));
        }
        Ok(Some((size, numbered.into_iter().map(|(_, address)| address).collect())))
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

pub(super) fn time_for(bytes: u64) -> Duration {
    Duration::from_secs(60 + bytes / SLOWEST_BYTES_PER_SECOND)
}

/// Brings every file to the storage; `sent` is told each that had to go. Gives how many had.
pub(super) async fn bring(
    api: &Api,
    repository: &Repository,
    files: &[&Measured<'_>],
    sent: &mut dyn FnMut(&Measured<'_>),
) -> Result<usize, Broken> {
    let mut count = 0;
    for files in files.chunks(OBJECTS_AT_A_TIME) {
        let mut told = batch(api, repository, files).await?;
        for file in files {
            // Two files with the same bytes are one object: the second one is there.
            let Some(object) = told.remove(&file.sha256) else { continue };
            if let Some(error) = object.error {
                let what = format!("sending {}", file.name());
                return Err(Broken::Unreadable { what, problem: error.message.chars().take(300).collect() });
            }
            let Actions { upload, verify } = object.actions.unwrap_or_default();
            let Some(upload) = upload else { continue };
            one(api, file, &upload, verify.as_ref()).await?;
            count += 1;
            sent(file);
        }
    }
    Ok(count)
}

async fn batch(
    api: &Api,
    repository: &Repository,
    files: &[&Measured<'_>],
) -> Result<BTreeMap<String, Object>, Broken> {
    let what = format!("asking where large files of {repository} go");
    let objects: Vec<Value> = files.iter().map(|file| json!({ "oid": file.sha256, "size": file.bytes })).collect();
    let body = json!({
        "operation": "upload", "transfers": ["basic", "multipart"], "hash_algo": "sha256", "objects": objects,
        "ref": { "name": "main" },
    })
    .to_string();
    let url = api.large_files(repository);
    let request = async || {
        let request = api.request(Method::POST, url.clone()).header(ACCEPT, LFS_JSON);
        Ok::<_, Broken>(request.header(CONTENT_TYPE, LFS_JSON).body(body.clone()))
    };
    let told: Batch = read(&what, api.send(&what, request).await?).await?;
    let told: BTreeMap<String, Object> = told.objects.into_iter().map(|object| (object.oid.clone(), object)).collect();
    match files.iter().find(|file| !told.contains_key(&file.sha256)) {
        None => Ok(told),
        Some(file) => Err(Broken::Unreadable { what, problem: format!("nothing is said of {}", file.name()) }),
    }
}

async fn one(api: &Api, file: &Measured<'_>, upload: &Action, verify: Option<&Action>) -> Result<(), Broken> {
    let what = format!("sending {}", file.name());
    match upload.parts(&what, file.bytes)? {
        None => whole(api, &what, file, upload).await?,
        Some((size, addresses)) => in_parts(api, &what, file, upload, size, &addresses).await?,
    }
    let Some(verify) = verify else { return Ok(()) };
    let url = api.storage(&what, &verify.href)?;
    let body = json!({ "oid": file.sha256, "size": file.bytes }).to_string();
    let request = async || {
        let request = api.request(Method::POST, url.clone()).header(ACCEPT, LFS_JSON);
        Ok::<_, Broken>(request.header(CONTENT_TYPE, LFS_JSON).body(body.clone()))
    };
    api.send(&what, request).await?;
    Ok(())
}

async fn whole(api: &Api, what: &str, file: &Measured<'_>, upload: &Action) -> Result<(), Broken> {
    let url = api.storage(what, &upload.href)?;
    let request = async || {
        let mut request = api.bare(Method::PUT, url.clone()).timeout(time_for(file.bytes));
        for (name, value) in &upload.header {
            request = header(request, what, name, &text(value))?;
        }
        // A stream by itself would come in chunks, which object stores refuse.
        request = request.header(CONTENT_LENGTH, file.bytes);
        Ok::<_, Broken>(match &file.file.content {
            Content::Made(content) => request.body(content.clone()),
            Content::Disk(path) => {
                let (opened, _) = fs_err::File::open(path)?.into_parts();
                request.body(Body::from(tokio::fs::File::from_std(opened)))
            }
        })
    };
    api.send(what, request).await?;
    Ok(())
}

fn header(request: RequestBuilder, what: &str, name: &str, value: &str) -> Result<RequestBuilder, Broken> {
    let parsed = HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_str(value).ok());
    let problem = || Broken::Unreadable { what: what.to_owned(), problem: "a header that is none".to_owned() };
    let (name, value) = parsed.ok_or_else(problem)?;
    Ok(request.header(name, value))
}

async fn in_parts(
    api: &Api,
    what: &str,
    file: &Measured<'_>,
    upload: &Action,
    size: u64,
    addresses: &[String],
) -> Result<(), Broken> {
    let mut parts = Vec::with_capacity(addresses.len());
    for (index, address) in (0_u64..).zip(addresses) {
        let what = format!("{what}, part {} of {}", index + 1, addresses.len());
        let url = api.storage(&what, address)?;
        let from = index * size;
        let part = part(file, from, size.min(file.bytes - from))?;
        let request = async || {
            Ok::<_, Broken>(api.bare(Method::PUT, url.clone()).timeout(time_for(part.len() as u64)).body(part.clone()))
        };
        let response = api.send(&what, request).await?;
        let etag = response.headers().get(ETAG).and_then(|etag| etag.to_str().ok()).filter(|etag| !etag.is_empty());
        let problem = || Broken::Unreadable { what: what.clone(), problem: "no receipt (ETag) came".to_owned() };
        parts.push(json!({ "partNumber": index + 1, "etag": etag.ok_or_else(problem)? }));
    }
    let url = api.storage(what, &upload.href)?;
    let body = json!({ "oid": file.sha256, "parts": parts }).to_string();
    let request = async || {
        let request = api.bare(Method::POST, url.clone()).timeout(time_for(0)).header(ACCEPT, LFS_JSON);
        Ok::<_, Broken>(request.header(CONTENT_TYPE, LFS_JSON).body(body.clone()))
    };
    api.send(what, request).await?;
    Ok(())
}

fn part(file: &Measured<'_>, from: u64, bytes: u64) -> std::io::Result<Vec<u8>> {
    match &file.file.content {
        Content::Made(content) => Ok(content[from as usize..(from + bytes) as usize].to_vec()),
        Content::Disk(path) => {
            let mut opened = fs_err::File::open(path)?;
            opened.seek(SeekFrom::Start(from))?;
            let mut part = vec![0; bytes as usize];
            opened.read_exact(&mut part)?;
            Ok(part)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(header: Value) -> Action {
        serde_json::from_value(json!({ "href": "https://hub.example/complete", "header": header })).expect("an action")
    }

    #[test]
    fn parts_are_in_the_order_of_their_numbers_and_as_many_as_it_takes() {
        let header: serde_json::Map<String, Value> =
            (1..=11).map(|n| (format!("{n:05}"), json!(format!("https://s.example/{n}")))).collect();
        let mut header = Value::Object(header);
        assert!(action(header.clone()).parts("x", 100).expect("in one").is_none());
        header["chunk_size"] = json!("10");
        let (size, addresses) = action(header.clone()).parts("x", 101).expect("sound").expect("in parts");
        assert_eq!((size, addresses.len(), addresses[9].as_str()), (10, 11, "https://s.example/10"));
        assert!(action(header.clone()).parts("x", 100).is_err(), "ten parts, eleven addresses");
        for size in ["0", "many", "99999999999"] {
            header["chunk_size"] = json!(size);
            assert!(action(header.clone()).parts("x", 101).is_err(), "{size}");
        }
    }
}
