//! A small catalog for the fixtures.

use schemars::JsonSchema;

use crate::catalog::{Catalog, CertificateEffect};
use crate::types::Type;

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is read")]
struct Person {
    id: String,
    mail: String,
    nickname: Option<String>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is read")]
struct Certificate {
    id: String,
}

#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(dead_code, reason = "only its schema is read")]
enum Reason {
    Superseded,
    KeyCompromise,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is read")]
struct Login {
    login: String,
}

#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(dead_code, reason = "only its schema is read")]
enum Found {
    Found(Person),
    NotFound,
}

#[derive(JsonSchema)]
struct Nothing {}

#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(dead_code, reason = "only its schema is read")]
enum Signed {
    Signed(Certificate),
    Refused,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is read")]
struct Revoke {
    certificate: Certificate,
    reason: Reason,
}

#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(dead_code, reason = "only its schema is read")]
enum Done {
    Done,
}

#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(dead_code, reason = "only its schema is read")]
enum Proved {
    Proved,
    NotProved,
}

pub fn catalog() -> Catalog {
    let mut catalog = Catalog::new();
    let built = (|| {
        catalog.add_type::<Reason>()?;
        catalog.add_activity::<Login, Found>("directory.find-person", &["unavailable"], CertificateEffect::None)?;
        catalog.add_activity::<Nothing, Signed>("pki.sign", &[], CertificateEffect::Issues("signed"))?;
        catalog.add_activity::<Revoke, Done>("pki.revoke", &[], CertificateEffect::Revokes)?;
        catalog.add_job::<Nothing, Proved>("prove", CertificateEffect::Proves("proved"))?;
        catalog.add_job::<Nothing, Done>("identify", CertificateEffect::None)
    })();
    built.expect("the fixtures' types are types of the language");
    catalog.add_condition("ca.key-online");
    for role in ["user", "ra-operator", "ca-operator", "auditor"] {
        catalog.add_role(role);
    }
    catalog.add_own_role("system");
    catalog.add_subject("certificate");
    catalog.add_policy("people", Type::List(Box::new(Type::Text)));
    catalog
}
