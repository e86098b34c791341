//! Everything that is sealed by the ring, sealed by its current key: signing keys, the workspaces'
//! data keys, letters that wait. It can be broken off and begun again at any time; what is done is
//! not done twice.

use std::time::Duration;

use ah5_contracts::id::WorkspaceId;
use ah5_security::ring::{KeyRing, PublicKeyRow, Wrapped};
use ah5_security::vault::OpenError;
use ah5_store::data_keys::{self, DataKeys};
use ah5_store::tenant::Tenant;
use ah5_store::{StoreError, ring as stored, signing_keys};
use tokio::time::sleep;

use super::progress;
use super::uses::Uses;
use crate::app::App;
use crate::keys::rotation;

#[derive(Default)]
struct Count {
    done: usize,
    /// What no key of the ring opens: it is left as it is.
    shut: usize,
}

pub async fn run(app: &App) -> anyhow::Result<String> {
    rotation::check_ring(app).await?;
    let signing = signing(app).await?;
    let data = data(app).await?;
    let letters = letters(app).await?;
    let (ring, uses) = (app.ring(), Uses::read(app).await?);
    let mut out = format!(
        "under key {} now: {} signing key(s), {} data key(s) of workspaces, {} waiting letter(s)\n",
        ring.current(),
        signing.done,
        data.done,
        letters.done
    );
    let shut = signing.shut + data.shut + letters.shut;
    if shut > 0 {
        out += &format!("{shut} did not open and are as they were: the log above says which\n");
    }
    for id in ring.ids().filter(|id| *id != ring.current()) {
        out += &match uses.is_used(id) {
            true => format!("key {id} is still needed: {}\n", uses.of(id)),
            false => format!("nothing is under key {id} any more: vault retire-ring-key {id}\n"),
        };
    }
    Ok(out)
}

async fn signing(app: &App) -> Result<Count, StoreError> {
    let (mut count, ring) = (Count::default(), app.ring());
    let mut db = app.db().await?;
    let tx = db.transaction().await?;
    for key in signing_keys::lock_all(&tx).await? {
        let row = PublicKeyRow {
            kid: &key.kid,
            kind: &key.kind,
            alg: &key.alg,
            public_jwk: &key.public_jwk,
        };
        let signer = ring.public_key_signer(&row, &key.mac);
        let sealer = key.sealed_private.as_deref().and_then(KeyRing::sealer);
        if signer == Some(ring.current()) && sealer.is_none_or(|id| id == ring.current()) {
            continue;
        }
        // One that nobody vouches for must not become one of ours.
        let private = key.sealed_private.as_deref();
        let private = private.map(|sealed| ring.open_private(&key.kid, sealed));
        let (Some(_), Ok(private)) = (signer, private.transpose()) else {
            progress(format_args!("signing key {} does not open", key.kid));
            count.shut += 1;
            continue;
        };
        let sealed = private.map(|private| ring.seal_private(&key.kid, &private));
        let mac = ring.mac_public_key(&row);
        stored::put_signing_key(&tx, &key.kid, sealed.as_deref(), &mac).await?;
        count.done += 1;
    }
    tx.commit().await?;
    Ok(count)
}

async fn data(app: &App) -> Result<Count, StoreError> {
    let mut count = Count::default();
    let mut after = WorkspaceId::from_uuid(uuid::Uuid::nil());
    let mut db = app.db().await?;
    loop {
        let ring = app.ring();
        let ids = data_keys::to_rewrap(&db, ring.current(), after, AT_ONCE).await?;
        let Some(last) = ids.last() else {
            return Ok(count);
        };
        after = *last;
        for id in ids {
            let tenant = Tenant::begin(&mut db, id).await?;
            let Some(keys) = data_keys::lock(&tenant).await? else {
                continue;
            };
            match rewrapped(&ring, id, &keys) {
                Ok(keys) => {
                    data_keys::rewrap(&tenant, &keys).await?;
                    count.done += 1;
                }
                Err(_) => {
                    progress(format_args!("the data key of workspace {id} does not open"));
                    count.shut += 1;
                }
            }
            tenant.commit().await?;
        }
        progress(format_args!(
            "{} data key(s), up to workspace {after}",
            count.done
        ));
        // Every replica loads these workspaces anew.
        sleep(PAUSE).await;
    }
}

fn rewrapped(ring: &KeyRing, id: WorkspaceId, keys: &DataKeys) -> Result<DataKeys, OpenError> {
    let again = |key: &Wrapped| {
        let opened = ring.unwrap(id, &key.ring_key_id, &key.bytes)?;
        Ok(ring.wrap(id, &opened))
    };
    Ok(DataKeys {
        current: again(&keys.current)?,
        previous: keys.previous.as_ref().map(again).transpose()?,
    })
}

async fn letters(app: &App) -> Result<Count, StoreError> {
    let mut count = Count::default();
    let mut db = app.db().await?;
    loop {
        let ring = app.ring();
        let tx = db.transaction().await?;
        let mut moved = 0;
        let letters = stored::letters(&tx, ring.current(), AT_ONCE.into()).await?;
        for letter in &letters {
            if let Ok(text) = ring.open_mail(letter.id, &letter.sealed) {
                let sealed = ring.seal_mail(letter.id, &text);
                stored::put_letter(&tx, letter.id, &sealed).await?;
                moved += 1;
            }
        }
        tx.commit().await?;
        count.done += moved;
        if moved == 0 {
            count.shut = letters.len();
            return Ok(count);
        }
    }
}

const AT_ONCE: i32 = 100;
const PAUSE: Duration = Duration::from_millis(50);
