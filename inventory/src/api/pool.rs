//! Where signatures are checked and reports are judged: as many threads as there are processors, so that a thousand
//! requests wait in a queue and not for each other, and nodes that are nearly done go first.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::sync::oneshot;

use crate::admission::Class;
use crate::refusal::{Code, Refusal};

/// Threads that work. They end when this is dropped.
pub(super) struct Pool(Arc<Queues>);

struct Queues {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    finishing: VecDeque<Work>,
    new: VecDeque<Work>,
    closed: bool,
}

type Work = Box<dyn FnOnce() + Send>;

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}

impl Pool {
    /// Starts the threads.
    pub(super) fn start() -> io::Result<Self> {
        let queues = Arc::new(Queues { waiting: Mutex::default(), changed: Condvar::new() });
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        for number in 0..threads {
            let queues = Arc::clone(&queues);
            thread::Builder::new().name(format!("judge-{number}")).spawn(move || queues.work())?;
        }
        Ok(Self(queues))
    }

    /// Has it done, and waits for it. What nobody waits for any more when its turn comes is not done.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        class: Class,
        work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.0.push(
            class,
            Box::new(move || {
                if !reply.is_closed() {
                    // Whoever asked may be gone by now.
                    let _ = reply.send(work());
                }
            }),
        );
        // No answer means that it panicked.
        answer.await.unwrap_or_else(|_| Err(Code::Internal.into()))
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.0.waiting().closed = true;
        self.0.changed.notify_all();
    }
}

impl Queues {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, class: Class, work: Work) {
        let mut waiting = self.waiting();
        match class {
            Class::Finishing => waiting.finishing.push_back(work),
            Class::New => waiting.new.push_back(work),
        }
        drop(waiting);
        self.changed.notify_one();
    }

    /// One thread, until the pool is gone.
    fn work(&self) {
        while let Some(work) = self.next() {
            if catch_unwind(AssertUnwindSafe(work)).is_err() {
                tracing::error!("a request failed inside");
            }
        }
    }

    fn next(&self) -> Option<Work> {
        let mut waiting = self.waiting();
        loop {
            if let Some(work) = waiting.finishing.pop_front() {
                return Some(work);
            }
            if let Some(work) = waiting.new.pop_front() {
                return Some(work);
            }
            if waiting.closed {
                return None;
            }
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_answered_and_a_panic_is_a_refusal_that_ends_no_thread() {
        let pool = Pool::start().unwrap();
        for _ in 0..20 {
            let failed = pool.run(Class::New, || -> Result<(), _> { panic!("a bug") }).await;
            assert_eq!(failed.unwrap_err().code, Code::Internal);
        }
        assert_eq!(pool.run(Class::New, || Ok(7)).await.unwrap(), 7);
    }

    #[test]
    fn who_is_nearly_done_goes_first_and_nobody_else_is_forgotten() {
        let queues = Queues { waiting: Mutex::default(), changed: Condvar::new() };
        let done = Arc::new(Mutex::new(Vec::new()));
        for (name, class) in [("a", Class::New), ("b", Class::New), ("c", Class::Finishing)] {
            let done = Arc::clone(&done);
            queues.push(class, Box::new(move || done.lock().unwrap().push(name)));
        }
        queues.waiting().closed = true;
        queues.work();
        assert_eq!(*done.lock().unwrap(), ["c", "a", "b"]);
    }

    #[tokio::test]
    async fn what_nobody_waits_for_is_not_done() {
        let pool = Pool(Arc::new(Queues { waiting: Mutex::default(), changed: Condvar::new() }));
        let done = Arc::new(Mutex::new(false));
        let seen = Arc::clone(&done);
        let asked = pool.run(Class::New, move || {
            *seen.lock().unwrap() = true;
            Ok(())
        });
        // Polled once, so that it waits in the queue; then given up.
        assert!(tokio::time::timeout(std::time::Duration::ZERO, asked).await.is_err());
        pool.0.waiting().closed = true;
        pool.0.work();
        assert!(!*done.lock().unwrap());
    }
}
