//! Publication: certificates in the directory.

mod publish_certificates;
mod unpublish_certificates;

use super::registration::Registration;

/// Everything of this subject that workflows may name.
pub(super) const ALL: &[Registration] = &[
    Registration::activity::<publish_certificates::PublishCertificates>(),
    Registration::activity::<unpublish_certificates::UnpublishCertificates>(),
];
