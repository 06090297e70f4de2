//! Names of step functions: which ones are known here, and what Prefect 2 called others.

/// A function that is run here, without Python.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Native {
    Shell,
    Pip,
    Directory,
}

/// The native function behind a name, however it is spelt.
pub(super) fn native(fqn: &str) -> Option<Native> {
    let name = fqn.replacen(':', ".", 1);
    let rest = name.strip_prefix("prefect.deployments.steps.")?;
    Some(match rest {
        "run_shell_script" | "utility.run_shell_script" => Native::Shell,
        "pip_install_requirements" | "utility.pip_install_requirements" => Native::Pip,
        "set_working_directory" | "pull.set_working_directory" => Native::Directory,
        _ => return None,
    })
}

/// The present name of a function of Prefect 2's projects; `None` for any other name.
pub(super) fn modern(fqn: &str) -> Option<String> {
    let (package, function) = fqn.split_once(".projects.steps.")?;
    let (module, function) = function.rsplit_once('.').map_or(("", function), |(module, name)| (module, name));
    let function = match (package, function) {
        ("prefect", "git_clone_project") => "git_clone".to_owned(),
        ("prefect" | "prefect_docker", other) => other.to_owned(),
        ("prefect_aws" | "prefect_gcp" | "prefect_azure", other) => {
            other.replacen("push_project_to_", "push_to_", 1).replacen("pull_project_from_", "pull_from_", 1)
        }
        _ => return None,
    };
    let module = if module.is_empty() { String::new() } else { format!("{module}.") };
    Some(format!("{package}.deployments.steps.{module}{function}"))
}

/// Whether a function is one of the steps of Prefect or of a package that it ships: those of `prefect.yaml`'s recipes.
pub(super) fn is_prefects(fqn: &str) -> bool {
    let (package, rest) = fqn.split_once('.').unwrap_or_default();
    let packages = ["prefect", "prefect_docker", "prefect_aws", "prefect_gcp", "prefect_azure"];
    packages.contains(&package) && rest.starts_with("deployments.steps")
}

/// The last part, by which progress is told.
pub(super) fn short(fqn: &str) -> &str {
    fqn.rsplit(['.', ':']).next().unwrap_or(fqn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_names_have_present_ones() {
        for (old, new) in [
            ("prefect.projects.steps.git_clone_project", Some("prefect.deployments.steps.git_clone")),
            ("prefect.projects.steps.run_shell_script", Some("prefect.deployments.steps.run_shell_script")),
            (
                "prefect.projects.steps.utility.run_shell_script",
                Some("prefect.deployments.steps.utility.run_shell_script"),
            ),
            (
                "prefect_docker.projects.steps.build_docker_image",
                Some("prefect_docker.deployments.steps.build_docker_image"),
            ),
            ("prefect_aws.projects.steps.push_project_to_s3", Some("prefect_aws.deployments.steps.push_to_s3")),
            ("prefect_gcp.projects.steps.pull_project_from_gcs", Some("prefect_gcp.deployments.steps.pull_from_gcs")),
            ("my.projects.steps.build", None),
            ("prefect.deployments.steps.git_clone", None),
        ] {
            assert_eq!(modern(old).as_deref(), new, "{old}");
        }
    }

    #[test]
    fn native_ones_are_known_by_every_spelling() {
        assert_eq!(native("prefect.deployments.steps.run_shell_script"), Some(Native::Shell));
        assert_eq!(native("prefect.deployments.steps:set_working_directory"), Some(Native::Directory));
        assert_eq!(native("prefect.deployments.steps.utility:pip_install_requirements"), Some(Native::Pip));
        assert_eq!(native("prefect.deployments.steps.git_clone"), None);
        for fqn in ["prefect.deployments.steps:git_clone", "prefect_docker.deployments.steps.build_docker_image"] {
            assert!(is_prefects(fqn), "{fqn}");
        }
        for fqn in ["my_steps.tag", "prefect_steps.deployments.steps.x", "prefect", "deployments.steps.x", ""] {
            assert!(!is_prefects(fqn), "{fqn}");
        }
        assert_eq!(short("a.b:c"), "c");
    }
}
