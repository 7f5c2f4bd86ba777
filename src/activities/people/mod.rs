//! People: who they are by the directory, and who has left.

pub(super) mod compare_people;
pub(super) mod find_person;
pub(super) mod recheck_departure;
