//! Tables of tenants: every query names the tenant, and what leaves the room does not.

use sea_orm::sea_query::{Expr, Query};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DeleteMany, EntityTrait, FromQueryResult, Insert, Iterable,
    QueryFilter, QueryTrait, Select, UpdateMany,
};

use super::{Access, StoreError, Tx};

/// A table whose rows belong to tenants.
pub trait OfTenant: EntityTrait {
    const TENANT: Self::Column;

    /// A row without the tenant.
    type Record: Record<Entity = Self>;

    /// The condition that a row is the tenant's: for joins and subqueries.
    fn is_of(tenant: &str) -> Expr {
        Self::TENANT.eq(tenant)
    }

    fn find_of(access: &impl Access) -> Select<Self> {
        Self::find_in(access.tenant())
    }

    /// The same, where only the tenant is known.
    fn find_in(tenant: &str) -> Select<Self> {
        Self::find().filter(Self::is_of(tenant))
    }

    fn update_of(tx: &Tx) -> UpdateMany<Self> {
        Self::update_many().filter(Self::is_of(tx.tenant()))
    }

    fn delete_of(tx: &Tx) -> DeleteMany<Self> {
        Self::delete_many().filter(Self::is_of(tx.tenant()))
    }
}

/// A row without its tenant.
pub trait Record: FromQueryResult + Send + Sync {
    type Entity: OfTenant<Record = Self>;

    fn into_row(self, tenant: &str) -> <Self::Entity as EntityTrait>::ActiveModel;
}

/// Executes a query for whole rows of one table.
pub trait Fetch {
    type Record;

    /// The first row.
    fn fetch_one(self, access: &impl Access) -> impl Future<Output = Result<Option<Self::Record>, StoreError>> + Send;

    fn fetch_all(self, access: &impl Access) -> impl Future<Output = Result<Vec<Self::Record>, StoreError>> + Send;
}

impl<E: OfTenant> Fetch for Select<E> {
    type Record = E::Record;

    async fn fetch_one(self, access: &impl Access) -> Result<Option<E::Record>, StoreError> {
        Ok(self.into_model::<E::Record>().one(access.connection()).await?)
    }

    async fn fetch_all(self, access: &impl Access) -> Result<Vec<E::Record>, StoreError> {
        Ok(self.into_model::<E::Record>().all(access.connection()).await?)
    }
}

/// The statement that inserts a record.
pub(in crate::store) fn insertion<R: Record>(tx: &Tx, record: R) -> Insert<<R::Entity as EntityTrait>::ActiveModel>
where
    <R::Entity as EntityTrait>::ActiveModel: ActiveModelTrait<Entity = R::Entity>,
{
    R::Entity::insert(record.into_row(tx.tenant()))
}

/// Inserts a record at once.
///
/// # Errors
/// [`StoreError::Exists`] with `what` when there is one with the same key.
pub(in crate::store) async fn insert<R: Record>(tx: &Tx, record: R, what: &'static str) -> Result<(), StoreError> {
    match insertion(tx, record).exec_without_returning(tx.connection()).await {
        Err(error) if StoreError::is_unique_violation(&error) => Err(StoreError::Exists(what)),
        other => Ok(other.map(drop)?),
    }
}

/// Executes an update, and gives the records that it has changed. The columns are named: a release beside this one may add some.
pub(in crate::store) async fn update_returning<E: OfTenant>(
    tx: &Tx,
    update: UpdateMany<E>,
) -> Result<Vec<E::Record>, StoreError> {
    let mut query = update.into_query();
    query.returning(Query::returning().columns(E::Column::iter()));
    let rows = tx.connection().query_all(&query).await?;
    Ok(rows.iter().map(|row| E::Record::from_query_result(row, "")).collect::<Result<_, _>>()?)
}

/// Defines a table: its entity, with the tenant's column first, and the record of a row without it.
macro_rules! table {
    (
        $(#[doc = $about:literal])*
        pub struct $record:ident in $table:tt {
            $(#[sea_orm($($tenant:tt)*)])? tenant,
            $(
                $(#[doc = $doc:literal])*
                $(#[sea_orm($($attribute:tt)*)])?
                pub $field:ident: $type:ty,
            )*
        }
    ) => {
        #[derive(Clone, Debug, PartialEq, sea_orm::DeriveEntityModel)]
        #[sea_orm(table_name = $table)]
        pub struct Model {
            $(#[sea_orm($($tenant)*)])?
            pub tenant: String,
            $(
                $(#[sea_orm($($attribute)*)])?
                pub $field: $type,
            )*
        }

        #[derive(Clone, Copy, Debug, sea_orm::EnumIter, sea_orm::DeriveRelation)]
        pub enum Relation {}

        impl sea_orm::ActiveModelBehavior for ActiveModel {}

        $(#[doc = $about])*
        #[derive(Clone, Debug, PartialEq, sea_orm::FromQueryResult)]
        pub struct $record {
            $(
                $(#[doc = $doc])*
                pub $field: $type,
            )*
        }

        impl $crate::store::database::OfTenant for Entity {
            const TENANT: Column = Column::Tenant;

            type Record = $record;
        }

        impl $crate::store::database::Record for $record {
            type Entity = Entity;

            fn into_row(self, tenant: &str) -> ActiveModel {
                ActiveModel {
                    tenant: sea_orm::Set(tenant.to_owned()),
                    $($field: sea_orm::Set(self.$field),)*
                }
            }
        }
    };
}
pub(in crate::store) use table;
