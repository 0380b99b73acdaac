use portcullis::{
    dialect::{
        Losses,
        conversation::{BlockKind, CacheMarker, Effort, MediaSource, OutputFormat, Request, Role, ToolChoice, ToolKind},
    },
    fault::Detail,
};

use super::support::MESSAGES;

fn decoded(body: &str) -> (Request<'_>, Vec<String>) {
    let mut losses = Losses::default();
    let request = MESSAGES.decode_request(body, &mut losses).unwrap();
    (request, losses.iter().map(|lost| format!("{} {}", lost.path, lost.loss.fate)).collect())
}

fn refused(body: &str) -> Vec<(String, String)> {
    let details = MESSAGES.decode_request(body, &mut Losses::default()).unwrap_err();
    details.into_iter().map(|Detail { path, message }| (path, message)).collect()
}

/// A request with `members` beside the required ones.
fn with(members: &str) -> String {
    format!(r#"{{"model":"m","max_tokens":16,"messages":[{{"role":"user","content":"Hi"}}],{members}}}"#)
}

fn content(blocks: &str) -> String {
    format!(r#"{{"model":"m","max_tokens":16,"messages":[{{"role":"user","content":{blocks}}}]}}"#)
}

#[test]
fn every_setting_has_its_place() {
    let body = with(
        r#""system":"Be brief.","stream":true,"stop_sequences":["END"],"temperature":0.70,"top_p":1e0,"top_k":5,"metadata":{"user_id":"u1"},"service_tier":"auto","thinking":{"type":"enabled","budget_tokens":2000},"output_config":{"effort":"xhigh","format":{"type":"json_schema","schema":{"type":"object"}}},"tool_choice":{"type":"any","disable_parallel_tool_use":true},"tools":[{"name":"f","input_schema":{"type":"object"},"strict":true}]"#,
    );
    let (request, losses) = decoded(&body);
    assert_eq!((&*request.model, request.stream, request.max_output_tokens), ("m", true, Some(16)));
    assert_eq!((&*request.instructions[0].text, request.instructions[0].after), ("Be brief.", 0));
    assert_eq!(
        (&request.stop[..], request.user.as_deref(), request.service_tier.as_deref()),
        (&["END".into()][..], Some("u1"), Some("auto"))
    );
    assert_eq!((request.temperature.unwrap().text(), request.top_p.unwrap().text(), request.top_k.unwrap().text()), ("0.70", "1e0", "5"));
    let reasoning = request.reasoning.unwrap();
    assert_eq!((reasoning.enabled, reasoning.budget_tokens, reasoning.effort), (Some(true), Some(2000), Some(Effort::XHigh)));
    assert_eq!((request.tool_choice, request.parallel_tool_calls), (Some(ToolChoice::Required), Some(false)));
    assert!(
        matches!(request.output_format, Some(OutputFormat::JsonSchema { schema: Some(schema), .. }) if schema.get() == r#"{"type":"object"}"#)
    );
    assert_eq!(losses, [""; 0]);
}

#[test]
fn every_block_has_its_kind() {
    let body = content(
        r#"[{"type":"text","text":"a","cache_control":{"type":"ephemeral","ttl":"1h"}},
            {"type":"image","source":{"type":"base64","media_type":"image/png","data":"aGk="}},
            {"type":"image","source":{"type":"url","url":"https://e/x.png"}},
            {"type":"image","source":{"type":"file","file_id":"file_1"}},
            {"type":"document","source":{"type":"text","media_type":"text/plain","data":"T"},"title":"t","context":"c","citations":{"enabled":true}},
            {"type":"document","source":{"type":"content","content":"x"}},
            {"type":"thinking","thinking":"Hm.","signature":"c2ln"},
            {"type":"thinking","thinking":"Broken off.","signature":""},
            {"type":"redacted_thinking","data":"aGk"},
            {"type":"tool_use","id":"t","name":"f","input":{"a": 1.0},"caller":{"type":"direct"}},
            {"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":"r"}],"is_error":true},
            {"type":"server_tool_use","id":"s","name":"web_search","input":{}}]"#,
    );
    let (request, losses) = decoded(&body);
    let blocks = &request.turns[0].blocks;
    assert_eq!(blocks[0].cache, Some(CacheMarker { ttl: Some("1h".into()) }));
    assert!(
        matches!(&blocks[1].kind, BlockKind::Image { media, .. } if matches!(&media.source, MediaSource::Base64(data) if data == "aGk="))
    );
    assert!(matches!(&blocks[2].kind, BlockKind::Image { media, .. } if matches!(&media.source, MediaSource::Url(_))));
    assert!(matches!(&blocks[3].kind, BlockKind::Image { media, .. } if matches!(&media.source, MediaSource::File(_))));
    assert!(
        matches!(&blocks[4].kind, BlockKind::Document { title: Some(title), context: Some(_), citations: Some(true), .. } if title == "t")
    );
    assert!(matches!(&blocks[5].kind, BlockKind::Unknown { kind, .. } if kind == "document"));
    assert!(matches!(&blocks[6].kind, BlockKind::Reasoning(it) if it.issuer.as_deref() == Some("anthropic") && it.signature.is_some()));
    assert!(matches!(&blocks[7].kind, BlockKind::Reasoning(it) if it.issuer.is_none() && it.signature.is_none()));
    assert!(matches!(&blocks[8].kind, BlockKind::Reasoning(it) if it.redacted.as_deref() == Some("aGk")));
    assert!(matches!(&blocks[9].kind, BlockKind::ToolCall { arguments, .. } if arguments == r#"{"a": 1.0}"#));
    assert!(matches!(&blocks[10].kind, BlockKind::ToolResult { content, is_error: Some(true), .. } if content.len() == 1));
    assert_eq!(blocks[10].place.to_string(), "/messages/0/content/10");
    assert!(
        matches!(&blocks[11].kind, BlockKind::Unknown { kind, dialect, .. } if kind == "server_tool_use" && *dialect == "anthropic-messages")
    );
    assert_eq!(losses, [""; 0]);
}

#[test]
fn br_30_a_system_message_keeps_its_place() {
    let body = r#"{"model":"m","max_tokens":1,"system":[{"type":"text","text":"A"}],"messages":[{"role":"user","content":"Hi"},{"role":"system","content":[{"type":"text","text":"B"}]},{"role":"assistant","content":"Yo"}]}"#;
    let (request, _) = decoded(body);
    let told: Vec<_> = request.instructions.iter().map(|it| (&*it.text, it.after, it.place.to_string())).collect();
    assert_eq!(told, [("A", 0, "/system/0".to_owned()), ("B", 1, "/messages/1/content/0".to_owned())]);
    assert_eq!(request.turns.iter().map(|turn| turn.role).collect::<Vec<_>>(), [Role::User, Role::Assistant]);
}

#[test]
fn tl_04_a_tool_without_a_type_is_the_callers_own() {
    let body = with(
        r#""tools":[{"name":"f","input_schema":{}},{"type":"custom","name":"g","input_schema":{}},{"type":"web_search_20250305","name":"web_search"}]"#,
    );
    let (request, _) = decoded(&body);
    assert!(matches!(&request.tools[0].kind, ToolKind::Function { name, .. } if name == "f"));
    assert!(matches!(&request.tools[1].kind, ToolKind::Function { name, .. } if name == "g"));
    assert!(matches!(&request.tools[2].kind, ToolKind::Unknown { kind, .. } if kind == "web_search_20250305"));
}

#[test]
fn ar_31_disabled_thinking_is_said() {
    let body = with(r#""thinking":{"type":"disabled"}"#);
    assert_eq!(decoded(&body).0.reasoning.unwrap().enabled, Some(false));
    let body = with(r#""thinking":{"type":"adaptive"}"#);
    assert!(decoded(&body).0.reasoning.unwrap().adaptive);
}

#[test]
fn what_the_hub_has_no_word_for_is_reported() {
    let body = with(
        r#""container":"c1","mcp_servers":[],"we/ird~":1,"provider":{},"models":[],"session_id":"s","usage":true,"meta":true,
           "thinking":{"type":"adaptive","display":"omitted"},"metadata":{"user_id":"u","x":1},
           "tools":[{"name":"f","input_schema":{},"defer_loading":true,"allowed_callers":null}]"#,
    );
    let (_, losses) = decoded(&body);
    assert_eq!(
        losses,
        [
            "/container dropped",
            "/mcp_servers dropped",
            "/we~1ird~0 dropped",
            "/metadata/x dropped",
            "/tools/0/defer_loading dropped",
            "/thinking/display dropped"
        ]
    );
    let body = content(r#"[{"type":"tool_use","id":"t","name":"f","input":{},"caller":{"type":"code_execution_20250825","tool_id":"x"}}]"#);
    assert_eq!(decoded(&body).1, ["/messages/0/content/0/caller dropped"]);
}

#[test]
fn what_is_wrong_is_named_by_its_place() {
    assert_eq!(refused("{}"), [("/model", "is required"), ("/max_tokens", "is required"), ("/messages", "is required")].map(owned));
    assert_eq!(refused(&with(r#""stream":"yes""#)), [("/stream", "expected a boolean")].map(owned));
    assert_eq!(refused(&content(r#"[{"type":"text"}]"#)), [("/messages/0/content/0/text", "is required")].map(owned));
    assert_eq!(refused(&content(r#"[{"type":"text","text":7}]"#)), [("/messages/0/content/0/text", "expected a string")].map(owned));
    assert_eq!(refused(&content("[1]")), [("/messages/0/content/0", "expected an object with a `type`")].map(owned));
    assert_eq!(refused(&content(r#"[{"text":"x"}]"#)), [("/messages/0/content/0/type", "is required")].map(owned));
    assert_eq!(
        refused(&content(r#"[{"type":"tool_result","tool_use_id":"t","content":[{"type":"image"}]}]"#)),
        [("/messages/0/content/0/content/0/source", "is required")].map(owned)
    );
    let body = with(r#""tool_choice":{"type":"function"}"#);
    assert_eq!(refused(&body), [("/tool_choice/type", "expected `auto`, `any`, `tool` or `none`")].map(owned));
    let role = r#"{"model":"m","max_tokens":1.5,"messages":[{"role":"tool","content":""}]}"#;
    assert_eq!(
        refused(role),
        [("/max_tokens", "expected a whole number"), ("/messages/0/role", "expected `user`, `assistant` or `system`")].map(owned)
    );
}

fn owned((path, message): (&str, &str)) -> (String, String) {
    (path.to_owned(), message.to_owned())
}
