//! Chat client on async-openai: ledger, limiter, retry, budget.
