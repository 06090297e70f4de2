//! `PythonHelper`: starts the helper, asks it, and turns its answers into ours.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::error::PythonError;
use super::interpreter::{Candidate, Interpreter};
use super::process::Process;
use super::protocol::{FlowAnswer, Greeting, Message, Question, RawFacts, StepAnswer, StepCall, Stream};

/// Importing Prefect takes a second or two; on a cold, busy machine with a new environment many more.
const START_LIMIT: Duration = Duration::from_secs(120);
/// What the helper may take beyond a question's own limit before it is given up.
const SLACK: Duration = Duration::from_secs(60);

/// How to run the helper.
#[derive(Clone, Debug)]
pub struct HelperOptions {
    /// Where it starts: the root of the repository.
    pub root: PathBuf,
    /// Its whole environment: nothing else is passed on.
    pub env: BTreeMap<String, String>,
    /// How many flow files are imported at a time.
    pub parallel: usize,
    /// How long one flow file may take.
    pub flow_limit: Duration,
    /// Ends everything.
    pub cancel: CancellationToken,
}

impl HelperOptions {
    /// Two files at a time, two minutes each.
    pub fn new(root: impl Into<PathBuf>, env: BTreeMap<String, String>) -> Self {
        HelperOptions {
            root: root.into(),
            env,
            parallel: 2,
            flow_limit: Duration::from_secs(120),
            cancel: CancellationToken::new(),
        }
    }
}

/// A running helper. Dropping it ends it and everything it started.
pub struct PythonHelper {
    process: Option<Process>,
    interpreter: Interpreter,
    options: HelperOptions,
    next_id: u64,
}

impl PythonHelper {
    /// Starts the first candidate that imports Prefect. One that somebody asked for by name must.
    ///
    /// # Errors
    /// [`PythonError::NotFound`] with the reason of every candidate, [`PythonError::Unusable`] for one asked for.
    pub async fn find(candidates: &[Candidate], options: HelperOptions) -> Result<Self, PythonError> {
        let mut tried = Vec::new();
        for candidate in candidates {
            match Self::start(candidate, options.clone()).await {
                Ok(helper) => return Ok(helper),
                Err(PythonError::Unusable { reason, .. }) if !candidate.explicit => {
                    tried.push((format!("{} `{}`", candidate.named_by, candidate.path.display()), reason));
                }
                Err(error) => return Err(error),
            }
        }
        Err(PythonError::NotFound { tried })
    }

    /// Starts this candidate.
    ///
    /// # Errors
    /// [`PythonError::Unusable`] if it is not a Python that imports Prefect.
    pub async fn start(candidate: &Candidate, options: HelperOptions) -> Result<Self, PythonError> {
        let unusable = |reason: String| PythonError::Unusable { python: candidate.path.clone(), reason };
        if !candidate.path.is_file() {
            return Err(unusable("no such file".to_owned()));
        }
        let cancel = options.cancel.clone();
        let greet = async {
            let mut process = Process::start(&candidate.path, &options.root, &options.env)
                .await
                .map_err(|error| unusable(error.to_string()))?;
            let greeting: Greeting = process.greeting().await.map_err(unusable)?;
            Ok((process, greeting))
        };
        let (mut process, greeting) = tokio::select! {
            () = cancel.cancelled() => return Err(PythonError::Cancelled),
            started = timeout(START_LIMIT, greet) => {
                started.unwrap_or_else(|_| Err(unusable(format!("no answer within {} s", START_LIMIT.as_secs()))))?
            }
        };
        let Some(prefect) = greeting.prefect.filter(|_| greeting.error.is_none()) else {
            return Err(unusable(greeting.error.unwrap_or_default()));
        };
        process.send(&json!({"parallel": options.parallel.max(1)})).await.map_err(unusable)?;
        let interpreter = Interpreter { path: candidate.path.clone(), python: greeting.python, prefect };
        Ok(PythonHelper { process: Some(process), interpreter, options, next_id: 1 })
    }

    /// The Python that answers.
    pub fn interpreter(&self) -> &Interpreter {
        &self.interpreter
    }

    /// Asks for the facts of flows; answers come in the order of the questions.
    pub async fn flow_facts(&mut self, questions: &[Question]) -> Vec<Result<FlowAnswer, PythonError>> {
        let mut answers: Vec<Option<Result<FlowAnswer, PythonError>>> = vec![None; questions.len()];
        if let Err(error) = self.ask_all(questions, &mut answers).await {
            for answer in &mut answers {
                answer.get_or_insert_with(|| Err(error.clone()));
            }
        }
        answers.into_iter().map(|answer| answer.expect("every question was answered or failed")).collect()
    }

    /// Keeps a few questions on their way, so that neither side waits for the other to read.
    async fn ask_all(
        &mut self,
        questions: &[Question],
        answers: &mut [Option<Result<FlowAnswer, PythonError>>],
    ) -> Result<(), PythonError> {
        let first = self.reserve(questions.len());
        let window = 2 * self.options.parallel.max(1);
        let mut process = self.take()?;
        let (mut sent, mut received) = (0, 0);
        while received < questions.len() {
            while sent < questions.len() && sent < received + window {
                let question = &questions[sent];
                let line = json!({
                    "id": first + sent as u64,
                    "ask": "flow_facts",
                    "entrypoint": question.entrypoint,
                    "cwd": question.cwd,
                    "timeout": self.options.flow_limit.as_secs_f64(),
                });
                process.send(&line).await.map_err(gone)?;
                sent += 1;
            }
            let patience = self.options.flow_limit * 2 + SLACK;
            let message = self.next(&mut process, Some(patience)).await?;
            let Some(index) = message.id.checked_sub(first).and_then(|i| usize::try_from(i).ok()) else { continue };
            let Some(question) = questions.get(index) else { continue };
            if let Some(answer) = flow_answer(message, question) {
                answers[index] = Some(answer);
                received += 1;
            }
        }
        self.process = Some(process);
        Ok(())
    }

    /// Calls a step function; `output` gets what it prints, in pieces as they come.
    ///
    /// # Errors
    /// [`PythonError::Step`] when the function fails, else why the helper could not run it.
    pub async fn run_step(
        &mut self,
        call: &StepCall,
        output: &mut (dyn FnMut(Stream, &str) + Send),
    ) -> Result<StepAnswer, PythonError> {
        let id = self.reserve(1);
        let mut process = self.take()?;
        let mut line = serde_json::to_value(call).map_err(|error| gone(error.to_string()))?;
        line["id"] = id.into();
        line["ask"] = "run_step".into();
        line["timeout"] = Value::Null;
        process.send(&line).await.map_err(gone)?;
        let answer = loop {
            let message = self.next(&mut process, None).await?;
            if message.id != id {
                continue;
            }
            if let Some(stream) = message.stream {
                output(stream, &message.text);
            } else if let Some(failure) = message.error {
                break Err(PythonError::Step { fqn: call.fqn.clone(), failure: Box::new(failure) });
            } else if let Some(ok) = message.ok {
                break serde_json::from_value(ok).map_err(|error| gone(error.to_string()));
            }
        };
        self.process = Some(process);
        answer
    }

    /// The process, until an answer is complete: if the caller gives up half-way, the helper ends with the process
    /// rather than going on with a question that nobody waits for.
    fn take(&mut self) -> Result<Process, PythonError> {
        self.process.take().ok_or_else(|| gone("it was stopped, or ended during an earlier question".to_owned()))
    }

    fn reserve(&mut self, count: usize) -> u64 {
        let first = self.next_id;
        self.next_id += count as u64;
        first
    }

    async fn next(&self, process: &mut Process, patience: Option<Duration>) -> Result<Message, PythonError> {
        let receive = async {
            match patience {
                Some(limit) => match timeout(limit, process.receive()).await {
                    Ok(message) => message.map_err(gone),
                    Err(_) => Err(PythonError::timed_out(limit)),
                },
                None => process.receive().await.map_err(gone),
            }
        };
        tokio::select! {
            () = self.options.cancel.cancelled() => Err(PythonError::Cancelled),
            message = receive => message,
        }
    }
}

fn flow_answer(message: Message, question: &Question) -> Option<Result<FlowAnswer, PythonError>> {
    if let Some(failure) = message.error {
        return Some(Err(PythonError::Flow { entrypoint: question.entrypoint.clone(), failure: Box::new(failure) }));
    }
    let raw = serde_json::from_value::<RawFacts>(message.ok?);
    Some(raw.map(FlowAnswer::from).map_err(|error| gone(error.to_string())))
}

fn gone(reason: String) -> PythonError {
    PythonError::Gone { reason }
}
