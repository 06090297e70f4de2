//! The worker: takes the runs of a pool that are due and runs them. Four small loops, and a task for each run.
//!
//! ```text
//! poll ──▶ claim (propose Pending) ──▶ configure (pure) ──▶ start ──▶ watch ──▶ report what only we can know
//!           ▲ events: a run is due        sync: signs of life           ▲ events: a run is to be cancelled
//! ```
//!
//! Whether a run completed or failed is its own word. We say Pending, and of what it cannot say itself: Crashed and
//! Cancelled. The failure of one run, one request or one socket ends no loop.

mod adopt;
mod cancel;
mod channel;
mod configure;
mod error;
mod events;
mod flights;
mod git_cache;
mod health;
mod journal;
mod listen;
mod logs;
mod options;
mod patience;
mod poll;
mod pool;
mod ready;
mod report;
mod strays;
mod supervise;

use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use error::WorkerError;
pub use git_cache::GitCache;
pub use options::Options;
pub use pool::find;

use crate::api::Api;
use crate::infra::Infrastructure;
use events::Events;
use flights::Flights;
use health::Counts;
use journal::Journal;
use logs::Logs;

/// What a worker did, for its last words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Runs that it took.
    pub taken: u64,
    /// Those of them that it had to end or leave when it stopped.
    pub ended: u64,
}

/// What all loops share.
struct Worker {
    api: Api,
    options: Options,
    /// What it is called.
    name: String,
    /// The pool as it was last seen.
    pool: RwLock<Arc<Value>>,
    place: Arc<dyn Infrastructure>,
    logs: Logs,
    events: Events,
    journal: Journal,
    flights: Flights,
    /// Runs of workers of other machines, to be taken over.
    strays: Mutex<Vec<adopt::Orphan>>,
    counts: Counts,
    /// How many runs it may have at once.
    slots: Option<Arc<Semaphore>>,
    /// Something may be due: poll now.
    wake: Notify,
    /// Something may be to be cancelled: ask now.
    ask: Notify,
    /// Whether the workers' channel is open.
    channel: AtomicBool,
    /// Whether the server's events come in.
    hears: AtomicBool,
    /// When it began.
    begun: Instant,
    /// Cancelled when the first poll was answered, or not.
    looked: CancellationToken,
    /// When it last polled, in milliseconds since it began.
    polled: AtomicU64,
    /// Nothing new is taken any more.
    stop: CancellationToken,
    /// The patience with what still runs is over.
    ending: CancellationToken,
}

impl Worker {
    fn pool(&self) -> Arc<Value> {
        self.pool.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes in what the server says of the pool.
    fn see_pool(&self, pool: Value) {
        *self.pool.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(pool);
    }

    fn strays(&self) -> MutexGuard<'_, Vec<adopt::Orphan>> {
        self.strays.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, text: &str) {
        (self.options.say)(text);
    }
}

/// Runs a worker for a pool that was found, until `stop`, or with `run_once` until everything that was due has ended.
pub async fn run(
    api: Api,
    mut options: Options,
    pool: Value,
    place: Arc<dyn Infrastructure>,
    stop: CancellationToken,
) -> Summary {
    let (events, told) = Events::new();
    let health = options.health.take();
    let worker = Arc::new(Worker {
        name: options.name.clone(),
        pool: RwLock::new(Arc::new(pool)),
        place,
        logs: Logs::new(api.clone(), options.logs_to_api),
        events,
        journal: Journal::new(options.journal.clone()),
        begun: Instant::now(),
        looked: CancellationToken::new(),
        polled: AtomicU64::new(0),
        flights: Flights::default(),
        strays: Mutex::default(),
        counts: Counts::default(),
        slots: options.limit.map(|limit| Arc::new(Semaphore::new(limit))),
        wake: Notify::new(),
        ask: Notify::new(),
        channel: AtomicBool::new(false),
        hears: AtomicBool::new(false),
        ending: CancellationToken::new(),
        stop,
        api,
        options,
    });
    let loops = Loops::start(&worker, told, health);
    let started = worker.tell_of_itself("prefect.worker.started", None);
    worker.say(&format!("Worker '{}' started!", worker.name));
    let summary = poll::run(&worker).await;
    worker.tell_of_itself("prefect.worker.stopped", Some(&started));
    tokio::join!(worker.logs.flush(), worker.events.flush());
    loops.end().await;
    worker.say(&format!("Worker '{}' stopped!", worker.name));
    summary
}

/// However long the first look takes, the other loops begin after this.
const FIRST_LOOK: std::time::Duration = std::time::Duration::from_secs(1);

/// The loops beside the one that polls. They end with this.
struct Loops {
    tasks: tokio::task::JoinSet<()>,
    over: CancellationToken,
}

impl Loops {
    fn start(worker: &Arc<Worker>, told: mpsc::Receiver<Value>, health: Option<TcpListener>) -> Loops {
        let mut loops = Loops { tasks: tokio::task::JoinSet::new(), over: CancellationToken::new() };
        loops.add(worker, channel::keep_open(worker.clone()));
        loops.add(worker, pool::keep_alive(worker.clone()));
        loops.add(worker, listen::keep_listening(worker.clone()));
        loops.add(worker, cancel::keep_asking(worker.clone()));
        loops.add(worker, logs::keep_sending(worker.clone()));
        loops.add(worker, events::keep_emitting(worker.clone(), told));
        loops.add(worker, strays::keep_looking(worker.clone()));
        loops.add(worker, events::keep_telling_news(worker.clone()));
        if let Some(listener) = health {
            let (over, worker) = (loops.over.clone(), worker.clone());
            loops.tasks.spawn(async move {
                over.run_until_cancelled(health::keep_answering(worker, listener)).await;
            });
        }
        loops
    }

    /// A loop that begins once the first look was answered, or takes long: what all of them have to ask at their
    /// beginning would be answered before it.
    fn add(&mut self, worker: &Arc<Worker>, task: impl Future<Output = ()> + Send + 'static) {
        let (over, worker) = (self.over.clone(), worker.clone());
        self.tasks.spawn(async move {
            let begun = async {
                let _ = tokio::time::timeout(FIRST_LOOK, worker.looked.cancelled()).await;
                task.await;
            };
            over.run_until_cancelled(begun).await;
        });
    }

    async fn end(mut self) {
        self.over.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}
