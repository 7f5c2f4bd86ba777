//! One approval for a personalization, and what it does not cover.

use sealwright_workflow::instance::Status;
use serde_json::{Value, json};
use uuid::Uuid;

use super::World;
use super::node::{End, caller};
use crate::engine::verbs::Act;

/// Both profiles ask for an RA operator.
const ASKING: [(&str, &str); 2] = [
    ("title = \"Sign-in with the smart card\"", "title = \"Sign-in with the smart card\"\napproval = \"ra\""),
    ("title = \"Signatures\"", "title = \"Signatures\"\napproval = \"ra\""),
];

fn asking(change: &[(&str, &str)]) -> World {
    World::configured(&[&ASKING, change].concat())
}

/// Begins alice's personalization, and asks for the approval as her page offers it.
fn asked(world: &World) -> Uuid {
    let root = world.begin("personalize", &json!({})).expect("no armed place");
    assert_eq!(settled(world, root).state, "ask-for-approval");
    answer_as(world, "alice", "user", root, "ask", json!({}));
    assert_eq!(settled(world, root).state, "approve");
    root
}

/// Answers the question that is open, as an RA operator; gives the state that has asked it, and its data.
fn answer(world: &World, root: Uuid, action: &str, fields: Value) -> (String, Value) {
    answer_as(world, "rita", "ra-operator", root, action, fields)
}

fn answer_as(world: &World, login: &str, role: &str, root: Uuid, action: &str, fields: Value) -> (String, Value) {
    let (portal, action) = (world.portal().clone(), action.to_owned());
    let rita = caller(login, role);
    let answered = world.run(async move {
        let view = portal.engine.view(&rita, root).await.expect("a view");
        let question = view.questions.first().expect("a question").clone();
        let fields = serde_json::from_value(fields).expect("fields");
        let act = Act { step: question.step, action, fields, shown: Some(question.shown.clone()) };
        portal.engine.act(&rita, question.instance, act, None).await.expect("answered");
        let asked = view.tree.iter().find(|part| part.instance.id == question.instance).expect("a part");
        (format!("{} {}", asked.instance.workflow, asked.instance.state), json!(question.data))
    });
    answered.expect("no armed place")
}

fn settled(world: &World, root: Uuid) -> End {
    world.settle(root).expect("no armed place")
}

#[test]
fn one_yes_is_for_all_certificates_of_a_card_and_comes_before_it_is_touched() {
    let world = asking(&[]);
    let root = asked(&world);
    assert_eq!(world.effects()["stored"]["cards"], json!({}), "{:#}", world.effects());
    let (asked, shown) = answer(&world, root, "approve", json!({}));
    assert_eq!(asked, "personalize approve");
    let shown = shown.to_string();
    assert!(shown.contains("Signatures") && shown.contains("Sign-in with the smart card"), "{shown}");
    let end = settled(&world, root);
    assert_eq!(end.status, Status::Success, "{end:?}");
    assert_eq!(world.effects()["stored"]["certificates"], json!({ "issued": 2 }));
}

#[test]
fn a_no_touches_no_card() {
    let world = asking(&[]);
    let root = asked(&world);
    answer(&world, root, "reject", json!({ "reason": "Wrong department" }));
    let end = settled(&world, root);
    assert_eq!((end.status, end.state.as_str()), (Status::Failure, "rejected"));
    assert!(world.card.slots().is_empty());
}

/// Days may pass between the yes and the card.
#[test]
fn a_name_that_changes_after_the_yes_is_asked_about_again() {
    let world = asking(&[]);
    let root = asked(&world);
    world.directory.set("alice", "mail", "alice.new@demo.test");
    answer(&world, root, "approve", json!({}));
    // It was another certificate that was approved.
    assert_eq!(settled(&world, root).state, "approve");
    let (_, shown) = answer(&world, root, "approve", json!({}));
    assert!(shown.to_string().contains("alice.new@demo.test"), "{shown}");
    assert_eq!(settled(&world, root).status, Status::Success);
}

/// The certificate is asked about by itself where its terms are not those of the yes.
#[test]
fn a_policy_that_changes_after_the_yes_is_asked_about_again() {
    let mut world = asking(&[]);
    let root = asked(&world);
    world.reconfigure(&[&ASKING[..], &[("validity-days = 365", "validity-days = 364")]].concat());
    answer(&world, root, "approve", json!({}));
    assert_eq!(settled(&world, root).state, "approve");
}

#[test]
fn each_certificate_is_asked_about_by_itself_where_the_configuration_says_so() {
    let world = asking(&[("[personalization]", "[personalization]\napprovals = \"each\"")]);
    let root = world.begin("personalize", &json!({})).expect("no armed place");
    for _ in 0..2 {
        assert_eq!(settled(&world, root).state, "certify");
        let (asked, _) = answer(&world, root, "approve", json!({}));
        assert_eq!(asked, "issue-certificate approve");
    }
    assert_eq!(settled(&world, root).status, Status::Success);
}
