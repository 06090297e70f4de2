//! From what a run wants to a container that runs: the image, the container, its networks, the start.
//!
//! prefect-docker 0.7.4 `worker.py` (`_create_and_start_container`). Other than there, nothing is left behind by a
//! start that fails or is given up, and an engine that goes away meanwhile is asked what became of it.

use std::time::Duration;

use bollard::auth::DockerCredentials;
use bollard::errors::Error;
use bollard::models::{ContainerCreateBody, NetworkConnectRequest};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, CreateImageOptionsBuilder, RemoveContainerOptionsBuilder, StartContainerOptions,
};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::client;
use super::create::{Body, Split};
use super::host::{Engine, client_file};
use super::insist::is_away;
use super::names;
use super::wanted::{Policy, Wanted};
use crate::infra::InfraError;

/// So many names are tried before one is made that nobody has.
const NAMES: usize = 100;
/// So long an engine that is away is asked again to take away what it made.
const INSISTING: Duration = Duration::from_secs(600);

/// A container that was created.
#[derive(Clone, Debug)]
pub(super) struct Container {
    pub id: String,
    pub name: String,
}

/// Brings a container into being.
pub(super) struct Launch<'a> {
    pub engine: &'a Engine,
    pub wanted: &'a Wanted,
    pub split: Split,
    /// The environment of this process.
    pub environment: &'a std::collections::BTreeMap<String, String>,
    /// It is not wanted any more.
    pub abandoned: &'a CancellationToken,
    /// Talks to people.
    pub say: &'a (dyn Fn(&str) + Send + Sync),
}

/// What an engine says, in one line.
pub(super) fn said(engine: &Engine, error: &Error) -> String {
    match error {
        Error::DockerResponseServerError { message, .. } => message.trim().to_owned(),
        Error::RequestTimeoutError => format!("the Docker Engine at `{}` does not answer", engine.place),
        Error::DockerStreamError { error } => error.trim().to_owned(),
        Error::HyperLegacyError { .. } | Error::HyperResponseError { .. } | Error::IOError { .. } => {
            format!("the Docker Engine at `{}` cannot be reached: {}", engine.place, causes(error))
        }
        error => format!("the answer of the Docker Engine at `{}` makes no sense: {}", engine.place, causes(error)),
    }
}

/// An error with what is behind it.
fn causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = cause.source();
    }
    text
}

/// The status of an answer that is an error.
pub(super) fn status(error: &Error) -> Option<u16> {
    match error {
        Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

impl Launch<'_> {
    fn failed(&self, error: &Error) -> InfraError {
        InfraError::Start(said(self.engine, error))
    }

    /// The image, if the engine does not have it as it is wanted.
    pub async fn fetch(&self) -> Result<(), InfraError> {
        let image = &self.wanted.image;
        let pulls = match self.wanted.policy {
            Policy::Always | Policy::IfPossible => true,
            Policy::Never => false,
            Policy::IfNotPresent => !self.has_image().await?,
        };
        if !pulls {
            return Ok(());
        }
        (self.say)(&format!("Pulling image '{image}'..."));
        let pulled = tokio::select! {
            pulled = self.pull() => pulled,
            () = self.abandoned.cancelled() => return Err(InfraError::Abandoned),
        };
        match (pulled, self.wanted.policy) {
            (Err(why), Policy::IfPossible) => {
                (self.say)(&format!("warning: the image '{image}' could not be pulled: {why}"));
                match self.has_image().await? {
                    true => Ok(()),
                    false => Err(InfraError::Start(format!(
                        "the image `{image}` could neither be pulled nor is it on the engine: {why}"
                    ))),
                }
            }
            (Err(why), Policy::Always | Policy::IfNotPresent | Policy::Never) => {
                Err(InfraError::Start(format!("Docker pull failed for {image}: {why}")))
            }
            (Ok(()), _) => Ok(()),
        }
    }

    async fn has_image(&self) -> Result<bool, InfraError> {
        match self.engine.client.inspect_image(&self.wanted.image).await {
            Ok(_) => Ok(true),
            Err(error) if status(&error) == Some(404) => Ok(false),
            Err(error) => Err(self.failed(&error)),
        }
    }

    async fn pull(&self) -> Result<(), String> {
        let (repository, tag) = names::to_pull(&self.wanted.image);
        let options = CreateImageOptionsBuilder::default().from_image(&repository).tag(&tag).build();
        let credentials = self.credentials().await?;
        let mut steps = self.engine.client.create_image(Some(options), None, credentials);
        while let Some(step) = steps.next().await {
            step.map_err(|error| said(self.engine, &error))?;
        }
        Ok(())
    }

    /// Who we are to the image's registry: what the job says, else what Docker's command line knows.
    async fn credentials(&self) -> Result<Option<DockerCredentials>, String> {
        // As docker-py has it, a password is for its registry, whatever image is to be pulled.
        let registry = names::registry(&self.wanted.image);
        match self.wanted.credentials.as_ref().filter(|given| client::host(&given.registry) == client::host(registry)) {
            Some(given) => {
                let password = given.password.reveal_str().unwrap_or_default();
                Ok(Some(client::of(&given.user, password, Some(given.registry.clone()))))
            }
            None => match client_file(self.environment) {
                Some(file) => client::credentials(&file, registry).await,
                None => Ok(None),
            },
        }
    }

    /// The container, under the first name that is free.
    pub async fn create(&self) -> Result<Container, InfraError> {
        let gateway = !self.wanted.needs_host || self.knows_gateway().await?;
        let mut body = self.wanted.body(gateway, self.split).map_err(InfraError::Start)?;
        self.add_proxies(&mut body);
        let platform = body.platform.take();
        let body: ContainerCreateBody = serde_json::from_value(body.json)
            // The error itself would name the value.
            .map_err(|_| InfraError::Start("a value of `container_create_kwargs` is of a wrong type".to_owned()))?;
        for n in 0.. {
            let name = self.wanted.name.as_ref().map(|name| match n {
                0 => name.clone(),
                n if n <= NAMES => format!("{name}-{n}"),
                _ => format!("{name}-{}", uuid::Uuid::new_v4().simple()),
            });
            let mut options = CreateContainerOptionsBuilder::default();
            if let Some(name) = &name {
                options = options.name(name);
            }
            if let Some(platform) = &platform {
                options = options.platform(platform);
            }
            match self.engine.client.create_container(Some(options.build()), body.clone()).await {
                Ok(made) => return self.named(made.id, name).await,
                Err(error) if is_name_conflict(&error) && n <= NAMES => {}
                Err(error) if status(&error) == Some(404) && self.wanted.policy == Policy::Never => {
                    return Err(InfraError::Start(format!(
                        "{}; `image_pull_policy` is `Never`: load or pull the image `{}` first",
                        said(self.engine, &error),
                        self.wanted.image
                    )));
                }
                Err(error) => return Err(self.failed(&error)),
            }
        }
        Err(InfraError::Start("no name is free".to_owned()))
    }

    /// The container with its name, which the engine has found if it was not given.
    async fn named(&self, id: String, name: Option<String>) -> Result<Container, InfraError> {
        let name = match name {
            Some(name) => name,
            None => {
                let found = self.engine.client.inspect_container(&id, None).await.ok().and_then(|found| found.name);
                found.map_or_else(|| id.chars().take(12).collect(), |name| name.trim_start_matches('/').to_owned())
            }
        };
        (self.say)(&format!("Docker container '{name}' created successfully."));
        Ok(Container { id, name })
    }

    fn add_proxies(&self, body: &mut Body) {
        let Some(file) = body.proxies.then(|| client_file(self.environment)).flatten() else { return };
        let mut all = client::proxies(&file, &self.engine.base);
        if let Some(Value::Array(own)) = body.json.get("Env") {
            all.extend(own.iter().cloned());
        }
        body.json["Env"] = json!(all);
    }

    /// Whether the engine can tell containers where its machine is: since 20.10.
    async fn knows_gateway(&self) -> Result<bool, InfraError> {
        let found = self.engine.client.version().await.map_err(|error| self.failed(&error))?;
        let version = found.version.unwrap_or_default();
        let mut parts = version.split('.').map(|part| part.parse::<u32>().ok());
        let known = match (parts.next().flatten(), parts.next().flatten()) {
            (Some(major), Some(minor)) => (major, minor) >= (20, 10),
            _ => true,
        };
        if !known {
            (self.say)(&format!(
                "warning: containers of Docker Engine {version} do not know `host.docker.internal`; 20.10 does"
            ));
        }
        Ok(known)
    }

    /// The networks beside the first, and the start.
    pub async fn start(&self, container: &Container) -> Result<(), InfraError> {
        for network in self.wanted.networks.iter().skip(1) {
            let request = NetworkConnectRequest { container: container.id.clone(), ..NetworkConnectRequest::default() };
            self.engine.client.connect_network(network, request).await.map_err(|error| self.failed(&error))?;
        }
        if self.abandoned.is_cancelled() {
            return Err(InfraError::Abandoned);
        }
        match self.engine.client.start_container(&container.id, None::<StartContainerOptions>).await {
            Err(error) if is_away(&error) => self.has_started(container, &error).await,
            started => started.map_err(|error| self.failed(&error)),
        }
    }

    /// Whether a container was started by an engine that went away before it could say so. It is asked once it is back.
    async fn has_started(&self, container: &Container, error: &Error) -> Result<(), InfraError> {
        let found = tokio::select! {
            found = self.engine.insist(|| self.engine.client.inspect_container(&container.id, None)) => found,
            () = self.abandoned.cancelled() => return Err(InfraError::Abandoned),
        };
        let status = found.ok().and_then(|found| found.state?.status).map(|status| status.to_string());
        match status.as_deref() {
            None | Some("created") => Err(self.failed(error)),
            Some(_) => Ok(()),
        }
    }

    /// Takes a container away that never ran.
    pub async fn remove(&self, container: &Container) {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        let remove = || self.engine.client.remove_container(&container.id, Some(options.clone()));
        match tokio::time::timeout(INSISTING, self.engine.insist(remove)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(container = container.id, error = said(self.engine, &error), "it is left behind");
            }
            Err(_) => tracing::warn!(container = container.id, "it is left behind: its engine is away"),
        }
    }
}

fn is_name_conflict(error: &Error) -> bool {
    match error {
        Error::DockerResponseServerError { status_code, message } => {
            (*status_code == 409 || message.contains("Conflict")) && message.contains("container name")
        }
        _ => false,
    }
}
