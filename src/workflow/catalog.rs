//! What the host offers to workflows: activities, card jobs, conditions, roles and named types.

use std::collections::{BTreeMap, BTreeSet};

use schemars::{JsonSchema, schema_for};

use crate::types::{self, Shape, Shapes, Type, UnknownSchema};

/// How an activity or a card job is called, and how it may end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Name and type of each parameter.
    pub parameters: BTreeMap<String, Type>,
    /// Every outcome, with the type of its result if it has one.
    pub outcomes: BTreeMap<String, Option<Type>>,
    /// Classes of passing failures that `retry` may name.
    pub failures: BTreeSet<String>,
    /// What the call does to a certificate, for the rule `if-cancelled`.
    pub certificate: CertificateEffect,
}

/// What a call may leave behind of a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CertificateEffect {
    #[default]
    None,
    /// By this outcome a certificate exists that was not there before.
    Issues(&'static str),
    /// By this outcome the certificate is proved on its card.
    Proves(&'static str),
    /// The certificate is no longer valid afterwards.
    Revokes,
}

/// Everything that a definition may name.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    shapes: Shapes,
    activities: BTreeMap<String, Signature>,
    jobs: BTreeMap<String, Signature>,
    conditions: BTreeSet<String>,
    roles: BTreeSet<String>,
    /// Those of them that nobody signs in with.
    own_roles: BTreeSet<String>,
    policy: BTreeMap<String, Type>,
    subjects: BTreeSet<String>,
}

impl Catalog {
    /// A catalog with what the language itself knows: the record `human` of `owner` and `requester`.
    pub fn new() -> Self {
        let human = Shape::Record(BTreeMap::from([("login".to_owned(), Type::Text)]));
        Self { shapes: Shapes::from([("human".to_owned(), human)]), ..Self::default() }
    }

    /// Makes the record or choice `T` known under its kebab-case name.
    ///
    /// # Errors
    /// [`UnknownSchema`] when `T` has a field that the language cannot carry.
    pub fn add_type<T: JsonSchema>(&mut self) -> Result<(), UnknownSchema> {
        let schema = schema_for!(Option<T>);
        types::from_schema(schema.as_value(), &mut self.shapes).map(drop)
    }

    /// Adds an activity with parameters `P` and outcomes `O`.
    ///
    /// # Errors
    /// [`UnknownSchema`] when a parameter or a result cannot be carried.
    pub fn add_activity<P: JsonSchema, O: JsonSchema>(
        &mut self,
        name: &str,
        failures: &[&str],
        certificate: CertificateEffect,
    ) -> Result<(), UnknownSchema> {
        let signature = self.signature::<P, O>(failures, certificate)?;
        self.activities.insert(name.to_owned(), signature);
        Ok(())
    }

    /// Adds a card job with parameters `P` and outcomes `O`.
    ///
    /// # Errors
    /// [`UnknownSchema`] when a parameter or a result cannot be carried.
    pub fn add_job<P: JsonSchema, O: JsonSchema>(
        &mut self,
        name: &str,
        certificate: CertificateEffect,
    ) -> Result<(), UnknownSchema> {
        let signature = self.signature::<P, O>(&[], certificate)?;
        self.jobs.insert(name.to_owned(), signature);
        Ok(())
    }

    pub fn add_condition(&mut self, name: &str) {
        self.conditions.insert(name.to_owned());
    }

    pub fn add_role(&mut self, name: &str) {
        self.roles.insert(name.to_owned());
    }

    /// Declares a role that the host alone acts under: it starts workflows and runs them, and nobody signs in with it.
    pub fn add_own_role(&mut self, name: &str) {
        self.add_role(name);
        self.own_roles.insert(name.to_owned());
    }

    /// Declares a value of the configuration that data may be copied from at the start, as `policy.<path>`.
    pub fn add_policy(&mut self, path: &str, policy_type: Type) {
        self.policy.insert(path.to_owned(), policy_type);
    }

    /// Declares that records of a type can be looked up by their id, and so be the subject of a start.
    pub fn add_subject(&mut self, type_name: &str) {
        self.subjects.insert(type_name.to_owned());
    }

    pub fn is_subject(&self, of: &Type) -> bool {
        matches!(of, Type::Named(name) if self.subjects.contains(name))
    }

    pub fn shape(&self, name: &str) -> Option<&Shape> {
        self.shapes.get(name)
    }

    pub fn shape_names(&self) -> impl Iterator<Item = &str> {
        self.shapes.keys().map(String::as_str)
    }

    pub fn activity(&self, name: &str) -> Option<&Signature> {
        self.activities.get(name)
    }

    pub fn activity_names(&self) -> impl Iterator<Item = &str> {
        self.activities.keys().map(String::as_str)
    }

    pub fn job(&self, name: &str) -> Option<&Signature> {
        self.jobs.get(name)
    }

    pub fn job_names(&self) -> impl Iterator<Item = &str> {
        self.jobs.keys().map(String::as_str)
    }

    pub fn conditions(&self) -> impl Iterator<Item = &str> {
        self.conditions.iter().map(String::as_str)
    }

    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.roles.iter().map(String::as_str)
    }

    /// Whether nobody signs in with this role.
    pub fn is_own_role(&self, name: &str) -> bool {
        self.own_roles.contains(name)
    }

    pub fn policy(&self, path: &str) -> Option<&Type> {
        self.policy.get(path)
    }

    pub fn policies(&self) -> impl Iterator<Item = &str> {
        self.policy.keys().map(String::as_str)
    }

    /// The type of `field` in a record type.
    pub fn field(&self, record: &Type, field: &str) -> Option<&Type> {
        match record {
            Type::Named(name) => match self.shapes.get(name)? {
                Shape::Record(fields) => fields.get(field),
                Shape::Choice(_) => None,
            },
            _ => None,
        }
    }

    /// The words of a choice type.
    pub fn words(&self, choice: &Type) -> Option<&[String]> {
        match choice.required() {
            Type::Named(name) => match self.shapes.get(name)? {
                Shape::Choice(words) => Some(words),
                Shape::Record(_) => None,
            },
            _ => None,
        }
    }

    fn signature<P: JsonSchema, O: JsonSchema>(
        &mut self,
        failures: &[&str],
        certificate: CertificateEffect,
    ) -> Result<Signature, UnknownSchema> {
        Ok(Signature {
            parameters: types::fields_of(schema_for!(P).as_value(), &mut self.shapes)?,
            outcomes: types::outcomes_of(schema_for!(O).as_value(), &mut self.shapes)?,
            failures: failures.iter().map(|&class| class.to_owned()).collect(),
            certificate,
        })
    }
}
