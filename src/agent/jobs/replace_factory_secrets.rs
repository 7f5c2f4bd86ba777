//! The factory's secrets are replaced. Each step is noted once the card has confirmed it; a step
//! whose confirmation was lost is recognized by the new secret being valid already.

use sealwright_protocol::{FactorySecrets, PinPolicy, Refusal, Report};

use crate::card::CardError;
use crate::fail_point;
use crate::job::{JobContext, JobFailure};
use crate::pin_session::PinRules;

pub fn run(
    context: &mut JobContext<'_>,
    secrets: &FactorySecrets,
    policy: Option<&PinPolicy>,
) -> Result<Report, JobFailure> {
    let mut progress = context.progress();
    if !progress.pin {
        choose_pin(context, secrets, policy)?;
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

/// Sets the PIN that the person chooses, which keeps the policy and is none of the factory's secrets.
fn choose_pin(
    context: &mut JobContext<'_>,
    secrets: &FactorySecrets,
    policy: Option<&PinPolicy>,
) -> Result<(), JobFailure> {
    let factory = match secrets {
        FactorySecrets::Piv { factory_pin, factory_puk, .. } => vec![factory_pin.reveal(), factory_puk.reveal()],
        FactorySecrets::Token { factory_so_pin, .. } => vec![factory_so_pin.reveal()],
    };
    let rules = PinRules { policy, factory };
    loop {
        let new = context.pins.new_pin(&rules).map_err(|error| {
            println!("{error}");
            JobFailure::Refused(Refusal::NoPin)
        })?;
        match context.card.replace_pin(secrets, &new) {
            Err(CardError::FactoryPin) => {
                context.pins.refuse();
                println!("The card came with this PIN. Choose another one.");
            }
            Err(CardError::UnfitPin) => {
                context.pins.refuse();
                println!("The card does not take this PIN, by a rule of its own. Choose another one.");
            }
            changed => return replaced(changed),
        }
    }
}

fn replaced(changed: Result<(), CardError>) -> Result<(), JobFailure> {
    changed.map_err(|error| match error {
        CardError::Wrong(_) => JobFailure::Refused(Refusal::FactorySecrets),
        CardError::Blocked => JobFailure::Refused(Refusal::PinBlocked),
        other => JobFailure::Card(other),
    })
}
