//! What pushes and pulls share: which repository is meant, who asks, and what is said when the hub says no.

use std::time::Duration;

use anyhow::anyhow;
use reqwest::StatusCode;

use crate::args::ReachArgs;
use crate::failure::{Failure, Hinted, Outcome};
use crate::hub::{Api, ApiOptions, Broken, Kind, Repository};

/// The variable that a token is looked for in when none is named.
pub const USUAL_VARIABLE: &str = "HF_TOKEN";

/// Refuses what can be no repository's name; `argument` is where it was given.
pub fn repository(argument: &str, text: &str, kind: Kind) -> Outcome<Repository> {
    if let Some((namespace, name)) = text.split_once('/').filter(|_| crate::base::is_hub_id(text)) {
        return Ok(Repository { kind, namespace: namespace.to_owned(), name: name.to_owned() });
    }
    Err(Failure::usage(Hinted::new(
        format!("{argument} {text:?} is no repository"),
        "NAMESPACE/NAME: a user's or an organisation's name, and one of letters, digits, `-`, `_` and `.`",
    )))
}

/// The hub, with the token of the variable that is named; of the usual one; or the one that the hub's own tools keep.
pub fn api(args: &ReachArgs) -> Outcome<Api> {
    let options = ApiOptions {
        endpoint: args.endpoint.clone(),
        token: token(args.token_env.as_deref())?,
        tries: args.tries,
        wait: Duration::from_secs_f64(args.retry_seconds),
    };
    Api::new(options).map_err(|problem| Failure::usage(anyhow!("--endpoint {}: {problem}", args.endpoint)))
}

fn token(variable: Option<&str>) -> Outcome<Option<String>> {
    let of =
        |name: &str| std::env::var(name).ok().map(|token| token.trim().to_owned()).filter(|token| !token.is_empty());
    match variable {
        Some(name) => match of(name) {
            Some(token) => Ok(Some(token)),
            None => Err(Failure::usage(anyhow!("--token-env {name}: the variable is not set, or empty"))),
        },
        None => Ok(of(USUAL_VARIABLE).or_else(|| std::env::home_dir().and_then(|_| hf_hub::Cache::default().token()))),
    }
}

/// What did not come about, with advice. `rights` says what a token that is refused would need.
pub fn failure(args: &ReachArgs, broken: Broken, rights: &str) -> Failure {
    let hinted = |hint: &str| Failure::Failed(Hinted::new(format!("{broken}"), hint).into());
    match &broken {
        Broken::Unreachable { .. } => Failure::Limit(
            Hinted::new(format!("{broken}"), "the same command goes on from here: what went through is not sent again")
                .into(),
        ),
        Broken::Refused { status: StatusCode::UNAUTHORIZED, .. } => {
            hinted("the token is not valid at this hub, or has run out")
        }
        Broken::Refused { status: StatusCode::FORBIDDEN, .. } => hinted(rights),
        Broken::Refused { .. } | Broken::Unreadable { .. } if args.endpoint != crate::hub::PUBLIC_HUB => {
            hinted(&format!("is {} a hub?", args.endpoint))
        }
        Broken::Refused { .. } | Broken::Unreadable { .. } => Failure::Failed(broken.into()),
        // As itself: a full disk is a limit.
        Broken::Here(_) => match broken {
            Broken::Here(error) => Failure::Failed(error.into()),
            other => Failure::Failed(other.into()),
        },
    }
}
