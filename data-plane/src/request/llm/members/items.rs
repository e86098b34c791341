//! Items of a response's input. Those that hold what they say are measured as words; others stand for
//! what the provider has kept.

use ah5_policy::body::Json;

use super::content::{Kind, member};
use super::{Members, Object};

/// Embeddings have an input of the same name, of texts and numbers.
pub fn read(input: &Json<'_>, members: &mut Members) {
    match input {
        Json::List(items) => {
            for item in items {
                read_item(item, members);
            }
        }
        input => read_item(input, members),
    }
}

fn read_item(item: &Json<'_>, members: &mut Members) {
    let Json::Object(item) = item else {
        return;
    };
    match Kind::of(item) {
        // What is kept of it may be longer than what is said here.
        Kind::Named("reasoning") => members.refers |= is_kept(item),
        Kind::Named(kind) if OWN.contains(&kind) => {}
        Kind::Named(kind) => members.unmeasured.push(kind.to_owned()),
        Kind::Missing if member(item, "role").is_some() => {}
        // A reference needs no type.
        Kind::Missing | Kind::Unclear => members.unmeasured.push(REFERENCE.to_owned()),
    }
}

fn is_kept(reasoning: &Object<'_>) -> bool {
    let says = |name: &str| member(reasoning, name).is_some_and(|it| *it != Json::Null);
    says("id") && !says("encryptedcontent")
}

const OWN: [&str; 13] = [
    "apply_patch_call",
    "apply_patch_call_output",
    "computer_call",
    "computer_call_output",
    "custom_tool_call",
    "custom_tool_call_output",
    "function_call",
    "function_call_output",
    "local_shell_call",
    "local_shell_call_output",
    "message",
    "shell_call",
    "shell_call_output",
];
const REFERENCE: &str = "item_reference";
