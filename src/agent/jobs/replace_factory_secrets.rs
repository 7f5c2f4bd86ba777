//! The factory's secrets are replaced. Each step is noted once the card has confirmed it; a step whose confirmation was lost is recognized
//! by the new secret being valid already.

use sealwright_protocol::{FactorySecrets, Refusal, Report};

use super::{Desk, Trouble};
use crate::card::CardError;
use crate::fail_point;

pub fn run(desk: &mut Desk<'_>, secrets: &FactorySecrets) -> Result<Report, Trouble> {
    let mut progress = desk.progress();
    if !progress.pin {
        choose_pin(desk, secrets)?;
        fail_point!("agent.replace.pin");
        progress.pin = true;
        desk.note(&progress)?;
    }
    if !progress.puk {
        replaced(desk.card.replace_puk(secrets))?;
        fail_point!("agent.replace.puk");
        progress.puk = true;
        desk.note(&progress)?;
    }
    desk.card.replace_management_key(secrets, desk.relay)?;
    progress.management_key = true;
    desk.note(&progress)?;
    fail_point!("agent.replace.done");
    Ok(Report::Replaced)
}

/// Sets the PIN that the person chooses, which is another one than the factory's.
fn choose_pin(desk: &mut Desk<'_>, secrets: &FactorySecrets) -> Result<(), Trouble> {
    loop {
        let new = desk.sitting.new_pin().map_err(|_| Trouble::Refused(Refusal::NoPin))?;
        match desk.card.replace_pin(secrets, &new) {
            Err(CardError::FactoryPin) => {
                desk.sitting.refuse();
                println!("The card came with this PIN. Choose another one.");
            }
            changed => return replaced(changed),
        }
    }
}

fn replaced(changed: Result<(), CardError>) -> Result<(), Trouble> {
    changed.map_err(|error| match error {
        CardError::Gone | CardError::Unsupported => Trouble::Card(error),
        CardError::Blocked => Trouble::Refused(Refusal::PinBlocked),
        _ => Trouble::Refused(Refusal::FactorySecrets),
    })
}
