//! Which card it is. Changes nothing.

use sealwright_protocol::Report;

use super::{Desk, Trouble};
use crate::fail_point;

pub fn run(desk: &mut Desk<'_>) -> Result<Report, Trouble> {
    fail_point!("agent.identify");
    let facts = desk.card.facts(desk.relay)?;
    fail_point!("agent.identify.done");
    Ok(Report::Identified(facts))
}
