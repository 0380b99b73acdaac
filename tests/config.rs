//! `gateway.toml`: what it means, and what is said of a wrong one.
#![cfg(feature = "config")]

use std::{fmt::Write, path::Path, time::Duration};

use portcullis::{
    catalog::{HttpVersion, Meter, Rate, Wire},
    config::{AuthMode, Config, ConfigError},
    stage::Fidelity,
};

/// The environment of all these tests.
fn environment(name: &str) -> Option<String> {
    let value = match name {
        "OPENAI_API_KEY" => "sk-canary",
        "CI_KEY" => "aistats_v1_k_kidAAAA00001_secretBBBB1111secretBBBB1111secretBBBB11",
        "PEPPER" => "canary-pepper-of-tests",
        "EMPTY" => "",
        "BLANK" => " \t",
        "HOST" => "canary.example",
        _ => return None,
    };
    Some(value.into())
}

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse("gateway.toml", text, &environment)
}

const WHOLE: &str = r#"
listen = "127.0.0.1:8787"
database = "data/gateway.db"
workers = 2

[providers.openai]
kind = "openai"
api_key = "${OPENAI_API_KEY}"
base_url = "https://api.openai.com"
http = "2"
proxy = "http://user:canary@proxy.example:3128"
timeouts = { first_byte = "30s" }

[providers.far]
kind = "openai-compatible"
base_url = "http://10.0.0.7:8000"
allow_http = true

[providers.demo]

[[models]]
id = "openai/gpt-5-nano-2025-08-07"
aliases = ["openai/gpt-5-nano"]
strategy = "priority"
timeouts = { total = "1h" }
targets = [
  { provider = "openai", model = "gpt-5-nano-2025-08-07", weight = 1, price = { input = "0.05", cache_read = 0.005, output = "0.40" } },
  { provider = "far", model = "nano", timeouts = { idle = "5s" } },
]

[[models]]
id = "big"
owned_by = "somebody"
targets = [{ provider = "far", model = "big", price = { tiers = [{ up_to = 200_000, input = "1.25" }, { input = 3 }] } }]

[[models]]
id = "demo/*"
targets = [{ provider = "demo", model = "*" }]

[auth]
mode = "keys"
pepper = "${PEPPER}"
keys = [{ name = "ci", key = "${CI_KEY}", workspace = "team", models = ["openai/*"] }]

[retry]
attempts = 2
timeouts = { connect = "2s", total = "5m" }
hold = "0s"

[answers]
annotate = false
fidelity = "strict"

[limits]
body = "1MiB"
connections = 100
head = "500ms"
"#;

#[test]
fn a_whole_file() {
    let config = parse(WHOLE).unwrap();
    assert_eq!(config.listen.unwrap().to_string(), "127.0.0.1:8787");
    assert_eq!((config.database.as_path(), config.state.as_path()), (Path::new("data/gateway.db"), Path::new("data/gateway.state")));

    let openai = config.catalog.provider("openai").unwrap();
    let Wire::Http(origin) = &openai.wire else { panic!("over HTTP") };
    assert_eq!(origin.base_url.to_string(), "https://api.openai.com/v1");
    assert_eq!(origin.version, HttpVersion::Http2);
    assert!(matches!(config.catalog.provider("demo").unwrap().wire, Wire::Demo));

    // The innermost deadline holds, the others come from further out.
    let found = config.catalog.resolve("openai/gpt-5-nano").unwrap();
    let [first, second] = found.model.targets.as_slice() else { panic!("two targets") };
    let seconds = |it: Duration| it.as_secs();
    assert_eq!((seconds(openai.timeouts.connect), seconds(openai.timeouts.first_byte), seconds(openai.timeouts.total)), (2, 30, 300));
    assert_eq!((seconds(first.timeouts.connect), seconds(first.timeouts.total)), (2, 3600));
    assert_eq!((seconds(second.timeouts.idle), seconds(second.timeouts.total)), (5, 3600));

    let rate = |target: &portcullis::catalog::Target, tokens, meter| target.price.as_ref().unwrap().tier(tokens).unwrap().rate_of(meter);
    assert_eq!(rate(first, 0, Meter::CacheRead), Some(Rate(5_000)));
    let big = config.catalog.resolve("big").unwrap().model;
    assert_eq!(big.owned_by.as_ref(), "somebody");
    assert_eq!(rate(&big.targets[0], 200_000, Meter::Input), Some(Rate(1_250_000)));
    assert_eq!(rate(&big.targets[0], 200_001, Meter::Input), Some(Rate(3_000_000)));
    assert!(config.catalog.resolve("demo/anything").is_some());

    assert_eq!(config.auth.mode, AuthMode::Keys);
    let key = &config.auth.keys[0].key;
    assert_eq!((key.name.as_str(), key.workspace.as_deref()), ("ci", Some("team")));
    assert_eq!(key.scopes.models, ["openai/*"]);
    assert_eq!(config.workers.unwrap().get(), 2);
    assert_eq!((config.retry.attempts, config.retry.hold), (2, Duration::ZERO));
    assert_eq!((config.answers.annotate, config.answers.fidelity), (false, Fidelity::Strict));
    assert_eq!((config.limits.body, config.limits.connections, config.limits.head), (1 << 20, 100, Duration::from_millis(500)));
}

#[test]
fn f081_secrets_stay_out_of_debug() {
    let config = parse(WHOLE).unwrap();
    let text = format!("{config:?} {:?}", config.catalog.providers().collect::<Vec<_>>());
    assert!(!text.contains("canary") && !text.contains("secretBBBB"), "{text}");
}

#[test]
fn a_provider_may_be_held_to_one_dialect() {
    let config = parse("[providers.demo]\ndialect = \"anthropic-messages\"").unwrap();
    let spoken: Vec<_> = config.catalog.provider("demo").unwrap().dialects.iter().map(|dialect| dialect.name()).collect();
    assert_eq!(spoken, ["anthropic-messages"]);
}

#[cfg(unix)]
#[test]
fn f084_secrets_in_a_file_that_all_can_read_are_noticed() {
    use std::os::unix::fs::PermissionsExt;
    let file = std::env::temp_dir().join(format!("portcullis-readable-{}.toml", std::process::id()));
    for (text, mode, exposed) in [
        ("[providers.openai]\napi_key = \"sk-canary\"", 0o644, true),
        ("[providers.openai]\napi_key = \"sk-canary\"", 0o600, false),
        ("[providers.openai]\napi_key = \"${OPENAI_API_KEY}\"", 0o644, false),
    ] {
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(Config::load(&file, &environment).unwrap().exposes_secrets, exposed, "{text} {mode:o}");
    }
    std::fs::remove_file(file).unwrap();
}

#[test]
fn an_empty_file_is_a_gateway_without_models() {
    let config = parse("").unwrap();
    assert_eq!((config.database.as_path(), config.state.as_path()), (Path::new("gateway.db"), Path::new("gateway.state")));
    assert_eq!(config.catalog.models().len(), 0);
    assert_eq!((config.retry.attempts, config.retry.hold), (3, Duration::from_secs(10)));
    assert_eq!(config.limits.body, 32 << 20);
}

#[test]
fn a_file_without_models_serves_its_providers() {
    let config = parse("[providers.mine]\nkind = \"openai\"\napi_key = \"k\"\n[providers.demo]").unwrap();
    for name in ["mine/gpt-5", "gpt-5", "mine:gpt-5"] {
        assert_eq!(config.catalog.resolve(name).unwrap().model.id.as_str(), "mine/gpt-5", "{name}");
    }
    assert!(config.catalog.resolve("demo/echo").is_some());
    assert!(config.catalog.resolve("claude-opus-5").is_none());
}

#[test]
fn without_a_file_the_environment_speaks() {
    let set = |name: &str| match name {
        "OPENAI_API_KEY" => Some("sk-canary".into()),
        "ANTHROPIC_API_KEY" => Some(" ".into()),
        "OPENAI_BASE_URL" => Some("http://127.0.0.1:9/v1/".into()),
        _ => None,
    };
    let config = Config::from_environment(&set).unwrap();
    for name in ["openai/gpt-5", "gpt-5", "o3-mini", "demo/echo", "echo"] {
        assert!(config.catalog.resolve(name).is_some(), "{name}");
    }
    assert!(config.catalog.resolve("claude-opus-5").is_none(), "a blank variable is none");
    let Wire::Http(origin) = &config.catalog.provider("openai").unwrap().wire else { panic!("over HTTP") };
    assert_eq!(origin.base_url.to_string(), "http://127.0.0.1:9/v1");

    let nothing = Config::from_environment(&|_| None).unwrap();
    assert!(nothing.catalog.resolve("demo/echo").is_some());

    let wrong = |name: &str| match name {
        "OPENAI_BASE_URL" => Some("http://canary.example".into()),
        "ANTHROPIC_API_KEY" => Some("can\nary".into()),
        name => set(name),
    };
    let error = Config::from_environment(&wrong).unwrap_err().to_string();
    assert_eq!(
        error,
        "ANTHROPIC_API_KEY: the API key is empty or holds characters that no header can carry\n\
         OPENAI_BASE_URL: plain http is for this machine only; say allow_http = true if the network between is trusted"
    );
}

/// Each file, and every complaint about it.
const BAD: &[(&str, &[&str])] = &[
    ("listen = ", &["1:10: string values must be quoted, expected literal string"]),
    ("listen = \"x\"\nlisten = \"y\"", &["2:1: duplicate key"]),
    (
        "listn = \"127.0.0.1:1\"",
        &[
            "1:1: listn: this key is not known here; known are answers, auth, database, limits, listen, models, providers, redis, retry, state, workers",
        ],
    ),
    ("listen = 8787", &["1:10: listen: a string is expected here, not a whole number"]),
    ("listen = \"8787\"", &["1:10: listen: `8787` is not an address and port such as \"127.0.0.1:8787\""]),
    ("listen = \"${HOST}\"", &["1:10: listen: `${HOST}` is not an address and port such as \"127.0.0.1:8787\""]),
    ("database = \"postgres://u:p@db/x\"", &["1:12: database: PostgreSQL is not built into this gateway; name a SQLite file"]),
    ("database = \"\"", &["1:12: database: this is no file"]),
    ("redis = \"redis://x\"", &["1:9: redis: Redis is not built into this gateway"]),
    ("\n\nmodels = 1", &["3:10: models: a list is expected here, not a whole number"]),
    // Providers.
    (
        "[providers.a]\nkind = \"open-ai\"",
        &[
            "2:8: providers.a.kind: `open-ai` is not a kind of provider that is known here; known are anthropic, demo, openai, openai-compatible",
        ],
    ),
    ("[providers.a]", &["1:12: providers.a: `kind` is missing; known are anthropic, demo, openai, openai-compatible"]),
    ("[providers.openai]", &["1:12: providers.openai: this kind of provider needs an api_key"]),
    ("[providers.openai]\napi_key = \"${OPENAI_KEY}\"", &["2:11: providers.openai.api_key: environment variable OPENAI_KEY is not set"]),
    ("[providers.openai]\napi_key = \"${EMPTY}\"", &["2:11: providers.openai.api_key: this secret is empty"]),
    ("[providers.openai]\napi_key = \"${BLANK}\"", &["2:11: providers.openai.api_key: this secret is empty"]),
    ("[providers.openai]\napi_key = \"${OPENAI_API_KEY\"", &["2:11: providers.openai.api_key: `${` has no `}`"]),
    ("[providers.openai]\napi_key = \"<canary>\"", &["2:11: providers.openai.api_key: this is a placeholder and no secret"]),
    (
        "[providers.openai]\napi_key = \"can\\nary\"",
        &["1:12: providers.openai: the API key is empty or holds characters that no header can carry"],
    ),
    ("[providers.openai]\napi_key = 5", &["2:11: providers.openai.api_key: a string is expected here, not a whole number"]),
    ("[providers.\"a:b\"]\nkind = \"demo\"", &["1:12: providers.a:b: a provider's name is made of letters, digits, `-`, `_` and `.`"]),
    ("[providers.x]\nkind = \"openai-compatible\"", &["1:12: providers.x: this kind of provider needs a base_url"]),
    (
        "[providers.x]\nkind = \"openai-compatible\"\nbase_url = \"http://${HOST}/v1\"",
        &["3:12: providers.x.base_url: plain http is for this machine only; say allow_http = true if the network between is trusted"],
    ),
    (
        "[providers.x]\nkind = \"openai-compatible\"\nbase_url = \"canary\"",
        &["3:12: providers.x.base_url: it is not an http or https URL such as \"https://api.openai.com/v1\""],
    ),
    ("[providers.demo]\nhttp = \"3\"", &["2:8: providers.demo.http: `3` is not \"1\" or \"2\""]),
    ("[providers.demo]\nallow_http = \"yes\"", &["2:14: providers.demo.allow_http: true or false is expected here, not a string"]),
    ("[providers.demo]\nproxy = \"ftp://canary@x\"", &["2:9: providers.demo.proxy: this is not an http:// URL of a proxy"]),
    (
        "[providers.demo]\nca_file = \"/nowhere/ca.pem\"",
        &["2:11: providers.demo.ca_file: the file cannot be read: No such file or directory (os error 2)"],
    ),
    ("[providers.demo]\nca_file = \"Cargo.toml\"", &["2:11: providers.demo.ca_file: the file holds no certificate in PEM"]),
    (
        "[providers.demo]\ndialect = \"latin\"",
        &["2:11: providers.demo.dialect: `latin` is not a dialect of `demo`: openai-chat, anthropic-messages"],
    ),
    (
        "[providers.demo]\ntimeouts = { idle = \"0s\", wait = \"5s\" }",
        &[
            "2:21: providers.demo.timeouts.idle: `0s` is not a time above zero such as \"500ms\", \"5s\" or \"10m\"",
            "2:27: providers.demo.timeouts.wait: this key is not known here; known are connect, first_byte, idle, total",
        ],
    ),
    // Models.
    ("[[models]]\nid = \"a\"", &["1:1: models[0]: `targets` is missing"]),
    ("[[models]]\nid = \"a\"\ntargets = []", &["1:1: models[0]: it has no targets"]),
    ("[[models]]\ntargets = []", &["1:1: models[0]: `id` is missing"]),
    (
        "[providers.demo]\n[[models]]\nid = \"a\"\ntargets = [{ provider = \"demos\", model = \"m\" }]",
        &["4:25: models[0].targets[0].provider: there is no provider `demos`"],
    ),
    ("[providers.demo]\n[[models]]\nid = \"a\"\ntargets = [{ provider = \"demo\" }]", &["4:12: models[0].targets[0]: `model` is missing"]),
    (
        "[providers.demo]\n[[models]]\nid = \"a\"\ntargets = [{ provider = \"demo\", model = \"m\" }]\n[[models]]\nid = \"a\"\ntargets = [{ provider = \"demo\", model = \"n\" }]",
        &["6:6: models[1].id: another model has this id"],
    ),
    (
        "[providers.demo]\n[[models]]\nid = \"a\"\ntargets = [{ provider = \"demo\", model = \"m\" }]\n[[models]]\nid = \"b\"\naliases = [\"c\", \"a\"]\ntargets = [{ provider = \"demo\", model = \"n\" }]",
        &["7:17: models[1].aliases[1]: alias `a` is already the name of another model"],
    ),
    (
        "[providers.demo]\n[[models]]\nid = \"a b\"\ntargets = [{ provider = \"demo\", model = \"m\" }]",
        &["3:6: models[0].id: `a b` is not a name: names are visible ASCII characters"],
    ),
    (
        "[providers.demo]\n[[models]]\nid = \"a\"\ntargets = [{ provider = \"demo\", model = \"*\" }]",
        &["4:41: models[0].targets[0].model: `*` in `*`: it stands at the end of a model's id, and then in its aliases and targets"],
    ),
    (
        "[providers.demo]\n[[models]]\nid = \"a\"\nstrategy = \"weighted\"\ntargets = [{ provider = \"demo\", model = \"m\" }]",
        &["4:12: models[0].strategy: `weighted` is not built yet; built is priority"],
    ),
    (
        "[providers.demo]\n[[models]]\nid = \"a\"\nstrategy = \"best\"\ntargets = [{ provider = \"demo\", model = \"m\" }]",
        &["4:12: models[0].strategy: `best` is not a strategy; known is priority"],
    ),
    (
        "[providers.demo]\n[[models]]\nid = \"a\"\ntargets = [{ provider = \"demo\", model = \"m\", price = { input = \"1e3\", inputs = \"1\" } }]",
        &[
            "4:64: models[0].targets[0].price.input: a price is a plain decimal number of US dollars, such as \"0.05\"",
            "4:71: models[0].targets[0].price.inputs: this key is not known here; known are cache_read, cache_write_1h, cache_write_5m, images, input, input_audio, output, output_audio, requests, seconds, tiers",
        ],
    ),
    (
        "[providers.demo]\n[[models]]\nid = \"a\"\ntargets = [{ provider = \"demo\", model = \"m\", price = { input = 0.0000001 } }]",
        &["4:64: models[0].targets[0].price.input: a price has at most 6 decimal places per million, 12 per piece"],
    ),
    (
        "[providers.demo]\n[[models]]\nid = \"a\"\ntargets = [{ provider = \"demo\", model = \"m\", price = { tiers = [{ input = 1 }, { up_to = 5 }, { up_to = 5 }] } }]",
        &[
            "4:65: models[0].targets[0].price.tiers[0]: only the last tier goes without `up_to`",
            "4:105: models[0].targets[0].price.tiers[2].up_to: tiers ascend: this is not above the one before",
        ],
    ),
    // The rest.
    (
        "listen = \"0.0.0.0:1\"\n[auth]\nmode = \"open\"",
        &["3:8: auth.mode: \"open\" is for loopback addresses only, and `listen` is another"],
    ),
    ("[auth]\nmode = \"closed\"", &["2:8: auth.mode: `closed` is not \"keys\" or \"open\""]),
    ("[auth]\npepper = \"\"", &["2:10: auth.pepper: this secret is empty"]),
    ("[auth]\npepper = \"canary\"", &["2:10: auth.pepper: a pepper has at least 16 bytes"]),
    (
        "[auth]\nkeys = [{ name = \"ci\", key = \"sk-canary\" }]",
        &["2:30: auth.keys[0].key: this is not a key in the gateway's format: aistats_v1_k_<12 letters or digits>_<secret>"],
    ),
    (
        "[auth]\nkeys = [{ name = \"a\", key = \"${CI_KEY}\" }, { name = \"b\", key = \"${CI_KEY}\" }]",
        &["2:64: auth.keys[1].key: another key has this id"],
    ),
    ("[auth]\nkeys = [{ name = \"ci\", key = \"${NO_KEY}\" }]", &["2:30: auth.keys[0].key: environment variable NO_KEY is not set"]),
    (
        "[auth]\nkeys = [{ key = \"${CI_KEY}\", role = 1 }]",
        &[
            "2:9: auth.keys[0]: `name` is missing",
            "2:30: auth.keys[0].role: this key is not known here; known are key, models, name, operations, providers, workspace",
        ],
    ),
    ("workers = 0", &["1:11: workers: 0 is not a whole number from 1 to 1024"]),
    ("[retry]\nattempts = 0", &["2:12: retry.attempts: 0 is not a whole number from 1 to 10"]),
    ("[retry]\nattempts = -1", &["2:12: retry.attempts: -1 is not a whole number from 1 to 10"]),
    ("[retry]\nhold = 10", &["2:8: retry.hold: a string is expected here, not a whole number"]),
    ("[answers]\nfidelity = \"loose\"", &["2:12: answers.fidelity: `loose` is not \"report\" or \"strict\""]),
    ("[limits]\nbody = \"32MB\"", &["2:8: limits.body: `32MB` is not a size such as \"32MiB\""]),
    ("[limits]\nbody = 0", &["2:8: limits.body: 0 is not a whole number from 1 to 9223372036854775807"]),
];

#[test]
fn a_wrong_file_names_every_place() {
    let mut report = String::new();
    for (text, expected) in BAD {
        let said = parse(text).expect_err(text).to_string();
        let expected: Vec<_> = expected.iter().map(|line| format!("gateway.toml:{line}")).collect();
        if said.lines().ne(expected.iter().map(String::as_str)) || said.contains("canary") {
            write!(report, "--- {text}\nexpected:\n{}\nsaid:\n{said}\n", expected.join("\n")).unwrap();
        }
    }
    assert!(report.is_empty(), "{report}");
}

#[test]
fn a_file_that_is_not_there() {
    let error = Config::load(Path::new("/nowhere/gateway.toml"), &environment).unwrap_err();
    assert_eq!(error.to_string(), "/nowhere/gateway.toml cannot be read");
}

#[test]
fn thousands_of_providers_and_models_load_at_once() {
    let mut text = String::new();
    for n in 0..3000 {
        write!(text, "[providers.p{n}]\nkind = \"openai-compatible\"\nbase_url = \"https://p{n}.example\"\n").unwrap();
        write!(text, "[[models]]\nid = \"org/m{n}\"\naliases = [\"a{n}\"]\n").unwrap();
        writeln!(text, "targets = [{{ provider = \"p{n}\", model = \"m\", price = {{ input = \"1\", output = \"2\" }} }}]").unwrap();
    }
    let started = std::time::Instant::now();
    let config = parse(&text).unwrap();
    // Linear work takes a moment; quadratic work would take minutes.
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(config.catalog.models().len(), 3000);
    assert!(config.catalog.resolve("a2999").is_some());
}

#[cfg(unix)]
#[test]
fn the_pepper_is_made_once_and_is_nobody_elses_business() {
    use std::os::unix::fs::PermissionsExt;
    let folder = std::env::temp_dir().join(format!("portcullis-pepper-{}", std::process::id()));
    let state = folder.join("deep/state");
    let first = portcullis::config::pepper(&state).unwrap();
    let again = portcullis::config::pepper(&state).unwrap();
    assert_eq!(again.hash("secret"), first.hash("secret"));
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&state), mode(&state.join("pepper"))), (0o700, 0o600));
    std::fs::write(state.join("pepper"), "\n").unwrap();
    assert!(portcullis::config::pepper(&state).is_err(), "an empty pepper is none");
    std::fs::remove_dir_all(folder).unwrap();
}
