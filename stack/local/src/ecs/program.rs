//! What a task's process is started with. Pure.

use std::{collections::BTreeMap, net::IpAddr};

use super::{definitions::Container, state::Overrides};
use crate::ecr::ImageConfig;

/// The label that says an image's entrypoint is a program of this machine.
const HOST_PROCESS: (&str, &str) = ("weir.host-process", "true");

/// A program with its arguments and its whole environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program {
    pub(super) path: String,
    pub(super) arguments: Vec<String>,
    pub(super) environment: BTreeMap<String, String>,
}

/// What the endpoint adds to a task's environment.
#[derive(Debug, Clone, Default)]
pub(super) struct Surroundings {
    /// Variables that the image and the task definition may replace.
    pub(super) defaults: Vec<(String, String)>,
    /// Variables that hold whatever else is said, because they are how the task is reached and reaches AWS.
    pub(super) fixed: Vec<(String, String)>,
}

impl Surroundings {
    /// Tells a task where it listens and where its endpoint is.
    pub(super) fn fix(&mut self, name: &str, value: impl Into<String>) {
        self.fixed.push((name.to_owned(), value.into()));
    }

    pub(super) fn fix_address(&mut self, address: IpAddr) {
        self.fix("WEIR_BIND", address.to_string());
    }
}

/// Builds the program of a container. As with containers, the definition's `entryPoint` replaces the image's entrypoint
/// and its command, and the definition's `command` replaces the image's command.
///
/// # Errors
/// A sentence for the stopped task's reason, when the image is not one of this machine's programs or names none.
pub(super) fn program(
    container: &Container,
    overrides: &Overrides,
    image: &ImageConfig,
    surroundings: &Surroundings,
) -> Result<Program, String> {
    let (label, value) = HOST_PROCESS;
    if image.labels.get(label).map(String::as_str) != Some(value) {
        return Err(format!(
            "CannotPullContainerError: localcloud starts processes of this machine, not containers, and the image {} \
             lacks the label {label} = \"{value}\" that marks its entrypoint as such a program",
            container.image
        ));
    }
    let entrypoint = if container.entry_point.is_empty() { &image.entrypoint } else { &container.entry_point };
    let given = overrides.command.as_ref().unwrap_or(&container.command);
    let command = if given.is_empty() && container.entry_point.is_empty() { &image.cmd } else { given };
    let mut words = entrypoint.iter().chain(command).cloned();
    let Some(path) = words.next() else {
        return Err(format!("CannotStartContainerError: the image {} names no program", container.image));
    };
    let of_image = image.env.iter().filter_map(|line| line.split_once('='));
    let of_image = of_image.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let of_container = container.environment.iter().map(|it| (it.name.clone(), it.value.clone()));
    let environment = surroundings.defaults.iter().cloned();
    let environment = environment.chain(of_image).chain(of_container).chain(overrides.environment.iter().cloned());
    let environment = environment.chain(surroundings.fixed.iter().cloned()).collect();
    Ok(Program { path, arguments: words.collect(), environment })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ecs::definitions::Variable;

    fn image() -> ImageConfig {
        let list = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        ImageConfig {
            entrypoint: list(&["/bin/ctl", "role"]),
            cmd: list(&["producer"]),
            env: list(&["A=image", "B=image", "WEIR_BIND=image"]),
            labels: [("weir.host-process".to_owned(), "true".to_owned())].into(),
        }
    }

    fn build(container: &Container, image: &ImageConfig) -> Result<Program, String> {
        let mut surroundings = Surroundings { defaults: vec![("A".to_owned(), "default".to_owned())], fixed: vec![] };
        surroundings.fix_address(IpAddr::from([127, 1, 0, 1]));
        program(container, &Overrides::default(), image, &surroundings)
    }

    #[test]
    fn the_definitions_command_replaces_the_images() {
        let words = |container: &Container| {
            let program = build(container, &image()).unwrap();
            format!("{} {}", program.path, program.arguments.join(" "))
        };
        let command = vec!["consumer".to_owned()];
        let entry_point = vec!["/bin/true".to_owned()];
        assert_eq!(words(&Container::default()), "/bin/ctl role producer");
        assert_eq!(words(&Container { command, ..Container::default() }), "/bin/ctl role consumer");
        assert_eq!(words(&Container { entry_point, ..Container::default() }), "/bin/true ");
    }

    #[test]
    fn the_definition_overrides_the_image_but_not_the_address() {
        let environment = vec![Variable { name: "B".to_owned(), value: "definition".to_owned() }];
        let program = build(&Container { environment, ..Container::default() }, &image()).unwrap();
        let expected = [("A", "image"), ("B", "definition"), ("WEIR_BIND", "127.1.0.1")];
        assert_eq!(program.environment, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    }

    #[test]
    fn a_foreign_image_is_refused_with_the_reason() {
        let foreign = ImageConfig { labels: BTreeMap::new(), ..image() };
        let refusal = build(&Container::default(), &foreign).unwrap_err();
        assert!(refusal.contains("weir.host-process"), "{refusal}");
    }
}
