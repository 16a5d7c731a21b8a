//! Which models an endpoint offers, for who was told no name.

use std::time::Duration;

use reqwest::header::AUTHORIZATION;
use serde::Deserialize;

use crate::config::parse_base_url;
use crate::transport::{Transport, failure, read};
use crate::{LlmError, Trouble};

/// A list is short, and whoever waits for it waits before any work.
const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
struct List {
    data: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    id: String,
}

/// The names at `<base_url>/models`, in the endpoint's order.
///
/// # Errors
/// When the URL is none, nobody answers, or the answer is no list of models.
pub async fn offered_models(base_url: &str, api_key: Option<&str>) -> Result<Vec<String>, LlmError> {
    let url = parse_base_url(base_url)?;
    let transport = Transport::new(&url, api_key, TIMEOUT)?;
    let endpoint = url.as_str().trim_end_matches('/').to_owned();
    let mut request = transport.http().get(format!("{endpoint}/models"));
    if let Some(authorization) = transport.authorization() {
        request = request.header(AUTHORIZATION, authorization);
    }
    let unreachable = |detail: String| LlmError::Endpoint {
        endpoint: endpoint.clone(),
        trouble: Trouble::Unreachable { attempts: 1, detail },
    };
    let exchange = async { read(request.send().await.map_err(failure)?).await };
    let body = match tokio::time::timeout(TIMEOUT, exchange).await {
        Ok(body) => body.map_err(|failure| unreachable(format!("its list of models: {failure}")))?,
        Err(_) => return Err(unreachable(format!("no list of models within {TIMEOUT:?}"))),
    };
    let list: List = serde_json::from_slice(&body).map_err(|_| unreachable("its list of models is none".to_owned()))?;
    Ok(list.data.into_iter().map(|entry| entry.id).collect())
}
