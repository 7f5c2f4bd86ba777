//! PIN, PUK and management key are replaced, CHUID and CCC written. Each step is noted once the card has confirmed it; a step whose
//! confirmation was lost is recognized by the new secret being valid already.

use sealwright_protocol::{Instruction, ManagementKey, Refusal, Report};

use super::{Desk, Trouble, authenticate};
use crate::fail_point;
use crate::piv::{Object, Piv, PivError};
use crate::readers::Leave;

pub fn run(desk: &mut Desk<'_>, instruction: &Instruction) -> Result<Report, Trouble> {
    let Instruction::ReplaceFactorySecrets { factory_pin, factory_puk, puk, management_key, algorithm, chuid, ccc } =
        instruction
    else {
        return Err(Trouble::Refused(Refusal::Card));
    };
    let mut progress = desk.progress();
    if !progress.pin {
        replace_pin(desk, factory_pin.reveal())?;
        fail_point!("agent.replace.pin");
        progress.pin = true;
        desk.note(&progress)?;
    }
    if !progress.puk {
        replace_puk(desk, factory_puk.reveal(), puk.reveal())?;
        fail_point!("agent.replace.puk");
        progress.puk = true;
        desk.note(&progress)?;
    }
    let relay = desk.relay;
    let replaced = desk.card.transaction(Leave::Locked, |transport| {
        let mut piv = Piv::select(transport)?;
        let serial = piv.serial()?;
        // The new key is valid already when an earlier attempt got this far.
        if authenticate(&mut piv, relay, &serial, ManagementKey::Factory, *algorithm)?.is_some() {
            piv.put_object(Object::Chuid, &chuid.0)?;
            piv.put_object(Object::Ccc, &ccc.0)?;
            piv.set_management_key(*algorithm, management_key.reveal())?;
            fail_point!("agent.replace.management-key");
        }
        Ok(authenticate(&mut piv, relay, &serial, ManagementKey::Own, *algorithm)?.is_some())
    })?;
    if !replaced {
        return Err(Trouble::Refused(Refusal::ManagementKey));
    }
    progress.management_key = true;
    desk.note(&progress)?;
    fail_point!("agent.replace.done");
    Ok(Report::Replaced)
}

fn replace_pin(desk: &mut Desk<'_>, factory: &[u8]) -> Result<(), Trouble> {
    let new = desk.sitting.new_pin().map_err(|_| Trouble::Refused(Refusal::NoPin))?;
    if new.bytes() == factory {
        return Err(Trouble::Refused(Refusal::NoPin));
    }
    let changed = desk.card.transaction(Leave::Locked, |transport| {
        let mut piv = Piv::select(transport)?;
        // Two tries at most, and never the last one.
        match piv.pin_tries()? {
            Some(0 | 1) => return Err(PivError::Blocked),
            Some(2) => return piv.verify_pin(new.bytes()),
            _ => {}
        }
        match piv.change_pin(factory, new.bytes()) {
            Err(PivError::Wrong(Some(0 | 1))) => Err(PivError::Blocked),
            Err(PivError::Wrong(_)) => piv.verify_pin(new.bytes()),
            other => other,
        }
    });
    secrets(changed)
}

fn replace_puk(desk: &mut Desk<'_>, factory: &[u8], new: &[u8]) -> Result<(), Trouble> {
    let changed = desk.card.transaction(Leave::Locked, |transport| {
        let mut piv = Piv::select(transport)?;
        match piv.change_puk(factory, new) {
            Err(PivError::Wrong(Some(0 | 1))) => Err(PivError::Blocked),
            // One try with the stored one: it is valid when the confirmation of an earlier attempt was lost.
            Err(PivError::Wrong(_)) => piv.change_puk(new, new),
            other => other,
        }
    });
    secrets(changed)
}

fn secrets(changed: Result<(), PivError>) -> Result<(), Trouble> {
    match changed {
        Ok(()) => Ok(()),
        Err(PivError::Gone) => Err(Trouble::Piv(PivError::Gone)),
        Err(PivError::Blocked) => Err(Trouble::Refused(Refusal::PinBlocked)),
        Err(_) => Err(Trouble::Refused(Refusal::FactorySecrets)),
    }
}
