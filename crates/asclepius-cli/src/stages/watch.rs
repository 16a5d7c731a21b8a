//! What a person sees of calls under way: words beside the bar, or one JSON line a minute where there is none.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use asclepius_llm::{Client, Stats};
use serde_json::json;

use crate::progress::{self, StageBar};

/// What a rate a minute is measured over.
const WINDOW: Duration = Duration::from_mins(1);

/// Follows one stage's calls.
#[derive(Debug)]
pub struct Watch {
    budget_usd: Option<f64>,
    /// When, how many tokens and how many rows, over the last minute; the oldest first.
    samples: VecDeque<(Instant, u64, u64)>,
}

impl Watch {
    /// Starts now.
    pub fn new(budget_usd: Option<f64>) -> Self {
        Self { budget_usd, samples: VecDeque::from([(Instant::now(), 0, 0)]) }
    }

    /// Says how it goes, again and again; never ends by itself.
    pub async fn follow(mut self, bar: &StageBar, client: &Client, every: Duration) {
        let mut clock = tokio::time::interval(every);
        clock.tick().await; // the first one comes at once, when there is nothing to say yet
        loop {
            clock.tick().await;
            self.say(bar, &client.stats());
        }
    }

    fn say(&mut self, bar: &StageBar, stats: &Stats) {
        let now = Instant::now();
        let (done, total) = bar.position();
        self.samples.push_back((now, stats.prompt_tokens + stats.completion_tokens, done));
        // One sample older than the window stays, so that a line a minute has something to compare with.
        while self.samples.len() > 2 && now - self.samples[1].0 >= WINDOW {
            self.samples.pop_front();
        }
        let (then, tokens_then, done_then) = self.samples[0];
        let (_, tokens, _) = self.samples[self.samples.len() - 1];
        let minutes = (now - then).as_secs_f64() / 60.0;
        let tokens_per_minute = ((tokens - tokens_then) as f64 / minutes).round();
        let rows_per_minute = (done - done_then) as f64 / minutes;
        let minutes_left = (rows_per_minute > 0.0).then(|| (total - done) as f64 / rows_per_minute);
        if bar.is_drawn() {
            let mut words = vec![match stats.batches {
                0 => format!("{} of {} in flight", stats.in_flight, stats.limit),
                batches => format!("{} calls in {batches} batches", stats.batched),
            }];
            words.push(match stats.tokens_per_minute {
                Some(limit) => format!("{tokens_per_minute:.0} of {limit:.0} tokens/min"),
                None => format!("{tokens_per_minute:.0} tokens/min"),
            });
            if stats.spent_usd > 0.0 {
                let cap = self.budget_usd.map_or(String::new(), |budget| format!(" of ${budget:.2}"));
                words.push(format!("${:.2}{cap}", stats.spent_usd));
            }
            if let Some(seconds) = stats.paused_seconds {
                words.push(format!("paused for {seconds:.0} s"));
            } else if let Some(minutes) = minutes_left {
                words.push(format!("{minutes:.0} min left"));
            }
            bar.say(words.join(", "));
            return;
        }
        let line = json!({
            "stage": bar.stage(), "done": done, "total": total, "pending": stats.pending,
            "in_flight": stats.in_flight, "in_flight_limit": stats.limit,
            "batches": stats.batches, "batched": stats.batched,
            "tokens_per_minute": tokens_per_minute, "tokens_per_minute_limit": stats.tokens_per_minute,
            "rate_limited": stats.rate_limited, "failed": stats.failed, "paused_seconds": stats.paused_seconds,
            "spent_usd": stats.spent_usd, "budget_usd": self.budget_usd, "minutes_left": minutes_left,
        });
        progress::line(&line.to_string());
    }
}
