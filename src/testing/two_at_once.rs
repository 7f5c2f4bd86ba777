//! What is read, decided and written by two at the same moment, on PostgreSQL, whose transactions run beside each other.

use std::sync::Arc;

use futures_util::future::join_all;
use sealwright_workflow::instance::Status;
use serde_json::{from_value, json};
use uuid::Uuid;

use super::World;
use super::card::SimulatedCard;
use crate::audit::Origin;
use crate::clock::Clock;
use crate::directory::Person;
use crate::engine::contract::Failure;
use crate::issuance::preparation::{CertificateRequest, Preparation, prepare};
use crate::issuance::signing::{Placement, intend};
use crate::issuance::{CertificateHolder, Csr};
use crate::random;

/// Often enough that two without a lock would meet.
const TIMES: usize = 12;

#[test]
fn one_key_is_certified_for_one_of_two_people_on_postgres() {
    let world = World::on_postgres();
    let person: Person = from_value(world.personalize()["person"].clone()).expect("a person");
    for _ in 0..TIMES {
        let csr: Csr = from_value(world.request("9d")).expect("a request");
        let (portal, person, now) = (world.portal().clone(), person.clone(), world.clock.now());
        let certified = world.run(async move {
            let asked = ["one", "two"].map(|id| {
                let (issuance, csr) = (portal.issuance.clone(), csr.clone());
                let holder = CertificateHolder::from(&Person { id: id.to_owned(), ..person.clone() });
                let store = portal.store.clone();
                tokio::spawn(async move {
                    store
                        .write::<_, Failure, _, _>(move |tx| {
                            let (issuance, csr, holder) = (issuance.clone(), csr.clone(), holder.clone());
                            async move {
                                let instance = random::id();
                                let asked =
                                    CertificateRequest { holder: &holder, csr: &csr, profile: "signature", instance };
                                let Preparation::Prepared(prepared) = prepare(&issuance, &tx, &asked, now).await?
                                else {
                                    return Ok(false);
                                };
                                let owner_login = holder.id.clone();
                                let placement = Placement { owner_login, card: None, slot: None, instance, step: 1 };
                                intend(&tx, *prepared, placement, now).await?;
                                Ok(true)
                            }
                        })
                        .await
                        .expect("decided")
                })
            });
            join_all(asked).await.into_iter().filter(|certified| *certified.as_ref().expect("asked")).count()
        });
        assert_eq!(certified, Ok(1));
    }
}

/// Both say that they have it: an agent may say any number.
#[test]
fn one_blank_card_is_taken_by_one_of_two_people_on_postgres() {
    for time in 0..4 {
        let world = World::on_postgres();
        let serial = format!("3000000{time}");
        let begun = ["alice", "bob"].map(|login| {
            let id = world.begin_as(login, "personalize", &json!({})).expect("no armed place");
            (id, Arc::new(SimulatedCard::new(&serial)))
        });
        let ends = world.settle_both(begun).expect("no armed place");
        let ready = ends.iter().filter(|end| end.status == Status::Success).count();
        assert_eq!(ready, 1, "{ends:#?}");
    }
}

#[test]
fn of_two_codes_that_are_offered_at_once_one_is_good_on_postgres() {
    let world = World::on_postgres();
    let root: Uuid = world.begin("personalize", &json!({})).expect("no armed place");
    for _ in 0..TIMES {
        let portal = world.portal().clone();
        let good = world.run(async move {
            let pairings = portal.pairings.clone();
            let codes = ["one", "two"].map(|cookie| pairings.code_for(root, cookie, cookie, "alice"));
            let origin = Origin::system("test");
            for offered in join_all(codes.iter().map(|code| pairings.offer(code.clone(), &origin))).await {
                offered.expect("offered");
            }
            let mut good = 0;
            for (code, cookie) in codes.iter().zip(["one", "two"]) {
                let long = crate::cards::pairing::Code::derive(cookie, code.id).long;
                good += usize::from(pairings.check(&long, &[0; 32], &origin).await.is_ok());
            }
            good
        });
        assert_eq!(good, Ok(1));
    }
}
