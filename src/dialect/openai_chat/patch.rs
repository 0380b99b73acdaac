//! A caller's own request, made to fit another provider of the same dialect without being parsed.

use crate::dialect::{
    Capabilities, Edits, GATEWAY_MEMBERS, LengthMember, Target,
    scan::{self, Member, Members},
};

/// Collects the edits: the model, our own members, the usage that only we ask for, the provider's quirks.
pub(super) fn request(body: &[u8], members: &Members, target: &Target<'_>, edits: &mut Edits) {
    edits.set_text(body, members, "model", target.model);
    edits.remove_all(body, members, &GATEWAY_MEMBERS);
    length(body, members, target.capabilities, edits);
    let streams = members.find(body, "stream").is_some_and(|stream| stream.text(body) == "true");
    if streams && target.want_usage && target.capabilities.stream_usage {
        include_usage(body, members, edits);
    }
    if !target.capabilities.developer_role {
        system_role(body, members, edits);
    }
}

/// The three names of the output limit, the first one present wins.
const LENGTH_MEMBERS: [&str; 3] = ["max_completion_tokens", "max_output_tokens", "max_tokens"];

/// Leaves one limit, under the name that the provider knows.
fn length(body: &[u8], members: &Members, capabilities: &Capabilities, edits: &mut Edits) {
    let said = |name: &&str| members.find(body, name).filter(|member| member.text(body) != "null");
    let mut present = LENGTH_MEMBERS.iter().filter_map(|name| said(name).map(|member| (*name, member)));
    let Some((name, winner)) = present.next() else { return };
    for (_, loser) in present {
        edits.cut(members, loser);
    }
    let known = match capabilities.length {
        LengthMember::MaxCompletionTokens => "max_completion_tokens",
        LengthMember::MaxTokens => "max_tokens",
        // The one of the three that no Chat Completions server knows.
        LengthMember::AsSent if name == "max_output_tokens" => "max_tokens",
        LengthMember::AsSent => name,
    };
    if name != known {
        // A `null` of that name would now be there twice.
        if let Some(null) = members.find(body, known).filter(|member| member.text(body) == "null") {
            edits.cut(members, null);
        }
        edits.rename(winner, known);
    }
}

/// Asks for the usage of a stream whose caller did not ask for it here.
fn include_usage(body: &[u8], members: &Members, edits: &mut Edits) {
    const OPTIONS: &str = r#"{"include_usage":true}"#;
    match members.find(body, "stream_options") {
        None => edits.append(members, "stream_options", OPTIONS),
        Some(options) if options.text(body).starts_with('{') => {
            let members = Members::of(body, &options.value);
            if members.find(body, "include_usage").is_none_or(|asked| asked.text(body) != "true") {
                edits.set(body, &members, "include_usage", "true");
            }
        }
        Some(options) => edits.value(options, OPTIONS),
    }
}

/// Says `system` where the caller said `developer`.
fn system_role(body: &[u8], members: &Members, edits: &mut Edits) {
    let Some(messages) = members.find(body, "messages") else { return };
    let developer = |role: &&Member| role.text(body) == "\"developer\"";
    for message in scan::elements(body, &messages.value) {
        if let Some(role) = Members::of(body, &message).find(body, "role").filter(developer) {
            edits.value(role, "\"system\"");
        }
    }
}
