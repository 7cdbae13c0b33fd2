//! The deployment's name and everything that is derived from it. The template derives the same names from
//! `AWS::StackName`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The tag that says which deployment a resource belongs to.
pub const DEPLOYMENT_TAG: &str = "weir:deployment";

/// A load balancer's name has at most 32 characters (Elastic Load Balancing, `CreateLoadBalancer`): the shortest
/// limit among the resources that carry the deployment's name as it is.
const LONGEST: usize = 32;

/// A name that every resource of a deployment can carry: lower-case words of letters and digits joined by single
/// hyphens, starting with a letter, at most 32 characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeploymentName(String);

/// Why a text cannot name a deployment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name:?} cannot name a deployment: use at most {LONGEST} characters, lower-case letters and digits joined by single \
     hyphens, a letter first, and not \"internal-\" at the start"
)]
pub struct InvalidName {
    pub name: String,
}

impl DeploymentName {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The ECR repository of a role's images.
    #[must_use]
    pub fn repository(&self, role: Role) -> String {
        format!("{self}/{role}")
    }

    /// The ECS service of a role, which is its task family too.
    #[must_use]
    pub fn service(&self, role: Role) -> String {
        format!("{self}-{role}")
    }

    /// What the names of all log groups of the deployment start with.
    #[must_use]
    pub fn log_group_prefix(&self) -> String {
        format!("/weir/{self}/")
    }

    #[must_use]
    pub fn control_table(&self) -> String {
        format!("{self}-control")
    }

    #[must_use]
    pub fn lease_table(&self) -> String {
        format!("{self}-consumer")
    }
}

impl FromStr for DeploymentName {
    type Err = InvalidName;

    fn from_str(name: &str) -> Result<Self, InvalidName> {
        let word = |word: &str| {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        let valid = name.len() <= LONGEST
            && name.starts_with(|first: char| first.is_ascii_lowercase())
            && name.split('-').all(word)
            && !name.starts_with("internal-");
        if valid { Ok(Self(name.to_owned())) } else { Err(InvalidName { name: name.to_owned() }) }
    }
}

impl TryFrom<String> for DeploymentName {
    type Error = InvalidName;

    fn try_from(name: String) -> Result<Self, InvalidName> {
        name.parse()
    }
}

impl From<DeploymentName> for String {
    fn from(name: DeploymentName) -> Self {
        name.0
    }
}

impl fmt::Display for DeploymentName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// What a task of a deployment does. Displayed as it appears in names: `producer`, `consumer`, `controlplane`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Producer,
    Consumer,
    ControlPlane,
}

impl Role {
    pub const ALL: [Self; 3] = [Self::Producer, Self::Consumer, Self::ControlPlane];

    /// The role as names spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Producer => "producer",
            Self::Consumer => "consumer",
            Self::ControlPlane => "controlplane",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// One value for each role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PerRole<T> {
    pub producer: T,
    pub consumer: T,
    pub control_plane: T,
}

impl<T> PerRole<T> {
    /// Makes the three values one after the other.
    ///
    /// # Errors
    /// The first error of `make`.
    pub fn try_from_fn<E>(mut make: impl FnMut(Role) -> Result<T, E>) -> Result<Self, E> {
        Ok(Self {
            producer: make(Role::Producer)?,
            consumer: make(Role::Consumer)?,
            control_plane: make(Role::ControlPlane)?,
        })
    }

    #[must_use]
    pub fn get(&self, role: Role) -> &T {
        match role {
            Role::Producer => &self.producer,
            Role::Consumer => &self.consumer,
            Role::ControlPlane => &self.control_plane,
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (Role, &T)> {
        Role::ALL.into_iter().map(|role| (role, self.get(role)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_every_resource_can_carry_are_accepted() {
        for name in ["weir", "w", "a1-b2-c3", "a2345678901234567890123456789012"] {
            assert!(name.parse::<DeploymentName>().is_ok(), "{name} was refused");
        }
    }

    #[test]
    fn names_that_some_resource_cannot_carry_are_refused_with_the_rule() {
        let long = "a".repeat(33);
        for name in ["", "Weir", "1weir", "weir-", "-weir", "we--ir", "we_ir", "wéir", "internal-weir", &long] {
            let error = name.parse::<DeploymentName>().expect_err(name);
            assert!(error.to_string().contains("at most 32 characters"), "{error}");
        }
    }
}
