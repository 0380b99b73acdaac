//! Names, and what they mean.

use std::{sync::Arc, time::Instant};

use portcullis::catalog::{
    ApiKey, Catalog, CatalogBuilder, CatalogError, Catalogs, Meter, ModelEntry, Preset, Price, Rate, Suffix, TargetEntry, Tier,
};

fn key() -> ApiKey {
    ApiKey::new("sk-test")
}

fn providers() -> CatalogBuilder {
    Catalog::builder()
        .provider(Preset::OPENAI.account("openai").api_key(key()).build().unwrap())
        .provider(Preset::ANTHROPIC.account("anthropic").api_key(key()).build().unwrap())
        .provider(Preset::OPENAI_COMPATIBLE.account("local").base_url("http://localhost:11434").build().unwrap())
}

fn price(input: &str) -> Price {
    Price::flat(Tier::default().rate(Meter::Input, Rate::parse(input, Meter::Input).unwrap()))
}

fn catalog() -> Catalog {
    let nano = TargetEntry::new("openai", "gpt-5-nano-2025-08-07").price(price("0.05"));
    providers()
        .model(ModelEntry::new("openai/gpt-5-nano-2025-08-07").alias("openai/gpt-5-nano").target(nano))
        .model(ModelEntry::new("meta/llama3.1:8b").target(TargetEntry::new("local", "llama3.1:8b")))
        .model(ModelEntry::new("vendor/claude-v1:0").alias("local:trap").target(TargetEntry::new("anthropic", "claude-v1:0")))
        .model(
            ModelEntry::new("openai/shared")
                .target(TargetEntry::new("openai", "shared-a").price(price("1")))
                .target(TargetEntry::new("local", "shared-b")),
        )
        .model(ModelEntry::new("meta/shared").target(TargetEntry::new("local", "shared")))
        .model(ModelEntry::new("deep/org/model").target(TargetEntry::new("local", "m")))
        .model(ModelEntry::new("x/real:free").target(TargetEntry::new("local", "real-free")))
        .model(ModelEntry::new("openai/*").pattern("gpt-*").pattern("o3*").target(TargetEntry::new("openai", "*").price(price("9"))))
        .model(ModelEntry::new("openai/ft-*").alias("tuned-*").target(TargetEntry::new("openai", "ft:*")))
        .build()
        .unwrap()
}

/// `name -> id @ provider:model [pinned] [suffix]`.
fn resolved(catalog: &Catalog, name: &str) -> String {
    let Some(found) = catalog.resolve(name) else { return "nothing".into() };
    let targets: Vec<_> = found.model.targets.iter().map(|target| format!("{}:{}", target.provider.name, target.model)).collect();
    assert!(found.model.targets.iter().all(|target| target.id == found.model.id), "a target knows its model");
    let suffix = found.suffix.map(|suffix| format!(" {suffix:?}")).unwrap_or_default();
    format!("{} @ {}{}{suffix}", found.model.id, targets.join(", "), if found.pinned { " pinned" } else { "" })
}

#[test]
fn names_in_their_order() {
    let catalog = catalog();
    let nano = "openai/gpt-5-nano-2025-08-07 @ openai:gpt-5-nano-2025-08-07";
    for (name, expected) in [
        // Ids, aliases, bare names.
        ("openai/gpt-5-nano-2025-08-07", nano.into()),
        ("openai/gpt-5-nano", nano.into()),
        ("gpt-5-nano-2025-08-07", nano.into()),
        ("gpt-5-nano", nano.into()),
        ("meta/llama3.1:8b", "meta/llama3.1:8b @ local:llama3.1:8b".into()),
        ("llama3.1:8b", "meta/llama3.1:8b @ local:llama3.1:8b".into()),
        ("claude-v1:0", "vendor/claude-v1:0 @ anthropic:claude-v1:0".into()),
        ("org/model", "deep/org/model @ local:m".into()),
        ("model", "deep/org/model @ local:m".into()),
        ("openai/shared", "openai/shared @ openai:shared-a, local:shared-b".into()),
        // Two models have it.
        ("shared", "nothing".into()),
        // An id or alias before a pin, a wildcard before a pin.
        ("local:trap", "vendor/claude-v1:0 @ anthropic:claude-v1:0".into()),
        // Wildcards, the longest first.
        ("openai/gpt-4.1", "openai/gpt-4.1 @ openai:gpt-4.1".into()),
        ("gpt-4.1", "openai/gpt-4.1 @ openai:gpt-4.1".into()),
        ("o3-mini", "openai/o3-mini @ openai:o3-mini".into()),
        ("openai/ft-mine", "openai/ft-mine @ openai:ft:mine".into()),
        ("tuned-mine", "openai/ft-mine @ openai:ft:mine".into()),
        ("gpt-5-nano-x", "openai/gpt-5-nano-x @ openai:gpt-5-nano-x".into()),
        ("openai/", "nothing".into()),
        ("openai/*", "nothing".into()),
        ("gpt-*", "nothing".into()),
        // Pins: a configured target, a name that has one there, the wildcard's, and as it stands.
        ("openai:gpt-5-nano-2025-08-07", format!("{nano} pinned")),
        ("openai:gpt-5-nano", format!("{nano} pinned")),
        ("openai:openai/gpt-5-nano", format!("{nano} pinned")),
        ("local:openai/shared", "openai/shared @ local:shared-b pinned".into()),
        ("local:llama3.1:8b", "meta/llama3.1:8b @ local:llama3.1:8b pinned".into()),
        ("openai:gpt-4.1", "openai/gpt-4.1 @ openai:gpt-4.1 pinned".into()),
        ("openai:whisper-1", "openai/whisper-1 @ openai:whisper-1 pinned".into()),
        ("local:qwen3:4b", "local/qwen3:4b @ local:qwen3:4b pinned".into()),
        ("anthropic:shared", "anthropic/shared @ anthropic:shared pinned".into()),
        ("anthropic:", "nothing".into()),
        // Suffixes, only where the whole is unknown.
        ("gpt-5-nano-2025-08-07:fast", "openai/gpt-5-nano-2025-08-07:fast @ openai:gpt-5-nano-2025-08-07:fast".into()),
        ("openai/shared:cheap", "openai/shared:cheap @ openai:shared:cheap".into()),
        ("meta/shared:fast", "meta/shared @ local:shared Fast".into()),
        ("llama3.1:8b:cheap", "meta/llama3.1:8b @ local:llama3.1:8b Cheap".into()),
        ("x/real:free", "x/real:free @ local:real-free".into()),
        ("x/real:free:free", "x/real:free @ local:real-free Free".into()),
        ("meta/shared:slow", "nothing".into()),
        // Nothing is guessed: case counts, and so does every character.
        ("Meta/Shared", "nothing".into()),
        ("", "nothing".into()),
        (":", "nothing".into()),
        ("gpt-\u{e4}", "nothing".into()),
        ("gpt-a b", "nothing".into()),
        ("gpt-a\r\nx: y", "nothing".into()),
    ] {
        assert_eq!(resolved(&catalog, name), expected, "{name}");
        assert_eq!(resolved(&catalog, name), expected, "{name}, asked again");
    }
    assert!(catalog.resolve(&format!("gpt-{}", "9".repeat(300))).is_none());
    assert_eq!(catalog.resolve("meta/shared:fast").unwrap().suffix, Some(Suffix::Fast));
}

#[test]
fn a_pattern_finds_the_configured_price_of_an_ambiguous_name() {
    let catalog = providers()
        .model(ModelEntry::new("openai/gpt-9").target(TargetEntry::new("openai", "gpt-9").price(price("2"))))
        .model(ModelEntry::new("local/gpt-9").target(TargetEntry::new("local", "gpt-9")))
        .model(ModelEntry::new("openai/*").pattern("gpt-*").target(TargetEntry::new("openai", "*")))
        .build()
        .unwrap();
    for name in ["gpt-9", "openai:gpt-9", "openai/gpt-9"] {
        let found = catalog.resolve(name).unwrap();
        assert_eq!(found.model.targets[0].price.as_deref(), Some(&price("2")), "{name}");
    }
}

#[test]
fn a_made_model_is_made_once_and_knows_what_it_can() {
    let catalog = catalog();
    let (one, two) = (catalog.resolve("gpt-6-sol").unwrap(), catalog.resolve("gpt-6-sol").unwrap());
    assert!(Arc::ptr_eq(&one.model, &two.model));
    assert_eq!(*one.model.targets[0].capabilities, Preset::OPENAI.capabilities("gpt-6-sol"));
    assert_eq!(one.model.targets[0].price.as_deref(), Some(&price("9")), "a wildcard's price holds for its models");
    for n in 0..5000 {
        catalog.resolve(&format!("gpt-{n}")).unwrap();
    }
    assert_eq!(resolved(&catalog, "gpt-6-sol"), "openai/gpt-6-sol @ openai:gpt-6-sol");
}

#[test]
fn a_wrong_catalogue_names_the_place() {
    let target = || TargetEntry::new("openai", "m");
    let said = |builder: CatalogBuilder| builder.build().unwrap_err().to_string();
    let good = || providers().model(ModelEntry::new("a/m").alias("a/x").target(target()));
    for (builder, expected) in [
        (good().model(ModelEntry::new("a/m").target(target())), "model `a/m`: another model has this id"),
        (good().model(ModelEntry::new("a/n")), "model `a/n`: it has no targets"),
        (
            good().model(ModelEntry::new("a/n").target(target()).target(TargetEntry::new("nobody", "m"))),
            "model `a/n`: there is no provider `nobody`",
        ),
        (
            good().model(ModelEntry::new("a/n").alias("a/x").target(target())),
            "model `a/n`: alias `a/x` is already the name of another model",
        ),
        (
            good().model(ModelEntry::new("a/n").alias("a/m").target(target())),
            "model `a/n`: alias `a/m` is already the name of another model",
        ),
        (providers().model(ModelEntry::new("").target(target())), "model ``: `` is not a name: names are visible ASCII characters"),
        (
            providers().model(ModelEntry::new("a\nb").target(target())),
            "model `a\\nb`: `a\\nb` is not a name: names are visible ASCII characters",
        ),
        (
            providers().model(ModelEntry::new("a/*/b").target(target())),
            "model `a/*/b`: `*` in `a/*/b`: it stands at the end of a model's id, and then in its aliases and targets",
        ),
        (good().provider(Preset::OPENAI.account("openai").api_key(key()).build().unwrap()), "provider `openai` is there twice"),
    ] {
        assert_eq!(said(builder), expected);
    }
    let error = good().model(ModelEntry::new("a/m").target(target())).build().unwrap_err();
    assert!(matches!(error, CatalogError::Model { position: 1, .. }), "the second is the wrong one");
}

#[test]
fn a_swap_changes_the_calls_that_come() {
    let catalogs = Catalogs::from(catalog());
    let running = catalogs.current();
    let before = catalogs.swap(providers().build().unwrap());
    assert!(Arc::ptr_eq(&running, &before));
    assert!(running.resolve("model").is_some());
    assert!(catalogs.clone().current().resolve("model").is_none());
}

#[test]
fn thousands_of_models_build_at_once() {
    let started = Instant::now();
    let mut builder = providers();
    for n in 0..2000 {
        let account = Preset::OPENAI_COMPATIBLE.account(format!("p{n}")).base_url(format!("https://p{n}.example"));
        builder = builder.provider(account.build().unwrap());
    }
    for n in 0..20_000 {
        let model = ModelEntry::new(format!("org{}/m{n}", n % 50)).alias(format!("alias-{n}"));
        builder = builder.model(model.target(TargetEntry::new(format!("p{}", n % 2000), format!("m{n}"))));
    }
    for n in 0..2000 {
        builder = builder.model(ModelEntry::new(format!("p{n}/*")).target(TargetEntry::new(format!("p{n}"), "*")));
    }
    let catalog = builder.build().unwrap();
    // Linear work takes milliseconds here; quadratic work would take minutes.
    assert!(started.elapsed().as_secs() < 5);
    assert_eq!(catalog.models().len(), 20_000);
    assert_eq!(resolved(&catalog, "m19999"), "org49/m19999 @ p1999:m19999");
    assert_eq!(resolved(&catalog, "p77/new"), "p77/new @ p77:new");
}
