//! `[providers.NAME]`.

use std::fs;

use http::Uri;

use super::{
    Problem,
    document::{Environment, Field, Section},
    settings,
};
use crate::{
    catalog::{Account, AccountError, ApiKey, CatalogBuilder, HttpVersion, ModelEntry, Preset, TargetEntry, Timeouts},
    dialect::{self, Dialect},
};

/// A provider that was read, and its preset.
pub(super) struct Named<'d> {
    pub(super) name: &'d str,
    pub(super) preset: &'static Preset,
}

/// Adds the providers to the catalogue. `default` are the deadlines of those that have none.
pub(super) fn read<'d>(root: &mut Section<'d, '_>, default: Timeouts, mut catalog: CatalogBuilder) -> (CatalogBuilder, Vec<Named<'d>>) {
    let mut named = Vec::new();
    let Some(mut section) = root.take("providers").and_then(|field| field.section()) else { return (catalog, named) };
    for (name, field) in section.drain() {
        let read = check_name(name, &field).and_then(|()| account(name, &field, default));
        let Some((preset, account)) = read else { continue };
        match account.build() {
            Ok(provider) => {
                catalog = catalog.provider(provider);
                named.push(Named { name, preset });
            }
            Err(error) => field.fail(error.to_string()),
        }
    }
    (catalog, named)
}

/// A provider's wildcard, and its preset's patterns.
pub(super) fn wildcard(name: &str, preset: &'static Preset) -> ModelEntry {
    let entry = ModelEntry::new(format!("{name}/*")).target(TargetEntry::new(name, "*"));
    preset.patterns.iter().fold(entry, |entry, pattern| entry.pattern(*pattern))
}

/// A provider's name stands before a colon in pins and before a slash in wildcards.
fn check_name(name: &str, field: &Field<'_, '_>) -> Option<()> {
    let good = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if !good {
        field.fail("a provider's name is made of letters, digits, `-`, `_` and `.`");
    }
    good.then_some(())
}

fn account(name: &str, field: &Field<'_, '_>, default: Timeouts) -> Option<(&'static Preset, Account)> {
    let mut section = field.section()?;
    let kind = match section.take("kind") {
        Some(field) => field.parse(&format!("a kind of provider that is known here; known are {}", kinds()), Preset::named),
        None => Preset::named(name).or_else(|| {
            section.fail(format!("`kind` is missing; known are {}", kinds()));
            None
        }),
    };
    let preset = kind?;
    let mut account = preset.account(name).timeouts(settings::timeouts(&mut section, default).unwrap_or(default));
    let mut sound = true;
    if let Some(key) = section.take("api_key").map(|field| field.secret()) {
        sound = key.is_some();
        account = key.map(ApiKey::new).into_iter().fold(account, Account::api_key);
    }
    let url = section.take("base_url");
    if let Some(url) = url.as_ref().and_then(Field::text) {
        account = account.base_url(url);
    }
    if let Some(allow) = section.take("allow_http").and_then(|field| field.boolean()) {
        account = account.allow_http(allow);
    }
    if let Some(dialect) = section.take("dialect").and_then(|field| self::dialect(&field, preset)) {
        account = account.dialect(dialect);
    }
    if let Some(version) = section.take("http").and_then(|field| field.parse("\"1\" or \"2\"", version)) {
        account = account.http_version(version);
    }
    if let Some(proxy) = section.take("proxy").and_then(|field| proxy(&field)) {
        account = account.proxy(proxy);
    }
    if let Some(pem) = section.take("ca_file").and_then(|field| certificates(&field)) {
        account = account.ca_pem(pem);
    }
    section.finish();
    // Said at the URL itself, where there is one.
    if let (Some(url), Err(error @ AccountError::BaseUrl(_))) = (&url, account.clone().build()) {
        url.fail(error.to_string());
        sound = false;
    }
    sound.then_some((preset, account))
}

/// A dialect that the provider speaks.
pub(super) fn dialect(field: &Field<'_, '_>, preset: &Preset) -> Option<&'static dyn Dialect> {
    let spoken = |name: &str| preset.dialects.contains(&name).then(|| dialect::named(name)).flatten();
    field.parse(&format!("a dialect of `{}`: {}", preset.kind, preset.dialects.join(", ")), spoken)
}

fn kinds() -> String {
    Preset::all().iter().map(|preset| preset.kind).collect::<Vec<_>>().join(", ")
}

fn version(text: &str) -> Option<HttpVersion> {
    match text {
        "1" => Some(HttpVersion::Http1),
        "2" => Some(HttpVersion::Http2),
        _ => None,
    }
}

/// A proxy's URL may hold a password, so no complaint quotes it.
fn proxy(field: &Field<'_, '_>) -> Option<Uri> {
    let uri = field.text()?.parse::<Uri>().ok().filter(|uri| uri.scheme_str() == Some("http") && uri.host().is_some());
    if uri.is_none() {
        field.fail("this is not an http:// URL of a proxy");
    }
    uri
}

fn certificates(field: &Field<'_, '_>) -> Option<Vec<u8>> {
    let path = field.text()?;
    let read = fs::read(&path).map_err(|error| field.fail(format!("the file cannot be read: {error}")));
    let pem = read.ok()?;
    if memchr::memmem::find(&pem, b"-----BEGIN CERTIFICATE-----").is_none() {
        field.fail("the file holds no certificate in PEM");
        return None;
    }
    Some(pem)
}

/// The providers whose usual variables are set, each with its wildcard and patterns.
pub(super) fn from_environment(environment: Environment<'_>, mut catalog: CatalogBuilder, problems: &mut Vec<Problem>) -> CatalogBuilder {
    let set = |name: Option<&str>| environment(name?).filter(|value| !value.trim().is_empty());
    for preset in Preset::all().iter().copied() {
        let Some(key) = set(preset.key_variable) else { continue };
        let url = set(preset.url_variable);
        let mut account = preset.account(preset.kind).api_key(ApiKey::new(key));
        if let Some(url) = url {
            account = account.base_url(url);
        }
        match account.build() {
            Ok(provider) => catalog = catalog.provider(provider).model(wildcard(preset.kind, preset)),
            Err(error) => {
                let variable = if matches!(error, AccountError::BaseUrl(_)) { preset.url_variable } else { preset.key_variable };
                let (key, message) = (variable.unwrap_or_default().to_owned(), error.to_string());
                problems.push(Problem { file: String::new(), line: 0, column: 0, key, message });
            }
        }
    }
    catalog
}
