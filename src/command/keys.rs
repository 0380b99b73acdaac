//! `keys`: make, list and change them. A running server sees a change within a second.

use std::{process::ExitCode, time::SystemTime};

use super::{
    Failure,
    arguments::{Arguments, Create, Keys},
    failed_to, house,
};
use crate::{
    auth::{KeyAdmin, KeyFormat, KeyRecord, KeyStatus, NewKey},
    catalog::Catalog,
    stage::{KeyId, KeyKind, Operation, Scopes},
};

/// Who changes keys, in their audit.
const ACTOR: &str = "command line";

pub(super) async fn keys(arguments: &Arguments, keys: Keys) -> Result<ExitCode, Failure> {
    let (config, _) = house::configuration(arguments)?;
    let admin = house::admin(&config)?;
    match keys {
        Keys::Create(create) => {
            let new = new_key(create);
            sensible(&new.scopes, &config.catalog)?;
            let (text, key) = admin.create(new, ACTOR).await.map_err(failed_to("make the key"))?;
            println!("{}", text.expose());
            eprintln!("key {} is made; it is shown this once", key.kid);
        }
        Keys::List { workspace } => {
            let list = admin.list(workspace.as_deref()).await.map_err(failed_to("list the keys"))?;
            list.iter().for_each(print);
        }
        Keys::Pause { id } => changed(admin.pause(&kid(&id), ACTOR).await, "pause the key", "paused")?,
        Keys::Resume { id } => changed(admin.resume(&kid(&id), ACTOR).await, "resume the key", "active again")?,
        Keys::Revoke { id } => changed(admin.revoke(&kid(&id), ACTOR).await, "revoke the key", "revoked")?,
        Keys::Rotate { id, grace } => {
            let (text, key) = admin.rotate(&kid(&id), grace, ACTOR).await.map_err(failed_to("rotate the key"))?;
            println!("{}", text.expose());
            eprintln!("key {} has another secret, shown this once; the old one works for {} s still", key.kid, grace.as_secs());
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn new_key(create: Create) -> NewKey {
    NewKey {
        workspace: create.workspace,
        kind: if create.management { KeyKind::Management } else { KeyKind::Inference },
        expires: create.expires_in.and_then(|time| SystemTime::now().checked_add(time)),
        scopes: Scopes { models: create.models, providers: create.providers, operations: create.operations },
        ..NewKey::named(create.name)
    }
}

/// Refuses scopes that would let nothing through: a misspelt name is found now, and not by the key's holder.
fn sensible(scopes: &Scopes, catalog: &Catalog) -> Result<(), Failure> {
    let refuse = |what: &str, name: &str, known: &str| Failure { error: format!("no {what} is called `{name}`{known}").into(), code: 2 };
    let list = |names: Vec<&str>| if names.is_empty() { String::new() } else { format!("; there are {}", names.join(", ")) };
    for name in &scopes.operations {
        if !Operation::ALL.iter().any(|operation| operation.name() == name) {
            return Err(refuse("operation", name, &list(Operation::ALL.iter().map(|operation| operation.name()).collect())));
        }
    }
    for name in &scopes.providers {
        if catalog.provider(name).is_none() {
            return Err(refuse("provider", name, &list(catalog.providers().map(|provider| provider.name.as_str()).collect())));
        }
    }
    // A scope is compared with ids; a wildcard's models have ids that nobody can list.
    for scope in &scopes.models {
        let begins = |id: &str, prefix: &str| id.starts_with(prefix) || prefix.starts_with(id);
        let wild = catalog.wildcards().any(|wildcard| {
            let id = wildcard.id.as_str().trim_end_matches('*');
            scope.strip_suffix('*').map_or_else(|| scope.starts_with(id), |prefix| begins(id, prefix))
        });
        let alone = Scopes { models: vec![scope.clone()], ..Scopes::default() };
        let concrete = catalog.models().any(|model| alone.allows_model(&model.id));
        if !wild && !concrete {
            return Err(refuse("model", scope, ": the command `models` lists them by id"));
        }
    }
    Ok(())
}

fn changed(done: Result<KeyRecord, crate::auth::KeyAdminError>, doing: &str, now: &str) -> Result<(), Failure> {
    let key = done.map_err(failed_to(doing))?;
    println!("key {} ({}) is {now}", key.kid, key.name);
    Ok(())
}

fn print(key: &KeyRecord) {
    let status = match key.status {
        KeyStatus::Active => "active",
        KeyStatus::Paused => "paused",
        KeyStatus::Revoked => "revoked",
    };
    let day = |time: SystemTime| jiff::Timestamp::try_from(time).map_or_else(|_| "-".into(), |time| time.strftime("%F").to_string());
    let used = key.last_used.map_or_else(|| "never".into(), day);
    println!("{}  {status:8} {}  {}  made {}, used {used}", key.kid, key.workspace, key.name, day(key.created));
}

/// A key's id, or the one in a key's text, which people have at hand.
fn kid(text: &str) -> KeyId {
    let format = KeyFormat::default();
    format.parse(text).map_or_else(|| text.into(), |key| key.kid().into())
}

/// The key of the first start, and nobody else's: `None` if there are keys.
pub(super) async fn first(admin: &KeyAdmin) -> Result<Option<String>, Failure> {
    if !admin.list(None).await.map_err(failed_to("list the keys"))?.is_empty() {
        return Ok(None);
    }
    let (text, _) = admin.create(NewKey::named("first"), "first start").await.map_err(failed_to("make the first key"))?;
    Ok(Some(text.expose().to_owned()))
}
