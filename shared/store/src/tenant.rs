//! A transaction inside one workspace. Row security shows it that workspace's rows and no others.

use std::ops::Deref;

use deadpool_postgres::{Object, Transaction};

use ah5_contracts::id::WorkspaceId;

use crate::StoreError;

pub struct Tenant<'a> {
    transaction: Transaction<'a>,
    workspace: WorkspaceId,
}

// === impl Tenant ===

impl<'a> Tenant<'a> {
    /// # Errors
    /// The database fails.
    pub async fn begin(client: &'a mut Object, workspace: WorkspaceId) -> Result<Self, StoreError> {
        let transaction = client.transaction().await?;
        let tenant = Self {
            transaction,
            workspace,
        };
        tenant.enter(workspace).await
    }

    /// The same transaction, from now on inside another workspace.
    ///
    /// # Errors
    /// The database fails.
    pub async fn enter(self, workspace: WorkspaceId) -> Result<Self, StoreError> {
        let statement = self
            .transaction
            .prepare_cached("select set_config('ah5.workspace', $1, true)")
            .await?;
        self.transaction
            .execute(&statement, &[&workspace.to_string()])
            .await?;
        Ok(Self { workspace, ..self })
    }

    #[must_use]
    pub const fn workspace(&self) -> WorkspaceId {
        self.workspace
    }

    /// Does this, and undoes it if it fails: the transaction goes on.
    ///
    /// # Errors
    /// The database fails at beginning or ending it.
    pub async fn attempt<T, E>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<Result<T, E>, StoreError> {
        self.batch_execute("savepoint attempt").await?;
        let done = work.await;
        if done.is_err() {
            self.batch_execute("rollback to savepoint attempt").await?;
        }
        self.batch_execute("release savepoint attempt").await?;
        Ok(done)
    }

    /// # Errors
    /// The database fails; whether the commit took place is then unknown.
    pub async fn commit(self) -> Result<(), StoreError> {
        Ok(self.transaction.commit().await?)
    }
}

impl<'a> Deref for Tenant<'a> {
    type Target = Transaction<'a>;

    fn deref(&self) -> &Transaction<'a> {
        &self.transaction
    }
}
