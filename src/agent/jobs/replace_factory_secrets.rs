//! The factory's secrets are replaced. Each step is noted once the card has confirmed it; a step
//! whose confirmation was lost is recognized by the new secret being valid already.

use sealwright_protocol::{FactorySecrets, Refusal, Report};

use crate::card::CardError;
use crate::fail_point;
use crate::job::{JobContext, JobFailure};

pub fn run(context: &mut JobContext<'_>, secrets: &FactorySecrets) -> Result<Report, JobFailure> {
    let mut progress = context.progress();
    if !progress.pin {
        choose_pin(context, secrets)?;
        fail_point!("agent.replace.pin");
        progress.pin = true;
        context.note(&progress)?;
    }
    if !progress.puk {
        replaced(context.card.replace_puk(secrets))?;
        fail_point!("agent.replace.puk");
        progress.puk = true;
        context.note(&progress)?;
    }
    context.card.replace_management_key(secrets, context.relay)?;
    progress.management_key = true;
    context.note(&progress)?;
    fail_point!("agent.replace.done");
    Ok(Report::Replaced)
}

/// Sets the PIN that the person chooses, which is another one than the factory's.
fn choose_pin(context: &mut JobContext<'_>, secrets: &FactorySecrets) -> Result<(), JobFailure> {
    loop {
        let new = context.pins.new_pin().map_err(|_| JobFailure::Refused(Refusal::NoPin))?;
        match context.card.replace_pin(secrets, &new) {
            Err(CardError::FactoryPin) => {
                context.pins.refuse();
                println!("The card came with this PIN. Choose another one.");
            }
            changed => return replaced(changed),
        }
    }
}

fn replaced(changed: Result<(), CardError>) -> Result<(), JobFailure> {
    changed.map_err(|error| match error {
        CardError::Gone | CardError::Unsupported => JobFailure::Card(error),
        CardError::Blocked => JobFailure::Refused(Refusal::PinBlocked),
        _ => JobFailure::Refused(Refusal::FactorySecrets),
    })
}
