//! People: who they are by the directory, and who has left.

mod compare_people;
mod find_person;
mod recheck_departure;

use super::registration::Registration;

/// Everything of this subject that workflows may name.
pub(super) const ALL: &[Registration] = &[
    Registration::activity::<compare_people::ComparePeople>(),
    Registration::activity::<find_person::FindPerson>(),
    Registration::activity::<recheck_departure::RecheckDeparture>(),
];
