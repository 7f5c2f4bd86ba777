//! Publication: certificates in the directory.

pub(super) mod publish_certificates;
pub(super) mod unpublish_certificates;
