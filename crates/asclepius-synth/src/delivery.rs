//! Work on many rows at once, delivered in the order of the rows.

use std::sync::atomic::{AtomicBool, Ordering};

use futures::{Stream, StreamExt, stream};

use crate::{SinkError, SynthError};

/// Runs `work` on the items of `source`, `rows` of them at most at a time, and hands each result to `on` with
/// its index, in order.
///
/// After a failure nothing new is begun, but what is under way is seen through: its replies were paid for and belong in
/// the ledger.
pub(crate) async fn in_order<T, O, F>(
    source: impl IntoIterator<Item = T>,
    rows: usize,
    work: impl Fn(T) -> F,
    on: &mut (dyn FnMut(usize, O) -> Result<(), SinkError> + Send),
) -> Result<(), SynthError>
where
    F: Future<Output = Result<O, SynthError>>,
{
    let stopped = AtomicBool::new(false);
    let begun = stream::iter(source).take_while(|_| std::future::ready(!stopped.load(Ordering::Relaxed))).map(work);
    let results = begun.buffered(rows.max(1));
    drain(results, &stopped, on).await
}

async fn drain<O>(
    results: impl Stream<Item = Result<O, SynthError>>,
    stopped: &AtomicBool,
    on: &mut (dyn FnMut(usize, O) -> Result<(), SinkError> + Send),
) -> Result<(), SynthError> {
    let mut results = std::pin::pin!(results);
    let mut outcome = Ok(());
    let mut index = 0;
    while let Some(result) = results.next().await {
        if outcome.is_ok() {
            outcome = result.and_then(|row| on(index, row).map_err(SynthError::Sink));
            stopped.store(outcome.is_err(), Ordering::Relaxed);
        }
        index += 1;
    }
    outcome
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use tokio::sync::Barrier;

    use super::*;

    #[tokio::test]
    async fn results_come_in_order_however_the_work_ends() {
        // Each pair of neighbours ends together, the later one first.
        let barriers: Vec<Barrier> = (0..20).map(|_| Barrier::new(2)).collect();
        let mut seen = Vec::new();
        let work = |n: usize| {
            let barrier = &barriers[n / 2];
            async move {
                if n.is_multiple_of(2) {
                    barrier.wait().await;
                    tokio::task::yield_now().await;
                } else {
                    barrier.wait().await;
                }
                Ok(n)
            }
        };
        let mut on = |index, n: usize| {
            seen.push((index, n));
            Ok(())
        };
        in_order(0..40, 8, work, &mut on).await.expect("no work fails");
        assert_eq!(seen, (0..40).map(|n| (n, n)).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn after_a_failure_nothing_new_begins_and_nothing_more_is_delivered() {
        let begun = AtomicUsize::new(0);
        let work = |n: usize| {
            begun.fetch_add(1, Ordering::Relaxed);
            std::future::ready(Ok(n))
        };
        let mut taken = 0;
        let mut on = |_, n: usize| {
            taken += 1;
            if n == 5 { Err("full".into()) } else { Ok(()) }
        };
        let error = in_order(0..10_000, 4, work, &mut on).await.expect_err("the sink fails");
        assert!(matches!(error, SynthError::Sink(_)), "{error}");
        assert_eq!(taken, 6);
        assert!(begun.load(Ordering::Relaxed) < 20);
    }
}
