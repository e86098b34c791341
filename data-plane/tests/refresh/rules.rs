//! The rules as the database has them, whoever asks.

use uuid::Uuid;

use crate::fixture::{Account, Fixture, database};

impl Fixture {
    async fn text(&self, sql: &str) -> String {
        let db = database(&self.stack).await;
        db.query_one(sql, &[]).await.unwrap().get(0)
    }

    async fn is(&self, sql: &str) -> bool {
        let db = database(&self.stack).await;
        db.query_one(sql, &[]).await.unwrap().get(0)
    }

    /// As a process that has been handed something for this version.
    async fn commit(&self, account: &Account, version: i64) -> String {
        let id = &account.id;
        self.text(&format!(
            "select ah5.commit_refresh(workspace_id, id, {version}, '\\x02aa', '\\x02bb', null, null)
             from ah5.t_connections where id = '{id}'"
        ))
        .await
    }

    /// As a process that then uses the token and is never heard of again, for as long as its lease lasts.
    async fn interrupted(&self, account: &Account) -> String {
        let (id, lease) = (&account.id, Uuid::new_v4());
        let outcome = self
            .text(&format!(
                "select l.outcome || case when l.doubtful then ' doubtful' else '' end
                 from ah5.t_connections c, ah5.lease_refresh(c.workspace_id, c.id, 1, '{lease}', 30) l
                 where c.id = '{id}'"
            ))
            .await;
        self.is(&format!("select ah5.begin_refresh('{id}', '{lease}', 15)"))
            .await;
        self.end_lease(account).await;
        outcome
    }
}

#[tokio::test]
async fn a_late_answer_counts_for_its_own_version_only_and_for_nothing_revoked() {
    let fixture = Fixture::open(0).await;
    let account = fixture.account(3600).await;
    let id = &account.id;
    for version in [0, 2, 7] {
        assert_eq!(fixture.commit(&account, version).await, "superseded");
    }
    let mark = |version| format!("select ah5.mark_needs_reauth('{id}', {version}, 'x')");
    assert!(!fixture.is(&mark(2)).await);
    assert_eq!(fixture.commit(&account, 1).await, "committed");
    assert_eq!(fixture.commit(&account, 1).await, "superseded");
    assert!(!fixture.is(&mark(1)).await);
    assert!(fixture.is(&mark(2)).await);
    assert!(!fixture.is(&mark(2)).await, "it is marked already");
    // Not even while its credential is there.
    let revoke = "update ah5.t_connections set status = 'revoked' where id";
    fixture.sql(&format!("{revoke} = '{id}'")).await;
    assert_eq!(fixture.commit(&account, 2).await, "revoked");
    assert!(!fixture.is(&mark(2)).await);
    let state = fixture.state(id).await;
    assert_eq!((&*state.status, state.version), ("revoked", 2));
}

#[tokio::test]
async fn after_an_interruption_a_token_is_tried_once_more_and_not_again() {
    let fixture = Fixture::open(0).await;
    let account = fixture.account(3600).await;
    assert_eq!(fixture.interrupted(&account).await, "leased");
    assert_eq!(fixture.interrupted(&account).await, "leased doubtful");
    assert_eq!(fixture.interrupted(&account).await, "needs_reauth");
    let state = fixture.state(&account.id).await;
    assert_eq!(state.reason.as_deref(), Some("refresh_interrupted"));
}

#[tokio::test]
async fn a_lease_keeps_others_away_and_a_short_one_begins_nothing() {
    let fixture = Fixture::open(0).await;
    let account = fixture.account(3600).await;
    let (id, lease) = (&account.id, Uuid::new_v4());
    let take = |lease: Uuid, seen: i64| {
        format!(
            "select l.outcome from ah5.t_connections c,
                ah5.lease_refresh(c.workspace_id, c.id, {seen}, '{lease}', 30) l where c.id = '{id}'"
        )
    };
    assert_eq!(fixture.text(&take(lease, 1)).await, "leased");
    assert_eq!(fixture.text(&take(Uuid::new_v4(), 1)).await, "busy");
    assert_eq!(fixture.text(&take(Uuid::new_v4(), 0)).await, "fresh");
    let begin =
        |lease: Uuid, least| format!("select ah5.begin_refresh('{id}', '{lease}', {least})");
    assert!(!fixture.is(&begin(lease, 31)).await);
    assert!(!fixture.is(&begin(Uuid::new_v4(), 15)).await);
    assert!(fixture.is(&begin(lease, 15)).await);
    let fail = format!("select ah5.fail_refresh('{id}', '{lease}', 60000, false)");
    fixture.sql(&fail).await;
    assert_eq!(fixture.text(&take(Uuid::new_v4(), 1)).await, "later");
}
