//! Enumerations that a column keeps as a word.

use sea_orm::{ColIdx, DbErr, QueryResult, TryGetError, TryGetable};

/// An enumeration that a column keeps as a word.
pub trait Word: Sized {
    /// The table of the column.
    const TABLE: &'static str;

    fn from_word(word: &str) -> Option<Self>;
}

/// A value that the program never writes to its column.
#[derive(Debug, thiserror::Error)]
#[error("`{value}` is no value of its column")]
pub(in crate::store) struct UnknownValue {
    pub table: &'static str,
    pub value: String,
}

impl UnknownValue {
    /// The error of sea-orm that carries this one through its traits, until it becomes a [`StoreError`](super::StoreError).
    pub fn into_db_err(self) -> DbErr {
        DbErr::TryIntoErr { from: "column", into: self.table, source: std::sync::Arc::new(self) }
    }
}

/// Reads a column that keeps a word.
///
/// # Errors
/// [`TryGetError`], with an [`UnknownValue`] where the word names no variant.
pub(in crate::store) fn read_word<W: Word>(row: &QueryResult, index: impl ColIdx) -> Result<W, TryGetError> {
    let value = String::try_get_by(row, index)?;
    W::from_word(&value).ok_or_else(|| TryGetError::DbErr(UnknownValue { table: W::TABLE, value }.into_db_err()))
}

/// Makes an enumeration one that a column keeps as a word: `stored_as_word!(State of "card" { Lost = "lost" });`.
/// With `otherwise Foreign` an unknown word, of another release, is read as that variant.
macro_rules! stored_as_word {
    ($name:ident of $table:literal $(otherwise $other:ident)? { $($variant:ident $(($inner:path))? = $word:literal),+ $(,)? }) => {
        impl $name {
            /// The word that the database keeps.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant $(($inner))? => $word,)+
                }
            }
        }

        impl $crate::store::database::Word for $name {
            const TABLE: &'static str = $table;

            fn from_word(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant $(($inner))?),)+
                    $(_ if true => Some(Self::$other),)?
                    _ => None,
                }
            }
        }

        impl From<$name> for sea_orm::Value {
            fn from(value: $name) -> Self {
                value.as_str().into()
            }
        }

        impl sea_orm::TryGetable for $name {
            fn try_get_by<I: sea_orm::ColIdx>(
                row: &sea_orm::QueryResult,
                index: I,
            ) -> Result<Self, sea_orm::TryGetError> {
                $crate::store::database::read_word(row, index)
            }
        }

        impl sea_orm::sea_query::ValueType for $name {
            fn try_from(value: sea_orm::Value) -> Result<Self, sea_orm::sea_query::ValueTypeErr> {
                let word = <String as sea_orm::sea_query::ValueType>::try_from(value)?;
                <Self as $crate::store::database::Word>::from_word(&word).ok_or(sea_orm::sea_query::ValueTypeErr)
            }

            fn type_name() -> String {
                stringify!($name).to_owned()
            }

            fn array_type() -> sea_orm::sea_query::ArrayType {
                sea_orm::sea_query::ArrayType::String
            }

            fn column_type() -> sea_orm::sea_query::ColumnType {
                <String as sea_orm::sea_query::ValueType>::column_type()
            }
        }

        impl sea_orm::sea_query::Nullable for $name {
            fn null() -> sea_orm::Value {
                <String as sea_orm::sea_query::Nullable>::null()
            }
        }
    };
}
pub(in crate::store) use stored_as_word;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreError;
    use crate::store::database::tables::card::ManagementKind;

    #[test]
    fn a_word_is_read_as_what_wrote_it() {
        for word in ["tdes", "aes-128", "aes-192", "aes-256", "so-pin"] {
            assert_eq!(ManagementKind::from_word(word).map(ManagementKind::as_str), Some(word));
        }
        assert_eq!(ManagementKind::from_word("rsa-2048"), None);
    }

    #[test]
    fn an_unknown_word_says_its_table() {
        let unknown = UnknownValue { table: "card", value: "melted".to_owned() };
        let error = StoreError::from(unknown.into_db_err());
        assert!(
            matches!(&error, StoreError::Inconsistent { table: "card", why } if why.contains("melted")),
            "{error:?}"
        );
    }
}
