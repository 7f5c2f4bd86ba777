//! The modify operation on one entry (RFC 4511 section 4.6).

use ldap3_proto::proto::{LdapModify, LdapModifyType, LdapPartialAttribute, LdapResultCode};

use super::entry::Entry;

/// Carries out the changes in their order, all of them or none. Values are compared byte by byte.
///
/// # Errors
/// The result code of the first change that the entry does not take.
pub(super) fn modify(entry: &mut Entry, changes: &[LdapModify]) -> Result<(), LdapResultCode> {
    let mut changed = entry.clone();
    for LdapModify { operation, modification: LdapPartialAttribute { atype, vals } } in changes {
        match operation {
            LdapModifyType::Add => add(&mut changed, atype, vals)?,
            LdapModifyType::Delete => delete(&mut changed, atype, vals)?,
            LdapModifyType::Replace => replace(&mut changed, atype, vals)?,
            LdapModifyType::Increment => return Err(LdapResultCode::UnwillingToPerform),
        }
    }
    *entry = changed;
    Ok(())
}

/// Adds values, and the attribute where the entry does not have it.
fn add(entry: &mut Entry, name: &str, values: &[Vec<u8>]) -> Result<(), LdapResultCode> {
    if values.is_empty() {
        return Err(LdapResultCode::ProtocolError);
    }
    let mut known = entry.values(name).to_vec();
    for value in values {
        if known.contains(value) {
            return Err(LdapResultCode::AttributeOrValueExists);
        }
        known.push(value.clone());
    }

    match entry.place_of(name).and_then(|at| entry.attributes.get_mut(at)) {
        Some((_, values)) => *values = known,
        None => entry.attributes.push((name.to_owned(), known)),
    }
    Ok(())
}

/// Deletes values; the whole attribute when none are listed or none are left.
fn delete(entry: &mut Entry, name: &str, values: &[Vec<u8>]) -> Result<(), LdapResultCode> {
    let place = entry.place_of(name).ok_or(LdapResultCode::NoSuchAttribute)?;
    let (_, known) = entry.attributes.get_mut(place).ok_or(LdapResultCode::NoSuchAttribute)?;
    for value in values {
        let at = known.iter().position(|known| known == value).ok_or(LdapResultCode::NoSuchAttribute)?;
        known.remove(at);
    }

    if values.is_empty() || known.is_empty() {
        entry.attributes.remove(place);
    }
    Ok(())
}

/// Replaces all values; without new ones it deletes the attribute, if the entry has it.
fn replace(entry: &mut Entry, name: &str, values: &[Vec<u8>]) -> Result<(), LdapResultCode> {
    if let Some(place) = entry.place_of(name) {
        entry.attributes.remove(place);
    }
    if values.is_empty() { Ok(()) } else { add(entry, name, values) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADD: LdapModifyType = LdapModifyType::Add;
    const DELETE: LdapModifyType = LdapModifyType::Delete;
    const REPLACE: LdapModifyType = LdapModifyType::Replace;

    /// Alice, with two addresses and one certificate.
    fn alice() -> Entry {
        let ldif = "dn: uid=alice\nuid: alice\nmail: a@demo.test\nmail: b@demo.test\nuserCertificate;binary: first";
        Entry::parse(ldif).expect("an entry")
    }

    fn change(operation: LdapModifyType, name: &str, values: &[&str]) -> LdapModify {
        let vals = values.iter().map(|value| value.as_bytes().to_vec()).collect();
        LdapModify { operation, modification: LdapPartialAttribute { atype: name.to_owned(), vals } }
    }

    fn values(entry: &Entry, name: &str) -> Vec<String> {
        entry.values(name).iter().map(|value| String::from_utf8(value.clone()).expect("text")).collect()
    }

    /// The values of an attribute after one change that is taken.
    fn after(operation: LdapModifyType, name: &str, listed: &[&str]) -> Vec<String> {
        let mut entry = alice();
        assert_eq!(modify(&mut entry, &[change(operation, name, listed)]), Ok(()));
        assert_eq!(entry.place_of(name).is_none(), entry.values(name).is_empty(), "an attribute without values");
        values(&entry, name)
    }

    /// The code of changes that are not taken; the entry stays as it is.
    fn refused(changes: &[LdapModify]) -> LdapResultCode {
        let mut entry = alice();
        let code = modify(&mut entry, changes).expect_err("a refusal");
        assert_eq!(entry, alice());
        code
    }

    #[test]
    fn values_are_added_deleted_and_replaced() {
        assert_eq!(after(ADD, "mail", &["c@demo.test"]), ["a@demo.test", "b@demo.test", "c@demo.test"]);
        assert_eq!(after(ADD, "MAIL", &["c@demo.test"]), ["a@demo.test", "b@demo.test", "c@demo.test"]);
        assert_eq!(after(ADD, "title", &["Dr", "Prof"]), ["Dr", "Prof"]);
        assert_eq!(after(DELETE, "mail", &["a@demo.test"]), ["b@demo.test"]);
        assert_eq!(after(DELETE, "mail", &["b@demo.test", "a@demo.test"]), [""; 0]);
        assert_eq!(after(DELETE, "mail", &[]), [""; 0]);
        assert_eq!(after(DELETE, "userCertificate;binary", &["first"]), [""; 0]);
        assert_eq!(after(REPLACE, "mail", &["c@demo.test"]), ["c@demo.test"]);
        assert_eq!(after(REPLACE, "mail", &["a@demo.test", "c@demo.test"]), ["a@demo.test", "c@demo.test"]);
        assert_eq!(after(REPLACE, "mail", &[]), [""; 0]);
        assert_eq!(after(REPLACE, "title", &["Dr"]), ["Dr"]);
        assert_eq!(after(REPLACE, "title", &[]), [""; 0]);
    }

    #[test]
    fn impossible_changes_are_refused_by_their_codes() {
        assert_eq!(refused(&[change(ADD, "mail", &["a@demo.test"])]), LdapResultCode::AttributeOrValueExists);
        assert_eq!(refused(&[change(ADD, "title", &["Dr", "Dr"])]), LdapResultCode::AttributeOrValueExists);
        assert_eq!(refused(&[change(ADD, "title", &[])]), LdapResultCode::ProtocolError);
        assert_eq!(refused(&[change(DELETE, "title", &[])]), LdapResultCode::NoSuchAttribute);
        assert_eq!(refused(&[change(DELETE, "mail", &["c@demo.test"])]), LdapResultCode::NoSuchAttribute);
        assert_eq!(refused(&[change(DELETE, "userCertificate", &["first"])]), LdapResultCode::NoSuchAttribute);
        assert_eq!(refused(&[change(REPLACE, "mail", &["c", "c"])]), LdapResultCode::AttributeOrValueExists);
        let increment = change(LdapModifyType::Increment, "employeeNumber", &["1"]);
        assert_eq!(refused(&[increment]), LdapResultCode::UnwillingToPerform);
    }

    #[test]
    fn changes_are_carried_out_in_their_order_and_together_or_not_at_all() {
        let mut entry = alice();
        let swap = [change(DELETE, "mail", &["a@demo.test"]), change(ADD, "mail", &["a@demo.test"])];
        assert_eq!(modify(&mut entry, &swap), Ok(()));
        assert_eq!(values(&entry, "mail"), ["b@demo.test", "a@demo.test"]);

        let half = [change(REPLACE, "mail", &["c@demo.test"]), change(DELETE, "title", &[])];
        assert_eq!(refused(&half), LdapResultCode::NoSuchAttribute);
    }
}
