//! The one thread that runs the models: before each step it takes in who has come and lets go of who has left, so that
//! requests share steps however they arrive.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender};

use asclepius_model::{Batch, Decoder, Finish, Made, Sampling};

use crate::Gone;

/// Requests that go through the models together: enough that weights are read seldom, few enough that what is remembered
/// of each stays small beside them.
pub const MOST_TOGETHER: usize = 16;

/// A request on its way through a model.
#[derive(Debug)]
pub(crate) struct Job {
    /// Which of the decoders.
    pub decoder: usize,
    pub prompt: Vec<u32>,
    /// Asks for a token at least.
    pub sampling: Sampling,
    pub gone: Gone,
    /// Whoever drops the other end has heard enough.
    pub news: Sender<News>,
}

/// What becomes of a job.
#[derive(Debug)]
pub(crate) enum News {
    Token(u32),
    Ended(Finish),
    Failed(String),
}

/// Works until the last sender of jobs is gone and everything is answered.
pub(crate) fn work(decoders: Vec<Decoder>, jobs: &Receiver<Job>) {
    let mut worker = Worker {
        batches: decoders.iter().map(Batch::new).collect(),
        decoders,
        running: BTreeMap::new(),
        waiting: VecDeque::new(),
        next_id: 0,
    };
    loop {
        if worker.running.is_empty() && worker.waiting.is_empty() {
            match jobs.recv() {
                Ok(job) => worker.waiting.push_back(job),
                Err(_) => return,
            }
        }
        worker.waiting.extend(jobs.try_iter());
        worker.let_go();
        worker.take_in();
        for decoder in 0..worker.batches.len() {
            worker.step(decoder);
        }
    }
}

struct Worker {
    decoders: Vec<Decoder>,
    /// One a decoder.
    batches: Vec<Batch>,
    running: BTreeMap<u64, Job>,
    waiting: VecDeque<Job>,
    next_id: u64,
}

impl Worker {
    /// Forgets those whose client has left.
    fn let_go(&mut self) {
        self.waiting.retain(|job| !job.gone.is_set());
        let left: Vec<u64> = self.running.iter().filter(|(_, job)| job.gone.is_set()).map(|(&id, _)| id).collect();
        for id in left {
            self.forget(id);
        }
    }

    fn forget(&mut self, id: u64) {
        if let Some(job) = self.running.remove(&id) {
            self.batches[job.decoder].leave(id);
        }
    }

    /// Takes in those who wait, in order, as far as there is room.
    fn take_in(&mut self) {
        while self.running.len() < MOST_TOGETHER {
            let Some(job) = self.waiting.pop_front() else { return };
            let id = self.next_id;
            self.next_id += 1;
            match self.batches[job.decoder].join(id, &job.prompt, &job.sampling) {
                Ok(()) => drop(self.running.insert(id, job)),
                Err(error) => drop(job.news.send(News::Failed(error.to_string()))), // who asked may have gone
            }
        }
    }

    fn step(&mut self, decoder: usize) {
        let batch = &mut self.batches[decoder];
        if batch.is_empty() {
            return;
        }
        let made = catch_unwind(AssertUnwindSafe(|| batch.step()));
        let problem = match made {
            Ok(Ok(made)) => return self.tell(made),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "a panic, which the log tells of".to_owned(),
        };
        // What the batch remembers is worth nothing now, so everybody in it is told, and the next one begins anew.
        self.batches[decoder] = Batch::new(&self.decoders[decoder]);
        for (_, job) in self.running.extract_if(.., |_, job| job.decoder == decoder) {
            job.news.send(News::Failed(problem.clone())).ok();
        }
    }

    fn tell(&mut self, made: Vec<Made>) {
        for Made { id, token, finish } in made {
            let Some(job) = self.running.get(&id) else { continue };
            let heard = token.is_none_or(|token| job.news.send(News::Token(token)).is_ok());
            match finish {
                Some(finish) => {
                    job.news.send(News::Ended(finish)).ok();
                    self.running.remove(&id);
                }
                None if heard => {}
                None => self.forget(id),
            }
        }
    }
}
